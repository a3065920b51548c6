package kernels

// IO binds a prepared operator to memory for one image. Buffers are 64-byte aligned, hold elements in native byte order
// (see the package comment for the storage of each type), and have at least Slack readable bytes behind their last element.
type IO struct {
	In, Out [][]byte
	Inner   [][]byte // the buffers that Prepared.Inner asks for
}

// Slack is how many bytes behind the end of every buffer a kernel may read (never write): the values it reads there never
// reach a result.
const Slack = 64

// A Stage is one data-parallel step of an operator. Run computes units lo..hi-1 with tmp as private scratch of at least
// Scratch bytes (64-byte aligned); units may be computed in any order, by any number of goroutines, with the same bits.
// It does not allocate. A call for less than Grain units is a waste: it repeats work that a longer one does once.
type Stage struct {
	Name    string
	Units   int
	Grain   int // 0 is 1
	Scratch int
	Run     func(io *IO, lo, hi int, tmp []byte)
}

// Prepared is an operator made ready at load time: shapes checked, weights packed, kernel chosen.
// Its stages run one after the other. It is read-only and shared by sessions.
type Prepared struct {
	Stages []Stage
	Inner  []int  // sizes in bytes of buffers that live from the first stage to the last
	Kernel string // registry name of the chosen kernel, "portable" for portable Go
	Why    string // why it was chosen, in words
	MACs   int64
	Packed int // bytes of packed weights held in memory

	// Attention, of residual fine-grained attention only, writes the sigmoids of the run whose buffers io has: C values of
	// the channels, H x C of the rows, W x C of the columns.
	Attention func(io *IO, channels, rows, columns []float32)
}

// Shape is the height, width and channels of one image of an activation.
type Shape struct{ H, W, C int }

// Len is the number of elements.
func (s Shape) Len() int { return s.H * s.W * s.C }

// Window is the geometry of a convolution or pooling. Pad is top, left, bottom, right.
type Window struct {
	KH, KW               int
	StrideH, StrideW     int
	DilationH, DilationW int
	Pad                  [4]int
}

// Requant is the last step of a quantized operator: q = Zero + rne(clamp(float32(acc)*m, Lo-Zero, Hi-Zero)).
// All three are in the contract's domain, -128..127.
type Requant struct {
	Mult         []float32 // one per output channel, or one
	Zero, Lo, Hi int32
}

// Residual is an addition fused into the operator that made its first operand: the operator's own result is first rounded
// to int8 with its own Requant, then q = Zero + rne(clamp(f32(f32(a-ZeroA)*MultA) + f32(f32(b-ZeroB)*MultB), Lo-Zero, Hi-Zero)).
// a is the operator's result; b is the additional input, IO.In[1].
type Residual struct {
	ZeroA, ZeroB int32
	MultA, MultB float32
	Zero, Lo, Hi int32
}

// ConvI8 describes a quantized convolution, w in the file's canonical order (O,KH,KW,I/groups padded to 4).
// IO: In[0] x, In[1] the residual if any; Out[0] y.
type ConvI8 struct {
	In, Out  Shape
	Window   Window
	Groups   int
	Weights  []int8
	Bias     []int32 // O, or nil
	ZeroIn   int32
	PadValue []int8 // per input channel; nil: ZeroIn
	Requant  Requant
	Residual *Residual
}

// DepthwiseI8 describes a quantized depthwise convolution, w (KH,KW,C padded to 4). IO as ConvI8.
type DepthwiseI8 struct {
	In, Out  Shape
	Window   Window
	Weights  []int8
	Bias     []int32
	ZeroIn   int32
	PadValue []int8
	Requant  Requant
	Residual *Residual
}

// BinaryI8 describes a quantized addition or multiplication with broadcasting: a dimension of B that is 1 is repeated.
// Add: q = Zero + rne(clamp(f32(f32(a-ZeroA)*MultA) + f32(f32(b-ZeroB)*MultB), ...)).
// Mul: q = Zero + rne(clamp(f32((a-ZeroA)*(b-ZeroB))*MultA, ...)); MultB is not used. IO: In[0] a, In[1] b; Out[0].
type BinaryI8 struct {
	A, B, Out    Shape
	ZeroA, ZeroB int32
	MultA, MultB float32
	Zero, Lo, Hi int32
}

// PoolI8 describes a quantized pooling: the maximum, or the exact sum of (x-ZeroIn) whose multiplier is
// float32(float64(Mult)/float64(count)). Max: float32(max-ZeroIn)*Mult. IO: In[0]; Out[0].
type PoolI8 struct {
	In, Out         Shape
	Window          Window
	CountIncludePad bool
	ZeroIn          int32
	Requant         Requant
}

