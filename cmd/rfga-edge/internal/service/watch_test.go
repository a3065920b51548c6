package service

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
)

// fake is a source whose packets the test sends. A nil packet ends it.
type fake struct {
	packets chan *stream.Packet
	live    bool
}

func (f *fake) Read(p *stream.Packet) error {
	next := <-f.packets
	if next == nil {
		return io.EOF
	}
	*p = *next
	return nil
}
func (f *fake) Live() bool   { return f.live }
func (f *fake) Close() error { return nil }

// opened gives the same source at every opening.
func (f *fake) opened(name string) Source {
	return Source{Name: name, Open: func(context.Context) (stream.Source, error) { return f, nil }}
}

func packet(img image.Image) *stream.Packet { return &stream.Packet{Frame: *rfgaedge.FrameOf(img)} }

// noise is an image whose JPEG is large.
func noise(side int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	seed := uint32(1)
	for i := range img.Pix {
		seed = seed*1664525 + 1013904223
		img.Pix[i] = byte(seed>>24) | byte(i&3/3*255)
	}
	return img
}

// answered waits until the source has published so many answers.
func answered(t *testing.T, s *Server, name string, n uint64) {
	t.Helper()
	f := s.hub.find(name)
	for {
		f.mu.Lock()
		version, renewed := f.version, f.renewed
		f.mu.Unlock()
		if version >= n {
			return
		}
		select {
		case <-renewed:
		case <-t.Context().Done():
			t.Fatalf("%d answers, want %d", version, n)
		}
	}
}

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	return r
}

func TestSources(t *testing.T) {
	door := &fake{packets: make(chan *stream.Packet)}
	_, h := serve(t, func(o *Options) {
		o.Sources = []Source{door.opened("door"), {Name: "yard", Open: func(context.Context) (stream.Source, error) { return nil, errors.New("no such camera") }}}
	})
	base := h.URL + "/v1/sources/door/"
	if status, header, text := call(t, "GET", base+"latest.json", "", nil); status != 503 || header.Get("Retry-After") == "" {
		t.Errorf("before a frame: %d %s", status, text)
	}
	if status, _, text := call(t, "GET", base+"latest.jpg?draw=lines", "", nil); status != 400 {
		t.Errorf("draw=lines: %d %s", status, text)
	}
	if status, header, _ := call(t, "HEAD", base+"events", "", nil); status != 200 || header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %v", status, header)
	}
	events := eventsOf(t, base+"events?jpeg=1&heatmap=png")
	for _, shot := range []struct {
		of   color.Color
		want string
	}{{red, "red fox, Vulpes vulpes"}, {blue, "blue jay"}} {
		door.packets <- packet(scene(shot.of))
		e := events.next() // before the next frame, which would take this one's place
		if e.Label != shot.want || e.Heat == nil || len(e.Heat.PNG) == 0 {
			t.Errorf("event %+v, want %s", e, shot.want)
		}
		if img, err := jpeg.Decode(bytes.NewReader(e.JPEG)); err != nil || img.Bounds().Dx() != 160 {
			t.Errorf("its frame: %v", err)
		}
	}
	door.packets <- &stream.Packet{Err: errors.New("cut short")}
	if e := events.next(); e.Error != "cut short" || e.JPEG != nil {
		t.Errorf("a bad frame: %+v", e)
	}
	if _, _, text := call(t, "GET", base+"latest.json", "", nil); text != `{"src":"door","error":"cut short","seq":2}`+"\n" {
		t.Errorf("latest.json: %s", text)
	}
	for _, draw := range []string{"", "?draw=none", "?draw=heat"} { // the frame before the bad one
		status, header, body := call(t, "GET", base+"latest.jpg"+draw, "", nil)
		img, err := jpeg.Decode(strings.NewReader(body))
		if status != 200 || header.Get("X-Seq") != "1" || err != nil {
			t.Fatalf("latest.jpg: %d %v", status, err)
		}
		if r, _, b, _ := img.At(55, 70).RGBA(); draw == "?draw=none" && (b < 3*r) {
			t.Errorf("the middle of the blue square is %v", img.At(55, 70))
		}
	}
	var list struct {
		V       int
		Sources []struct {
			Name, State, Error                      string
			Answers, Frames, Dropped, Bad, Watchers int
		}
	}
	_, _, text := call(t, "GET", h.URL+"/v1/sources", "", nil)
	decode(t, text, &list)
	if d, y := list.Sources[0], list.Sources[1]; d.Name != "door" || d.State != "running" || d.Frames != 3 || d.Answers != 3 || d.Bad != 1 || d.Watchers != 1 ||
		y.State != "waiting" || y.Error != "no such camera" {
		t.Errorf("%s", text)
	}
	_, _, text = call(t, "GET", h.URL+"/metrics", "", nil)
	checkExposition(t, text)
	for _, line := range []string{`rfga_source_frames_total{source="door"} 3`, `rfga_source_up{source="yard"} 0`, `rfga_source_watchers{source="door"} 1`,
		`rfga_http_requests_total{route="/v1/sources/{name}/latest.jpg",code="400"} 1`, "go_memstats_heap_alloc_bytes "} {
		if !strings.Contains(text, line) {
			t.Errorf("metrics have no %q:\n%s", line, text)
		}
	}
	door.packets <- nil // it is a file, so that is the end
	for events.state != "ended" {
		events.read()
	}
	events.close()
}

