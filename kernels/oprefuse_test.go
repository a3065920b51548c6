package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// descriptions returns a valid description of every operator of these files, and its constructor.
func descriptions() map[string]struct {
	c       any
	prepare func(c any) error
} {
	r := rand.New(rand.NewPCG(20, 1))
	s, half, one := Shape{4, 6, 8}, Shape{2, 3, 8}, Shape{1, 1, 8}
	q := func() Requant { return Requant{Mult: []float32{0.5}, Zero: 3, Lo: -128, Hi: 127} }
	pool := Window{KH: 2, KW: 2, StrideH: 2, StrideW: 2, DilationH: 1, DilationW: 1}
	floats := func(n int) []float32 { return make([]float32, n) }
	type row = struct {
		c       any
		prepare func(c any) error
	}
	of := func(c any, prepare any) row {
		return row{c, func(c any) error {
			out := reflect.ValueOf(prepare).Call([]reflect.Value{reflect.ValueOf(c)})
			err, _ := out[1].Interface().(error)
			return err
		}}
	}
	binaryI8 := BinaryI8{A: s, B: one, Out: s, MultA: 0.1, MultB: 0.2, Lo: -128, Hi: 127}
	poolI8 := PoolI8{In: s, Out: half, Window: pool, Requant: q()}
	return map[string]row{
		"add int8":      of(&binaryI8, PrepareAddI8),
		"mul int8":      of(&binaryI8, PrepareMulI8),
		"maxpool int8":  of(&poolI8, PrepareMaxPoolI8),
		"avgpool int8":  of(&poolI8, PrepareAvgPoolI8),
		"concat int8":   of(&ConcatI8{In: []Shape{half, half}, Out: Shape{2, 3, 16}, Axis: 3, Zeros: []int32{0, 5}, Mults: []float32{1, 2}}, PrepareConcatI8),
		"resize int8":   of(&ResizeI8{In: half, Out: s, Bilinear: true, Requant: q()}, PrepareResizeI8),
		"add int16":     of(&BinaryI16{TA: Int16, TY: Int16, BinaryI8: binaryI8}, PrepareAddI16),
		"mul int16":     of(&BinaryI16{TB: Int16, BinaryI8: binaryI8}, PrepareMulI16),
		"maxpool int16": of(&PoolI16{X: Int16, Y: Int16, PoolI8: poolI8}, PrepareMaxPoolI16),
		"avgpool int16": of(&PoolI16{X: Int16, PoolI8: poolI8}, PrepareAvgPoolI16),
		"concat int16": of(&ConcatI16{X: []Type{Int16, Int8}, Y: Int16, ConcatI8: ConcatI8{In: []Shape{half, half}, Out: Shape{2, 3, 16}, Axis: 3, Zeros: []int32{0, 5},
			Mults: []float32{1, 2}}}, PrepareConcatI16),
		"resize int16": of(&ResizeI16{X: Int16, Y: Int16, ResizeI8: ResizeI8{In: half, Out: s, Bilinear: true, Requant: q()}}, PrepareResizeI16),
		"rfga int16":   of(&RFGAI16{X: Int16, Y: Int16, RFGAI8: *randRFGA(r, s)}, PrepareRFGAI16),
		"head int16":   of((*HeadI16)(&HeadI8{In: s, Classes: 5, Weights: randW(r, 5, 8), Bias: make([]int32, 5), Maps: true}), PrepareHeadI16),
		"conv int16": of(&ConvI16{X: Int16, Y: Int16, In: s, Out: half, Window: pool, Groups: 2, Weights: randW(r, 8*4, 4), Bias: make([]int32, 8), Requant: q()},
			PrepareConvI16),
		"depthwise int16": of(&DepthwiseI16{X: Int16, Y: Int16, In: s, Out: half, Window: pool, Weights: randW(r, 4, 8), Bias: make([]int32, 8), Requant: q()}, PrepareDepthwiseI16),
		"rfga int8":       of(randRFGA(r, s), PrepareRFGAI8),
		"head int8":       of(&HeadI8{In: s, Classes: 5, Weights: randW(r, 5, 8), Bias: make([]int32, 5), Maps: true}, PrepareHeadI8),
		"conv float":      of(&ConvF32{In: s, Out: half, Window: pool, Groups: 2, Weights: floats(8 * 4 * 4), Bias: floats(8), ClampHi: 6}, PrepareConvF32),
		"depthwise float": of(&DepthwiseF32{In: s, Out: half, Window: pool, Weights: floats(8 * 4), Bias: floats(8), ClampHi: 6}, PrepareDepthwiseF32),
		"add float":       of(&BinaryF32{A: s, B: one, Out: s, ClampHi: 1}, PrepareAddF32),
		"mul float":       of(&BinaryF32{A: s, B: one, Out: s, ClampHi: 1}, PrepareMulF32),
		"maxpool float":   of(&PoolF32{In: s, Out: half, Window: pool}, PrepareMaxPoolF32),
		"avgpool float":   of(&PoolF32{In: s, Out: half, Window: pool}, PrepareAvgPoolF32),
		"concat float":    of(&ConcatF32{In: []Shape{half, half}, Out: Shape{4, 3, 8}, Axis: 1}, PrepareConcatF32),
		"resize float":    of(&ResizeF32{In: half, Out: s, Bilinear: true}, PrepareResizeF32),
		"rfga float":      of(&RFGAF32{Shape: s, WC: floats(32), WH: floats(192), WW: floats(192), A: 1, B: 1}, PrepareRFGAF32),
		"unary float":     of(&UnaryF32{Shape: s, Func: PReLU, A: 1, B: 1, Slope: floats(8)}, PrepareUnaryF32),
		"gather":          of(&Gather{In: s, Out: Shape{4, 6, 3}, Axis: 3, Index: []int32{7, 0, 7}, Elem: 1}, PrepareGather),
		"permute":         of(&Permute{In: s, Out: Shape{8, 6, 4}, Dims: []int{4, 6, 8}, Perm: []int{2, 1, 0}, Elem: 4}, PreparePermute),
		"normalize int8":  of(&NormalizeI8{Shape: s, Axis: 3, Groups: 2, Epsilon: 1e-5, ScaleIn: 0.1, Scale: floats(8), Shift: floats(8), Lo: -128, Hi: 127}, PrepareNormalizeI8),
		"normalize float": of(&NormalizeF32{Shape: s, Axis: 1, Groups: 2, Epsilon: 1e-5, Scale: floats(8), Shift: floats(8)}, PrepareNormalizeF32),
		"head float":      of(&HeadF32{In: s, Classes: 5, Weights: floats(40), Maps: true}, PrepareHeadF32),
	}
}

