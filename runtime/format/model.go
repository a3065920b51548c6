package format

// Limits that every reader enforces before it allocates. They are far above any network this runtime serves and far
// below what would hurt a small machine.
const (
	MaxTensors   = 1 << 14
	MaxOps       = 1 << 13
	MaxRank      = 4
	MaxDim       = 1 << 24
	MaxElements  = 1 << 29 // of one tensor
	MaxInputs    = 64      // of one operator
	MaxOutputs   = 16      // of one operator, and of the graph
	MaxLabels    = 1 << 16
	MaxString    = 1 << 16 // bytes of one name, label or provenance field
	MaxKernel    = 1 << 10 // rows or columns of a convolution or pooling window
	MaxStride    = 1 << 10 // stride, dilation and padding
	MaxImageSide = 1 << 13
	MaxDims      = 8       // of OpPermute
	MaxNormalize = 1 << 23 // elements that OpNormalize takes together: their exact sums fit 64 bits
)

// DType is the element type of a tensor. Its values are part of the file format.
type DType uint8

const (
	F32 DType = 1 // IEEE 754 binary32
	F16 DType = 2 // IEEE 754 binary16; constants only, arithmetic is in float32
	I8  DType = 3 // quantized: real = scale*(q-zero)
	I16 DType = 4 // quantized as I8, for activations that need more than 8 bits; and tables
	I32 DType = 5 // biases, class maps
	I64 DType = 6 // logits of a quantized class activation head
)

// Tensor is an activation (Data is nil) or a constant.
//
// Activations have shape (N,H,W,C), N being 1: a session multiplies by its batch. Constants have the shapes the operators
// ask for; weights have (O,KH,KW,I) in that order of elements, each run of I elements padded with zeros to a multiple of 4.
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	// Scale is empty for a tensor that is not quantized, has one value for a tensor quantized as a whole, and one value per
	// output channel (the first dimension of a weight, the last of an activation such as the class maps) otherwise.
	Scale []float32
	Zero  int32
	// Data holds the elements of a constant, little endian, padded as above; it may alias a mapped file and is never written.
	Data []byte
}

// Elements returns the product of the tensor's dimensions, which excludes padding.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// OpKind is the operator's kind. Its values are part of the file format. The comment on each lists inputs, then outputs,
// then the attributes it reads; [x] is optional (index -1 or left off at the end). Quantized forms have the additional
// inputs and attributes named after "int8:".
type OpKind uint16