// checkExposition checks that every sample belongs to the family announced before it, and that a histogram adds up.
func checkExposition(t *testing.T, text string) {
	t.Helper()
	family := ""
	last := map[string]float64{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			family, _, _ = strings.Cut(rest, " ")
			continue
		}
		if strings.HasPrefix(line, "# HELP ") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[at+1:], 64)
		name, _, _ := strings.Cut(line[:at], "{")
		if err != nil || !strings.HasPrefix(name, family) || family == "" {
			t.Errorf("line %q in family %s: %v", line, family, err)
		}
		series, le, ok := strings.Cut(line[:at], `,le="`)
		if ok {
			if v < last[series] {
				t.Errorf("%s: %g after %g", line, v, last[series])
			}
			if last[series] = v; strings.HasPrefix(le, "+Inf") {
				last[strings.Replace(series, "_bucket", "_count", 1)+"}"] = v
			}
		} else if want, ok := last[line[:at]]; ok && strings.HasSuffix(name, "_count") && v != want {
			t.Errorf("%s: buckets have %g", line, want)
		}
	}
}

// eventReader reads server-sent events as the specification says, without what it does not need.
type eventReader struct {
	t     *testing.T
	r     *http.Response
	lines *bufio.Reader
	state string
}

type event struct {
	Src, Label, Error string
	Seq               uint64
	JPEG              []byte
	Heat              *struct {
		Class, W, H int
		Region      [4]int
		PNG         []byte
	}
}

func eventsOf(t *testing.T, url string) *eventReader {
	t.Helper()
	r := get(t, url)
	if kind := r.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("content type %s", kind)
	}
	return &eventReader{t: t, r: r, lines: bufio.NewReader(r.Body)}
}

func (e *eventReader) close() { e.r.Body.Close() }

// read gives the data of the next event that is an answer, or nil after one of another kind.
func (e *eventReader) read() []byte {
	e.t.Helper()
	kind, data := "message", ""
	for {
		line, err := e.lines.ReadString('\n')
		if err != nil {
			e.t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "data: "); ok {
			data += rest
		} else if rest, ok := strings.CutPrefix(line, "event: "); ok {
			kind = rest
		} else if line == "" {
			break
		}
	}
	switch {
	case kind == "state":
		var s struct{ State, Error string }
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			e.t.Fatal(err)
		}
		e.state = s.State
	case data != "":
		return []byte(data)
	}
	return nil
}

func (e *eventReader) next() (got event) {
	e.t.Helper()
	for {
		if data := e.read(); data != nil {
			if err := json.Unmarshal(data, &got); err != nil {
				e.t.Fatalf("%v in %.200s", err, data)
			}
			return got
		}
	}
}

