package quant

import (
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// integers is a naive evaluator of quantized operators, written from the contract; every value is an exact integer.
type integers struct {
	m *format.Model
	v map[int][]int64
	f map[int][]float32 // float outputs
}

// requant is the contract's last step on float32(acc)*m, already a float32 product.
func requant(v float32, zero, lo, hi int32) int64 {
	v = min(max(v, float32(lo-zero)), float32(hi-zero))
	return int64(zero) + int64(math.RoundToEven(float64(v)))
}

func product(acc int64, m float32) float32 {
	if acc != int64(int32(acc)) {
		panic("naive: an accumulator left 32 bits")
	}
	return float32(float32(acc) * m)
}

func (r *integers) consts(t int) []int64 {
	var out []int64
	for _, v := range elements(&r.m.Tensors[t]) {
		out = append(out, int64(v))
	}
	return out
}

func (r *integers) floats(t int) []float32 {
	var out []float32
	for _, v := range elements(&r.m.Tensors[t]) {
		out = append(out, float32(v))
	}
	return out
}

func (r *integers) op(op *format.Op) {
	a := &op.Attr
	x, xt, yt := r.v[op.Inputs[0]], &r.m.Tensors[op.Inputs[0]], &r.m.Tensors[op.Outputs[0]]
	h, w, c := xt.Shape[1], xt.Shape[2], xt.Shape[3]
	oh, ow, oc := yt.Shape[1], yt.Shape[2], yt.Shape[3]
	zx := int64(xt.Zero)
	y := make([]int64, oh*ow*oc)
	if yt.DType != format.F32 {
		r.v[op.Outputs[0]] = y
	}
	at := func(iy, ix, ch int) (int64, bool) {
		if iy < 0 || iy >= h || ix < 0 || ix >= w {
			return 0, false
		}
		return x[(iy*w+ix)*c+ch], true
	}
	each := func(f func(oy, ox, o int) int64) {
		for i := range y {
			y[i] = f(i/oc/ow, i/oc%ow, i%oc)
		}
	}
	switch op.Kind {
	case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected:
		wt := &r.m.Tensors[op.Inputs[1]]
		wq, bias, mult := r.consts(op.Inputs[1]), r.consts(op.Inputs[2]), r.floats(op.Inputs[3])
		width := (wt.Shape[3] + 3) / 4 * 4
		kh, kw, in := wt.Shape[1], wt.Shape[2], wt.Shape[3]
		pad := make([]int64, c)
		for i := range pad {
			pad[i] = zx
			if len(op.Inputs) > 4 {
				pad[i] = r.consts(op.Inputs[4])[i]
			}
		}
		each(func(oy, ox, o int) int64 {
			acc := bias[o]
			switch op.Kind {
			case format.OpFullyConnected:
				for i, v := range x {
					acc += wq[o*width+i] * (v - zx)
				}
			default:
				dw := op.Kind == format.OpDepthwiseConv2D
				n := in
				if dw {
					n = 1
				}
				for t := range kh * kw {
					for i := range n {
						ch, wv := o/(oc/a.Groups)*in+i, int64(0)
						if dw {
							ch, wv = o, wq[t*width+o]
						} else {
							wv = wq[(o*kh*kw+t)*width+i]
						}
						v, ok := at(oy*a.Stride[0]-a.Pad[0]+t/kw*a.Dilation[0], ox*a.Stride[1]-a.Pad[1]+t%kw*a.Dilation[1], ch)
						if !ok {
							v = pad[ch]
						}
						acc += wv * (v - zx)
					}
				}
			}
			return requant(product(acc, mult[o]), yt.Zero, a.QLo, a.QHi)
		})
	case format.OpCAMHead:
		wq, bias := r.consts(op.Inputs[1]), r.consts(op.Inputs[2])
		width := (c + 3) / 4 * 4
		maps := make([]int64, h*w*oc)
		for i := range maps {
			p, k := i/oc, i%oc
			maps[i] = bias[k]
			for ch := range c {
				maps[i] += wq[k*width+ch] * (x[p*c+ch] - zx)
			}
			product(maps[i], 1)
			y[k] += maps[i]
		}
		if len(op.Outputs) > 1 {
			r.v[op.Outputs[1]] = maps
		}
	case format.OpAdd, format.OpMul:
		read := func(t, oy, ox, o int) int64 {
			s, v := r.m.Tensors[t].Shape, r.v[t]
			if r.m.Tensors[t].Data != nil {
				v = r.consts(t)
			}
			return v[(oy%s[1]*s[2]+ox%s[2])*s[3]+o%s[3]] - int64(r.m.Tensors[t].Zero)
		}
		each(func(oy, ox, o int) int64 {
			p, q := read(op.Inputs[0], oy, ox, o), read(op.Inputs[1], oy, ox, o)
			v := product(p*q, a.Mults[0])
			if op.Kind == format.OpAdd {
				v = float32(float32(float32(p)*a.Mults[0]) + float32(float32(q)*a.Mults[1]))
			}
			return requant(v, yt.Zero, a.QLo, a.QHi)
		})
	case format.OpUnary:
		table := r.consts(op.Inputs[1])
		for i, v := range x {
			y[i] = table[int64(i%c*256%len(table))+v+128]
		}
	case format.OpMaxPool, format.OpAvgPool, format.OpGlobalAvgPool:
		k, pad, stride, dil := a.Kernel, a.Pad, a.Stride, a.Dilation
		if op.Kind == format.OpGlobalAvgPool {
			k = [2]int{h, w}
		}
		each(func(oy, ox, o int) int64 {
			best, sum, n := int64(-128), int64(0), 0
			for t := range k[0] * k[1] {
				v, ok := at(oy*stride[0]-pad[0]+t/k[1]*dil[0], ox*stride[1]-pad[1]+t%k[1]*dil[1], o)
				if ok {
					best, sum = max(best, v), sum+v-zx
				}
				if ok || a.CountIncludePad {
					n++
				}
			}
			if op.Kind == format.OpMaxPool {
				return requant(product(best-zx, a.Mults[0]), yt.Zero, a.QLo, a.QHi)
			}
			return requant(product(sum, float32(float64(a.Mults[0])/float64(n))), yt.Zero, a.QLo, a.QHi)
		})
	case format.OpConcat:
		off := 0
		for k, t := range op.Inputs {
			s := r.m.Tensors[t].Shape
			for i, v := range r.v[t] {
				p := [3]int{i / s[3] / s[2], i / s[3] % s[2], i % s[3]}
				p[a.Axis-1] += off
				y[(p[0]*ow+p[1])*oc+p[2]] = requant(product(v-int64(r.m.Tensors[t].Zero), a.Mults[k]), yt.Zero, -128, 127)
			}
			off += s[a.Axis]
		}
	case format.OpPad:
		q := int64(min(max(math.RoundToEven(float64(a.PadValue)/float64(xt.Scale[0]))+float64(zx), -128), 127))
		each(func(oy, ox, o int) int64 {
			if v, ok := at(oy-a.Pad[0], ox-a.Pad[1], o); ok {
				return v
			}
			return q
		})
	case format.OpResize:
		each(func(oy, ox, o int) int64 {
			return requant(product(x[(oy*h/oh*w+ox*w/ow)*c+o]-zx, a.Mults[0]), yt.Zero, -128, 127)
		})
	case format.OpSoftmax:
		s := &real{m: r.m, v: map[int][]float64{op.Inputs[0]: dequantized(xt, x)}}
		f := make([]float32, len(x))
		for i, v := range s.op(op)[0] {
			f[i] = float32(v)
		}
		r.f[op.Outputs[0]] = f
	case format.OpGather:
		index := r.consts(op.Inputs[1])
		each(func(oy, ox, o int) int64 {
			p := [3]int{oy, ox, o}
			p[a.Axis-1] = int(index[p[a.Axis-1]])
			return x[(p[0]*w+p[1])*c+p[2]]
		})
	case format.OpPermute: // depth to space by 2, the channel outermost
		each(func(oy, ox, o int) int64 { return x[(oy/2*w+ox/2)*c+o*4+oy%2*2+ox%2] })
	case format.OpNormalize:
		scale, shift, group := r.floats(op.Inputs[1]), r.floats(op.Inputs[2]), c/a.Groups
		for i := range y {
			var sum, squares, n int64
			for j, v := range x {
				if j%c/group == i%c/group && (a.Axis == 1 || j/c == i/c) {
					sum, squares, n = sum+v-zx, squares+(v-zx)*(v-zx), n+1
				}
			}
			eps := float64(n) * float64(n) * (float64(a.Epsilon) / float64(xt.Scale[0]) / float64(xt.Scale[0]))
			d := float32(float64(n*(x[i]-zx)-sum) * (1 / math.Sqrt(float64(n*squares-sum*sum)+eps)))
			y[i] = requant(float32(d*scale[i%c])+shift[i%c], yt.Zero, a.QLo, a.QHi)
		}
	case format.OpRFGA:
		r.rfga(op, x, y, h, w, c)
	default:
		panic("naive: unknown operator")
	}
}

func (r *integers) rfga(op *format.Op, x, y []int64, h, w, c int) {
	inner := func(i int) *format.Tensor { return &r.m.Tensors[op.Inner[i]] }
	zx := int64(r.m.Tensors[op.Inputs[0]].Zero)
	sums := [3][]int64{make([]int64, c), make([]int64, h*c), make([]int64, w*c)}
	for i, v := range x {
		p, ch := i/c, i%c
		sums[0][ch] += v - zx
		sums[1][p/w*c+ch] += v - zx
		sums[2][p%w*c+ch] += v - zx
	}
	table := r.consts(op.Inputs[10])
	var att [3][]int64
	for v := range 3 {
		view, n := sums[v], len(sums[v])/c
		for i, s := range view {
			view[i] = requant(product(s, op.Attr.Mults[v]), inner(v).Zero, -128, 127) - int64(inner(v).Zero)
		}
		wq, bias, mult := r.consts(op.Inputs[1+2*v]), r.consts(op.Inputs[2+2*v]), r.floats(op.Inputs[7+v])
		width := (c + 3) / 4 * 4
		for p := range n {
			for o := range c {
				acc := bias[o]
				for k := range 3 {
					if v == 0 {
						if i := o + k - 1; i >= 0 && i < c {
							acc += wq[4*o+k] * view[i]
						}
						continue
					}
					if q := p + k - 1; q >= 0 && q < n {
						for i := range c {
							acc += wq[(3*o+k)*width+i] * view[q*c+i]
						}
					}
				}
				z := requant(product(acc, mult[o]), inner(3+v).Zero, -128, 127)
				att[v] = append(att[v], table[256*v+int(z)+128])
			}
		}
	}
	qa, qb := int64(math.RoundToEven(16384*float64(op.Attr.A))), int64(math.RoundToEven(16384*float64(op.Attr.B)))
	for i, v := range x {
		p, ch := i/c, i%c
		m := att[0][ch] + att[1][p/w*c+ch] + att[2][p%w*c+ch]
		acc := (v - zx) * (qa + (qb*m+8192)>>14)
		y[i] = requant(product(acc, op.Attr.Mults[3]), r.m.Tensors[op.Outputs[0]].Zero, -128, 127)
	}
}

// dequantized returns the real values of an integer tensor.
func dequantized(t *format.Tensor, q []int64) []float64 {
	out := make([]float64, len(q))
	for i, v := range q {
		s := float64(t.Scale[0])
		if len(t.Scale) > 1 {
			s = float64(t.Scale[i%len(t.Scale)])
		}
		out[i] = s * float64(v-int64(t.Zero))
	}
	return out
}

// inputQ turns normalised values into the network's integer input by the contract's rule.
func inputQ(m *format.Model, x []float64) []int64 {
	t := &m.Tensors[m.Input]
	out := make([]int64, len(x))
	for i, v := range x {
		if t.Scale[0] == 1 && t.Zero == -128 {
			mean, std := float32(m.Pre.Mean[i%3]*255), float32(m.Pre.Std[i%3]*255)
			b := float32(float32(float32(v)*std) + mean)
			out[i] = int64(math.RoundToEven(float64(min(max(b, 0), 255)))) - 128
			continue
		}
		out[i] = int64(min(max(math.RoundToEven(v/float64(t.Scale[0]))+float64(t.Zero), -128), 127))
	}
	return out
}

func runInt8(m *format.Model, x []float64) *integers {
	r := &integers{m: m, v: map[int][]int64{m.Input: inputQ(m, x)}, f: map[int][]float32{}}
	for i := range m.Ops {
		r.op(&m.Ops[i])
	}
	return r
}