const (
	// OpConv2D: x, w (O,KH,KW,I/groups), [bias (O)] -> y. Stride, Dilation, Pad, Groups, ClampLo, ClampHi.
	// int8: bias I32, mult F32 (O), [padding value per input channel I8 (I)]; QLo, QHi. Without the padding tensor the
	// padding value is the zero point of x.
	OpConv2D OpKind = 1
	// OpDepthwiseConv2D: as OpConv2D with w (1,KH,KW,C); every channel has its own filter. Groups is C.
	OpDepthwiseConv2D OpKind = 2
	// OpFullyConnected: x, w (O,1,1,I), [bias] -> y (N,1,1,O); x is read as one vector of H*W*C elements, in NHWC order.
	// Otherwise as OpConv2D.
	OpFullyConnected OpKind = 3
	// OpAdd: a, b -> y; b has a's shape or 1 in place of any dimension (broadcast), or a has b's; b may be
	// a constant of that shape, unpadded.
	// ClampLo, ClampHi. int8: Mults[0] of a, Mults[1] of b; QLo, QHi.
	OpAdd OpKind = 4
	// OpMul: as OpAdd. int8: Mults[0]; QLo, QHi.
	OpMul OpKind = 5
	// OpUnary: x, [slope (C)] -> y, elementwise Func; A and B are its parameters, slope that of FuncPReLU. int8: table, an I8
	// constant of 256 elements, y = table[x+128], or of (C,256), one table a channel. With int16 on either side: one element of
	// y's type for each value of x's.
	OpUnary OpKind = 6
	// OpMaxPool: x -> y. Kernel, Stride, Dilation, Pad. Padding never wins. int8: Mults[0] (scale of x over scale of y).
	OpMaxPool OpKind = 7
	// OpAvgPool: x -> y. Kernel, Stride, Pad, CountIncludePad; windows that ceil mode lets hang over the far
	// padding never count what lies beyond it. int8: Mults[0] (scale of x over scale of y, without the count).
	OpAvgPool OpKind = 8
	// OpGlobalAvgPool: x -> y (N,1,1,C). int8: Mults[0] (scale of x over scale of y, without the count).
	OpGlobalAvgPool OpKind = 9
	// OpConcat: x0, x1, ... -> y along Axis (1 H, 2 W, 3 C). int8: Mults, one per input.
	OpConcat OpKind = 10
	// OpPad: x -> y. Pad; PadValue (real). int8: x and y have one scale and zero point.
	OpPad OpKind = 11
	// OpSoftmax: x -> y (F32) along C; its logarithm if Func is FuncLog.
	OpSoftmax OpKind = 12
	// OpResize: x -> y, to y's height and width. Mode, AlignCorners. int8: Mults[0].
	OpResize OpKind = 13
	// OpQuantize: x (F32) -> y (I8, or I16). OpDequantize: the other way.
	OpQuantize   OpKind = 14
	OpDequantize OpKind = 15
	// OpRFGA is residual fine-grained attention, out = x*(A + B*M); package rfga defines it.
	// x, wc (C,1,1,3), bc (C), wh (C,3,1,C), bh (C), ww (C,1,3,C), bw (C) -> y. Batch normalisation is folded in.
	// int8: biases I32, then mc, mh, mw F32 (C) and table I16 (3,256), the sigmoid in Q14 of views c, h, w;
	// Inner: yc, yh, yw (the quantized views), zc, zh, zw (before the sigmoid); Mults: of yc, yh, yw
	// (from a sum of x to the view, the count included) and of the output.
	OpRFGA OpKind = 16
	// OpCAMHead is a linear classifier as a class activation head: x, w (K,1,1,C), [bias (K)] -> logits (N,1,1,K),
	// [maps (N,H,W,K)]. maps is the 1x1 convolution, logits its mean over H and W. int8: bias I32, maps I32 with one scale
	// per class, logits I64 with the same scales: real = S*(scale/(H*W)).
	OpCAMHead OpKind = 17
	// OpGather: x, index I32 (N) -> y: along Axis, element i of y is element index[i] of x. It slices, splits, shuffles,
	// repeats, flips and mirrors. int8: x and y have one type, scale and zero point.
	OpGather OpKind = 18
	// OpPermute: x -> y: x's elements, in NHWC order, as an array of shape Dims; its axes permuted (axis i of the result is
	// axis Perm[i]); and the result's elements, in order, as y's. int8: as OpGather.
	OpPermute OpKind = 19
	// OpNormalize: x, [scale (C)], [shift (C)] -> y = (x-mean)/sqrt(variance+Epsilon)*scale + shift. Mean and variance are
	// those of C/Groups neighbouring channels; with Axis 3 of each position by itself (layer normalisation), with Axis 1 of
	// all positions (instance normalisation with Groups C, group normalisation). int8: scale and shift F32, present, in
	// steps of y; QLo, QHi.
	OpNormalize OpKind = 20
)

// Func names the elementwise function of an OpUnary. Its values are part of the file format.
type Func uint8

const (
	FuncReLU        Func = 1 // max(x,0)
	FuncReLU6       Func = 2 // min(max(x,0),6)
	FuncSigmoid     Func = 3 // 1/(1+exp(-x))
	FuncSwish       Func = 4 // x*sigmoid(x)
	FuncHardSigmoid Func = 5 // min(max(x+3,0),6)/6
	FuncHardSwish   Func = 6 // x*hardsigmoid(x)

	FuncLeakyReLU  Func = 7  // A*x below 0, B*x elsewhere
	FuncELU        Func = 8  // A*(exp(x)-1) below 0, B*x elsewhere
	FuncPReLU      Func = 9  // slope[c]*x below 0, x elsewhere
	FuncTanh       Func = 10 // tanh(x)
	FuncSoftplus   Func = 11 // log(1+exp(x))
	FuncMish       Func = 12 // x*tanh(softplus(x))
	FuncGELU       Func = 13 // x*(1+erf(x/sqrt(2)))/2
	FuncGELUTanh   Func = 14 // x*(1+tanh(sqrt(2/pi)*(x+0.044715*x^3)))/2
	FuncErf        Func = 15 // erf(x)
	FuncExp        Func = 16 // exp(x)
	FuncLog        Func = 17 // log(x)
	FuncSqrt       Func = 18 // sqrt(x)
	FuncReciprocal Func = 19 // 1/x
	FuncAbs        Func = 20 // |x|
	FuncSoftsign   Func = 21 // x/(1+|x|)
	FuncPow        Func = 22 // x^A for x >= 0; NaN below
)

// Mode is the interpolation of an OpResize, on pixel centres (half-pixel) unless AlignCorners. Part of the file format.
type Mode uint8

const (
	ModeNearest  Mode = 1 // floor(dst*in/out), the asymmetric rule of PyTorch's "nearest"
	ModeBilinear Mode = 2
)

