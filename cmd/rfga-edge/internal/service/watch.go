package service

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/overlay"
)

const (
	eventsPath  = "/v1/sources/{name}/events"
	mjpegPath   = "/v1/sources/{name}/mjpeg"
	maxWatchers = 64               // of all sources
	silence     = 15 * time.Second // after which a stream says that it lives
)

// part is something made from the newest frame or its answer, once for all who watch.
type part string

const (
	plainJPEG part = "none" // the frame
	boxedJPEG part = "box"  // with boxes and labels
	heatJPEG  part = "heat" // and the heat map
	heatGray  part = "png"  // the heat map alone
)

// make makes a part, or finds it made. f.mu is held: the newest answer stays meanwhile, and frames that come are looked at
// all the same. It is nil while there is no frame.
func (f *feed) make(p part) []byte {
	if made, ok := f.parts[p]; ok || f.newest == nil {
		return made
	}
	r := &f.newest.Result
	var made []byte
	if p == heatGray {
		if len(r.Heat.Pix) > 0 {
			made = heatImage(&r.Heat)
		}
	} else {
		made = f.draw(p)
	}
	f.parts[p] = made
	return made
}

func (f *feed) draw(p part) []byte {
	a := f.newest
	w, h := a.Frame.Width, a.Frame.Height
	f.rgb = a.Frame.RGB(f.rgb)
	var heat *overlay.Heat
	var marks []overlay.Mark
	if p == heatJPEG && len(a.Result.Heat.Pix) > 0 {
		m, r := &a.Result.Heat, a.Result.Heat.Region
		heat = &overlay.Heat{Pix: m.Pix, W: m.Width, H: m.Height, Region: image.Rect(r.X0, r.Y0, r.X1, r.Y1)}
	}
	if p != plainJPEG {
		marks = f.hub.o.Marks(&a.Result)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, overlay.Draw(f.rgb, w, h, heat, marks), &jpeg.Options{Quality: 85}); err != nil {
		return nil // a side of 65536: JPEG has no room for that
	}
	return b.Bytes()
}

// sources lists the sources.
func (s *Server) sources(w http.ResponseWriter, r *http.Request) error {
	type entry struct {
		Name     string `json:"name"`
		State    state  `json:"state"`
		Trouble  string `json:"error,omitempty"`
		Answers  uint64 `json:"answers"`
		Offered  uint64 `json:"frames"`
		Dropped  uint64 `json:"dropped"`
		Failed   uint64 `json:"bad"`
		Watchers int    `json:"watchers"`
	}
	if err := newQuery(r).err; err != nil {
		return err
	}
	list := []entry{}
	for _, f := range s.hub.feeds {
		f.mu.Lock()
		c := f.stats()
		list = append(list, entry{f.source.Name, f.state, f.trouble, c.Answered, c.Offered, c.Replaced + c.Unread, c.Failed, f.watchers})
		f.mu.Unlock()
	}
	body, err := json.Marshal(map[string]any{"v": 1, "sources": list})
	if err != nil {
		return err
	}
	return s.writeJSON(w, append(body, '\n'))
}

// feedOf finds the source that a path names.
func (s *Server) feedOf(r *http.Request) (*feed, error) {
	name := r.PathValue("name")
	if f := s.hub.find(name); f != nil {
		return f, nil
	}
	if len(s.hub.feeds) == 0 {
		return nil, fail(http.StatusNotFound, "there are no sources; start the server with --source NAME=INPUT")
	}
	return nil, fail(http.StatusNotFound, "there is no source %.60q; /v1/sources lists those that are", name)
}

// drawnFeed is the feed that a request names, and how its frames are wanted.
func (s *Server) drawnFeed(r *http.Request) (*feed, part, error) {
	f, err := s.feedOf(r)
	if err != nil {
		return nil, "", err
	}
	q := newQuery(r, "draw")
	return f, choice(q, "draw", boxedJPEG, plainJPEG, heatJPEG), q.err
}

// noFrame is the answer where a source has given nothing yet.
func (f *feed) noFrame() error {
	text := fmt.Sprintf("source %s has given no frame yet: it is %s", f.source.Name, f.state)
	if f.trouble != "" {
		text += " (" + f.trouble + ")"
	}
	e := fail(http.StatusServiceUnavailable, "%s", text)
	e.retry = time.Second
	return e
}