// ConcatI8 describes a quantized concatenation along Axis (1 H, 2 W, 3 C): float32(x-Zeros[i])*Mults[i]. IO: In[i]; Out[0].
type ConcatI8 struct {
	In    []Shape
	Out   Shape
	Axis  int
	Zeros []int32
	Mults []float32
	Zero  int32
}

// ResizeI8 describes a quantized resize. Nearest: float32(x-ZeroIn)*Mult of one element. Bilinear: 11-bit weights per axis,
// wy1 = rne(2048*fy), wy0 = 2048-wy1; acc = the sum of four (x-ZeroIn)*wy*wx; the multiplier is float32(float64(Mult)/2^22).
// IO: In[0]; Out[0].
type ResizeI8 struct {
	In, Out      Shape
	Bilinear     bool
	AlignCorners bool
	ZeroIn       int32
	Requant      Requant
}

// RFGAI8 describes quantized residual fine-grained attention; package rfga's documentation has the formulas.
// IO: In[0] x; Out[0] y.
type RFGAI8 struct {
	Shape        Shape
	ZeroIn       int32
	ViewMult     [3]float32 // of views c, h, w: from the sum of (x-ZeroIn) to the view's int8, the count included
	ViewZero     [3]int32
	WC           []int8 // (C,1,1,3), padded to 4
	WH           []int8 // (C,3,1,C), padded
	WW           []int8 // (C,1,3,C), padded
	BC, BH, BW   []int32
	ConvC        Requant // of the Conv1d results, before the sigmoid
	ConvH, ConvW Requant
	Table        []int16 // 3*256, Q14: Table[256*v + z+128]
	A, B         int32   // Q14
	Off          RFGAOff
	Requant      Requant
}

// RFGAOff says which parts of the attention are left out, to see what each contributes; package rfga defines them.
type RFGAOff struct {
	Views     [3]bool // of the channels, rows and columns: their sigmoid counts as 0
	Expansion bool    // the rows' and the columns' sigmoids are averaged over their positions
}

// HeadI8 describes the class activation head. IO: In[0] x; Out[0] logits (int64 per class), Out[1] maps (int32, H,W,K) if
// Maps. Maps: acc + bias; logits: S[k] = sum over c of w[k,c] * (sum over positions of (x-ZeroIn)) + H*W*bias[k].
type HeadI8 struct {
	In      Shape
	Classes int
	Weights []int8 // (K,1,1,C), padded to 4
	Bias    []int32
	ZeroIn  int32
	Maps    bool
}

// ConvF32 describes a float convolution. The weights, in the canonical order (padded to 4), are float32 or IEEE halves: one
// of Weights and Weights16 is nil. Halves stay halves in memory; the arithmetic is float32, unless HalfMath allows half
// precision, which has other bits and is used where the CPU has it, with float32 weights rounded.
// y = clamp(conv + bias [+ IO.In[1] if Residual], ClampLo, ClampHi). Inner clamp: with Residual, the convolution's own
// result is first clamped to InnerLo, InnerHi. Padding is zero.
type ConvF32 struct {
	In, Out          Shape
	Window           Window
	Groups           int
	Weights          []float32
	Weights16        []uint16
	Bias             []float32
	ClampLo, ClampHi float32
	Residual         bool
	InnerLo, InnerHi float32
	HalfMath         bool
}

// DepthwiseF32 is to ConvF32 as DepthwiseI8 is to ConvI8.
type DepthwiseF32 struct {
	In, Out          Shape
	Window           Window
	Weights          []float32 // (KH,KW,C padded to 4)
	Bias             []float32
	ClampLo, ClampHi float32
	Residual         bool
	InnerLo, InnerHi float32
}

// BinaryF32 is elementwise addition or multiplication with broadcasting of B, then a clamp.
type BinaryF32 struct {
	A, B, Out        Shape
	ClampLo, ClampHi float32
}

// PoolF32 is float pooling.
type PoolF32 struct {
	In, Out         Shape
	Window          Window
	CountIncludePad bool
}

// ConcatF32 is concatenation along Axis (1 H, 2 W, 3 C).
type ConcatF32 struct {
	In   []Shape
	Out  Shape
	Axis int
}

// ResizeF32 is nearest or bilinear resize.
type ResizeF32 struct {
	In, Out      Shape
	Bilinear     bool
	AlignCorners bool
}

// RFGAF32 is float attention with batch normalisation folded into the three convolutions. Weights as RFGAI8, or as halves:
// one of WH and WH16 is nil, and one of WW and WW16.
type RFGAF32 struct {
	Shape      Shape
	WC, WH, WW []float32
	WH16, WW16 []uint16
	BC, BH, BW []float32
	A, B       float32
	Off        RFGAOff
}

