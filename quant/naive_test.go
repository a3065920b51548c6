package quant

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// real is a naive evaluator of operators in real numbers. It serves the float model and the quantized one alike: for the
// latter it sees what the integers stand for.
type real struct {
	m *format.Model
	// values of activations, NHWC
	v map[int][]float64
}

func elements(t *format.Tensor) []float64 {
	var out []float64
	b := t.Data
	switch t.DType {
	case format.F32:
		for ; len(b) > 0; b = b[4:] {
			out = append(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		}
	case format.I8:
		for _, q := range b {
			out = append(out, float64(int8(q)))
		}
	case format.I16:
		for ; len(b) > 0; b = b[2:] {
			out = append(out, float64(int16(binary.LittleEndian.Uint16(b))))
		}
	case format.I32:
		for ; len(b) > 0; b = b[4:] {
			out = append(out, float64(int32(binary.LittleEndian.Uint32(b))))
		}
	}
	return out
}

// weight returns w[o,k,i] of a weight constant, o being the output channel also for depthwise weights, as real numbers.
func (r *real) weight(t int, depthwise bool) func(o, tap, i int) float64 {
	ten := &r.m.Tensors[t]
	e, s := elements(ten), ten.Shape
	width, taps := (s[3]+3)/4*4, s[1]*s[2]
	scale := func(o int) float64 {
		if ten.DType != format.I8 {
			return 1
		}
		return float64(ten.Scale[o])
	}
	if depthwise {
		return func(o, tap, _ int) float64 { return e[tap*width+o] * scale(o) }
	}
	return func(o, tap, i int) float64 { return e[(o*taps+tap)*width+i] * scale(o) }
}

// bias returns the real biases; w is the weight tensor and x the input, whose scales a quantized bias is in.
func (r *real) bias(op *format.Op, at, w, x, n int) []float64 {
	out := make([]float64, n)
	if at >= len(op.Inputs) || op.Inputs[at] < 0 {
		return out
	}
	b := &r.m.Tensors[op.Inputs[at]]
	for o, v := range elements(b) {
		if b.DType == format.I32 {
			v *= float64(r.m.Tensors[x].Scale[0]) * float64(r.m.Tensors[w].Scale[o])
		}
		out[o] = v
	}
	return out
}

func (r *real) shape(t int) (h, w, c int) {
	s := r.m.Tensors[t].Shape
	return s[1], s[2], s[3]
}

// op returns the values of op's outputs from those of its inputs.
func (r *real) op(op *format.Op) [][]float64 {
	a := &op.Attr
	x := r.v[op.Inputs[0]]
	h, w, c := r.shape(op.Inputs[0])
	oh, ow, oc := r.shape(op.Outputs[0])
	y := make([]float64, oh*ow*oc)
	// taps calls f for every element of the window at oy, ox; inside tells whether it lies in the image.
	taps := func(kh, kw, oy, ox int, f func(tap, pos int, inside bool)) {
		for ky := range kh {
			for kx := range kw {
				iy, ix := oy*a.Stride[0]-a.Pad[0]+ky*a.Dilation[0], ox*a.Stride[1]-a.Pad[1]+kx*a.Dilation[1]
				f(ky*kw+kx, iy*w+ix, iy >= 0 && iy < h && ix >= 0 && ix < w)
			}
		}
	}
	clamp := func(v float64) float64 { return min(max(v, float64(a.ClampLo)), float64(a.ClampHi)) }
	each := func(f func(oy, ox, o int) float64) {
		for oy := range oh {
			for ox := range ow {
				for o := range oc {
					y[(oy*ow+ox)*oc+o] = f(oy, ox, o)
				}
			}
		}
	}
	switch op.Kind {
	case format.OpConv2D, format.OpDepthwiseConv2D:
		dw := op.Kind == format.OpDepthwiseConv2D
		ws := r.m.Tensors[op.Inputs[1]].Shape
		wt, bias := r.weight(op.Inputs[1], dw), r.bias(op, 2, op.Inputs[1], op.Inputs[0], oc)
		in, group := ws[3], oc/a.Groups
		if dw {
			in, group = 1, 1
		}
		pad := make([]float64, c)
		if len(op.Inputs) > 4 {
			for i, q := range elements(&r.m.Tensors[op.Inputs[4]]) {
				pad[i] = float64(r.m.Tensors[op.Inputs[0]].Scale[0]) * (q - float64(r.m.Tensors[op.Inputs[0]].Zero))
			}
		}
		each(func(oy, ox, o int) float64 {
			s := bias[o]
			taps(ws[1], ws[2], oy, ox, func(tap, pos int, inside bool) {
				for i := range in {
					ch := o/group*in + i
					v := pad[ch]
					if inside {
						v = x[pos*c+ch]
					}
					s += v * wt(o, tap, i)
				}
			})
			return clamp(s)
		})
	case format.OpFullyConnected:
		wt, bias := r.weight(op.Inputs[1], false), r.bias(op, 2, op.Inputs[1], op.Inputs[0], oc)
		each(func(_, _, o int) float64 {
			s := bias[o]
			for i, v := range x {
				s += v * wt(o, 0, i)
			}
			return clamp(s)
		})
	case format.OpCAMHead:
		wt, bias := r.weight(op.Inputs[1], false), r.bias(op, 2, op.Inputs[1], op.Inputs[0], oc)
		maps := make([]float64, h*w*oc)
		for p := range h * w {
			for k := range oc {
				s := bias[k]
				for i := range c {
					s += x[p*c+i] * wt(k, 0, i)
				}
				maps[p*oc+k] = s
				y[k] += s / float64(h*w)
			}
		}
		return [][]float64{y, maps}
	case format.OpAdd, format.OpMul:
		at := func(t, oy, ox, o int) float64 {
			h, w, c := r.shape(t)
			if ten := &r.m.Tensors[t]; ten.Data != nil {
				v := elements(ten)[(oy%h*w+ox%w)*c+o%c]
				if ten.DType == format.I8 {
					v = float64(ten.Scale[0]) * (v - float64(ten.Zero))
				}
				return v
			}
			return r.v[t][(oy%h*w+ox%w)*c+o%c]
		}
		each(func(oy, ox, o int) float64 {
			p, q := at(op.Inputs[0], oy, ox, o), at(op.Inputs[1], oy, ox, o)
			if op.Kind == format.OpAdd {
				return clamp(p + q)
			}
			return clamp(p * q)
		})
	case format.OpUnary:
		for i, v := range x {
			switch op.Attr.Func {
			case format.FuncReLU:
				y[i] = math.Max(v, 0)
			case format.FuncReLU6:
				y[i] = math.Min(math.Max(v, 0), 6)
			case format.FuncSigmoid:
				y[i] = 1 / (1 + math.Exp(-v))
			case format.FuncSwish:
				y[i] = v / (1 + math.Exp(-v))
			case format.FuncHardSigmoid:
				y[i] = math.Min(math.Max(v+3, 0), 6) / 6
			case format.FuncHardSwish:
				y[i] = v * math.Min(math.Max(v+3, 0), 6) / 6
			case format.FuncGELU:
				y[i] = v * (1 + math.Erf(v/math.Sqrt2)) / 2
			case format.FuncELU:
				if y[i] = float64(a.B) * v; v < 0 {
					y[i] = float64(a.A) * (math.Exp(v) - 1)
				}
			case format.FuncPReLU:
				if y[i] = v; v < 0 {
					y[i] = v * r.slopes(op)[i%c]
				}
			default:
				panic("naive: unknown function")
			}
		}
	case format.OpMaxPool, format.OpAvgPool:
		each(func(oy, ox, o int) float64 {
			best, sum, n := math.Inf(-1), 0.0, 0.0
			taps(a.Kernel[0], a.Kernel[1], oy, ox, func(_, pos int, inside bool) {
				if inside {
					best, sum = math.Max(best, x[pos*c+o]), sum+x[pos*c+o]
				}
				if inside || a.CountIncludePad {
					n++
				}
			})
			if op.Kind == format.OpMaxPool {
				return best
			}
			return sum / n
		})
	case format.OpGlobalAvgPool:
		for i, v := range x {
			y[i%c] += v / float64(h*w)
		}
	case format.OpConcat:
		off := 0
		for _, t := range op.Inputs {
			th, tw, tc := r.shape(t)
			for p := range th * tw {
				for i := range tc {
					at := [3]int{p / tw, p % tw, i}
					at[a.Axis-1] += off
					y[(at[0]*ow+at[1])*oc+at[2]] = r.v[t][p*tc+i]
				}
			}
			off += [3]int{th, tw, tc}[a.Axis-1]
		}
	case format.OpPad:
		each(func(oy, ox, o int) float64 {
			iy, ix := oy-a.Pad[0], ox-a.Pad[1]
			if iy < 0 || iy >= h || ix < 0 || ix >= w {
				return float64(a.PadValue)
			}
			return x[(iy*w+ix)*c+o]
		})
	case format.OpResize: // nearest only
		each(func(oy, ox, o int) float64 { return x[(oy*h/oh*w+ox*w/ow)*c+o] })
	case format.OpSoftmax:
		for p := 0; p < len(x); p += c {
			sum := 0.0
			for i := range c {
				y[p+i] = math.Exp(x[p+i])
				sum += y[p+i]
			}
			for i := range c {
				if y[p+i] /= sum; a.Func == format.FuncLog {
					y[p+i] = math.Log(y[p+i])
				}
			}
		}
	case format.OpGather:
		index := elements(&r.m.Tensors[op.Inputs[1]])
		each(func(oy, ox, o int) float64 {
			at := [3]int{oy, ox, o}
			at[a.Axis-1] = int(index[at[a.Axis-1]])
			return x[(at[0]*w+at[1])*c+at[2]]
		})
	case format.OpPermute: // depth to space by 2, the channel outermost
		each(func(oy, ox, o int) float64 { return x[(oy/2*w+ox/2)*c+o*4+oy%2*2+ox%2] })
	case format.OpNormalize:
		scale, shift := r.normalization(op, c)
		for i := range y {
			mean, sq, n := 0.0, 0.0, 0.0
			for j, v := range x {
				if j%c/(c/a.Groups) == i%c/(c/a.Groups) && (a.Axis == 1 || j/c == i/c) {
					mean, sq, n = mean+v, sq+v*v, n+1
				}
			}
			mean /= n
			y[i] = (x[i]-mean)/math.Sqrt(sq/n-mean*mean+float64(a.Epsilon))*scale[i%c] + shift[i%c]
		}
	case format.OpRFGA:
		return [][]float64{r.rfga(op, x, h, w, c)}
	default:
		panic("naive: unknown operator")
	}
	return [][]float64{y}
}

// slopes of a PReLU: of the float model, or what the quantized one's test says.
func (r *real) slopes(op *format.Op) []float64 {
	if t := &r.m.Tensors[op.Inputs[1]]; t.DType == format.F32 {
		return elements(t)
	}
	return testSlopes
}

// testSlopes are those of the PReLU in everything, whose quantized form has tables instead.
var testSlopes []float64

// normalization returns a normalisation's scale and shift in real units.
func (r *real) normalization(op *format.Op, c int) (scale, shift []float64) {
	scale, shift = elements(&r.m.Tensors[op.Inputs[1]]), elements(&r.m.Tensors[op.Inputs[2]])
	if y := &r.m.Tensors[op.Outputs[0]]; y.DType == format.I8 {
		for i := range scale {
			scale[i], shift[i] = scale[i]*float64(y.Scale[0]), shift[i]*float64(y.Scale[0])
		}
	}
	return scale, shift
}

func (r *real) rfga(op *format.Op, x []float64, h, w, c int) []float64 {
	wt := func(i int) func(o, tap, in int) float64 { return r.weight(op.Inputs[i], false) }
	wc, wh, ww := wt(1), wt(3), wt(5)
	view := func(i int) int { // the tensor whose scale a quantized bias is in
		if len(op.Inner) == 0 {
			return -1
		}
		return op.Inner[i]
	}
	bc, bh, bw := r.bias(op, 2, op.Inputs[1], view(0), c), r.bias(op, 4, op.Inputs[3], view(1), c), r.bias(op, 6, op.Inputs[5], view(2), c)
	yc, yh, yw := make([]float64, c), make([]float64, h*c), make([]float64, w*c)
	for i, v := range x {
		p, ch := i/c, i%c
		yc[ch] += v / float64(h*w)
		yh[p/w*c+ch] += v / float64(w)
		yw[p%w*c+ch] += v / float64(h)
	}
	zc := make([]float64, c)
	for o := range zc {
		zc[o] = bc[o]
		for k := range 3 {
			if i := o + k - 1; i >= 0 && i < c {
				zc[o] += wc(o, 0, k) * yc[i]
			}
		}
	}
	conv := func(y []float64, wt func(o, tap, in int) float64, b []float64) []float64 {
		z := make([]float64, len(y))
		for p := range len(y) / c {
			for o := range c {
				s := b[o]
				for k := range 3 {
					if q := p + k - 1; q >= 0 && q < len(y)/c {
						for i := range c {
							s += wt(o, k, i) * y[q*c+i]
						}
					}
				}
				z[p*c+o] = s
			}
		}
		return z
	}
	zh, zw := conv(yh, wh, bh), conv(yw, ww, bw)
	sig := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	out := make([]float64, len(x))
	for i, v := range x {
		p, ch := i/c, i%c
		m := sig(zc[ch]) + sig(zh[p/w*c+ch]) + sig(zw[p%w*c+ch])
		out[i] = v * (float64(op.Attr.A) + float64(op.Attr.B)*m)
	}
	return out
}

// attentionError bounds how far the sum of the three sigmoids can be off where views and their convolutions are rounded to
// int8 and the sigmoids to Q14: a sigmoid's slope is at most 1/4.
func (r *real) attentionError(op *format.Op) float64 {
	sum := 0.0
	for v := range 3 {
		wt, worst := r.weight(op.Inputs[1+2*v], false), 0.0
		s := r.m.Tensors[op.Inputs[1+2*v]].Shape
		for o := range s[0] {
			e := 0.0
			for k := range s[1] * s[2] * s[3] {
				e += math.Abs(wt(o, k/s[3], k%s[3]))
			}
			worst = max(worst, e)
		}
		view, pre := r.m.Tensors[op.Inner[v]], r.m.Tensors[op.Inner[3+v]]
		sum += (worst*float64(view.Scale[0])/2+float64(pre.Scale[0])/2)/4 + 1.0/16384
	}
	return sum
}

// runFloat evaluates a float model on normalised values in NHWC order.
func runFloat(m *format.Model, x []float64) *real {
	r := &real{m: m, v: map[int][]float64{m.Input: x}}
	for i := range m.Ops {
		for k, y := range r.op(&m.Ops[i]) {
			if k < len(m.Ops[i].Outputs) && m.Ops[i].Outputs[k] >= 0 {
				r.v[m.Ops[i].Outputs[k]] = y
			}
		}
	}
	return r
}

// calibrated is a calibration of m by the naive evaluator, so that lowering is tested without package runtime.
func calibrated(t *testing.T, m *format.Model, images [][]float64) *calibration {
	t.Helper()
	c, err := newCalibration(m, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range images {
		r := runFloat(m, x)
		for i := range m.Tensors {
			if v := r.v[i]; v != nil {
				f := make([]float32, len(v))
				for k := range v {
					f[k] = float32(v[k])
				}
				c.observe(i, f)
			}
		}
		c.images++
	}
	if c.err != nil {
		t.Fatal(c.err)
	}
	return c
}
