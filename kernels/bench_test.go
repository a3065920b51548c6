package kernels

import "testing"

// Every kernel of the registry can be measured, at a shape that fits no tile.
func TestBenches(t *testing.T) {
	seen := map[string]bool{}
	for _, op := range BenchOps {
		picks := 0
		for _, s := range []BenchShape{{37, 19, 50}, {16, 9, 64}, {1, 1, 3}} {
			for _, b := range Benches(op, s) {
				seen[b.Name] = true
				if b.ISA&^features != 0 {
					t.Errorf("%s needs %v", b.Name, b.ISA)
				}
				if (b.MACs > 0) == (b.Elem > 0) {
					t.Errorf("%s at %v: %d MACs and %d elements", b.Name, s, b.MACs, b.Elem)
				}
				if b.Pick {
					picks++
				}
				b.Run()
			}
		}
		if picks == 0 && len(Benches(op, BenchShape{37, 19, 50})) > 0 {
			t.Errorf("%s: none is the dispatcher's pick", op)
		}
	}
	for _, p := range Peaks() {
		seen[p.Name] = true
		p.Fn(2)
	}
	for _, k := range Registry() {
		if k.Runnable && !seen[k.Name] {
			t.Errorf("%s, %s, cannot be measured: add it to bench.go", k.Op, k.Name)
		}
	}
}

func TestPeakOf(t *testing.T) {
	known := map[string]bool{}
	for _, p := range archPeaks {
		known[p.Name] = true
		if got := peakOf(p.Name, p.ISA); got != p.Name {
			t.Errorf("%s has the form of %q", p.Name, got)
		}
	}
	if !known["u8s8_peak_avx2"] {
		t.Skip("no peaks in this build")
	}
	for name, want := range map[string]string{"u8s8_gemm_6x16c4_avx2": "u8s8_peak_avx2", "s16s8_gemm_6x16c2_avx2": "s16s16_peak_avx2",
		"u8s16_depthwise_16c2_avx2": "s16s16_peak_avx2"} {
		if got := peakOf(name, AVX2); got != want {
			t.Errorf("%s is bounded by %q, want %q", name, got, want)
		}
	}
}
