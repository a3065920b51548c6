package service

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/overlay"
	"github.com/rfga-edge/rfga-edge/frame"
)

// Options says what to serve and how much of the machine it may take.
type Options struct {
	Model    *rfgaedge.Model
	Look     rfgaedge.LocalizeOptions // for photos; requests may say otherwise
	Version  string
	Sessions int // photos that are looked at, at once
	Threads  int // of each
	Queue    int // requests that may wait for a session
	MaxBody  int64
	Limits   frame.Limits
	// Token is what every request must carry but those for the page and its state of health. Without one, requests must
	// come from a page of this machine or from no page.
	Token   string
	Sources []Source
	Filter  rfgaedge.Filter          // of sources
	Watch   rfgaedge.LocalizeOptions // what to look for in sources
	// Line appends the JSON of a source's answer, without a line feed.
	Line func(dst []byte, name string, a *rfgaedge.Answer, scratch *rfgaedge.Record) []byte
	// Marks are the boxes and labels of a result, to draw.
	Marks     func(*rfgaedge.Result) []overlay.Mark
	Publisher Publisher // of sources; nil: none
	Log       *slog.Logger

	patience time.Duration // that a client gets to read an answer, or a part of a stream; 0 stands for answerTime
}

// Publisher tells others what sources give. Its methods do not wait.
type Publisher interface {
	State(source string, running bool)
	Result(source string, line []byte)
	WantsSnapshot(source string) bool
	Snapshot(source string, jpeg []byte)
	Stats() (connected bool, sent, replaced uint64)
}

const (
	headerTime   = 10 * time.Second // that a request's header may take to arrive
	requestTime  = time.Minute      // for a photo, from the first byte of its body to the answer
	answerTime   = 10 * time.Second
	shutdownTime = 20 * time.Second // that requests under way may take to end
	maxHeader    = 1 << 14
	sendBuffer   = 1 << 18 // bytes that the system may hold for a client
	bodiesAtOnce = 4       // the largest bodies that are in memory at once, or as many more as are smaller
)

// Server answers requests. Close it when Serve has returned.
type Server struct {
	o       Options
	token   [sha256.Size]byte
	desk    *desk
	hub     *hub
	metrics *metrics
	outputs []tensorInfo // of the model
	handler http.Handler
	closing chan struct{} // closed when no further part of a stream is to be sent
	once    sync.Once
}

// New opens the sessions and starts the sources.
func New(o Options) (*Server, error) {
	if o.patience == 0 {
		o.patience = answerTime
	}
	s := &Server{o: o, token: sha256.Sum256([]byte(o.Token)), closing: make(chan struct{})}
	var err error
	if s.outputs, err = outputsOf(o.Model); err != nil {
		return nil, err
	}
	if s.desk, err = newDesk(o.Model, o.Sessions, o.Queue, bodiesAtOnce*o.MaxBody,
		rfgaedge.Threads(o.Threads), rfgaedge.Resizing(rfgaedge.Exact)); err != nil {
		return nil, err
	}
	if s.hub, err = newHub(&s.o); err != nil {
		s.desk.close()
		return nil, err
	}
	s.metrics = newMetrics()
	s.handler = s.routes()
	return s, nil
}

// Close ends the sources and the sessions.
func (s *Server) Close() {
	s.stop()
	s.hub.close()
	s.desk.close()
}

// stop ends streams; other requests go on.
func (s *Server) stop() { s.once.Do(func() { close(s.closing) }) }

// Serve answers on l until ctx is done, and then finishes the requests under way.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: headerTime, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader,
		ConnContext: narrow, ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.stop()
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		return errors.Join(fmt.Errorf("requests under way did not end within %v", shutdownTime), server.Close())
	}
	return nil
}

// narrow bounds what is under way to a client: the system would else hold megabytes of frames for one that is slow, and it would see
// old ones.
func narrow(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*net.TCPConn); ok {
		c.SetWriteBuffer(sendBuffer)
	}
	return ctx
}

// Handler answers requests; Serve uses it.
func (s *Server) Handler() http.Handler { return s.handler }

// access says who may make a request.
type access int

const (
	token access = iota // who has the token
	form                // the same; it may be in the request's form
	open                // everybody
)

// route is what the server answers to.
type route struct {
	method, path string
	access       access
	handle       func(http.ResponseWriter, *http.Request) error
}