// Every number of every description is replaced by hostile ones, and every list by shorter and longer ones. Constructors
// may accept what makes sense, but never panic; what no kernel could survive must be refused.
func TestDescriptionsHostile(t *testing.T) {
	for name, d := range descriptions() {
		if err := d.prepare(d.c); err != nil {
			t.Errorf("%s: valid, but %v", name, err)
			continue
		}
		refused := 0
		mutate(reflect.ValueOf(d.c).Elem(), "", func(path string, must bool) {
			err := func() (err error) {
				defer func() {
					if p := recover(); p != nil {
						t.Errorf("%s%s: panic: %v", name, path, p)
					}
				}()
				return d.prepare(d.c)
			}()
			if err != nil {
				refused++
			} else if must {
				t.Errorf("%s%s is accepted", name, path)
			}
		})
		if refused < 10 {
			t.Errorf("%s: only %d refusals", name, refused)
		}
	}
}

// mutate calls try for each change of v, and takes the change back. must says that nothing sensible is left.
func mutate(v reflect.Value, path string, try func(path string, must bool)) {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	defer v.Set(old)
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			mutate(v.Field(i), path+"."+v.Type().Field(i).Name, try)
		}
	case reflect.Array:
		for i := range v.Len() {
			mutate(v.Index(i), fmt.Sprintf("%s[%d]", path, i), try)
		}
	case reflect.Int, reflect.Int32:
		for _, n := range []int64{-1, 0, 1, 7, -129, 128, 1 << 25, math.MaxInt32, math.MinInt32} {
			v.SetInt(n)
			try(fmt.Sprintf("%s=%d", path, n), v.Kind() == reflect.Int && n < -1 || v.Kind() == reflect.Int && n > 1<<24)
		}
	case reflect.Float32:
		for _, f := range []float64{0, -1, math.NaN(), math.Inf(1), 1e-40, math.MaxFloat32} {
			v.SetFloat(f)
			try(fmt.Sprintf("%s=%g", path, f), false)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			return
		}
		mutate(v.Index(0), path+"[0]", try)
		for _, n := range []int{0, v.Len() - 1} {
			v.Set(old.Slice(0, n))
			try(fmt.Sprintf("%s has %d", path, n), n > 1)
		}
		v.Set(reflect.Append(old.Slice3(0, old.Len(), old.Len()), old.Index(0)))
		try(path+" has one more", true)
	}
}

