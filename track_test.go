package rfgaedge

import (
	"math/rand/v2"
	"testing"
)

func box(x, y, w, h int) Box { return Box{x, y, x + w, y + h} }

// track1 gives a tracker one frame with boxes of a class.
func track1(t *Tracker, r *Result, class int, p float32, boxes ...Box) []Location {
	r.Classes, r.Locations = append(r.Classes[:0], Class{ID: class, P: p}), r.Locations[:0]
	for _, b := range boxes {
		r.Locations = append(r.Locations, Location{Class: Class{ID: class, P: p}, Box: b})
	}
	t.Update(r)
	return r.Locations
}

func TestTrackerSteadies(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	tr := NewTracker(TrackOptions{})
	var r Result
	raw, shown := 0, 0 // changes
	var before, rawBefore Box
	for i := range 300 {
		j := func() int { return rnd.IntN(7) - 3 }
		b := Box{100 + j(), 50 + j(), 300 + j(), 170 + j()}
		got := track1(tr, &r, 1, 0.9, b)
		if i == 0 {
			if len(got) != 0 {
				t.Fatal("an object appears in its first frame")
			}
			continue
		}
		if len(got) != 1 {
			t.Fatalf("frame %d: %d boxes", i, len(got))
		}
		if i > 20 {
			if got[0].Box != before {
				shown++
			}
			if b != rawBefore {
				raw++
			}
			for _, d := range []int{got[0].Box.X0 - 100, got[0].Box.Y0 - 50, got[0].Box.X1 - 300, got[0].Box.Y1 - 170} {
				if d < -4 || d > 4 {
					t.Fatalf("frame %d: %v is off", i, got[0].Box)
				}
			}
		}
		before, rawBefore = got[0].Box, b
	}
	if raw < 250 || shown > 8 {
		t.Errorf("the box changes %d times, of %d that it trembles", shown, raw)
	}
}

func TestTrackerFollows(t *testing.T) {
	tr := NewTracker(TrackOptions{})
	var r Result
	for range 3 {
		track1(tr, &r, 1, 0.9, box(10, 10, 50, 50))
	}
	// A jump: at once, and as one object.
	if got := track1(tr, &r, 1, 0.9, box(300, 200, 60, 40)); len(got) != 1 || got[0].Box != box(300, 200, 60, 40) {
		t.Errorf("after a jump: %+v", got)
	}
	// A walk of two pixels a frame: never behind by more than a few frames' way.
	for i := range 100 {
		b := box(300-2*i, 200+i, 60, 40)
		got := track1(tr, &r, 1, 0.9, b)
		if len(got) != 1 || overlap([4]float64{float64(b.X0), float64(b.Y0), float64(b.X1), float64(b.Y1)}, got[0].Box) < 0.75 {
			t.Fatalf("frame %d: %+v, want %v", i, got, b)
		}
	}
}

func TestTrackerHolds(t *testing.T) {
	tr := NewTracker(TrackOptions{Appear: 3, Hold: 4})
	var r Result
	a, b := box(10, 10, 50, 50), box(200, 10, 50, 50)
	count := func(want int, boxes ...Box) {
		t.Helper()
		if got := track1(tr, &r, 1, 0.9, boxes...); len(got) != want {
			t.Fatalf("%d boxes, want %d", len(got), want)
		}
	}
	count(0, a)
	count(0, a)
	count(0) // it had not appeared, and begins anew
	count(0, a)
	count(0, a)
	count(1, a)
	for range 4 {
		count(1)
	}
	count(0)
	count(0, a)
	count(0, a)
	count(1, a)
	count(1, a, b)
	count(1, a, b)
	count(2, a, b)
	count(2, b) // two objects: the one that is missing does not jump onto the other
	if r.Locations[0].Box != b || r.Locations[1].Box != a {
		t.Errorf("%+v", r.Locations)
	}
}

// What is now a little above the limit of probability and now below it stays; what never reaches it does not appear.
func TestTrackerProbability(t *testing.T) {
	tr := NewTracker(TrackOptions{MinP: 0.5})
	var r Result
	a := box(10, 10, 50, 50)
	for i, p := range []float32{0.45, 0.49, 0.45, 0.52, 0.45, 0.4, 0.6, 0.4} {
		got := track1(tr, &r, 1, p, a)
		if want := i > 3; (len(got) == 1) != want || (len(r.Classes) == 1) != (p >= 0.5 || want) {
			t.Errorf("frame %d: %d boxes, %d classes", i, len(got), len(r.Classes))
		}
	}
}

// A class that is mistaken for another in a frame or two keeps its name, and no second box appears on the same object.
func TestTrackerClass(t *testing.T) {
	tr := NewTracker(TrackOptions{})
	var r Result
	a := box(10, 10, 50, 50)
	want := []int{0, 1, 1, 1, 1, 1, 1, 1, 2, 2}
	for i, class := range []int{1, 1, 2, 1, 2, 3, 2, 2, 2, 2} {
		got := track1(tr, &r, class, 0.9, a)
		if i == 0 {
			continue
		}
		if len(got) != 1 || got[0].Class.ID != want[i] {
			t.Errorf("frame %d: %+v, want class %d", i, got, want[i])
		}
	}
}

func TestTrackerBounds(t *testing.T) {
	tr := NewTracker(TrackOptions{Hold: 1000})
	var r Result
	rnd := rand.New(rand.NewPCG(1, 2))
	frame := func() {
		r.Locations = r.Locations[:0]
		for range 100 {
			r.Locations = append(r.Locations, Location{Class: Class{ID: rnd.IntN(50), P: 1}, Box: box(rnd.IntN(1000), rnd.IntN(1000), 1+rnd.IntN(200), 1+rnd.IntN(200))})
		}
		tr.Update(&r)
	}
	for range 20 {
		frame()
	}
	if len(tr.tracks) > mostTracks {
		t.Errorf("%d tracks", len(tr.tracks))
	}
	if n := testing.AllocsPerRun(20, frame); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
