package rfga

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
)

// evalCase is a map of testdata/eval.bin.gz with the digests of its overlaps under the three protocols.
type evalCase struct {
	step  int
	w, h  int
	m     []float64
	truth Truth
	want  [3][8]byte
}

func readEvalCase(t *testing.T, r *bytes.Reader) (c evalCase) {
	t.Helper()
	c.step = int(*read(t, r, new(uint8)))
	size := read(t, r, new([2]uint16))
	c.w, c.h = int(size[0]), int(size[1])
	for _, v := range read(t, r, make([]float32, c.w*c.h)) {
		c.m = append(c.m, float64(v))
	}
	for _, b := range read(t, r, make([][4]int16, *read(t, r, new(uint8)))) {
		c.truth.Boxes = append(c.truth.Boxes, EvalBox{int(b[0]), int(b[1]), int(b[2]), int(b[3])})
	}
	areas := read(t, r, make([][4]uint8, *read(t, r, new(uint8))))
	c.truth.Mask = make([]uint8, GridSide*GridSide)
	paint := func(a [4]uint8, value uint8) {
		for y := int(a[1]); y <= int(a[3]); y++ {
			for x := int(a[0]); x <= int(a[2]); x++ {
				c.truth.Mask[y*GridSide+x] = value
			}
		}
	}
	paint(areas[len(areas)-1], Ignored)
	for _, a := range areas[:len(areas)-1] {
		paint(a, Foreground)
	}
	read(t, r, &c.want)
	return c
}

// TestProtocolsLikeOpenCVAndNumPy compares every overlap and every metric, to the last bit, with what testdata/gen_eval.py
// computed the way the field's code does.
func TestProtocolsLikeOpenCVAndNumPy(t *testing.T) {
	r := fixture(t, "eval.bin.gz")
	var results []json.RawMessage
	if err := json.Unmarshal(read(t, r, make([]byte, *read(t, r, new(uint32)))), &results); err != nil {
		t.Fatal(err)
	}
	type group struct {
		want    map[string][5]float64
		scorer  *Scorer
		tallies []*Tally
	}
	groups := make([]group, len(results))
	for i, raw := range results {
		var step float64
		if err := json.Unmarshal(raw, &[]any{&step, &groups[i].want}); err != nil {
			t.Fatal(err)
		}
		thresholds, err := Thresholds(step)
		if err != nil {
			t.Fatal(err)
		}
		groups[i].scorer = NewScorer(Protocols, thresholds)
		for range Protocols {
			groups[i].tallies = append(groups[i].tallies, NewTally(thresholds))
		}
	}
	cases := 0
	for ; r.Len() > 0; cases++ {
		c := readEvalCase(t, r)
		g := groups[c.step]
		g.scorer.Score(c.m, c.w, c.h, c.truth, func(p int, curve []float64) {
			g.tallies[p].Boxes(curve, Naming{})
			if got := hash(curve); [8]byte(got[:8]) != c.want[p] {
				t.Errorf("map %d (%dx%d) under %s: other overlaps than OpenCV and NumPy give", cases, c.w, c.h, Protocols[p].Name)
			}
		}, func(p int, heat []float64) { g.tallies[p].Mask(heat, c.truth.Mask) })
	}
	for _, g := range groups {
		for i, p := range Protocols {
			s := g.tallies[i].Scores(p)
			got := [5]float64{float64(g.tallies[i].images), s.At[0], s.At[1], s.At[2], s.PxAP}
			if got != g.want[p.Name] {
				t.Errorf("%s: images, accuracies and PxAP are %v, NumPy gives %v", p.Name, got, g.want[p.Name])
			}
		}
	}
	t.Logf("%d maps", cases)
	if cases < 1000 {
		t.Errorf("%d maps: the fixture is cut off", cases)
	}
}

func TestThresholds(t *testing.T) {
	for step, want := range map[float64]int{0.001: 1000, 0.01: 100, 0.3: 4, 0.5: 2} {
		if th, err := Thresholds(step); err != nil || len(th) != want || th[0] != 0 || th[1] != step {
			t.Errorf("step %g: %d thresholds, %v", step, len(th), err)
		}
	}
	for _, step := range []float64{0, -1, 1, 1e-9, math.NaN(), math.Inf(1)} {
		if _, err := Thresholds(step); err == nil {
			t.Errorf("step %g was accepted", step)
		}
	}
}

// TestTallyNames counts classes and boxes together, and adds tallies up.
func TestTallyNames(t *testing.T) {
	thresholds, _ := Thresholds(0.5)
	one, two := NewTally(thresholds), NewTally(thresholds)
	count := func(t *Tally, n Naming, curve ...float64) {
		t.Name(n)
		t.Boxes(curve, n)
	}
	count(one, Naming{Known: true, Top1: true, Top5: true}, 0.5, 0.1)
	count(one, Naming{Known: true, Top5: true}, 0.2, 0.75)
	count(two, Naming{Known: true, Top5: true}, 0.4, 0.75)
	count(two, Naming{}, 0.6, 0.29)
	one.Add(two)
	s := one.Scores(Protocols[0])
	if s.Top1 != 100./3 || s.Top5 != 100 || s.Top1Loc != 100./3 || s.Top5Loc != 200./3 || s.GTKnown != 50 || s.MaxBoxAcc != 50 ||
		s.At != [3]float64{75, 50, 50} || s.Best != [3]int{0, 0, 1} || s.MaxBoxAccV2 == s.MaxBoxAccV2 || s.PxAP == s.PxAP {
		t.Errorf("%+v", s)
	}
	if v2 := one.Scores(Protocols[1]); v2.MaxBoxAccV2 != (75.+50+50)/3 || v2.MaxBoxAcc == v2.MaxBoxAcc {
		t.Errorf("every contour: %+v", v2)
	}
	if empty := NewTally(thresholds).Scores(Protocols[2]); empty.Best[0] != -1 || empty.Top1 == empty.Top1 || empty.At[0] == empty.At[0] {
		t.Errorf("of nothing: %+v", empty)
	}
}
