// Package rfga defines residual fine-grained attention and turns class maps into heat maps and boxes.
//
// Here live the definition of the operator (this comment; the loops are kernels/rfga*.go), the cubic resize, the
// normalisations, contours, boxes and overlap measures of the field's evaluation protocol. It imports the standard library
// and, in tests, package kernels. All functions are exact: the same bits on every machine.
//
// # The operator
//
// Residual fine-grained attention (Sohn, Jeon, Jung, Kang, Suk, arXiv 2104.04952) gives every element of a feature map x
// its own attention value, gathered from three views of it. For x of C channels, H rows, W columns:
//
//	Vc[c]   = mean of x[c,y,u] over y and u     Tc[c]   = sigmoid(bn1(conv_c(Vc)))
//	Vh[c,y] = mean of x[c,y,u] over u           Th[c,y] = sigmoid(bn2(conv_h(Vh)))
//	Vw[c,u] = mean of x[c,y,u] over y           Tw[c,u] = sigmoid(bn3(conv_w(Vw)))
//	M[c,y,u]   = Tc[c] + Th[c,y] + Tw[c,u]      (0 < M < 3)
//	out[c,y,u] = x[c,y,u] * (a + b*M[c,y,u])
//
// a = b = 1 is localization; a = 0.35, b = 0.65 the published segmentation variant. The three convolutions have width 3,
// padding 1 with zeros, and no bias. conv_c has one filter that runs along the channels; conv_h (conv_w) mixes all channels
// and runs along the rows (columns):
//
//	conv_c(V)[c]   = sum over k=0..2 of w[k] * V[c+k-1]
//	conv_h(V)[o,y] = sum over k=0..2, i of w[o,i,k] * V[i,y+k-1]
//
// For studies of what each mechanism contributes, attribute off leaves parts out of a trained operator: a view, whose T then
// counts as 0; or the expansion, the spreading of rows and columns over the map, whose T are then replaced by their means
// over y and over u, so that M has one value a channel. The residual is left out by a = 0.
//
// In a checkpoint, behind the module's prefix ("rfga.", "layer4.3.", ...), with eps 1e-5 for the normalisations:
//
//	conv_c.weight (1,1,3)   bn1.weight, bn1.bias, bn1.running_mean, bn1.running_var (C)
//	conv_h.weight (C,C,3)   bn2, likewise
//	conv_w.weight (C,C,3)   bn3, likewise
//
// Batch normalisation folds into a weight and a bias per output channel: with f[o] = gamma[o]/sqrt(var[o]+eps), the weights
// of channel o are multiplied by f[o] and bias[o] = beta[o] - mean[o]*f[o]. conv_c thereby gets a filter per channel. The
// model file holds WC (C,3), WH and WW (output channel, k, input channel) and the biases BC, BH, BW.
//
// The float32 operator computes this with its sums in any order; results agree to rounding. Its sigmoid is kernels'.
//
// # The int8 operator
//
// Activations are int8, real = scale*(q - zero). All products and sums are of integers and exact. The one rounding step is
//
//	requant(acc, m, zero, lo, hi) = zero + rne(min(max(float32(acc)*m, lo-zero), hi-zero))
//
// float32(acc) rounds to nearest even, the product is one float32 multiplication, rne rounds to an integer, half to even.
// Parameters, named as in kernels.RFGAI8: ZeroIn of x; ViewMult and ViewZero of the views c, h, w; int8 weights WC, WH, WW
// and int32 biases BC, BH, BW; for each convolution a Requant with a multiplier per channel; Table, three times 256 values
// 0..16384; A and B, the attributes times 16384; the output's Requant with one multiplier. In this order:
//
//  1. View sums, int32:
//     Sc[c] = sum over y, u of (x[y,u,c] - ZeroIn); Sh[y,c] = sum over u; Sw[u,c] = sum over y.
//  2. Views, int8, v = c, h, w:
//     Vv[...] = requant(Sv[...], ViewMult[v], ViewZero[v], -128, 127).
//  3. Convolutions along channels, rows and columns; positions outside 0..n-1 contribute nothing:
//     accC[c]   = BC[c] + sum over k of WC[c,k] * (Vc[c+k-1] - ViewZero[c]);
//     accH[y,o] = BH[o] + sum over k, i of WH[o,k,i] * (Vh[y+k-1,i] - ViewZero[h]);
//     accW[u,o] = BW[o] + sum over k, i of WW[o,k,i] * (Vw[u+k-1,i] - ViewZero[w]);
//     Zv = requant(accv, ConvV.Mult[o], ConvV.Zero, ConvV.Lo, ConvV.Hi), int8.
//  4. Sigmoid by table, Q14 (16384 is 1):
//     Tc[c] = Table[Zc[c]+128]; Th[y,c] = Table[256+Zh[y,c]+128]; Tw[u,c] = Table[512+Zw[u,c]+128].
//     Of a view that is left out, every T is 0. Without the expansion, Th[y,c] is replaced by
//     floor((2*sum over y of Th[y,c] + H) / 2H), and Tw[u,c] likewise.
//  5. Attention, Q14:
//     M[y,u,c] = Tc[c] + Th[y,c] + Tw[u,c], 0..49152.
//  6. Gain, Q14:
//     G = A + ((B*M + 8192) >> 14), the shift rounding down.
//  7. Result:
//     y[y,u,c] = requant((x[y,u,c] - ZeroIn)*G, Mult, Zero, Lo, Hi).
//
// The loader refuses parameters with which a step could leave int32. With A = B = 16384 the product of step 7 is at most
// 255*65536 < 2^24, so that float32 holds it exactly; larger ones round to nearest even, as everywhere.
//
// ViewMult contains the count: with x of scale s and a view of scale t it is s/(H*W*t), s/(W*t), s/(H*t). A quantizer fills
// Table[256*v+z+128] with rne(16384*sigmoid(scaleZ*(z-zeroZ))) and the output's multiplier is s/(16384*scaleY); the file
// holds the results, so that no exponential is left to the reader.
//
// # A worked example
//
// H, W, C = 2, 3, 2. ZeroIn = -5. Lists run over rows, then columns, then channels (weights: o, k, i).
//
//	x  = 10 -30  25 0  -5 90 / 40 -61  127 -128  3 14
//	ViewMult = 0.25 0.5 0.75, ViewZero = -10 3 0
//	WC = 7 2 -3 / 4 -1 9
//	WH = 1 -2  3 4  -1 2 / 5 0  -3 1  2 2
//	WW = 2 1  -4 3  0 1 / -2 2  6 -1  1 -3
//	BC = 8 -20, BH = -16 40, BW = 0 12
//	Mult of conv c 0.25, of h and w 0.125; their Zero 0, Lo -128, Hi 127
//	Table[256*v+z+128] = rne(16384/(1+exp(-z/32))); A = B = 16384
//	output: Mult 1/32768, Zero -20, Lo -128, Hi 127
//
// gives
//
//	Sc = 230 -85
//	Sh = 45 75 185 -160
//	Sw = 60 -81 162 -118 8 114
//	Vc = 48 -31
//	Vh = 25 41 95 -77
//	Vw = 45 -61 122 -88 6 86
//	Zc = 47 58
//	Zh = -6 4 -14 -26
//	Zw = -56 91 -80 46 49 -57
//	M  = 23170 38271 21987 36027 34215 25150 22172 34604 20989 32360 33217 21483
//	G  = 39554 54655 38371 52411 50599 41534 38556 50988 37373 48744 49601 37867
//	y  = -2 -62 15 -12 -20 100 33 -107 127 -128 -8 2
//
// # From class map to box
//
// A Mapper resizes a class map (cubic), normalises it to a heat map of 0..1 (Norm), cuts it at a fraction of its maximum and
// finds the components: Mapper.HeatMap, then Mapper.Boxes. EvalBoxes and EvalIoU are the forms of the evaluation protocol
// (clovaai/wsolevaluation), bit for bit what NumPy and OpenCV give there; testdata/gen.py makes the comparison's data.
//
// # Metrics
//
// A Scorer measures maps against boxes and masks under the Protocols of the field, a Tally counts over a data set, Scores are
// the percentages; testdata/gen_eval.py makes what they are compared with.
package rfga
