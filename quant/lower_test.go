package quant

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

func lowered(t *testing.T, m *format.Model, imgs [][]float64, o Options) (*format.Model, *Report) {
	t.Helper()
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	q, rep, err := lower(calibrated(t, simplify(m), imgs), o, mixture{})
	if err != nil {
		t.Fatal(err)
	}
	if err := format.Validate(q); err != nil {
		t.Fatalf("the lowered model is not valid: %v", err)
	}
	return q, rep
}

// TestOperators checks every lowered operator by itself: the real value of each result is that of the operator on the
// real values of its int8 inputs, weights and biases, to half a step.
func TestOperators(t *testing.T) {
	for name, m := range map[string]*format.Model{"everything": everything(t, 1), "localizer": localizer(t, 2)} {
		for _, o := range []Options{{}, {Weights: Full, Range: Range{Method: Percentile}}} {
			imgs := images(m.Pre.Width, 3, 10)
			q, _ := lowered(t, m, imgs, o)
			for i, x := range append(imgs[:1:1], images(m.Pre.Width, 1, 50)...) {
				checkOperators(t, name, q, x, i == 0 && o.Range.Method == MinMax)
			}
		}
	}
}

func checkOperators(t *testing.T, name string, m *format.Model, x []float64, calibrated bool) {
	t.Helper()
	ints := runInt8(m, x)
	r := &real{m: m, v: map[int][]float64{}}
	for i, q := range ints.v {
		r.v[i] = dequantized(&m.Tensors[i], q)
	}
	for i := range m.Ops {
		op := &m.Ops[i]
		if op.Kind == format.OpSoftmax {
			continue
		}
		want := r.op(op)
		y := &m.Tensors[op.Outputs[0]]
		got, q := r.v[op.Outputs[0]], ints.v[op.Outputs[0]]
		if op.Kind == format.OpCAMHead {
			pixels := m.Tensors[op.Inputs[0]].Shape[1] * m.Tensors[op.Inputs[0]].Shape[2]
			for k := range want[0] {
				if math.Abs(got[k]/float64(pixels)-want[0][k]) > 1e-5*(1+math.Abs(want[0][k])) {
					t.Fatalf("%s, %s: logit %d is %v, want %v", name, op.Name, k, got[k]/float64(pixels), want[0][k])
				}
			}
			for k, v := range r.v[op.Outputs[1]] {
				if math.Abs(v-want[1][k]) > 1e-5*(1+math.Abs(v)) {
					t.Fatalf("%s, %s: map element %d is %v, want %v", name, op.Name, k, v, want[1][k])
				}
			}
			continue
		}
		step := float64(y.Scale[0])
		lo, hi := int64(-128), int64(127)
		switch op.Kind {
		case format.OpConv2D, format.OpDepthwiseConv2D, format.OpFullyConnected, format.OpAdd, format.OpMul:
			lo, hi = int64(op.Attr.QLo), int64(op.Attr.QHi)
		}
		clipped, total, attention := 0, 0.0, 0.0
		if op.Kind == format.OpRFGA {
			if !calibrated {
				continue // views may be clipped
			}
			attention = r.attentionError(op)
		}
		for k := range want[0] {
			d := got[k] - want[0][k]
			if q[k] == hi && d < 0 || q[k] == lo && d > 0 {
				clipped++
				continue // beyond the grid, on the right side
			}
			tolerance := step * 0.5005
			total += math.Abs(d)
			if op.Kind == format.OpRFGA {
				tolerance += math.Abs(r.v[op.Inputs[0]][k]) * math.Abs(float64(op.Attr.B)) * attention
			}
			if math.Abs(d) > tolerance+1e-6 {
				t.Fatalf("%s, %s: element %d is %v, want %v: %.3f steps off", name, op.Name, k, got[k], want[0][k], d/step)
			}
		}
		if mean := total / float64(len(q)) / step; mean > 0.6 {
			t.Errorf("%s, %s: results are %.2f steps off on average", name, op.Name, mean)
		}
		if share := float64(clipped) / float64(len(q)); calibrated && op.Attr.ClampLo < 0 && share > 0.05 {
			t.Errorf("%s, %s: %.1f %% of a calibration image's values are at the ends of the grid", name, op.Name, 100*share)
		}
	}
}