// TestSlowWatchers has clients that read nothing while many frames go by. The source is not held up, and when they read again
// they get what was in the pipe and then the newest frame.
func TestSlowWatchers(t *testing.T) {
	door := &fake{packets: make(chan *stream.Packet)}
	s, h := serve(t, func(o *Options) { o.Sources = []Source{door.opened("door")} })
	base := h.URL + "/v1/sources/door/"
	door.packets <- packet(scene(red))
	answered(t, s, "door", 1)

	slow := []net.Conn{}
	for _, path := range []string{"mjpeg", "events?jpeg=1"} {
		c, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.(*net.TCPConn).SetReadBuffer(1 << 14)
		fmt.Fprintf(c, "GET /v1/sources/door/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path)
		slow = append(slow, c)
	}
	quick := eventsOf(t, base+"events")
	quick.next()
	const frames = 60
	large := packet(noise(640)) // some 400 kB each
	for range frames {
		door.packets <- large
		quick.next() // which a source that is held up would keep waiting
	}
	answered(t, s, "door", frames+1)

	// The MJPEG client wakes up.
	r, err := http.ReadResponse(bufio.NewReader(slow[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, boundary, _ := strings.Cut(r.Header.Get("Content-Type"), "boundary=")
	parts, seen, last := multipart.NewReader(r.Body, boundary), 0, ""
	for last != strconv.Itoa(frames) {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatalf("after frame %s: %v", last, err)
		}
		if _, err := jpeg.Decode(p); err != nil {
			t.Fatal(err)
		}
		seen, last = seen+1, textproto.MIMEHeader(p.Header).Get("X-Seq")
	}
	if seen > frames/2 {
		t.Errorf("a client that read nothing got %d of %d frames: they were kept for it", seen, frames+1)
	}
}

// TestReopens ends a live source, which is opened again.
func TestReopens(t *testing.T) {
	door := &fake{packets: make(chan *stream.Packet), live: true}
	s, h := serve(t, func(o *Options) { o.Sources = []Source{door.opened("door")} })
	door.packets <- packet(scene(red))
	answered(t, s, "door", 1)
	door.packets <- nil
	door.packets <- packet(scene(blue)) // the second opening reads it
	answered(t, s, "door", 2)
	_, _, text := call(t, "GET", h.URL+"/metrics", "", nil)
	if !strings.Contains(text, `rfga_source_openings_total{source="door"} 2`) || !strings.Contains(text, `rfga_source_frames_total{source="door"} 2`) {
		t.Errorf("%s", text)
	}
}

func TestWatchersAreBounded(t *testing.T) {
	door := &fake{packets: make(chan *stream.Packet)}
	s, h := serve(t, func(o *Options) { o.Sources = []Source{door.opened("door")} })
	f := s.hub.find("door")
	f.mu.Lock()
	f.watchers += maxWatchers
	f.mu.Unlock()
	if status, header, text := call(t, "GET", h.URL+"/v1/sources/door/events", "", nil); status != 429 || header.Get("Retry-After") == "" {
		t.Errorf("%d %s", status, text)
	}
}

func TestInference(t *testing.T) {
	_, h := serve(t, nil)
	var meta struct {
		Name, Platform  string
		Versions        []string
		Inputs, Outputs []struct {
			Name, Datatype string
			Shape          []int
		}
	}
	_, _, text := call(t, "GET", h.URL+"/v2/models/colours", "", nil)
	decode(t, text, &meta)
	if in := meta.Inputs[0]; in.Datatype != "FP32" || fmt.Sprint(in.Shape) != "[1 3 48 64]" || len(meta.Outputs) != 2 {
		t.Fatalf("%s", text)
	}
	for path, want := range map[string]string{"/v2": `"version":"1.2.3"`, "/v2/health/live": "true", "/v2/health/ready": "true", "/v2/models/colours/ready": "true",
		"/v2/models/colours/versions/1": `"platform":"rfga"`} {
		if status, _, text := call(t, "GET", h.URL+path, "", nil); status != 200 || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	// A red image, one number a channel: the class map of red is everywhere (1 - -1 - -1) - 1 = 2, times 9.
	plane := func(v int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(fmt.Sprintf("[%s],", strings.TrimSuffix(strings.Repeat(strconv.Itoa(v)+",", 64), ",")), 48), ",") + "]"
	}
	body := fmt.Sprintf(`{"id":"a","inputs":[{"name":%q,"shape":[1,3,48,64],"datatype":"FP32","data":[[%s,%s,%s]]}],"outputs":[{"name":"logits"}]}`,
		meta.Inputs[0].Name, plane(1), plane(-1), plane(-1))
	status, _, text := call(t, "POST", h.URL+"/v2/models/colours/infer", "application/json", []byte(body))
	var got struct {
		Model_name, Model_version, ID string
		Outputs                       []struct {
			Name, Datatype string
			Shape          []int
			Data           []float64
		}
	}
	decode(t, text, &got)
	if status != 200 || got.ID != "a" || len(got.Outputs) != 1 || fmt.Sprint(got.Outputs[0].Shape, got.Outputs[0].Data) != "[1 3] [18 0 0]" {
		t.Errorf("%d %s", status, text)
	}
}
