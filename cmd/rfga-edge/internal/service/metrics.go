package service

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	runtimemetrics "runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// metrics counts requests and how long things take. Labels are routes, statuses, and names from the command line, so their
// number is bounded.
type metrics struct {
	mu       sync.Mutex
	requests map[requestKey]uint64
	latency  map[string]*histogram // by route
	stages   map[string]*histogram // of photos
}

type requestKey struct {
	path   string
	status int
}

// edges are the upper bounds of a histogram's buckets in seconds.
var edges = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

type histogram struct {
	buckets [len(edges)]uint64 // not yet summed
	count   uint64
	sum     float64
}

func (h *histogram) add(d time.Duration) {
	v := d.Seconds()
	if i := slices.IndexFunc(edges[:], func(edge float64) bool { return v <= edge }); i >= 0 {
		h.buckets[i]++
	}
	h.count++
	h.sum += v
}

func newMetrics() *metrics {
	return &metrics{requests: map[requestKey]uint64{}, latency: map[string]*histogram{}, stages: map[string]*histogram{}}
}

// request counts an answered request. Streams last as long as their clients want, so only their number is counted.
func (m *metrics) request(path string, status int, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[requestKey{path, status}]++
	if path != eventsPath && path != mjpegPath {
		of(m.latency, path).add(d)
	}
}

// looked counts the steps of a photo.
func (m *metrics) looked(t *rfgaedge.Timings, decode time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	of(m.stages, "decode").add(decode)
	of(m.stages, "preprocess").add(t.Preprocess)
	of(m.stages, "infer").add(t.Infer)
	of(m.stages, "locate").add(t.Locate)
}

func of(m map[string]*histogram, key string) *histogram {
	h := m[key]
	if h == nil {
		h = new(histogram)
		m[key] = h
	}
	return h
}

// writeMetrics answers in the text format of Prometheus.
func (s *Server) writeMetrics(w http.ResponseWriter, r *http.Request) error {
	var b exposition
	m := s.metrics
	m.mu.Lock()
	b.family("rfga_http_requests_total", "counter", "Requests answered.")
	for _, k := range slices.SortedFunc(maps.Keys(m.requests), func(a, b requestKey) int {
		if c := strings.Compare(a.path, b.path); c != 0 {
			return c
		}
		return a.status - b.status
	}) {
		b.sample("rfga_http_requests_total", float64(m.requests[k]), "route", k.path, "code", strconv.Itoa(k.status))
	}
	b.histograms("rfga_http_request_seconds", "Time from a request's header to its answer; streams are not in it.", "route", m.latency)
	b.histograms("rfga_photo_step_seconds", "Time that a step of looking at a photo took.", "step", m.stages)
	m.mu.Unlock()

	b.one("rfga_queue_requests", "gauge", "Requests that are worked on or wait.", float64(s.desk.inside()))
	b.one("rfga_queue_capacity", "gauge", "Requests that may be worked on or wait; further ones are answered with 429.", float64(cap(s.desk.places)))
	b.one("rfga_sessions", "gauge", "Photos that can be looked at, at once.", float64(s.desk.count))
	b.family("rfga_model_info", "gauge", "The model.")
	b.sample("rfga_model_info", 1, "name", s.o.Model.Name(), "digest", s.o.Model.Digest(), "precision", s.o.Model.Precision(), "version", s.o.Version)
	s.hub.writeMetrics(&b)
	b.process()
	return s.write(w, "text/plain; version=0.0.4; charset=utf-8", b.Bytes())
}

// exposition writes the text format.
type exposition struct{ bytes.Buffer }

func (b *exposition) family(name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample writes a value; labels are names and values in turn.
func (b *exposition) sample(name string, value float64, labels ...string) {
	b.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		fmt.Fprintf(b, `%c%s="%s"`, "{,"[min(i, 1)], labels[i], escapeLabel.Replace(labels[i+1]))
	}
	if len(labels) > 0 {
		b.WriteByte('}')
	}
	b.WriteByte(' ')
	b.WriteString(strconv.FormatFloat(value, 'g', -1, 64))
	b.WriteByte('\n')
}

func (b *exposition) one(name, kind, help string, value float64) {
	b.family(name, kind, help)
	b.sample(name, value)
}

func (b *exposition) histograms(name, help, label string, list map[string]*histogram) {
	b.family(name, "histogram", help)
	for _, key := range slices.Sorted(maps.Keys(list)) {
		h := list[key]
		var below uint64
		for i, edge := range edges {
			below += h.buckets[i]
			b.sample(name+"_bucket", float64(below), label, key, "le", strconv.FormatFloat(edge, 'g', -1, 64))
		}
		b.sample(name+"_bucket", float64(h.count), label, key, "le", "+Inf")
		b.sample(name+"_sum", h.sum, label, key)
		b.sample(name+"_count", float64(h.count), label, key)
	}
}

// process adds what Go and the system say of this process.
func (b *exposition) process() {
	samples := []runtimemetrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/sched/goroutines:goroutines"}, {Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/allocs:bytes"}}
	runtimemetrics.Read(samples)
	value := func(i int) float64 { return float64(samples[i].Value.Uint64()) }
	b.one("go_memstats_heap_alloc_bytes", "gauge", "Bytes of heap objects, those not yet collected included.", value(0))
	b.one("go_memstats_sys_bytes", "gauge", "Bytes of memory from the system.", value(1))
	b.one("go_goroutines", "gauge", "Goroutines that exist.", value(2))
	b.one("go_gc_cycles_total", "counter", "Garbage collections.", value(3))
	b.one("go_memstats_alloc_bytes_total", "counter", "Bytes that were ever allocated on the heap.", value(4))
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := strings.Fields(string(text)); len(f) > 1 {
			if pages, err := strconv.ParseFloat(f[1], 64); err == nil {
				b.one("process_resident_memory_bytes", "gauge", "Resident memory.", pages*float64(os.Getpagesize()))
			}
		}
	}
}
