package quant

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// The inner tensors of an OpRFGA, in the order of Op.Inner.
const (
	viewC = iota // mean over rows and columns, one value per channel
	viewH        // mean over columns, one per row and channel
	viewW        // mean over rows, one per column and channel
	preC         // the Conv1d of each view, before its sigmoid
	preH
	preW
	innerCount
)

var innerNames = [innerCount]string{"view_c", "view_h", "view_w", "pre_c", "pre_h", "pre_w"}

// A viewObserver computes the intermediate values of residual fine-grained attention, which the float operator does not
// show, from the operator's input, and observes them.
type viewObserver struct {
	h, w, c    int
	wc, wh, ww []float32 // C*3; C*3*C in the order out, tap, in
	bc, bh, bw []float32
	threads    int
	inner      [innerCount]observer
	values     [innerCount][]float32
	convs      [3]format.Op // the Conv1d, as operators of their own
}

func newViewObserver(m *format.Model, op *format.Op, threads int) (*viewObserver, error) {
	if len(op.Inputs) < 7 {
		return nil, fmt.Errorf("%d inputs instead of 7", len(op.Inputs))
	}
	s := m.Tensors[op.Inputs[0]].Shape
	v := &viewObserver{h: s[1], w: s[2], c: s[3], threads: threads}
	var err [6]error
	v.wc, err[0] = weightsOf(m, op.Inputs[1])
	v.bc, err[1] = vectorOf(m, op.Inputs[2])
	v.wh, err[2] = weightsOf(m, op.Inputs[3])
	v.bh, err[3] = vectorOf(m, op.Inputs[4])
	v.ww, err[4] = weightsOf(m, op.Inputs[5])
	v.bw, err[5] = vectorOf(m, op.Inputs[6])
	if e := errors.Join(err[:]...); e != nil {
		return nil, e
	}
	c := v.c
	if len(v.wc) != 3*c || len(v.wh) != 3*c*c || len(v.ww) != 3*c*c || len(v.bc) != c || len(v.bh) != c || len(v.bw) != c {
		return nil, fmt.Errorf("weights do not fit %d channels", c)
	}
	for i, n := range [innerCount]int{c, v.h * c, v.w * c, c, v.h * c, v.w * c} {
		v.values[i] = make([]float32, n)
		v.inner[i].sums = make([]float64, c)
	}
	return v, nil
}

// add observes the views of x, one image in NHWC order.
func (v *viewObserver) add(x []float32) bool {
	v.means(x)
	yc, zc := v.values[viewC], v.values[preC]
	for o := range zc {
		s := float64(v.bc[o])
		for k, w := range v.wc[3*o:][:3] {
			if i := o + k - 1; i >= 0 && i < v.c {
				s += float64(w) * float64(yc[i])
			}
		}
		zc[o] = float32(s)
	}
	v.conv1d(v.values[preH], v.values[viewH], v.wh, v.bh)
	v.conv1d(v.values[preW], v.values[viewW], v.ww, v.bw)
	for i := range v.inner {
		if !v.inner[i].add(v.values[i]) {
			return false
		}
	}
	return true
}

func (v *viewObserver) means(x []float32) {
	all, rows, cols := make([]float64, v.c), make([]float64, v.h*v.c), make([]float64, v.w*v.c)
	for i := range v.h {
		row := rows[i*v.c:][:v.c]
		for j := range v.w {
			col := cols[j*v.c:][:v.c]
			for c, f := range x[(i*v.w+j)*v.c:][:v.c] {
				row[c] += float64(f)
				col[c] += float64(f)
			}
		}
		for c, f := range row {
			all[c] += f
		}
	}
	mean := func(dst []float32, sum []float64, n int) {
		for i, f := range sum {
			dst[i] = float32(f / float64(n))
		}
	}
	mean(v.values[viewC], all, v.h*v.w)
	mean(v.values[viewH], rows, v.w)
	mean(v.values[viewW], cols, v.h)
}

// conv1d convolves y (positions, C) along its positions with w (C, 3, C). Each worker has channels of its own.
func (v *viewObserver) conv1d(z, y, w, bias []float32) {
	n := len(y) / v.c
	var wg sync.WaitGroup
	workers := min(max(v.threads, 1), v.c)
	for t := range workers {
		wg.Go(func() {
			for o := v.c * t / workers; o < v.c*(t+1)/workers; o++ {
				for p := range n {
					s := bias[o]
					for k := range 3 {
						if i := p + k - 1; i >= 0 && i < n {
							s += dot(w[(3*o+k)*v.c:][:v.c], y[i*v.c:][:v.c])
						}
					}
					z[p*v.c+o] = s
				}
			}
		})
	}
	wg.Wait()
}

func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}
