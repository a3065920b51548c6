package rfgaedge

import (
	"math"
	"slices"
)

// TrackOptions says how a Tracker steadies boxes. Zero fields stand for the defaults.
type TrackOptions struct {
	// Appear is in how many frames, one after another, an object has to be found before it is shown. Default 2.
	Appear int
	// Hold is for how many frames an object that is no longer found stays where it was. Default 5.
	Hold int
	// MinP is how probable an object has to be to appear. To stay it need only be found at all: look with
	// LocalizeOptions.MinP below this one, so that what is now above the limit and now below does not come and go.
	MinP float64
}

// Tracker makes boxes of a video calm: it matches those of a frame with those before by their intersection over union, lets a box
// that trembles stand still, lets one that moves follow, and shows what is missing for a few frames on. It is for one
// video, in the order of its frames. After the first frames it allocates nothing.
type Tracker struct {
	o      TrackOptions
	tracks []track
	scores []float64 // by track and location: how well they fit
	taken  []bool    // locations that have a track
}

// track is one object.
type track struct {
	loc          Location   // as it was found last, with the steady class and the box that is shown
	edges        [4]float64 // of the box, smoothed
	seen, missed int        // frames in a row
	matched      int        // the location of this frame, -1 for none
	rival, votes int        // another class that was found here, and how often in a row
}

const (
	sameObject = 0.3  // overlap from which on two boxes may be one object
	follows    = 0.5  // overlap up to which a box is where it is found now
	still      = 0.9  // overlap from which on a box moves least
	leastGain  = 0.1  // the part of the way that it moves then
	slack      = 0.02 // of its side: how far an edge may be off before it is drawn elsewhere
	votesToWin = 3    // frames in a row that make an object another class
	mostTracks = 64   // objects that are followed at a time
)

// NewTracker makes a Tracker.
func NewTracker(o TrackOptions) *Tracker {
	if o.Appear <= 0 {
		o.Appear = 2
	}
	if o.Hold <= 0 {
		o.Hold = 5
	}
	return &Tracker{o: o}
}

// Update replaces the locations of the next frame's result by steady ones, those found in this frame first, and leaves out classes below
// MinP that are not among them.
func (t *Tracker) Update(r *Result) {
	found := r.Locations[:min(len(r.Locations), mostTracks)]
	t.match(found)
	for i := range t.tracks {
		t.tracks[i].update(found)
	}
	t.tracks = slices.DeleteFunc(t.tracks, func(k track) bool {
		return k.missed > 0 && (k.seen < t.o.Appear || k.missed > t.o.Hold)
	})
	for i, l := range found {
		if !t.taken[i] && float64(l.Class.P) >= t.o.MinP && len(t.tracks) < mostTracks {
			b := l.Box
			t.tracks = append(t.tracks, track{loc: l, seen: 1, matched: i, edges: [4]float64{float64(b.X0), float64(b.Y0), float64(b.X1), float64(b.Y1)}})
		}
	}
	r.Locations = r.Locations[:0]
	for _, held := range []bool{false, true} {
		for i := range t.tracks {
			if k := &t.tracks[i]; k.seen >= t.o.Appear && k.missed > 0 == held {
				r.Locations = append(r.Locations, k.loc)
			}
		}
	}
	r.Classes = slices.DeleteFunc(r.Classes, func(c Class) bool {
		return float64(c.P) < t.o.MinP && !slices.ContainsFunc(r.Locations, func(l Location) bool { return l.Class.ID == c.ID })
	})
}

// match gives every track at most one location and the other way round, those that fit best first: of the same class before
// others, then by overlap.
func (t *Tracker) match(found []Location) {
	n := len(found)
	t.taken = slices.Grow(t.taken[:0], n)[:n]
	t.scores = slices.Grow(t.scores[:0], n*len(t.tracks))[:n*len(t.tracks)]
	clear(t.taken)
	for i := range t.tracks {
		k := &t.tracks[i]
		k.matched = -1
		for j := range found {
			t.scores[i*n+j] = t.fit(k, found, j)
		}
	}
	for {
		best, at := 0.0, -1
		for i, s := range t.scores {
			if s > best && t.tracks[i/n].matched < 0 && !t.taken[i%n] {
				best, at = s, i
			}
		}
		if at < 0 {
			return
		}
		t.tracks[at/n].matched, t.taken[at%n] = at%n, true
	}
}

// fit says how well a location fits a track, 0 for not at all. Where a class has one box and one track, they are one object
// that has jumped, however far.
func (t *Tracker) fit(k *track, found []Location, j int) float64 {
	l := &found[j]
	overlap := overlap(k.edges, l.Box)
	if l.Class.ID != k.loc.Class.ID {
		if overlap < sameObject {
			return 0
		}
		return overlap
	}
	if overlap >= sameObject {
		return 1 + overlap
	}
	for i := range found {
		if i != j && found[i].Class.ID == l.Class.ID {
			return 0
		}
	}
	for i := range t.tracks {
		if other := &t.tracks[i]; other != k && other.loc.Class.ID == l.Class.ID {
			return 0
		}
	}
	return 1 + overlap
}

// overlap is the intersection over union of a box with smoothed edges and a whole one.
func overlap(a [4]float64, b Box) float64 {
	w := min(a[2], float64(b.X1)) - max(a[0], float64(b.X0))
	h := min(a[3], float64(b.Y1)) - max(a[1], float64(b.Y0))
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / ((a[2]-a[0])*(a[3]-a[1]) + float64(b.X1-b.X0)*float64(b.Y1-b.Y0) - w*h)
}

// update takes over what was found of the object in this frame.
func (k *track) update(found []Location) {
	if k.matched < 0 {
		k.missed++
		k.votes = 0
		return
	}
	k.seen++
	k.missed = 0
	l := found[k.matched]
	before := k.loc
	k.loc = l
	if l.Class.ID == before.Class.ID {
		k.votes = 0
	} else {
		if k.votes == 0 || k.rival != l.Class.ID {
			k.rival, k.votes = l.Class.ID, 0
		}
		if k.votes++; k.votes < votesToWin {
			k.loc.Class = before.Class
		} else {
			k.votes = 0
		}
	}
	k.move(before.Box, l.Box)
}

// move brings the edges nearer to where they were found, the more the less the boxes overlap, and shows an edge elsewhere only
// when it is off by more than the slack.
func (k *track) move(shown, found Box) {
	gain := min(max((still-overlap(k.edges, found))/(still-follows), leastGain), 1)
	now := [4]int{found.X0, found.Y0, found.X1, found.Y1}
	was := [4]int{shown.X0, shown.Y0, shown.X1, shown.Y1}
	side := [2]float64{float64(shown.X1 - shown.X0), float64(shown.Y1 - shown.Y0)}
	for i := range k.edges {
		k.edges[i] += gain * (float64(now[i]) - k.edges[i])
		if math.Abs(k.edges[i]-float64(was[i])) > max(1, slack*side[i%2]) {
			was[i] = int(math.Round(k.edges[i]))
		}
	}
	k.loc.Box = Box{was[0], was[1], max(was[2], was[0]+1), max(was[3], was[1]+1)}
}