// Errors say which number is wrong.
func TestRefusals(t *testing.T) {
	s := Shape{4, 6, 8}
	check := func(name, text string, change func(c any)) {
		t.Helper()
		row := descriptions()[name]
		change(row.c)
		wantError(t, row.prepare(row.c), text)
	}
	check("add int8", "multiplier 0", func(c any) { c.(*BinaryI8).MultA = 0 })
	check("add int8", "above 1.2676506e+30", func(c any) { c.(*BinaryI8).MultB = 1e31 })
	check("add int8", "zero point 128 is outside", func(c any) { c.(*BinaryI8).ZeroA = 128 })
	check("add int8", "cannot be repeated", func(c any) { c.(*BinaryI8).B = Shape{2, 1, 1} })
	check("mul int8", "bounds 5..4", func(c any) { c.(*BinaryI8).Lo, c.(*BinaryI8).Hi = 5, 4 })
	check("avgpool int8", "dilation 2x1", func(c any) {
		p := c.(*PoolI8)
		p.Window.DilationH, p.Out.H, p.Window.StrideH = 2, 2, 1
	})
	check("avgpool int8", "can overflow int32", func(c any) {
		p := c.(*PoolI8)
		p.In, p.Out = Shape{3000, 3000, 1}, Shape{1, 1, 1}
		p.Window = Window{KH: 3000, KW: 3000, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1}
	})
	check("maxpool float", "output height 3", func(c any) { c.(*PoolF32).Out.H = 3 })
	check("concat int8", "the inputs make 16", func(c any) { c.(*ConcatI8).Out.C = 17 })
	check("rfga int8", "767 sigmoid table entries: need 768", func(c any) { c.(*RFGAI8).Table = c.(*RFGAI8).Table[:767] })
	check("rfga int8", "convolution along height: ", func(c any) { c.(*RFGAI8).WH = c.(*RFGAI8).WH[1:] })
	check("rfga int8", "weight of -128", func(c any) { c.(*RFGAI8).WC[5] = -128 })
	check("rfga int8", "does not fit int32", func(c any) { c.(*RFGAI8).BC = []int32{math.MaxInt32, 0, 0, 0, 0, 0, 0, math.MinInt32} })
	check("head int8", "output channel 3: accumulator range", func(c any) { c.(*HeadI8).Bias[3] = math.MaxInt32 })
	check("head int8", "40 weights for 6x1x1x8", func(c any) { c.(*HeadI8).Classes, c.(*HeadI8).Bias = 6, nil })
	check("gather", "index 1 is 8: axis 3", func(c any) { c.(*Gather).Index[1] = 8 })
	check("gather", "index 0 is -1", func(c any) { c.(*Gather).Index[0] = -1 })
	check("gather", "elements of 3 bytes", func(c any) { c.(*Gather).Elem = 3 })
	check("permute", "perm [2 1 1] is no permutation", func(c any) { c.(*Permute).Perm[2] = 1 })
	check("permute", "make 384 elements", func(c any) { c.(*Permute).Dims[1] = 12 })
	check("normalize int8", "channel 2's shift NaN", func(c any) { c.(*NormalizeI8).Shift[2] = float32(math.NaN()) })
	check("normalize float", "epsilon 0", func(c any) { c.(*NormalizeF32).Epsilon = 0 })
	check("normalize float", "3 groups do not divide", func(c any) { c.(*NormalizeF32).Groups = 3 })
	check("normalize float", "normalised together", func(c any) {
		n := c.(*NormalizeF32)
		n.Shape, n.Groups, n.Scale, n.Shift = Shape{4096, 4096, 1}, 1, nil, nil
	})
	check("conv float", "3 groups do not divide", func(c any) { c.(*ConvF32).Groups = 3 })
	check("conv float", "clamp NaN..6", func(c any) { c.(*ConvF32).ClampLo = float32(math.NaN()) })

	_, err := PrepareTableI8(Shape{1, 0, 1}, make([]int8, 256))
	wantError(t, err, "1x0x1")
	_, err = PrepareTableI8(Shape{1, 1, 1}, make([]int8, 255))
	wantError(t, err, "255 table entries")
	_, err = PrepareQuantizeI8(1, 0, 0)
	wantError(t, err, "scale 0")
	_, err = PrepareDequantizeI8(1, 1, 200)
	wantError(t, err, "zero point 200")
	_, err = PrepareSoftmaxI8(Shape{1, 0, 1}, 1, 0, false)
	wantError(t, err, "1x0x1")
	_, err = PrepareSoftmaxF32(Shape{1 << 20, 1 << 20, 1}, false)
	wantError(t, err, "more than")
	_, err = PrepareUnaryF32(&UnaryF32{Shape: s, Func: 23})
	wantError(t, err, "function 23")
	_, err = PreparePadI8(s, Shape{5, 6, 8}, [4]int{1, 0, 1, 0}, 0)
	wantError(t, err, "padded by")
	_, err = PreparePadF32(s, s, [4]int{-1, 0, 1, 0}, 0)
	wantError(t, err, "padding [-1 0 1 0]")
}