func (s *Server) latestJSON(w http.ResponseWriter, r *http.Request) error {
	f, err := s.feedOf(r)
	if err != nil {
		return err
	}
	if err := newQuery(r).err; err != nil {
		return err
	}
	f.mu.Lock()
	line := f.line
	if line == nil {
		err = f.noFrame()
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return s.writeJSON(w, append(line[:len(line):len(line)], '\n'))
}

func (s *Server) latestJPEG(w http.ResponseWriter, r *http.Request) error {
	f, drawing, err := s.drawnFeed(r)
	if err != nil {
		return err
	}
	f.mu.Lock()
	picture := f.make(drawing)
	if picture == nil {
		err = f.noFrame()
	} else {
		w.Header().Set("X-Seq", strconv.FormatUint(f.newest.Seq, 10))
		w.Header().Set("Last-Modified", f.newest.Time.UTC().Format(http.TimeFormat))
	}
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return s.write(w, "image/jpeg", picture)
}

// watcher is a client that gets what is newest whenever it has taken what was.
type watcher struct {
	*feed
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	seen    uint64
	state   state
}

// subscribe begins a stream. The caller unsubscribes.
func (s *Server) subscribe(f *feed, w http.ResponseWriter, r *http.Request, kind string) (*watcher, error) {
	all := 0
	for _, other := range s.hub.feeds {
		other.mu.Lock()
		all += other.watchers
		other.mu.Unlock()
	}
	if all >= maxWatchers {
		e := fail(http.StatusTooManyRequests, "%d clients watch sources, which is as many as may; come again when one has left", all)
		e.retry = 10 * time.Second
		return nil, e
	}
	f.mu.Lock()
	f.watchers++
	f.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Accel-Buffering", "no")
	return &watcher{feed: f, s: s, w: w, r: r, control: http.NewResponseController(w)}, nil
}

func (c *watcher) unsubscribe() {
	c.mu.Lock()
	c.watchers--
	c.mu.Unlock()
}

// wait waits until there is something new, and returns with f.mu held and true; or false when the stream is over. With
// nothing new for a while it returns, too.
func (c *watcher) wait() bool {
	if c.r.Method == http.MethodHead {
		return false
	}
	timer := time.NewTimer(silence)
	defer timer.Stop()
	for expired := false; ; {
		c.mu.Lock()
		if c.version != c.seen || c.feed.state != c.state || expired {
			return true
		}
		renewed := c.renewed
		c.mu.Unlock()
		select {
		case <-renewed:
		case <-timer.C:
			expired = true
		case <-c.s.closing:
			return false
		case <-c.r.Context().Done():
			return false
		}
	}
}

// send writes a part of the stream. A client that does not take it in time is gone.
func (c *watcher) send(p []byte) bool {
	if err := c.control.SetWriteDeadline(time.Now().Add(c.s.o.patience)); err != nil {
		return false
	}
	if _, err := c.w.Write(p); err != nil {
		return false
	}
	return c.control.Flush() == nil
}

// events sends every answer as an event of its own, and what the source is doing as events "state". With jpeg=1 the answer
// has the frame it is about in "jpeg", with heatmap=png the heat map in "heat".
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	f, err := s.feedOf(r)
	if err != nil {
		return err
	}
	q := newQuery(r, "jpeg", "heatmap")
	withJPEG, heat := q.truth("jpeg", false), choice(q, "heatmap", heatNone, heatPNG)
	if q.err != nil {
		return q.err
	}
	c, err := s.subscribe(f, w, r, "text/event-stream")
	if err != nil {
		return err
	}
	defer c.unsubscribe()
	var out []byte
	if !c.send([]byte("retry: 2000\n\n")) {
		return nil
	}
	for c.wait() {
		out = out[:0]
		if f.state != c.state {
			c.state = f.state
			text, _ := json.Marshal(map[string]string{"state": string(f.state), "error": f.trouble})
			out = fmt.Appendf(out, "event: state\ndata: %s\n\n", text)
		}
		if f.version != c.seen {
			c.seen = f.version
			out = fmt.Appendf(out, "id: %d\ndata: ", f.version)
			out = c.answer(out, withJPEG, heat)
			out = append(out, "\n\n"...)
		}
		f.mu.Unlock()
		if len(out) == 0 {
			out = append(out, ": nothing new\n\n"...)
		}
		if !c.send(out) {
			return nil
		}
	}
	return nil
}