// TestWeightsAndBiases compares what the int8 model stores with the float model it came from.
func TestWeightsAndBiases(t *testing.T) {
	for _, mode := range []WeightMode{PairSafe, Full} {
		m := simplify(localizer(t, 3))
		imgs := images(32, 2, 20)
		q, rep := lowered(t, m, imgs, Options{Weights: mode})
		runs := []*real{runFloat(m, imgs[0]), runFloat(m, imgs[1])}
		mean := func(t, c int) float64 { // of channel c of a float activation
			sum, n := 0.0, 0
			for _, r := range runs {
				for k := c; k < len(r.v[t]); k += m.Tensors[t].Shape[3] {
					sum, n = sum+r.v[t][k], n+1
				}
			}
			return sum / float64(n)
		}
		byName := map[string]*LayerReport{}
		for i := range rep.Layers {
			byName[rep.Layers[i].Name] = &rep.Layers[i]
		}
		float := &real{m: m}
		ints := &real{m: q}
		for i := range q.Ops {
			op, fop := &q.Ops[i], &m.Ops[i]
			if op.Kind != format.OpConv2D && op.Kind != format.OpDepthwiseConv2D && op.Kind != format.OpCAMHead {
				continue
			}
			dw := op.Kind == format.OpDepthwiseConv2D
			wt := &q.Tensors[op.Inputs[1]]
			out, taps, in := wt.Shape[0], wt.Shape[1]*wt.Shape[2], wt.Shape[3]
			if dw {
				out, in = wt.Shape[3], 1
			}
			wq, wf := ints.weight(op.Inputs[1], dw), float.weight(fop.Inputs[1], dw)
			bq, bf := ints.bias(op, 2, op.Inputs[1], op.Inputs[0], out), float.bias(fop, 2, 0, 0, out)
			pixels := op.Inputs[0] == q.Input
			var signal, noise float64
			for o := range out {
				step := float64(wt.Scale[o])
				bias, offset, correction := bf[o], 0.0, 0.0
				peak := 0.0
				for k := range taps * in {
					peak = math.Max(peak, math.Abs(wf(o, k/in, k%in)))
				}
				for k := range taps * in {
					w, x := wf(o, k/in, k%in), k%in
					if dw {
						x = o
					}
					ex := mean(fop.Inputs[0], x)
					if pixels {
						w /= 255 * float64(m.Pre.Std[k%in])
						ex *= 255 * float64(m.Pre.Std[k%in])
						offset += wq(o, k/in, k%in) * 255 * float64(m.Pre.Mean[k%in])
					}
					d := wq(o, k/in, k%in) - w
					correction += d * ex
					signal, noise = signal+w*w, noise+d*d
					if mode == Full && !pixels && math.Abs(d) > step*0.501 && math.Abs(w) < 126.5*step {
						t.Errorf("%s: weight %d of channel %d is %v, want %v (step %v)", op.Name, k, o, wq(o, k/in, k%in), w, step)
					}
				}
				// On the average input the result is the float network's, whatever the rounding of the weights.
				if d := bq[o] + offset + correction - bias; math.Abs(d) > 0.501*step*float64(q.Tensors[op.Inputs[0]].Scale[0]) {
					t.Errorf("%s: bias of channel %d is %v off", op.Name, o, d)
				}
			}
			r := byName[op.Name]
			if got := 10 * math.Log10(signal/noise); math.Abs(got-r.WeightSNR) > 0.01 {
				t.Errorf("%s: the report says %.2f dB, the weights have %.2f", op.Name, r.WeightSNR, got)
			}
			if r.WeightSNR > r.WeightSNRFull+1e-9 || r.WeightSNR < 30 {
				t.Errorf("%s: %.2f dB, without the pair rule %.2f", op.Name, r.WeightSNR, r.WeightSNRFull)
			}
		}
	}
}

func TestPixelInput(t *testing.T) {
	q, rep := lowered(t, localizer(t, 4), images(32, 1, 1), Options{})
	in := q.Tensors[q.Input]
	if in.DType != format.I8 || in.Scale[0] != 1 || in.Zero != -128 || !rep.Pixels {
		t.Errorf("input %+v does not take bytes", in)
	}
	pad := q.Tensors[q.Ops[0].Inputs[4]]
	if got := [3]int8{int8(pad.Data[0]), int8(pad.Data[1]), int8(pad.Data[2])}; got != [3]int8{124 - 128, 116 - 128, 104 - 128} {
		t.Errorf("padding %v", got) // 255*.485 = 123.675, 255*.456 = 116.28, 255*.406 = 103.53
	}

	n := newNet("no convolution first", 8, 5)
	x := n.Unary("relu", n.Input(), format.FuncReLU)
	n.Output("y", n.conv("conv", x, 4, 1, 1, 1, build.ActNone), false)
	q, rep = lowered(t, n.finish(t), images(8, 2, 1), Options{})
	if in := q.Tensors[q.Input]; in.Scale[0] == 1 && in.Zero == -128 || rep.Pixels || len(rep.Notes) == 0 {
		t.Errorf("input %+v, report %+v", in, rep)
	}
}