// HeadF32 is the float class activation head; logits come from the mean of x. Out[0] logits float32, Out[1] maps float32.
type HeadF32 struct {
	In      Shape
	Classes int
	Weights []float32
	Bias    []float32
	Maps    bool
}

// UnaryF32 is an elementwise function: A and B are its parameters where it has any, Slope those of PReLU, one a channel.
type UnaryF32 struct {
	Shape Shape
	Func  Func
	A, B  float32
	Slope []float32
}

// Gather describes the selection of rows, columns or channels along Axis (1 H, 2 W, 3 C): element i of the result is element
// Index[i]. Elem is the size of an element in bytes: the operator only moves them. IO: In[0]; Out[0].
type Gather struct {
	In, Out Shape
	Axis    int
	Index   []int32
	Elem    int
}

// Permute describes a transposition: the input's elements in order are an array of shape Dims; axis i of the result is its
// axis Perm[i]; the result's elements in order are the output. Elem and IO as Gather.
type Permute struct {
	In, Out    Shape
	Dims, Perm []int
	Elem       int
}

// NormalizeF32 describes y = (x-mean)/sqrt(variance+Epsilon)*Scale + Shift over groups of C/Groups channels, with Axis 3 of
// each position by itself, with Axis 1 of all positions. Scale and Shift, of a channel each, may be nil. IO: In[0]; Out[0].
type NormalizeF32 struct {
	Shape        Shape
	Axis, Groups int
	Epsilon      float32
	Scale, Shift []float32
}

// NormalizeI8 is the quantized form: Scale and Shift are in steps of the output, Epsilon in real units, which ScaleIn, the
// input's scale, relates to its steps.
type NormalizeI8 struct {
	Shape        Shape
	Axis, Groups int
	Epsilon      float32
	ScaleIn      float32
	ZeroIn       int32
	Scale, Shift []float32
	Zero, Lo, Hi int32
}

// The constructors check what a kernel relies on (lengths, ranges, accumulator bounds) and return an error that says which
// number is wrong; the caller adds the layer. One per description, spread over this package's files:
//
//	func PrepareConvI8(c *ConvI8) (*Prepared, error)
//	func PrepareDepthwiseI8(c *DepthwiseI8) (*Prepared, error)
//	func PrepareAddI8(c *BinaryI8) (*Prepared, error)
//	func PrepareMulI8(c *BinaryI8) (*Prepared, error)
//	func PrepareTableI8(s Shape, table []int8) (*Prepared, error)        // y = table[x+128]
//	func PrepareMaxPoolI8(c *PoolI8) (*Prepared, error)
//	func PrepareAvgPoolI8(c *PoolI8) (*Prepared, error)                  // global average: Window of the whole image
//	func PrepareConcatI8(c *ConcatI8) (*Prepared, error)
//	func PreparePadI8(in, out Shape, pad [4]int, value int8) (*Prepared, error)
//	func PrepareResizeI8(c *ResizeI8) (*Prepared, error)
//	func PrepareQuantizeI8(n int, scale float32, zero int32) (*Prepared, error)   // float32 -> int8; NaN gives zero
//	func PrepareDequantizeI8(n int, scale float32, zero int32) (*Prepared, error)
//	func PrepareSoftmaxI8(s Shape, scale float32, zero int32, log bool) (*Prepared, error)  // int8 -> float32, along C
//	func PrepareNormalizeI8(c *NormalizeI8) (*Prepared, error)
//	func PrepareRFGAI8(c *RFGAI8) (*Prepared, error)
//	func PrepareHeadI8(c *HeadI8) (*Prepared, error)
//	func ClassMapI8(c *HeadI8, x []byte, class int, dst []int32)         // one class's map, the bits of Maps
//
//	func PrepareConvF32(c *ConvF32) (*Prepared, error)                   // likewise Depthwise, Add, Mul, MaxPool,
//	                                                                     // AvgPool, Concat, Resize, RFGA, Head
//	func PrepareUnaryF32(c *UnaryF32) (*Prepared, error)
//	func PreparePadF32(in, out Shape, pad [4]int, value float32) (*Prepared, error)
//	func PrepareSoftmaxF32(s Shape, log bool) (*Prepared, error)
//	func PrepareNormalizeF32(c *NormalizeF32) (*Prepared, error)
//	func ClassMapF32(c *HeadF32, x []byte, class int, dst []float32)
//
//	func PrepareGather(c *Gather) (*Prepared, error)                     // for both: they only move elements
//	func PreparePermute(c *Permute) (*Prepared, error)