func (s *Server) routes() http.Handler {
	list := []route{
		{"POST", "/v1/localize", token, s.localize},
		{"POST", "/v1/vision/detection", form, s.detection},
		{"GET", "/v1/model", token, s.model},
		{"GET", "/v1/labels", token, s.labels},
		{"GET", "/v1/sources", token, s.sources},
		{"GET", "/v1/sources/{name}/latest.json", token, s.latestJSON},
		{"GET", "/v1/sources/{name}/latest.jpg", token, s.latestJPEG},
		{"GET", "/v1/sources/{name}/events", token, s.events},
		{"GET", "/v1/sources/{name}/mjpeg", token, s.mjpeg},
		{"GET", "/v2", token, s.inferenceServer},
		{"GET", "/v2/health/live", open, s.live},
		{"GET", "/v2/health/ready", open, s.ready},
		{"GET", "/v2/models/{model}", token, s.modelMetadata},
		{"GET", "/v2/models/{model}/ready", token, s.modelReady},
		{"GET", "/v2/models/{model}/versions/{version}", token, s.modelMetadata},
		{"GET", "/v2/models/{model}/versions/{version}/ready", token, s.modelReady},
		{"POST", "/v2/models/{model}/infer", token, s.infer},
		{"POST", "/v2/models/{model}/versions/{version}/infer", token, s.infer},
		{"GET", "/metrics", token, s.writeMetrics},
		{"GET", "/{$}", open, pageFile("index.html", "text/html; charset=utf-8")},
		{"GET", "/page.css", open, pageFile("page.css", "text/css; charset=utf-8")},
		{"GET", "/page.js", open, pageFile("page.js", "text/javascript; charset=utf-8")},
		{"GET", "/icon.svg", open, pageFile("icon.svg", "image/svg+xml")},
	}
	mux := http.NewServeMux()
	for _, r := range list {
		mux.Handle(r.method+" "+r.path, s.guard(r))
		allowed := r.method
		if allowed == "GET" {
			allowed = "GET, HEAD"
		}
		mux.Handle(r.path, s.guard(route{path: r.path, access: open, handle: func(_ http.ResponseWriter, q *http.Request) error {
			e := fail(http.StatusMethodNotAllowed, "%s does not take %.20q; use %s", q.URL.Path, q.Method, allowed)
			e.header = http.Header{"Allow": {allowed}}
			return e
		}}))
	}
	mux.Handle("/", s.guard(route{path: "other", access: open, handle: func(_ http.ResponseWriter, q *http.Request) error {
		return fail(http.StatusNotFound, "there is no %.100q here; the page is at /, photos go to /v1/localize, sources are listed at /v1/sources", q.URL.Path)
	}}))
	return mux
}

// policy lets the page load what this server has, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard is what all requests have in common: headers, the question who asks, errors as JSON, and counting.
func (s *Server) guard(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		begin := time.Now()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		counted := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		err := s.admit(r.access, q)
		if err == nil {
			err = s.call(r, counted, q)
		}
		if err != nil {
			s.refuse(counted, r, err)
		}
		s.metrics.request(r.path, counted.status, time.Since(begin))
	})
}

// call turns a panic into an error: other people's decoders run here.
func (s *Server) call(r route, w http.ResponseWriter, q *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Log.Error("a request failed; this is a bug, please report it", "path", r.path, "panic", p, "stack", string(debug.Stack()))
			err = errors.New("internal error; the server's log says more")
		}
	}()
	return r.handle(w, q)
}

func (s *Server) refuse(w *statusWriter, r route, err error) {
	e := classify(err)
	if e.status == http.StatusInternalServerError {
		s.o.Log.Error("a request failed", "path", r.path, "error", err)
	}
	if w.begun { // half an answer cannot be taken back
		return
	}
	body := errorJSON(err)
	if e != err {
		body = errorJSON(e)
	}
	if r.path == detectionPath {
		body = detectionError(e)
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.o.patience))
	writeError(w, e, body)
}

// admit asks who sends a request.
func (s *Server) admit(a access, r *http.Request) error {
	if s.o.Token == "" {
		return fromHere(r)
	}
	if a == token {
		return s.permit(r, "")
	}
	return nil
}

// fromHere refuses requests that a browser makes for a page of somebody else's: such a page could give its own name this
// machine's address, and then read what cameras see.
func fromHere(r *http.Request) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fail(http.StatusForbidden, "without --token this server is for its own machine: call it localhost or 127.0.0.1, not %.80q", r.Host)
	}
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		return fail(http.StatusForbidden, "%w: pages of other servers may not use this one", err)
	}
	return nil
}

// permit compares the token that a request carries, in its header (alone, or as the password of any user) or its form.
func (s *Server) permit(r *http.Request, key string) error {
	if s.o.Token == "" {
		return nil
	}
	given := key
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		given = bearer
	} else if _, password, ok := r.BasicAuth(); ok {
		given = password
	}
	sum := sha256.Sum256([]byte(given)) // so that the time tells nothing of the length either
	if subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1 {
		return nil
	}
	e := fail(http.StatusUnauthorized, "this server wants its --token: send the header 'Authorization: Bearer TOKEN', or the token as the password of basic authentication")
	e.header = http.Header{"WWW-Authenticate": {`Bearer realm="rfga-edge"`, `Basic realm="rfga-edge", charset="UTF-8"`}}
	return e
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.begun {
		w.status, w.begun = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// writeJSON sends an answer.
func (s *Server) writeJSON(w http.ResponseWriter, body []byte) error {
	return s.write(w, "application/json", body)
}

func (s *Server) write(w http.ResponseWriter, kind string, body []byte) error {
	w.Header().Set("Content-Type", kind)
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.o.patience))
	w.Write(body) // a client that does not read has itself to blame
	return nil
}
