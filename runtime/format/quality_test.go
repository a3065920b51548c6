package format

import (
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"testing"
)

// measured gives a quantized model a section about its activations and weights.
func measured(tb testing.TB, m *Model) *Model {
	tb.Helper()
	g, err := check(m)
	if err != nil {
		tb.Fatal(err)
	}
	q := &Quality{Images: 50, Classified: 50, Agreed: 48, Located: 49, Correlation: 0.97, IoU: 0.91}
	for i := range m.Tensors {
		t := &m.Tensors[i]
		n := float32(i)
		switch g.roles[i] {
		case roleActivation:
			a := ActivationQuality{Tensor: i, SNR: 30 - n, Own: 35.5, Grid: 200, Cosine: 0.99, Low: 1e-3, High: 2e-3, Min: -n, Max: 2 * n, Share: 0.1,
				Cut: i%2 == 0, Channel: t.Shape[3] - 1, ChannelFactor: 3}
			for k := range a.Bars {
				a.Bars[k] = uint8(7 * k)
			}
			q.Activations = append(q.Activations, a)
		case roleWeights:
			q.Weights = append(q.Weights, WeightQuality{i, 40, 41, 0, 20 + n})
		}
	}
	if len(q.Weights) == 0 || len(q.Activations) < 2 {
		tb.Fatal("the model has nothing to measure")
	}
	m.Quality = q
	return m
}

func TestQualityRoundTrip(t *testing.T) {
	for _, d := range []DType{I8, F32} {
		m := measured(t, sample(t, d))
		file := encoded(t, m)
		got, info, err := Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Quality, m.Quality) {
			t.Errorf("%v: the section reads back as %+v", d, got.Quality)
		}
		if last := info.Sections[len(info.Sections)-1]; info.Minor != 1 || last.Name != "QUAL" {
			t.Errorf("%v: version 1.%d, last section %q", d, info.Minor, last.Name)
		}
		if Compact(m).Quality != nil {
			t.Error("the section outlives a change of indices")
		}
	}
}

// TestQualityLies writes what a section must not say.
func TestQualityLies(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for what, lie := range map[string]func(q *Quality){
		"no images":                 func(q *Quality) { q.Images = 0 },
		"some classified":           func(q *Quality) { q.Classified = 49 },
		"more alike than there are": func(q *Quality) { q.Agreed = 51 },
		"more located":              func(q *Quality) { q.Located = 51 },
		"a correlation of none":     func(q *Quality) { q.Located = 0 },
		"NaN correlation":           func(q *Quality) { q.Correlation = nan },
		"overlap 2":                 func(q *Quality) { q.IoU = 2 },
		"a tensor too many":         func(q *Quality) { q.Activations[1].Tensor = 1 << 20 },
		"a negative tensor":         func(q *Quality) { q.Activations[0].Tensor = -1 },
		"a tensor twice":            func(q *Quality) { q.Activations[1].Tensor = q.Activations[0].Tensor },
		"weights for an activation": func(q *Quality) { q.Activations[0].Tensor = q.Weights[0].Tensor },
		"an activation for weights": func(q *Quality) { q.Weights[0].Tensor = q.Activations[0].Tensor },
		"a ratio of NaN":            func(q *Quality) { q.Activations[0].SNR = nan },
		"an infinite ratio":         func(q *Quality) { q.Activations[0].Own = inf },
		"a cosine of 2":             func(q *Quality) { q.Activations[0].Cosine = 2 },
		"a share of 2":              func(q *Quality) { q.Activations[0].Low = 2 },
		"a range upside down":       func(q *Quality) { q.Activations[1].Min = q.Activations[1].Max + 1 },
		"an infinite range":         func(q *Quality) { q.Activations[1].Max = inf },
		"a channel too many":        func(q *Quality) { q.Activations[0].Channel = 1 << 25 },
		"a factor of NaN":           func(q *Quality) { q.Activations[0].ChannelFactor = nan },
		"a weight ratio of 1000":    func(q *Quality) { q.Weights[0].SNR = 1000 },
		"a weight channel too many": func(q *Quality) { q.Weights[0].Channel = 1 << 25 },
	} {
		m := measured(t, sample(t, I8))
		lie(m.Quality)
		if err := Validate(m); err == nil || !strings.Contains(err.Error(), "QUAL") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestQualityFrame breaks what the directory says of the section.
func TestQualityFrame(t *testing.T) {
	sections := split(t, encoded(t, measured(t, sample(t, F32))))
	last := len(sections) - 1
	sections[last].flags = 0
	if _, _, err := Decode(assemble(1, sections)); err != nil {
		t.Fatal(err)
	}
	for what, file := range map[string][]byte{
		"version 1.0": assemble(0, sections),
		"twice":       assemble(1, append(append([]rawSection{}, sections...), sections[last])),
		"required":    assemble(1, append(append([]rawSection{}, sections[:last]...), rawSection{"QUAL", flagRequired, sections[last].data})),
		"first":       assemble(1, append([]rawSection{sections[last]}, sections[:last]...)),
		"empty":       assemble(1, append(append([]rawSection{}, sections[:last]...), rawSection{"QUAL", 0, nil})),
		"cut short":   assemble(1, append(append([]rawSection{}, sections[:last]...), rawSection{"QUAL", 0, sections[last].data[:100]})),
		"too long":    assemble(1, append(append([]rawSection{}, sections[:last]...), rawSection{"QUAL", 0, append(sections[last].data[:len(sections[last].data):len(sections[last].data)], 0)})),
	} {
		if _, _, err := Decode(file); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	// Many records that there are no bytes for.
	data := make([]byte, 28)
	binary.LittleEndian.PutUint32(data, 1)
	binary.LittleEndian.PutUint32(data[24:], MaxTensors)
	file := assemble(1, append(append([]rawSection{}, sections[:last]...), rawSection{"QUAL", 0, data}))
	if used := allocated(func() { wantError(t, "many records", file) }); used > uint64(40*len(file)) {
		t.Errorf("%d bytes allocated for a file of %d", used, len(file))
	}
}
