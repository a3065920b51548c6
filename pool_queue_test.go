package rfgaedge

import (
	"testing"
	"time"
)

// Cameras with a frame take turns, however many frames one of them offers; what a turn gets is the newest frame. The test
// stands in the place of the only session.
func TestPoolTurns(t *testing.T) {
	p := &Pool{stopped: t.Context().Done()}
	p.work.L = &p.mu
	var cameras [3]*Camera
	for i := range cameras {
		cameras[i], _ = p.Camera(CameraOptions{Name: string(rune('a' + i))})
	}
	f := &Frame{Format: Gray8, Width: 2, Height: 2, Planes: [3][]byte{make([]byte, 4)}}
	offer := func(i int, seq uint64) {
		if err := cameras[i].Offer(t.Context(), f, Stamp{Seq: seq}); err != nil {
			t.Fatal(err)
		}
	}
	var a Answer
	turns := ""
	turn := func(want uint64) *Camera {
		c := p.take(&a)
		if turns += c.Name(); a.shot.Seq != want {
			t.Errorf("turn %s: frame %d, want %d", turns, a.shot.Seq, want)
		}
		a.Stamp, a.Dropped = a.shot.Stamp, a.shot.dropped
		return c
	}
	for seq := range uint64(10) {
		offer(0, seq)
	}
	c := turn(9)
	offer(0, 10) // while a is looked at, it cannot queue
	offer(1, 20)
	offer(2, 30)
	p.give(c, &a, time.Second)
	offer(0, 11)
	p.give(turn(20), &a, 0)
	offer(1, 21)
	p.give(turn(30), &a, 0)
	p.give(turn(11), &a, 0)
	p.give(turn(21), &a, 0)
	if turns != "abcab" {
		t.Errorf("turns %s", turns)
	}
	if s := cameras[0].Stats(); s != (CameraStats{Offered: 12, Replaced: 10, Unread: 1, Busy: time.Second}) {
		t.Errorf("%+v", s)
	}
	var got Answer
	if err := cameras[0].Next(t.Context(), &got); err != nil || got.Seq != 11 || got.Dropped != 11 {
		t.Errorf("frame %d, %d dropped, error %v", got.Seq, got.Dropped, err)
	}
}
