package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
)

// soakFrames is how many frames TestSoak looks at: RFGA_SOAK, or a few. make soak takes 200,000.
func soakFrames(t *testing.T) int64 {
	text := os.Getenv("RFGA_SOAK")
	if text == "" {
		return 3000
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1000 {
		t.Fatalf("RFGA_SOAK=%s: want a number from 1000 on", text)
	}
	return n
}

// TestSoak runs cameras for a long time, through everything that stream does: reading, a pool of two sessions, JSON lines,
// and an overlay that is watched slowly. Frames tell by what is on them which they are, and some are damaged. Every answer has to
// be about the frame that it names, as new as can be; and memory, goroutines and allocations must not grow.
func TestSoak(t *testing.T) {
	total := soakFrames(t)
	model, err := rfgaedge.Open(coloursOf(t, t.TempDir(), 96, 96))
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	pool, err := model.NewPool(2, rfgaedge.Localizing(rfgaedge.LocalizeOptions{Heat: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s := &soak{t: t, total: total, stop: make(chan struct{})}
	var running sync.WaitGroup
	cameras := []*soakCamera{{name: "file", format: "y4m", every: true}, {name: "y4m", format: "y4m"}, {name: "mjpeg", format: "mjpeg", watched: true}}
	for _, c := range cameras {
		c.soak = s
		if !c.every {
			c.permits = make(chan struct{}, soakAhead)
			s.live = append(s.live, c)
		}
	}
	for _, c := range cameras {
		running.Go(func() { c.run(model, pool) })
	}
	running.Wait()
	if !t.Failed() {
		s.check()
	}
}

// soak is what the cameras have in common.
type soak struct {
	t     *testing.T
	total int64
	seen  atomic.Int64
	stop  chan struct{}
	live  []*soakCamera

	mu     sync.Mutex
	levels []soakLevel
}

// soakLevel is what must not grow, at some moment.
type soakLevel struct {
	seen               int64
	rss                float64 // MiB
	goroutines         int
	live, objects      uint64 // on the heap, bytes and number
	allocated, mallocs uint64 // since the beginning
}

const soakParts = 20

// soakAhead is how many frames a camera delivers for an answer of any.
const soakAhead = 3

// count notes that an answer has come, and takes the levels now and then.
func (s *soak) count() {
	n := s.seen.Add(1)
	for _, c := range s.live {
		for range soakAhead {
			select {
			case c.permits <- struct{}{}:
			default:
			}
		}
	}
	if n <= s.total && n%(s.total/soakParts) == 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		s.levels = append(s.levels, soakLevel{n, residentMiB(), runtime.NumGoroutine(), m.HeapAlloc, m.HeapObjects, m.TotalAlloc, m.Mallocs})
	}
	if n == s.total {
		close(s.stop)
	}
}

// residentMiB is the memory that the process holds now, 0 where the system does not say.
func residentMiB() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * float64(os.Getpagesize()) / (1 << 20)
}

// check compares the second quarter with the last one. The cameras run while a level is taken, so that it holds garbage too: what is
// live is the least of a quarter's. Allocations are those of decoding JPEGs and of this test's reading of JSON; how many frames each
// camera gets varies.
func (s *soak) check() {
	t := s.t
	for _, l := range s.levels {
		t.Logf("%7d frames: %.1f MiB resident, %.2f MiB in %d objects live, %d goroutines", l.seen, l.rss, float64(l.live)/(1<<20), l.objects, l.goroutines)
	}
	quarter := func(from int) (l soakLevel) {
		part := s.levels[from:][:soakParts/4]
		l = part[0]
		for _, p := range part {
			l.rss, l.goroutines = max(l.rss, p.rss), max(l.goroutines, p.goroutines)
			l.live, l.objects = min(l.live, p.live), min(l.objects, p.objects)
		}
		first, last := part[0], part[len(part)-1]
		l.mallocs = (last.mallocs - first.mallocs) / uint64(last.seen-first.seen)
		l.allocated = (last.allocated - first.allocated) / uint64(last.seen-first.seen)
		return l
	}
	early, late := quarter(soakParts/4), quarter(soakParts-soakParts/4)
	mix := 0.5 // how much more a frame may allocate because the cameras' shares differ, which in a short run they do a lot
	if s.total < 100_000 {
		mix = 2
	}
	for _, c := range []struct {
		what                 string
		early, late, allowed float64
	}{
		{"goroutines", float64(early.goroutines), float64(late.goroutines), 0},
		{"MiB of resident memory", early.rss, late.rss, 8},
		{"live bytes", float64(early.live), float64(late.live), 6 << 20},
		{"live objects", float64(early.objects), float64(late.objects), 4000},
		{"allocations a frame", float64(early.mallocs), float64(late.mallocs), mix*float64(early.mallocs) + 1},
		{"allocated bytes a frame", float64(early.allocated), float64(late.allocated), mix * float64(early.allocated)},
	} {
		t.Logf("%s: %.0f in the second quarter, %.0f in the last", c.what, c.early, c.late)
		if c.late > c.early+c.allowed {
			t.Errorf("%s: %.0f became %.0f", c.what, c.early, c.late)
		}
	}
}

// soakCamera is one camera with what reads it.
type soakCamera struct {
	*soak
	name    string
	format  string
	every   bool // a file: no frame is left out
	watched bool // its overlay is

	offered atomic.Int64  // the newest frame that the pump has handed over, or is about to
	permits chan struct{} // for frames of a live camera: it goes on as answers come, or the processor would do nothing but make frames
	tokens  chan struct{} // for what the overlay's watcher takes
	lines   soakLines
}

// On a frame is a box, at one of these places, in one of three colours: which of soakKinds it is.
const soakKinds = 24

func soakBox(kind int) image.Rectangle {
	at := kind / 3
	return image.Rect(0, 0, 40, 32).Add(image.Pt(8+40*(at%4), 16+64*(at/4)))
}

func soakColor(kind int) color.Color {
	return []color.Color{color.RGBA{255, 0, 0, 255}, color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 255, 255}}[kind%3]
}

// bad tells which frames are damaged.
func soakBad(seq uint64) bool { return seq%17 == 5 }

// frames are the bytes of each kind of frame, whole and damaged, and what stands before them all.
func soakPictures(t *testing.T, format string) (head []byte, whole, damaged [soakKinds][]byte) {
	for kind := range soakKinds {
		img := image.NewRGBA(image.Rect(0, 0, 192, 128))
		draw.Draw(img, img.Rect, image.Black, image.Point{}, draw.Src)
		draw.Draw(img, soakBox(kind), image.NewUniform(soakColor(kind)), image.Point{}, draw.Src)
		var b bytes.Buffer
		if err := stream.NewWriter(&b, format, 0).Write(img); err != nil {
			t.Fatal(err)
		}
		whole[kind] = b.Bytes()
		if format == "y4m" {
			at := bytes.Index(whole[kind], []byte("FRAME\n"))
			head, whole[kind] = whole[kind][:at], whole[kind][at:]
			damaged[kind] = bytes.Replace(whole[kind], []byte("FRAME"), []byte("FRAUD"), 1)
		} else {
			damaged[kind] = whole[kind][:len(whole[kind])*2/3]
		}
	}
	return head, whole, damaged
}

// run feeds the camera until there have been enough frames, and reads its answers.
func (c *soakCamera) run(model *rfgaedge.Model, pool *rfgaedge.Pool) {
	t := c.t
	r, w := io.Pipe()
	head, whole, damaged := soakPictures(t, c.format)
	go func() {
		out := bufio.NewWriterSize(w, 1<<20)
		defer w.Close()
		out.Write(head)
		for seq := uint64(0); ; seq++ {
			data := whole[seq%soakKinds]
			if soakBad(seq) {
				data = damaged[seq%soakKinds]
			}
			if !c.every {
				select {
				case <-c.stop:
				case <-c.permits:
				}
			}
			select {
			case <-c.stop:
				out.Flush()
				return
			default:
			}
			if _, err := out.Write(data); err != nil {
				return
			}
			if !c.every {
				out.Flush()
			}
		}
	}()
	src, err := stream.New(r, !c.every, stream.Options{Format: c.format})
	if err != nil {
		t.Error(err)
		return
	}
	camera, err := pool.Camera(rfgaedge.CameraOptions{Name: c.name, EveryFrame: c.every, KeepFrames: c.watched})
	if err != nil {
		t.Error(err)
		return
	}
	e := &env{ctx: t.Context(), err: io.Discard}
	c.lines.camera = c
	p := &streamPrinter{env: e, model: model, camera: camera, src: c.name, lines: bufio.NewWriter(&c.lines)}
	if c.watched {
		c.tokens = make(chan struct{}, 1)
		p.viewer = newViewer(c, "mjpeg", 0, true, e)
	}
	pumped := make(chan error, 1)
	go func() { pumped <- stream.Pump(e.ctx, &soakSource{src, c, 0}, camera, stream.PumpOptions{}) }()
	printed := make(chan error, 1)
	go func() { printed <- p.print() }()
	err = <-pumped
	if c.watched {
		close(c.tokens)
	}
	if err = errors.Join(err, <-printed); err != nil {
		t.Errorf("%s: %v", c.name, err)
	}
	st := camera.Stats()
	t.Logf("%s: %+v", c.name, st)
	if st.Offered != st.Replaced+st.Answered+st.Unread || c.lines.next != st.Offered && c.every {
		t.Errorf("%s: frames are missing: %+v, and the last line is about frame %d", c.name, st, c.lines.next)
	}
}

// Write is the overlay's, whose watcher takes one piece for every fifty lines.
func (c *soakCamera) Write(p []byte) (int, error) {
	<-c.tokens
	return len(p), nil
}

// soakSource notes how far the pump has come.
type soakSource struct {
	stream.Source
	c *soakCamera
	n int64
}

// Read is called again when the frame before has been handed over.
func (s *soakSource) Read(p *stream.Packet) error {
	s.c.offered.Store(s.n - 1)
	s.n++
	return s.Source.Read(p)
}

// soakLines reads the JSON lines, one a Write.
type soakLines struct {
	camera  *soakCamera
	next    uint64 // the frame after the last line's
	dropped uint64
	lines   uint64
	offered [3]int64 // the newest frame when the last three lines came, the latest first
}

func (l *soakLines) Write(line []byte) (int, error) {
	c := l.camera
	var got streamLine
	if err := json.Unmarshal(line, &got); err != nil {
		return 0, fmt.Errorf("%w in %q", err, line)
	}
	if got.Seq < l.next {
		return 0, fmt.Errorf("frame %d comes after frame %d", got.Seq, l.next-1)
	}
	// When a line came, one answer may have been ready and another under way. The third after it was begun later.
	if int64(got.Seq) < l.offered[2] && !c.every {
		return 0, fmt.Errorf("stale: frame %d, when %d had been there three answers before", got.Seq, l.offered[2])
	}
	l.offered = [3]int64{c.offered.Load(), l.offered[0], l.offered[1]}
	l.next = got.Seq + 1
	l.lines++
	if l.dropped += got.Dropped; l.dropped+l.lines != l.next {
		return 0, fmt.Errorf("up to frame %d there were %d lines, and %d are said to have been dropped", got.Seq, l.lines, l.dropped)
	}
	if err := got.about(); err != nil {
		return 0, fmt.Errorf("frame %d: %w: %s", got.Seq, err, line)
	}
	if c.tokens != nil && l.lines%50 == 0 {
		select {
		case c.tokens <- struct{}{}:
		default:
		}
	}
	c.count()
	return len(line), nil
}

// about checks that the answer is about the frame that it names.
func (l *streamLine) about() error {
	kind := int(l.Seq % soakKinds)
	if soakBad(l.Seq) {
		if l.Error == "" || len(l.Locations) > 0 {
			return errors.New("it is damaged, and there is no error")
		}
		return nil
	}
	if l.Error != "" || len(l.Locations) != 1 || l.Locations[0].ID != kind%3 {
		return fmt.Errorf("want class %d", kind%3)
	}
	b, want := l.Locations[0].Box, soakBox(kind)
	got := image.Rect(b[0], b[1], b[2], b[3])
	if in := got.Intersect(want); 4*in.Dx()*in.Dy() < 2*got.Dx()*got.Dy() || 4*in.Dx()*in.Dy() < 3*want.Dx()*want.Dy() {
		return fmt.Errorf("box %v, want %v", got, want)
	}
	return nil
}