func TestReLUZeroPoint(t *testing.T) {
	q, _ := lowered(t, localizer(t, 6), images(32, 2, 3), Options{})
	for _, op := range q.Ops {
		if op.Attr.ClampLo != 0 {
			continue
		}
		y := q.Tensors[op.Outputs[0]]
		if y.Zero != -128 || op.Attr.QLo != -128 {
			t.Errorf("%s: zero %d, bounds %d..%d", op.Name, y.Zero, op.Attr.QLo, op.Attr.QHi)
		}
		if top := float64(y.Scale[0]) * float64(op.Attr.QHi-y.Zero); top > float64(op.Attr.ClampHi)*1.0001 {
			t.Errorf("%s: reaches %v, the clamp is %v", op.Name, top, op.Attr.ClampHi)
		}
	}
}

// TestShared checks which tensors have one grid, and that their multipliers are 1 exactly.
func TestShared(t *testing.T) {
	q, _ := lowered(t, everything(t, 7), images(16, 2, 5), Options{})
	grids := map[string]grid{}
	for _, x := range q.Tensors {
		if x.DType == format.I8 && x.Data == nil {
			grids[x.Name] = grid{scale: x.Scale[0], zero: x.Zero}
		}
	}
	for _, s := range [][2]string{{"swish", "max"}, {"grouped", "cat"}, {"dw", "cat"}, {"se.add", "pad"}, {"pad", "up"}} {
		if grids[s[0]] != grids[s[1]] {
			t.Errorf("%s has %v, %s has %v", s[0], grids[s[0]], s[1], grids[s[1]])
		}
	}
	for _, op := range q.Ops {
		if op.Kind == format.OpConcat && (op.Attr.Mults[0] != 1 || op.Attr.Mults[1] != 1 || op.Attr.Mults[2] == 1) {
			t.Errorf("concatenation with multipliers %v", op.Attr.Mults)
		}
		if op.Kind == format.OpMaxPool && op.Attr.Mults[0] != 1 {
			t.Errorf("maximum with multiplier %v", op.Attr.Mults)
		}
	}
}

func TestSimplify(t *testing.T) {
	n := newNet("simplify", 8, 8)
	x := n.Pad("pad", n.Input(), [4]int{1, 1, 2, 2}, 0)
	x = n.conv("conv", x, 4, 3, 1, 1, build.ActNone)
	x = n.Unary("relu6", x, format.FuncReLU6)
	x = n.Pad("pad1", x, [4]int{1, 1, 1, 1}, 1)
	n.Output("y", n.conv("conv2", x, 4, 3, 1, 1, build.ActNone), false)
	m := n.finish(t)
	s := simplify(m)
	if len(s.Ops) != 3 || len(m.Ops) != 5 || s.Ops[0].Attr.Pad != [4]int{2, 2, 3, 3} || s.Ops[0].Attr.ClampHi != 6 || s.Ops[0].Inputs[0] != m.Input {
		t.Fatalf("%d operators, first %+v", len(s.Ops), s.Ops[0])
	}
	img := noise(8, 1)
	a, b := runFloat(m, img).v[m.Outputs[0].Tensor], runFloat(s, img).v[s.Outputs[0].Tensor]
	for i := range a {
		if math.Abs(a[i]-b[i]) > 1e-9 {
			t.Fatalf("element %d: %v, simplified %v", i, a[i], b[i])
		}
	}
}

// TestClassifier checks that a last fully connected layer keeps exact logits.
func TestClassifier(t *testing.T) {
	n := newNet("classifier", 8, 9)
	x := n.GlobalAvgPool("gap", n.conv("conv", n.Input(), 16, 3, 1, 1, build.ActReLU))
	n.Output("logits", n.Linear("fc", x, n.normal(16*5, 0.3), 5, n.normal(5, 0.1), build.ActNone), true)
	q, _ := lowered(t, n.finish(t), images(8, 2, 5), Options{})
	if op := q.Ops[len(q.Ops)-1]; op.Kind != format.OpCAMHead || q.Tensors[q.Outputs[0].Tensor].DType != format.I64 {
		t.Errorf("last operator %+v", op)
	}
}

