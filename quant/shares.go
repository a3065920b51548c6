package quant

import (
	"context"
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// Shares returns each activation's part in the error of the model's outputs, by tensor of the quantized model; together they are
// 1. An activation's error is what its own layer does to the float network's values (Measured.Own); its effect is how far the
// outputs of the float network move when just this activation is replaced.
//
// It runs the float network once for each activation and image: a few images are enough to see which layers matter. images are
// indices in src.
func Shares(ctx context.Context, q *format.Model, twin *Twin, src Source, images []int, threads int) ([]float64, error) {
	t, err := newTrio(q, twin, max(threads, 1))
	if err != nil {
		return nil, err
	}
	defer t.close()
	shares := make([]float64, len(q.Tensors))
	for _, i := range images {
		x, err := src.At(i)
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
		if err := t.shares(ctx, x, shares); err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
	}
	sum := 0.0
	for _, s := range shares {
		sum += s
	}
	if sum > 0 {
		for y := range shares {
			shares[y] /= sum
		}
	}
	return shares, nil
}

// shares adds the effects of each activation on one image.
func (t *trio) shares(ctx context.Context, x []float32, to []float64) error {
	own := map[int][]float32{}
	var order []int
	err := t.walk(ctx, x, func(y int, _ []float32, _, forced []byte) {
		v := make([]float32, t.q.Tensors[y].Elements())
		realsOf(v, &t.q.Tensors[y], forced)
		own[y] = v
		order = append(order, y)
	})
	if err != nil {
		return err
	}
	want, err := t.outputs(t.float)
	if err != nil {
		return err
	}
	for _, y := range order {
		if err := t.float.replace(ctx, x, t.twin.Of[y], own[y]); err != nil {
			return err
		}
		got, err := t.outputs(t.float)
		if err != nil {
			return err
		}
		for o := range want {
			signal, noise := 0.0, 0.0
			for k, v := range want[o] {
				signal += float64(v) * float64(v)
				noise += float64(got[o][k]-v) * float64(got[o][k]-v)
			}
			if e := noise / signal; signal > 0 && !math.IsInf(e, 0) && e == e {
				to[y] += e
			}
		}
	}
	return nil
}

// replace runs the session with one activation overwritten.
func (w *walker) replace(ctx context.Context, x []float32, tensor int, v []float32) error {
	w.yield = func(e event) bool {
		if e.tensor == tensor {
			copy(viewOf[float32](e.data), v)
		}
		return true
	}
	defer func() { w.yield = nil }()
	if err := w.s.SetFloat(0, x); err != nil {
		return err
	}
	return w.s.Run(ctx)
}

// outputs are the real values of the outputs of the last run.
func (t *trio) outputs(w *walker) ([][]float32, error) {
	var out [][]float32
	for i, o := range t.q.Outputs {
		v := make([]float32, t.q.Tensors[o.Tensor].Elements())
		if err := w.s.OutputFloat(0, i, v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
