package quant

import (
	"context"
	"errors"
	"testing"
)

// Mixed precision and rounding by data stop where they are told to, whatever they are doing.
func TestCancel(t *testing.T) {
	m := localizer(t, 660)
	for _, stage := range []string{"calibrating", "measuring layers", "trying mixtures"} {
		ctx, cancel := context.WithCancel(t.Context())
		target := Target{Metric: Maps, MaxLoss: 1e-9, Progress: func(now string, done, total int) {
			if now == stage && done > 0 {
				cancel()
			}
		}}
		if _, err := QuantizeTo(ctx, m, memory(images(32, 5, 661)), Options{}, target); !errors.Is(err, context.Canceled) {
			t.Errorf("while %s: %v", stage, err)
		}
		cancel()
	}
	ctx, cancel := context.WithCancel(t.Context())
	passes := 0
	o := Options{KeepScales: true, RoundSeconds: 1, Progress: func(done, total int) {
		if done == 1 {
			passes++
		}
		if passes == 2 {
			cancel()
		}
	}}
	if _, _, err := Quantize(ctx, m, memory(images(32, 3, 662)), o); !errors.Is(err, context.Canceled) || passes != 2 {
		t.Errorf("while rounding, pass %d: %v", passes, err)
	}
}