// answer appends the newest answer and what it is to have beside it. f.mu is held.
func (c *watcher) answer(out []byte, withJPEG bool, heat heatForm) []byte {
	out = append(out, c.line...)
	if !c.paired {
		return out
	}
	if withJPEG {
		out = append(out[:len(out)-1], `,"jpeg":"`...)
		out = append(base64.StdEncoding.AppendEncode(out, c.make(plainJPEG)), `"}`...)
	}
	if heat == heatPNG {
		out = appendHeatMember(out, &c.newest.Result.Heat, heatPNG, c.make(heatGray))
	}
	return out
}

const boundary = "rfga-edge-frame"

// mjpeg sends frames as browsers, go2rtc and ffmpeg take them.
func (s *Server) mjpeg(w http.ResponseWriter, r *http.Request) error {
	f, drawing, err := s.drawnFeed(r)
	if err != nil {
		return err
	}
	c, err := s.subscribe(f, w, r, "multipart/x-mixed-replace; boundary="+boundary)
	if err != nil {
		return err
	}
	defer c.unsubscribe()
	if !c.send([]byte("--" + boundary + "\r\n")) {
		return nil
	}
	var out bytes.Buffer
	for shown := uint64(0); c.wait(); {
		c.seen, c.state = f.version, f.state
		var picture []byte
		var seq uint64
		if f.frames != shown {
			shown, picture, seq = f.frames, f.make(drawing), f.newest.Seq
		}
		f.mu.Unlock()
		if picture == nil {
			continue
		}
		// The boundary follows at once: browsers show a frame when they have seen the end of it.
		out.Reset()
		fmt.Fprintf(&out, "Content-Type: image/jpeg\r\nContent-Length: %d\r\nX-Seq: %d\r\n\r\n", len(picture), seq)
		out.Write(picture)
		io.WriteString(&out, "\r\n--"+boundary+"\r\n")
		if !c.send(out.Bytes()) {
			return nil
		}
	}
	return nil
}

// writeMetrics adds what the sources and the publisher have counted.
func (h *hub) writeMetrics(b *exposition) {
	if p := h.o.Publisher; p != nil {
		connected, sent, replaced := p.Stats()
		b.one("rfga_mqtt_up", "gauge", "Whether there is a connection to the MQTT broker.", truth(connected))
		b.one("rfga_mqtt_messages_total", "counter", "Messages that were published.", float64(sent))
		b.one("rfga_mqtt_replaced_total", "counter", "Messages that made room for newer ones of their topic.", float64(replaced))
	}
	if len(h.feeds) == 0 {
		return
	}
	families := []struct {
		name, kind, help string
		value            func(*feed) float64
	}{
		{"rfga_source_up", "gauge", "Whether the source gives frames.", func(f *feed) float64 { return truth(f.state == running) }},
		{"rfga_source_frames_total", "counter", "Frames that the source has given, bad ones included.", func(f *feed) float64 { return float64(f.stats().Offered) }},
		{"rfga_source_answers_total", "counter", "Frames that were looked at.", func(f *feed) float64 { return float64(f.stats().Answered) }},
		{"rfga_source_dropped_total", "counter", "Frames that made room for newer ones.", func(f *feed) float64 { c := f.stats(); return float64(c.Replaced + c.Unread) }},
		{"rfga_source_bad_total", "counter", "Frames that could not be looked at.", func(f *feed) float64 { return float64(f.stats().Failed) }},
		{"rfga_source_busy_seconds_total", "counter", "Time that sessions have spent on the source.", func(f *feed) float64 { return f.stats().Busy.Seconds() }},
		{"rfga_source_openings_total", "counter", "How often the source was opened.", func(f *feed) float64 { return float64(f.openings) }},
		{"rfga_source_watchers", "gauge", "Clients that get a stream of the source.", func(f *feed) float64 { return float64(f.watchers) }},
	}
	for _, m := range families {
		b.family(m.name, m.kind, m.help)
		for _, f := range h.feeds {
			f.mu.Lock()
			v := m.value(f)
			f.mu.Unlock()
			b.sample(m.name, v, "source", f.source.Name)
		}
	}
}

func truth(v bool) float64 {
	if v {
		return 1
	}
	return 0
}
