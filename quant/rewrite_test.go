package quant

import (
	"math"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// mobilenet is MobileNetV1 of width 1/4 at 64x64, with ReLU. Its depthwise channels, and with them those of the
// activations around, are multiplied by factors over ten octaves where bad is set, and what reads them is divided by the
// same: the function stays.
func mobilenet(t *testing.T, seed uint64, bad bool) *format.Model {
	n, factors := newNet("mobilenet_v1", 64, seed), newNet("factors", 8, seed+1)
	x := n.conv("stem", n.Input(), 8, 3, 2, 1, build.ActReLU)
	var before []float32 // factors on the channels of x
	scaled := func(name string, x, out, k, stride, groups int, act build.Act, last bool) int {
		in := n.Shape(x).C / groups
		w := n.normal(out*in*k*k, math.Sqrt(2/float64(in*k*k)))
		bias := n.normal(out, 0.2)
		after := make([]float32, out)
		for o := range out {
			after[o] = 1
			if bad && !last {
				after[o] = float32(math.Exp2(10*factors.rng.Float64() - 5))
			}
			bias[o] *= after[o]
			for i := range in * k * k {
				w[o*in*k*k+i] *= after[o]
				if c := i/(k*k) + o/(out/groups)*in; before != nil {
					w[o*in*k*k+i] /= before[c]
				}
			}
		}
		before = after
		p := k / 2
		return n.Conv(name, x, w, [4]int{out, in, k, k}, bias, build.Win{Stride: [2]int{stride, stride}, Pad: [4]int{p, p, p, p}}, groups, act)
	}
	for i, c := range []int{16, 32, 32, 64, 64, 128, 128, 128, 256} {
		name := string(rune('a' + i))
		x = scaled(name+".dw", x, n.Shape(x).C, 3, 1+i%4/3, n.Shape(x).C, build.ActReLU, false)
		x = scaled(name+".pw", x, c, 1, 1, 1, build.ActReLU, i == 8)
	}
	n.Localizer("head", x, n.normal(20*256, 0.1), n.normal(20, 0.05))
	return n.finish(t)
}

// quality is the relative error of an output of q against that of m, in decibels below the signal, over some images.
func quality(t *testing.T, m, q *format.Model, imgs [][]float64) float64 {
	t.Helper()
	signal, noise := 0.0, 0.0
	for _, x := range imgs {
		f, _ := outputs(t, m, x, 2)
		i, _ := outputs(t, q, x, 2)
		for k, v := range f["maps"] {
			signal += v * v
			noise += (v - i["maps"][k]) * (v - i["maps"][k])
		}
	}
	return snr(signal, noise)
}

// TestEqualization: a network whose depthwise channels are badly scaled must come out as accurate as the same network with
// even channels, and without equalization it must not, or this test would show nothing.
func TestEqualization(t *testing.T) {
	imgs, others := images(64, 8, 700), images(64, 3, 900)
	even, bad := mobilenet(t, 70, false), mobilenet(t, 70, true)
	if d := quality(t, even, bad, others); d < 80 {
		t.Fatalf("the two networks differ: %.1f dB", d)
	}
	results := map[string]float64{}
	for name, c := range map[string]struct {
		m *format.Model
		o Options
	}{"even": {even, Options{}}, "kept": {bad, Options{KeepScales: true}}, "equalized": {bad, Options{}}} {
		q, rep, err := Quantize(t.Context(), c.m, memory(imgs), c.o)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(rep.Equalized); name == "kept" && n > 0 || name == "equalized" && n < 15 {
			t.Errorf("%s: %d activations were equalized", name, n)
		}
		results[name] = quality(t, even, q, others)
	}
	t.Logf("signal to noise of the maps in dB: %v", results)
	if results["equalized"] < results["even"]-1.5 {
		t.Errorf("equalized %.1f dB, the even network has %.1f", results["equalized"], results["even"])
	}
	if results["kept"] > results["even"]-4 {
		t.Errorf("without equalization it is %.1f dB already, against %.1f", results["kept"], results["even"])
	}
}

// TestRewritesKeepTheFunction runs rewritten float models: equalized, and in another order of channels.
func TestRewritesKeepTheFunction(t *testing.T) {
	imgs := images(64, 4, 710)
	m := simplify(mobilenet(t, 71, true))
	o, _ := Options{}.withDefaults()
	scaled, list, err := withEvenChannels(t.Context(), m, memory(imgs), o)
	if err != nil || len(list) == 0 {
		t.Fatalf("%d activations were equalized, %v", len(list), err)
	}
	if d := quality(t, m, scaled, imgs); d < 80 {
		t.Errorf("equalization changes the network: %.1f dB", d)
	}
	for name, m := range map[string]*format.Model{"mobilenet": m, "localizer": simplify(localizer(t, 72)), "everything": simplify(everything(t, 73))} {
		moved, n := reorder(m)
		if n == 0 && name != "everything" {
			t.Errorf("%s: no channels were reordered", name)
		}
		if err := format.Validate(moved); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		x := images(m.Pre.Width, 1, 5)[0]
		a, _ := outputs(t, m, x, 1)
		b, _ := outputs(t, moved, x, 1)
		for out, v := range a {
			sum, diff := 0.0, 0.0
			for k := range v {
				sum, diff = sum+v[k]*v[k], diff+(v[k]-b[out][k])*(v[k]-b[out][k])
			}
			if snr(sum, diff) < 80 {
				t.Errorf("%s: reordering changes %s: %.1f dB", name, out, snr(sum, diff))
			}
		}
	}
}

// TestReorderLosesLess: the order of channels must win back most of what the pair rule costs.
func TestReorderLosesLess(t *testing.T) {
	m, imgs := mobilenet(t, 74, false), images(64, 2, 720)
	loss := map[bool]float64{}
	for _, keep := range []bool{true, false} {
		_, rep, err := Quantize(t.Context(), m, memory(imgs), Options{KeepOrder: keep})
		if err != nil {
			t.Fatal(err)
		}
		loss[keep] = rep.PairLoss
	}
	t.Logf("the pair rule costs %.2f dB, reordered %.2f dB", loss[true], loss[false])
	if !(loss[false] < 0.6*loss[true]) {
		t.Errorf("the pair rule costs %.2f dB in the natural order, %.2f dB in ours", loss[true], loss[false])
	}
}

// TestPairing compares the pairs chosen with the best of all pairings of eight channels.
func TestPairing(t *testing.T) {
	n := newNet("costs", 8, 75)
	worse := 0.0
	for range 20 {
		c := newClashes(8)
		for a := range 8 {
			for b := range a {
				v := float32(max(n.rng.NormFloat64(), 0))
				c.cost[a*8+b], c.cost[b*8+a] = v, v
			}
		}
		order, _ := c.pair()
		got := 0.0
		for i := 0; i < 8; i += 2 {
			got += float64(c.at(order[i], order[i+1]))
		}
		var best func(free []int) float64
		best = func(free []int) float64 {
			if len(free) == 0 {
				return 0
			}
			least := math.Inf(1)
			for i := 1; i < len(free); i++ {
				rest := append(append([]int(nil), free[1:i]...), free[i+1:]...)
				least = min(least, float64(c.at(free[0], free[i]))+best(rest))
			}
			return least
		}
		worse += got - best([]int{0, 1, 2, 3, 4, 5, 6, 7})
	}
	if worse/20 > 0.25 {
		t.Errorf("pairings cost %.3f more than the best on average", worse/20)
	}
}
