// Package format reads, writes and validates .rfga files: a network, its weights, and how an image becomes its input.
// It imports only the standard library. Whoever wants to run a model uses package runtime.
//
// This comment specifies version 1.2 of the format; what is marked (1.1) is not in 1.0, and so on. It is complete: a reader in another language can be written from it
// (testdata/read_rfga.py is one). What the operators compute stands in package kernels, and for rfga in package rfga.
//
// # Conventions
//
// All numbers are little endian. u8, u16, u32, u64 are unsigned integers, i32 is a two's complement integer, f32 is an
// IEEE 754 binary32. str is a u32 count of bytes, at most 65536, and so many bytes of UTF-8 without a terminator; it holds
// no control characters (U+0000 to U+001F, U+007F to U+009F), but provenance texts may have U+000A and U+0009. Records
// follow each other without gaps: a field lies where the one before it ends, aligned or not.
// "Zero" for bytes means every bit; a reader verifies that reserved fields and padding are zero.
// A reader rejects what breaks any rule of this text, and checks every count against its limit and against the bytes that
// are left before it allocates for it.
//
// # The file
//
// A header of 64 bytes, a section directory, the sections, and nothing else. Every section begins at a multiple of 64; the
// bytes between the end of the directory or of a section and the beginning of the next section are zero and fewer than 64;
// the file ends at the first multiple of 64 at or after the end of the last section, padded with zeros. A file mapped to a
// page boundary therefore has every constant on a 64-byte boundary.
//
//	offset  type    header field
//	     0  8 bytes magic: 89 52 46 47 41 0D 0A 1A (hexadecimal; bytes 1 to 4 are "RFGA")
//	     8  u16     major version, 1
//	    10  u16     minor version, the lowest that has all the file uses
//	    12  u32     number of sections, 6 to 64
//	    16  u64     size of the file in bytes
//	    24  u32     flags: bit 0 exact (see Exactness), bit 1 tree (1.2); the others are zero
//	    28  u32     zero
//	    32  32 bytes digest: without the flag tree, SHA-256 of the whole file with these 32 bytes taken as zero; with it,
//	                SHA-256 of the first 32 bytes of the file, followed by the SHA-256 of each piece of the file from
//	                offset 64 on, 2^20 bytes long but for the last one
//
// The directory begins at 64 and has 24 bytes for each section, in the order in which sections lie in the file:
//
//	offset  type    directory entry field
//	     0  4 bytes name, UTF-8 without control characters; no name occurs twice
//	     4  u32     flags: bit 0 required; the others are zero
//	     8  u64     offset of the section in the file
//	    16  u64     size of the section in bytes, without padding
//
// The sections of version 1 are META, LABL, PROV, TENS, OPER and DATA, in this order, all required, and (1.1) perhaps behind them
// QUAL, which is not required. Each ends exactly with its last record.
//
// # META: the model
//
//	str  name
//	str  architecture
//	u32  input tensor
//	u32  number of outputs, 1 to 16; then for each:
//	       str  name: not empty, unique, no '/' or '\', no '.' at its beginning
//	       u32  tensor, the result of an operator
//	       u8   flat: 1 if a program presents it as (N,C), which needs height and width 1; 0 as (N,C,H,W)
//	u32  width, u32 height of the network's input, 1 to 8192
//	u32  resize: the short side before cropping, for rule 2; else 0
//	u8   resize rule: 1 squash: the whole image to width x height, antialiased bilinear;
//	                  2 centre crop: the short side to resize (at least width and height, at most 8192), antialiased
//	                    bilinear, then the centre width x height
//	u8   colour order of the three channels: 1 RGB, 2 BGR
//	f32  mean, three times, and f32 standard deviation, three times, per channel in that order:
//	     normalised value = (byte/255-mean)/deviation; |mean| <= 1e6, 1e-6 <= deviation <= 1e6
//	u8   heat map rule: 1 minimum to maximum, 2 from the 65th percentile; 0 none (only without an output named "maps")
//	f32  threshold, 0 to 1: a fraction of the heat map's maximum; 0 with rule 0
//
// The input tensor is an activation of shape (1,height,width,3), f32 (normalised values) or i8. With scale 1 and zero point
// -128 an i8 input is the image's bytes minus 128, and mean and deviation are folded into the weights; with any other scale
// it is quantized from normalised values.
//
// # LABL: labels
//
//	u32  number of labels, 0 to 65536; then for each:
//	       str  label k, the name of logit k
//
// With labels, an output named "logits" has as many channels as there are labels.
//
// # PROV: provenance, for people
//
// Five str, each possibly empty: source of the weights, licence (SPDX expression), converter (program and version),
// calibration (method, number of images, seed), notes.
//
// # TENS: tensors
//
// A u32 number of tensors, 1 to 16384, then their records. Tensors are referred to by index, from 0.
//
//	str  name, for people: it may be empty or occur twice
//	u8   type: 1 f32, 2 f16 (IEEE binary16), 3 i8, 4 i16, 5 i32, 6 i64
//	u8   role: 0 activation, 1 constant, 2 weights, 3 inner
//	u8   rank, 1 to 4
//	u8   zero
//	u32  dimension, rank times, outermost first: each 1 to 2^24, their product at most 2^29
//	u32  number of scales; then
//	f32  scale, so many times: finite, positive, normal (at least 2^-126)
//	i32  zero point
//	only with role 1 or 2:
//	u64  offset of the data in DATA, a multiple of 64
//	u64  size of the data in bytes
//
// A quantized value q stands for scale*(q-zero). An i8 or i16 tensor with exactly one scale may have a zero point in the
// range of its type; all others have zero point 0.
//
// Role 0, an activation: shape (1,height,width,channels), elements in that order (NHWC); a reader multiplies by its batch.
// Never f16. It has no scale if f32, one scale if i8 or i16, as many scales as channels if i32 or i64. It is the input, or
// exactly one operator produces it.
//
// Role 1, a constant: product-of-dimensions elements in order, without padding. f32 and f16 have no scale; others none, one,
// or as many as the first dimension. It is an operator's input described as plain below.
//
// Role 2, weights: rank 4, (output channels, rows, columns, input channels), f32, f16 or i8. The elements are in that order,
// and each run of the last dimension is padded with zero elements to a multiple of 4; the dimensions do not count the padding.
// f32 and f16 have no scale. i8 weights are -127 to 127, never -128, with zero point 0 and either one scale or one per
// output channel (for the weights of depthwise_conv2d the output channels are the last dimension).
//
// Role 3, inner: shaped as an activation, i8, one scale. It exists only inside the one operator that lists it, and carries the
// quantization of an intermediate value.
//
// Every tensor is used in its role by at least one operator, or produced by one, or is the input; none has two roles.
//
// # OPER: operators
//
// A u32 number of operators, 1 to 8192, then their records in execution order.
//
//	u16  kind
//	u8   number of inputs, 1 to 64
//	u8   number of outputs, 1 to 16
//	u8   number of inner tensors
//	u8   number of attributes
//	str  name, for people
//	i32  tensor index of each input, then of each output, then of each inner tensor; -1 for an absent optional one
//	then for each attribute, by ascending key:
//	u16  key
//	u16  number of 32-bit words in its value
//	     the words
//
// Optional tensors are absent as -1 or, at the end of a list, by being left off. An activation is the model's input or the
// output of an earlier operator. No operator produces the input, a constant, or what another one produced.
//
// An attribute that has its default value is not stored, and an operator stores only attributes that its kind lists.
//
//	key  value                    default     name and range
//	  1  u32 rows, u32 columns    1 1         kernel of a pooling, 1 to 1024
//	  2  u32 rows, u32 columns    1 1         stride, 1 to 1024
//	  3  u32 rows, u32 columns    1 1         dilation, 1 to 1024
//	  4  u32 top left bottom right 0 0 0 0    pad, 0 to 1024
//	  5  u32                      1           groups
//	  6  u32                      3           axis: 1 height, 2 width, 3 channels
//	  7  u32                      0           func: 1 relu, 2 relu6, 3 sigmoid, 4 swish = x*sigmoid(x),
//	                                          5 hardsigmoid = min(max(x+3,0),6)/6, 6 hardswish = x*hardsigmoid(x),
//	                                          (1.1:) 7 leaky_relu = a*x below 0, else b*x, 8 elu = a*(exp(x)-1) below 0,
//	                                          else b*x, 9 prelu = slope*x below 0, else x, 10 tanh,
//	                                          11 softplus = log(1+exp(x)), 12 mish = x*tanh(softplus(x)),
//	                                          13 gelu = x*(1+erf(x/sqrt(2)))/2, 14 gelu_tanh =
//	                                          x*(1+tanh(sqrt(2/pi)*(x+0.044715*x^3)))/2, 15 erf, 16 exp, 17 log,
//	                                          18 sqrt, 19 reciprocal = 1/x, 20 abs, 21 softsign = x/(1+|x|),
//	                                          22 pow = x^a, for x >= 0
//	  8  u32                      0           mode: 1 nearest (source index floor(i*in/out)), 2 bilinear (pixel centres)
//	  9  u32                      0           align_corners, 0 or 1; 1 only with mode 2
//	 10  u32                      0           count_include_pad, 0 or 1
//	 11  f32                      -Inf        clamp_lo: a float result is clamped; not NaN, clamp_lo <= clamp_hi
//	 12  f32                      +Inf        clamp_hi
//	 13  i32                      -128        q_lo: a quantized result is clamped; in the range of the output's type,
//	 14  i32                      127         q_hi  q_lo <= q_hi
//	 15  f32                      0           pad_value, a real value, not NaN
//	 16  f32                      1           a of rfga and of func, |a| <= 65536
//	 17  f32                      1           b of rfga and of func, |b| <= 65536
//	 18  f32, any number to 64    none        mults, requantization multipliers: finite, positive, normal
//	 19  f32                      0           (1.1) epsilon, 0 to 65536
//	 20  u32, any number to 8     none        (1.1) dims
//	 21  u32, any number to 8     none        (1.1) perm
//	 22  u32                      0           (1.1) off, what an rfga leaves out: the sum of 1 for the channels' view, 2 for the
//	                                          rows', 4 for the columns', 8 for the expansion
//
// Each kind has a float form, where its first input is f32, and a quantized form, where it is i8 or i16. Below, "x -> y" lists inputs and outputs in order, [x] is optional, shapes stand in parentheses. Inputs named w,
// wc, wh, ww are weights (float form: f32 or f16; quantized form: i8); bias, bc, bh, bw, mult, padding, mc, mh, mw, table,
// slope, index, scale and shift are plain constants; b is an activation, or a plain constant shaped as an activation (f32 or f16 in the float form, i8
// or i16 with one scale in the quantized form); all others are activations. In the float form activations are f32 and bias is f32 or
// f16; in the quantized form activations are i8 or i16, bias is i32, mult, mc, mh and mw are f32 with values as for mults.
// "Q:" says what the quantized form has in addition. Input x is (1,H,W,C).
//
//	 1 conv2d            x, w (O,KH,KW,C/groups), [bias (O)] -> y (1,H',W',O). stride, dilation, pad, groups (divides C
//	                     and O), clamp_lo, clamp_hi. KH, KW at most 1024.
//	                     Q: inputs mult (O), [padding (C), of x's type: what stands outside the image, else x's zero
//	                     point]; q_lo, q_hi. clamp_lo and clamp_hi are then only a note for people.
//	 2 depthwise_conv2d  x, w (1,KH,KW,C), [bias (C)] -> y (1,H',W',C). As conv2d, with groups C stored (unless it is 1).
//	 3 fully_connected   x, w (O,1,1,H*W*C), [bias (O)] -> y (1,1,1,O). clamp_lo, clamp_hi. Q: as conv2d, without padding.
//	 4 add               a, b -> y: b has a's shape or 1 in place of dimensions, or a of b's; y has the larger shape.
//	                     clamp_lo, clamp_hi. Q: mults of a and of b; q_lo, q_hi.
//	 5 mul               as add, but Q: one of mults.
//	 6 unary             x, [slope (C)] -> y (1,H,W,C). func; a, b where func has them. slope, f32 or f16, is present if and
//	                     only if func is prelu. Q: input table (256), i8, in the place of slope: y = table[x+128]; or (1.1)
//	                     table (C,256), one a channel; x, y and table are i8. (1.1) With x or y i16, table has one element
//	                     for each value of x's type, (256) or (65536), of y's type: y = table[x - least value].
//	 7 max_pool          x -> y (1,H',W',C). kernel, stride, dilation, pad. Q: one of mults.
//	 8 avg_pool          x -> y (1,H',W',C). kernel, stride, pad, count_include_pad. Q: one of mults.
//	 9 global_avg_pool   x -> y (1,1,1,C). Q: one of mults.
//	10 concat            1 to 64 inputs -> y. axis; the inputs agree in the other dimensions. Q: mults, one an input.
//	11 pad               x -> y (1,top+H+bottom,left+W+right,C). pad, pad_value. Q: x and y have the same type, scale
//	                     and zero point.
//	12 softmax           x -> y (1,H,W,C), f32 in both forms, along the channels. func: none, or (1.1) log: its logarithm.
//	13 resize            x -> y (1,any,any,C). mode, align_corners. Q: one of mults.
//	14 quantize          x f32 -> y (1,H,W,C), i8 or i16. Only this, the float form, exists.
//	15 dequantize        x i8 or i16 -> y (1,H,W,C), f32. Only this, the quantized form, exists.
//	16 rfga              x, wc (C,1,1,3), bc (C), wh (C,3,1,C), bh (C), ww (C,1,3,C), bw (C) -> y (1,H,W,C). a, b,
//	                     off.
//	                     Q: inputs mc (C), mh (C), mw (C), table (3,256) of i16, 0 to 16384; x and y are i8 or (1.1) i16; six inner
//	                     tensors yc (1,1,1,C), yh (1,H,1,C), yw (1,1,W,C), and zc, zh, zw likewise; mults: of yc, yh,
//	                     yw, and of y.
//	17 cam_head          x, w (K,1,1,C), [bias (K)] -> logits (1,1,1,K), [maps (1,H,W,K)].
//	                     Q: logits are i64 and maps i32, with the same K scales; a logit's value is
//	                     S*(scale/(H*W)), a map's is its integer times scale. (1.1) If x is i16, maps are i64.
//	18 gather            (1.1) x, index (N), i32 -> y: x's shape with N along axis, element i along axis being x's element
//	                     index[i], each 0 or more and inside x. axis. Q: x and y have the same type, scale and zero point.
//	19 permute           (1.1) x -> y of any shape (1,any,any,any) of as many elements. dims, perm: x's elements in their
//	                     order are an array of shape dims (each 1 to 2^24); transposed, axis i of the result being axis
//	                     perm[i] of dims, its elements in order are y's. Q: as gather.
//	20 normalize         (1.1) x, [scale (C)], [shift (C)] -> y (1,H,W,C). axis 1 or 3, groups (divides C), epsilon (at least
//	                     2^-60). y = (x-mean)/sqrt(variance+epsilon)*scale+shift over C/groups neighbouring channels, with
//	                     axis 3 of one position, with axis 1 of all: at most 2^23 elements together. scale and shift are
//	                     f32 or f16, absent for 1 and 0. Q: scale and shift, present, f32 of at most 2^100, are in steps of
//	                     y's scale; epsilon stays in units of x's real values; q_lo, q_hi; x and y are i8.
//
// The result of a window (convolutions and poolings) along an axis of n elements, with kernel k, dilation d, stride s and
// padding p and r before and after it: n+p+r >= (k-1)*d+1, and n' = (n+p+r-(k-1)*d-1)/s + 1, rounded down.
// A pooling's output may instead, on either axis, be 1 more if that division has a remainder and n'*s < n+p (ceil
// mode); every window of a pooling meets at least one element of x. What lies beyond n+p+r is never counted in an average.
//
// # Sums of int16
//
// Each activation is i8 or i16 by itself: operands and result of one operator may differ. A sum is exact, whatever its size:
// a reader computes it in 64 bits, or in two parts of 32. Of weights w in -127..127 it demands that
//
//   - of each output channel of a convolution, fully connected layer or head, 255 times the sum of |w| fits i32, with the bias
//     where input and result are i8: the high and the low bytes of an i16 input are then summed in i32 each;
//   - of each channel of a depthwise convolution of i16, 32768 times the sum of |w| fits i32.
//
// A file in which one does not is rejected when it is planned.
//
// # DATA: the data of constants and weights
//
// In the order of their tensors, each at the first multiple of 64 (from the beginning of the section, and so of the file) at
// or after the end of the one before it, with zeros between. The section ends with the last one's data.
//
// # QUAL: what quantization cost
//
// (1.1) For people; absent unless the converter was asked to measure it. Ratios are signal-to-noise ratios in decibels against the
// float network, -200 to 200; shares are 0 to 1; no number is NaN or infinite.
//
//	u32  number of images it was measured on, 1 to 2^31-1
//	u32  of how many the most probable class was compared: none, or all
//	u32  of how many of these it was the same one
//	u32  of how many images the float network's class maps were compared
//	f32  mean correlation of these maps, -1 to 1; f32 mean overlap (IoU) of the boxes, 0 to 1; both 0 if that number is 0
//	u32  number of activations, 0 to 16384; then for each, by ascending tensor:
//	       u32  tensor, an activation
//	       f32  ratio of the network up to here; f32 of this layer with the float network's inputs; f32 of rounding alone
//	       f32  cosine, -1 to 1
//	       f32  share of the values below the grid's low end; f32 above its high end
//	       f32  least, f32 greatest of the float values
//	       f32  share in the error of the outputs, 0 if that was not measured
//	       u32  the channel with the largest magnitude
//	       f32  that magnitude over that of the median channel; 0 if the median is 0
//	       u8   1 if the grid ends on purpose where the functions that read the activation no longer change, else 0
//	       u8   32 times: how many values lie on each 32nd part of the grid: 0 for none, else
//	            1 + round(254*(1 + log10(share)/9)), shares below 1e-9 counting as that
//	u32  number of weights, 0 to 16384; then for each, by ascending tensor:
//	       u32  tensor, of role 2
//	       f32  ratio of the weights as stored; f32 without the rule of pairs (see kernels)
//	       u32  output channel with the lowest ratio; f32 its ratio
//
// # Exactness
//
// The flag exact says that the model gives the same bits on all machines. It is set if and only if every operator is in the
// quantized form or is quantize, dequantize or softmax. A reader derives it again and rejects a file that differs.
//
// # Compatibility
//
// A reader of version 1 reads every file whose major version is 1 and rejects all others. A file states the lowest minor
// version that has all it uses; a reader that knows this version checks it. A file of a later minor version may have
//
//   - sections with other names, anywhere among the known ones: a reader skips one whose flag "required" is 0, and rejects
//     the file if it is 1;
//   - attributes with other keys, on any operator: a reader skips one whose key has bit 15 set, and rejects the file otherwise;
//   - new values of kind, type, role, func, mode, rule, order and flags: a reader that does not know a value rejects the file.
//
// Everything else stays as it is until the major version changes. A skipped section or attribute never changes a result. The
// digest covers it like everything else.
package format
