// Package kernels makes operators ready at load time (Prepare...) and runs them: shapes and sums checked, weights packed,
// a kernel chosen. Each operator has one file with its portable Go definition; registry.go lists the kernels in assembly;
// isa.go says which of them this CPU can run. It imports package asm, golang.org/x/sys/cpu and klauspost/cpuid, and nothing else of
// this module.
//
// # Storage
//
// Activations, in arena memory and in IO buffers, NHWC:
//
//   - int8: one byte per element, the value plus 128 (q XOR 0x80). An image's bytes are its int8 values as they stand,
//     and the unsigned multipliers of x86 take them without conversion.
//   - float32, int32, int64: native.
//
// # Int8 convolution
//
// With x the input, w the weights (-127..127), zx the input's zero point, p the padding value where the window leaves the image:
//
//	acc[o] = bias[o] + sum over taps and channels of (x or p - zx)*w[o]          exact, int32
//	y[o]   = zero + rne(clamp(f32(f32(acc[o])*mult[o]), lo-zero, hi-zero))
//
// and with a residual r fused in, a being y above:
//
//	y[o]   = zero + rne(clamp(f32(f32((a-za)*ma) + f32((r-zr)*mr)), lo-zero, hi-zero))     zero, lo, hi of the addition
//
// Depthwise convolution is the same with one channel a filter. A layer whose acc[o] could leave int32 for some input, or with
// a weight of -128, is refused; both are computed from the weights when the layer is prepared.
//
// Kernels work on stored bytes u = x+128: sum u*w + (bias - (zx+128)*sum w), modulo 2**32, is acc. So no bound on a part
// of the sum is needed, and sums may be taken in any order. The one saturating instruction, VPMADDUBSW, is used
// where the weights are proved pair-safe (ConvI8.prove): neighbours along K with positive weights adding up to 128 at most, and
// negative ones likewise.
//
// A convolution is a matrix product of OH*OW rows by KH*KW*I/groups terms. Rows of 1x1 convolutions are read in place. Others
// are gathered, a block at a time, with their padding: window by window, or a slab for a row of the output, in which windows
// overlap as they do in the input and the terms go column by column (convi8_slab.go; an estimate decides). Weights are packed
// once, as the kernel reads them:
//
//	[groups][N/NR][K/KR][NR][KR] int8, N being O/groups; zeros behind K and N
//
// A batch of tiles goes to a block of int32, from which a Requantizer writes the output while it is in L1.
//
// Depthwise convolutions copy the input rows they need into a ring in scratch, with their padding, and have kernels of their
// own. Operators without weights work on rows of elements (rows.go).
//
// 3x3 convolutions with stride 1 may be computed by Winograd's method instead, modulo 2**32 on 16-bit operands, where the
// weights prove that the sum can be told from its low bits: the same bits, with a quarter of the multiplications; those with
// 7 or 3 taps in one row or column with a third or half of them. winograd.go and winograd_line.go have the formulas, the proof
// and the estimate by which a layer takes this way or the other.
//
// # Adding a kernel
//
//  1. Write its generator in asm/_gen and list it there; go generate ./asm.
//  2. Add its record to registry_<goarch>.go: name, ISA, tile, operand form, rate, symbol. A matrix product comes as a family
//     that ends with one row. A new instruction set is a line in isa.go and one in isa_<goarch>.go.
//  3. go test ./kernels: every record is compared with portable Go, with guard words and extreme values; RFGA_REQUIRE_ISA=<isa>
//     makes it an error if this machine cannot run it.
//  4. rfga-edge bench kernels --op gemm measures it beside the others, with its share of what the core can multiply (a new
//     kind of kernel is added to bench.go); go test ./kernels -bench ConvI8 (or DepthwiseI8, ...) a whole layer. Set Rate.
//  5. Paste before and after into the change's description.
//
// RFGA_DISABLE=avx512vnni,avx2,... makes the process behave as if the CPU lacked an extension and what builds on it;
// RFGA_DISABLE=winograd leaves every convolution to the direct kernels.
//
// # Operators
//
// Notation: a, x are values in the contract domain -128..127, za, zx their zero points, m a float32 multiplier, f32() rounds to
// float32, rne() half to even. R(v) = zero + rne(clamp(v, lo-zero, hi-zero)), and Q(acc, m) = R(f32(f32(acc)*m)) is
// requantization. Sums are exact int32. No operation is fused, no product has more than one rounding.
//
// Quantized:
//
//   - Add: R(f32(f32((a-za)*ma) + f32((b-zb)*mb))). Mul: Q((a-za)*(b-zb), m).
//   - Table: table[x+128], or the channel's table.
//   - Gather, permute: elements as they are.
//   - Normalize, over n elements with S = sum of x-zx and V = n*(sum of (x-zx)^2) - S^2, exact in int64: with E =
//     float64(n)^2 * (epsilon/scale/scale), scale being the input's, and v = f32(float64(n*(x-zx) - S) * (1/sqrt(float64(V) +
//     E))), every operation of E and of the root in float64 and rounded: R(f32(v*scale[c]) + shift[c]).
//   - Max pool: Q(max(x)-zx, m) over the elements of the window that lie in the image; a window without any is an error.
//   - Average pool: Q(sum of x-zx in the image, f32(float64(m)/float64(count))). count is the number of elements in the image
//     or, with CountIncludePad, in the padded image (ceil mode's overhang does not count), and at least 1.
//   - Concat: Q(x-zi, mi) for input i. Pad: one value.
//   - Resize, nearest: Q(x-zx, m) of the element at floor(o*in/out) in each axis.
//   - Resize, bilinear: the source coordinate is max(0, (o+1/2)*in/out - 1/2), or o*(in-1)/(out-1) with AlignCorners, a fraction
//     of integers; i = its floor, w1 = rne(2048*its fraction), w0 = 2048-w1, for elements i and min(i+1, in-1) of each axis.
//     Q(sum of four (x-zx)*wy*wx, f32(float64(m)/2^22)).
//   - Quantize: R(f32(x/scale)), NaN gives zero. Dequantize: f32((q-zero)*scale).
//   - Softmax of int8, along C: e = Exp32(-f32((max-x)*scale)), y = f32(float64(e)/sum), the sum in float64 in channel order;
//     of its logarithm, y = f32(-f32((max-x)*scale) - log(sum)), the logarithm one fixed series.
//   - RFGA: package rfga defines it.
//   - Head: maps = bias[k] + sum over c of w[k,c]*(x-zx), int32; logits, int64, are the sum over positions of the maps, computed
//     as sum over c of w[k,c]*(sum over positions of x-zx), plus H*W*bias[k].
//
// With an int16 input or result (the i16 files) the formulas are the same, bounds being those of the result's type and sums
// exact in 64 bits, rounded once by f32(). A convolution splits x = 256*high + low + 128 into bytes for the int8 kernels:
//
//	acc = 256*(sum of high*w) + (sum of low*w) + bias + (128-zx)*(sum of w)
//
// Float32, where sums have a fixed order, which may be another one on another machine:
//
//   - Convolution, where there are float kernels: bias, then one fused multiplication and addition a term, over the window's
//     rows, its columns and the input channels. Bits do not depend on tiles, blocks, units or threads, nor on which of the
//     kernels of one form runs. Of 3x3 with stride 1, where it is faster: Winograd's F(4x4,3x3), 36 such sums over the input channels, or
//     F(2x2,3x3), 16 of them, bias last; RFGA_DISABLE=winograd keeps to the direct sum. Each is within 2^-24*K of the sum of
//     absolute values, K terms being summed; typically F(2x2,3x3) is nearer to the exact result than the direct sum, and
//     F(4x4,3x3) five times as far.
//     Weights in half precision stay so in memory and are expanded, or transformed, a panel at a time; the arithmetic and its
//     order are those of float32.
//   - Convolution with HalfMath, where the CPU has it: activations and weights rounded to halves; every 64 terms, in the same
//     order, summed in a half with one fused operation a term; these sums added to the bias one after the other in float32.
//     The same bits on every CPU that has it, and other ones than float32's.
//   - Convolution elsewhere: windows as rows times weights, by the registered matrix product (RegisterMatMulF32); bias first.
//   - Depthwise: bias, then the taps in order; fused where there are float kernels.
//   - Convolutions then clamp to inner bounds and add the residual if there is one, and clamp. NaN stays NaN; a maximum pool
//     may lose it.
//   - Add, Mul: clamp(a+b), clamp(a*b). Pools: as above without quantization; the average of no element is 0.
//   - Unary: Func.With. Sigmoid and swish are computed in float64 with exp64 and rounded once, Exp32 and Sigmoid32 are within
//     0.51 units in the last place of the exact value and the same bits on every machine.
//   - Normalize: mean and then variance summed in float64, position by position; f32((x-mean)*(1/sqrt(variance+epsilon))), then
//     scale and shift: the same bits on every machine.
//   - Softmax: as above with e = Exp32(x-max): the same bits on every machine.
//   - Resize, bilinear: f32 weights w1 and 1-w1 of the same fractions; columns first, then rows.
//   - RFGA: x*(A + B*(s(zc) + s(zh) + s(zw))), views being means summed in float64.
//   - Head: logits from means, both summed in float64, logits in an order of the kernel's own; maps as a convolution.
package kernels