// Attr holds an operator's attributes; an operator reads the fields its kind names and the others keep their defaults
// (NewAttr). Pairs are (rows, columns); Pad is top, left, bottom, right.
type Attr struct {
	Kernel, Stride, Dilation [2]int
	Pad                      [4]int
	Groups                   int
	Axis                     int
	Func                     Func
	Mode                     Mode
	AlignCorners             bool
	CountIncludePad          bool
	// ClampLo and ClampHi bound the result of a float operator (-Inf and +Inf for none): ReLU is 0,+Inf.
	ClampLo, ClampHi float32
	// QLo and QHi bound the quantized result, -128..127.
	QLo, QHi int32
	PadValue float32
	// A and B of OpRFGA; the int8 form uses round(16384*A), round(16384*B). Of OpUnary, the parameters of Func.
	A, B float32
	// Off is what OpRFGA leaves out.
	Off RFGAPart
	// Mults are requantization multipliers, finite, positive and normal.
	Mults   []float32
	Epsilon float32 // of OpNormalize, added to the variance
	// Dims and Perm of OpPermute.
	Dims, Perm []int
}

// RFGAPart is a set of parts of an OpRFGA, to see what each contributes. Package rfga says what leaving one out means.
// Its values are part of the file format.
type RFGAPart uint8

const (
	RFGAChannels  RFGAPart = 1 << iota // the view of the channels
	RFGARows                           // the view of the rows
	RFGAColumns                        // the view of the columns
	RFGAExpansion                      // a value for every position instead of one a channel
	rfgaParts     = 1<<iota - 1
)

// NewAttr returns the defaults: stride, dilation and groups 1, no padding, no clamp, A = B = 1.
func NewAttr() Attr {
	return Attr{Kernel: [2]int{1, 1}, Stride: [2]int{1, 1}, Dilation: [2]int{1, 1}, Groups: 1, Axis: 3,
		ClampLo: negInf, ClampHi: posInf, QLo: -128, QHi: 127, A: 1, B: 1}
}

// Op is one operator; Inputs, Outputs and Inner are tensor indices, -1 for an absent optional one.
// Inner tensors exist only inside the operator: they carry the quantization of its intermediate values.
type Op struct {
	Kind                   OpKind
	Name                   string
	Inputs, Outputs, Inner []int
	Attr                   Attr
}

// Output is a result of the graph. Flat outputs are written as (N,C) instead of (N,C,H,W).
type Output struct {
	Name   string
	Tensor int
	Flat   bool
}

// ColorOrder and ResizeRule are part of the file format.
type ColorOrder uint8

const (
	RGB ColorOrder = 1
	BGR ColorOrder = 2
)

// ResizeRule says how an image becomes the network's square.
type ResizeRule uint8

const (
	ResizeSquash     ResizeRule = 1 // the whole image to Width x Height, antialiased bilinear
	ResizeCenterCrop ResizeRule = 2 // short side to Resize, antialiased bilinear, then the centre Width x Height
)

// Preprocess is how an image becomes the input. The normalised value of a byte is (byte/255-Mean[c])/Std[c].
//
// A quantized network's input tensor is I8 with scale 1 and zero point -128 when it takes the image's bytes (mean and
// standard deviation folded into its first convolution); any other scale is a network whose input is quantized from
// normalised values. A float network's input is the normalised value.
type Preprocess struct {
	Width, Height int
	Resize        int // short side before ResizeCenterCrop, else 0
	Rule          ResizeRule
	Order         ColorOrder
	Mean, Std     [3]float32
}

// HeatNorm says how a class map becomes a heat map of 0..1; 0 is for networks without maps. Part of the file format.
type HeatNorm uint8

const (
	HeatMinMax HeatNorm = 1
	HeatP65    HeatNorm = 2 // minus the 65th percentile, over the new maximum, clipped
)

// Localization holds the defaults that turn a class map of this network into a box.
type Localization struct {
	Norm      HeatNorm
	Threshold float32 // fraction of the heat map's maximum, 0..1
}

// Provenance says where the weights come from; for people, and for licences.
type Provenance struct {
	Source      string // package, file or address of the weights
	Licence     string // SPDX expression
	Converter   string // program and version
	Calibration string // method, number of images, seed; empty for float models
	Notes       string
}

// Model is everything a .rfga file holds.
type Model struct {
	Name    string
	Arch    string
	Tensors []Tensor
	Ops     []Op // in execution order
	Input   int  // tensor index
	Outputs []Output
	Pre     Preprocess
	Loc     Localization
	Labels  []string // Labels[k] names logit k; empty if unknown
	Prov    Provenance
	// Exact is true when every operator is bit-identical on all machines: all are quantized, or quantize, dequantize or
	// softmax. Encode derives it (DeriveExact) and Decode checks it.
	Exact bool
	// Quality is what quantization cost, nil if nobody measured it.
	Quality *Quality
}