func TestExtremeChannels(t *testing.T) {
	l := &layer{name: "extreme", out: 6, taps: 1, in: 4, groups: 1, scaleIn: 0.05, scaleOut: 0.1, pairs: true,
		w: []float32{
			0, 0, 0, 0, // dead
			1e-30, -1e-30, 1e-30, 1e-30, // all but dead, with a bias
			1e-44, 0, 0, 0, // below normal numbers
			1, 1, 1, 1,
			1e30, 1e30, -1e30, 0,
			0.1, 0.2, 0.3, 0.4,
		},
		bias: []float32{0.7, -3, 1e-20, 1e9, 0, 1e-9}}
	res, err := l.quantize(1)
	if err != nil {
		t.Fatal(err)
	}
	for o := range l.out {
		if m := res.mult[o]; !(m >= 0x1p-126) || m > math.MaxFloat32 || !(res.scale[o] >= 0x1p-126) {
			t.Errorf("channel %d: multiplier %v, scale %v", o, m, res.scale[o])
		}
		sum := math.Abs(float64(res.bias[o]))
		for _, q := range res.q[o*4:][:4] {
			sum += 255 * math.Abs(float64(q))
		}
		if sum > math.MaxInt32 {
			t.Errorf("channel %d: sums reach %v", o, sum)
		}
		b, step := float64(res.bias[o])*0.05*float64(res.scale[o]), 0.05*float64(res.scale[o])
		if math.Abs(b-float64(l.bias[o])) > 0.501*step {
			t.Errorf("channel %d: bias %v, want %v", o, b, l.bias[o])
		}
		if step > 0.1 && o != 3 && o != 4 { // a sum that large is beyond any output
			t.Errorf("channel %d: bias in steps of %v for an output step of 0.1", o, step)
		}
	}
	if r := res.stats.Raised; len(r) < 2 {
		t.Errorf("raised scales %v", r)
	}
	l.w[5] = float32(math.NaN())
	if _, err := l.quantize(1); err == nil || !strings.Contains(err.Error(), "weight 1 of output channel 1") {
		t.Errorf("NaN weight: %v", err)
	}
}

func TestErrors(t *testing.T) {
	m := localizer(t, 1)
	c := calibrated(t, m, images(32, 1, 1))
	c.tensors[m.Ops[2].Outputs[0]] = observer{}
	if _, _, err := lower(c, Options{}, mixture{}); err == nil || !strings.Contains(err.Error(), "never observed") {
		t.Errorf("unobserved: %v", err)
	}
	q, _ := lowered(t, m, images(32, 1, 1), Options{})
	if err := checkFloat(q); err == nil || !strings.Contains(err.Error(), "already quantized") {
		t.Errorf("quantized twice: %v", err)
	}
	for _, o := range []Options{{Range: Range{Method: 9}}, {Range: Range{Percentile: 20}}, {Weights: 7}, {Range: Range{Percentile: math.NaN()}}, {Ranges: []Rule{{Range: Range{Method: 9}}}}, {Images: -1}} {
		if _, err := o.withDefaults(); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	bad, _ := newCalibration(m, 1)
	bad.observe(m.Input, []float32{1, float32(math.Inf(1))})
	if bad.err == nil {
		t.Error("an infinite activation was accepted")
	}
	if err := attentionFits(1, 3); err == nil {
		t.Error("b = 3 leaves 32 bits")
	}
}

// TestDeterministic checks that threads change nothing, and that the report marshals.
func TestDeterministic(t *testing.T) {
	m, imgs := everything(t, 11), images(16, 2, 30)
	a, ra := lowered(t, m, imgs, Options{Threads: 1})
	b, rb := lowered(t, m, imgs, Options{Threads: 5})
	if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(ra, rb) {
		t.Error("the result depends on the number of threads")
	}
	if a.Prov.Calibration != "min-max, 2 images, pair-safe weights, corrected biases" {
		t.Errorf("calibration %q", a.Prov.Calibration)
	}
	if _, err := json.Marshal(ra); err != nil {
		t.Error(err)
	}
}
