package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/overlay"
	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// colours is a model that finds red, green and blue things in images of 64x48.
func colours(t testing.TB) *rfgaedge.Model {
	t.Helper()
	half := [3]float32{0.5, 0.5, 0.5}
	b := build.New("colours", "test", 64, 48, half, half)
	w := []float32{1, -1, -1, -1, 1, -1, -1, -1, 1}
	x := b.Conv("differences", b.Input(), w, [4]int{3, 3, 1, 1}, []float32{-1, -1, -1}, build.Win{}, 1, build.ActReLU)
	x = b.AvgPool("blocks", x, build.PoolWin{Kernel: [2]int{4, 4}}, false)
	b.Localizer("classes", x, []float32{9, 0, 0, 0, 9, 0, 0, 0, 9}, nil)
	m, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m.Labels = []string{"red fox, Vulpes vulpes", "green snake", "blue jay"}
	m.Loc = format.Localization{Norm: format.HeatMinMax, Threshold: 0.4}
	path := filepath.Join(t.TempDir(), "colours.rfga")
	if err := format.WriteFile(path, m); err != nil {
		t.Fatal(err)
	}
	model, err := rfgaedge.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	return model
}

// testLine stands for the command's, which another package has.
func testLine(dst []byte, name string, a *rfgaedge.Answer, _ *rfgaedge.Record) []byte {
	if a.Err != nil {
		return fmt.Appendf(dst, `{"src":%q,"error":%q,"seq":%d}`, name, a.Err, a.Seq)
	}
	return fmt.Appendf(dst, `{"src":%q,"label":%q,"seq":%d}`, name, a.Result.Classes[0].Label, a.Seq)
}

// serve starts a server of the colours model; change may change its options.
func serve(t testing.TB, change func(*Options)) (*Server, *httptest.Server) {
	t.Helper()
	o := Options{Model: colours(t), Look: rfgaedge.LocalizeOptions{TopK: 1}, Watch: rfgaedge.LocalizeOptions{TopK: 3}, Version: "1.2.3", Sessions: 2, Threads: 1, Queue: 64,
		MaxBody: 1 << 20, Limits: frame.Limits{Pixels: 1 << 22}, Line: testLine,
		Marks: func(*rfgaedge.Result) []overlay.Mark { return nil }, Log: slog.New(slog.DiscardHandler), patience: time.Hour}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		s.stop()
		h.Close()
		s.Close()
	})
	return s, h
}

var (
	red  = color.RGBA{230, 10, 10, 255}
	blue = color.RGBA{10, 10, 230, 255}
)

// scene is gray with a square of a colour.
func scene(c color.Color) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 160, 120))
	for y := range 120 {
		for x := range 160 {
			if img.Set(x, y, color.Gray{128}); image.Pt(x, y).In(image.Rect(30, 40, 80, 100)) {
				img.Set(x, y, c)
			}
		}
	}
	return img
}

func pngOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// until waits for what another goroutine or the kernel is about to do.
func until(done func() bool) {
	for !done() {
		time.Sleep(time.Millisecond)
	}
}

// formOf is a form: fields in turn name and value, then the photo if there is one.
func formOf(t testing.TB, photo []byte, fields ...string) (body []byte, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		w.WriteField(fields[i], fields[i+1])
	}
	if photo != nil {
		part, err := w.CreateFormFile("image", "garden.png")
		if err != nil {
			t.Fatal(err)
		}
		part.Write(photo)
	}
	w.Close()
	return b.Bytes(), w.FormDataContentType()
}

// call makes a request and returns status, header and body.
func call(t testing.TB, method, url, kind string, body []byte, header ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

func decode(t testing.TB, text string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// heatRecord is an answer with a heat map.
type heatRecord struct {
	rfgaedge.Record
	Heat *struct {
		Class, W, H int
		Region      [4]int
		PNG, F32    []byte
	}
}

func TestLocalize(t *testing.T) {
	s, h := serve(t, nil)
	photo := pngOf(t, scene(red))
	// What a session says of the same pixels.
	session, err := s.o.Model.NewSession(rfgaedge.Resizing(rfgaedge.Exact), rfgaedge.Localizing(rfgaedge.LocalizeOptions{TopK: 3, Heat: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	img, err := frame.DecodeImage(bytes.NewReader(photo), frame.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	var want rfgaedge.Result
	if err := session.Localize(t.Context(), &rfgaedge.Frame{Format: rfgaedge.RGB24, Width: img.W, Height: img.H, Planes: [3][]byte{img.Pix}}, &want); err != nil {
		t.Fatal(err)
	}
	form, formKind := formOf(t, photo)
	for _, test := range []struct {
		kind, query, src string
		body             []byte
		classes, boxes   int
	}{
		{"", "", "-", photo, 1, 1},
		{"application/x-www-form-urlencoded", "?topk=3", "-", photo, 3, 1},
		{"image/png", "?topk=3&locate=1&heatmap=png", "-", photo, 3, 1},
		{formKind, "?heatmap=f32", "garden.png", form, 1, 1},
		{"application/octet-stream", "?class=0&class=red+fox&threshold=0.3&multi=1", "-", photo, 1, 1},
	} {
		status, header, text := call(t, "POST", h.URL+"/v1/localize"+test.query, test.kind, test.body)
		if status != 200 || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", test.query, status, text)
			continue
		}
		var got heatRecord
		decode(t, text, &got)
		best, box := want.Classes[0], want.Locations[0].Box
		if got.V != 1 || got.Src != test.src || got.W != 160 || got.H != 120 || len(got.Classes) != test.classes || got.Classes[0] != rfgaedge.RecordClass(best) {
			t.Errorf("%s: %s", test.query, text)
		}
		if len(got.Locations) < test.boxes || !strings.Contains(test.query, "threshold") && got.Locations[0].Box != [4]int{box.X0, box.Y0, box.X1, box.Y1} {
			t.Errorf("%s: boxes %v, want %v", test.query, got.Locations, box)
		}
		if strings.Contains(test.query, "locate=1") && len(got.Locations) != 1 {
			t.Errorf("%s: %d boxes", test.query, len(got.Locations))
		}
		if strings.Contains(test.query, "heatmap") != (got.Heat != nil) {
			t.Errorf("%s: heat is %v", test.query, got.Heat)
		}
		checkHeat(t, &got, &want.Heat)
	}
}

// checkHeat compares a heat map in an answer with the one it should be.
func checkHeat(t *testing.T, got *heatRecord, want *rfgaedge.Heat) {
	t.Helper()
	if got.Heat == nil {
		return
	}
	if r := want.Region; got.Heat.Class != want.Class || got.Heat.W != 64 || got.Heat.H != 48 || got.Heat.Region != [4]int{r.X0, r.Y0, r.X1, r.Y1} {
		t.Errorf("heat of class %d, %dx%d, %v", got.Heat.Class, got.Heat.W, got.Heat.H, got.Heat.Region)
	}
	if got.Heat.PNG != nil {
		img, err := png.Decode(bytes.NewReader(got.Heat.PNG))
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range want.Pix {
			if gray := img.At(i%64, i/64).(color.Gray); gray.Y != uint8(255*v) {
				t.Fatalf("heat at %d is %d, want %g", i, gray.Y, v)
			}
		}
		return
	}
	if !bytes.Equal(got.Heat.F32, heatFloats(want)) || len(got.Heat.F32) != 4*64*48 {
		t.Errorf("heat of %d bytes", len(got.Heat.F32))
	}
}

// TestDetection sends what Frigate's detector sends, and reads of the answer what it reads.
func TestDetection(t *testing.T) {
	_, h := serve(t, func(o *Options) { o.Token = "open sesame" })
	body, kind := formOf(t, jpegOf(t, scene(blue)), "api_key", "open sesame", "min_confidence", "0.3")
	status, _, text := call(t, "POST", h.URL+"/v1/vision/detection", kind, body)
	var got struct {
		Success                bool
		Code, Count            int
		ProcessMs, InferenceMs int
		Duration               float64
		Predictions            []struct {
			Label                      string
			Confidence                 float64
			X_min, Y_min, X_max, Y_max int
		}
	}
	decode(t, text, &got)
	if status != 200 || !got.Success || got.Count != 1 || len(got.Predictions) != 1 {
		t.Fatalf("%d %s", status, text)
	}
	p := got.Predictions[0]
	if p.Label != "blue jay" || p.Confidence < 0.5 || p.X_min < 15 || p.X_min > 45 || p.X_max < 65 || p.X_max > 95 || p.Y_min < 25 || p.Y_max > 115 {
		t.Errorf("%+v", p)
	}
	body, kind = formOf(t, pngOf(t, scene(red)), "api_key", "open sesame")
	if _, _, text := call(t, "POST", h.URL+"/v1/vision/detection", kind, body); !strings.Contains(text, `"label":"red fox"`) {
		t.Errorf("the first of a label's names: %s", text)
	}
	if _, _, text := call(t, "GET", h.URL+"/v1/labels", "", nil, "Authorization", "Bearer open sesame"); text != "red fox\ngreen snake\nblue jay\n" {
		t.Errorf("labels %q", text)
	}
	for _, fields := range [][]string{{"api_key", "open"}, {}, {"api_key", "open sesame", "min_confidence", "NaN"}} {
		body, kind := formOf(t, pngOf(t, scene(red)), fields...)
		status, _, text := call(t, "POST", h.URL+"/v1/vision/detection", kind, body)
		if want := map[bool]int{true: 401, false: 400}[len(fields) < 4]; status != want || !strings.Contains(text, `"success":false,"error":"`) {
			t.Errorf("%v: %d %s", fields, status, text)
		}
	}
}

func TestManyClients(t *testing.T) {
	_, h := serve(t, nil)
	photos := [][]byte{pngOf(t, scene(red)), jpegOf(t, scene(blue))}
	labels := []string{"red fox, Vulpes vulpes", "blue jay"}
	var clients sync.WaitGroup
	for i := range 64 {
		clients.Go(func() {
			for n := range 3 {
				r, err := http.Post(h.URL+"/v1/localize", "", bytes.NewReader(photos[(i+n)%2]))
				if err != nil {
					t.Error(err)
					return
				}
				var got rfgaedge.Record
				err = json.NewDecoder(r.Body).Decode(&got)
				r.Body.Close()
				if err != nil || r.StatusCode != 200 || got.Classes[0].Label != labels[(i+n)%2] {
					t.Errorf("client %d: %v %d %+v", i, err, r.StatusCode, got)
				}
			}
		})
	}
	clients.Wait()
}

func TestBusy(t *testing.T) {
	s, h := serve(t, func(o *Options) { o.Sessions, o.Queue = 1, 1 })
	held := <-s.desk.sessions // as if a photo took long
	photo := pngOf(t, scene(red))
	answers := make(chan int, 2)
	for range 2 {
		go func() {
			r, err := http.Post(h.URL+"/v1/localize", "", bytes.NewReader(photo))
			if err != nil {
				answers <- 0
				return
			}
			r.Body.Close()
			answers <- r.StatusCode
		}()
	}
	until(func() bool { return s.desk.inside() == 2 || len(answers) > 0 })
	if len(answers) > 0 {
		t.Fatalf("answer %d while there is no session", <-answers)
	}
	status, header, text := call(t, "POST", h.URL+"/v1/localize", "", photo)
	if status != 429 || header.Get("Retry-After") == "" || !strings.Contains(text, "Retry-After") {
		t.Errorf("%d %v %s", status, header, text)
	}
	s.desk.sessions <- held
	for range 2 {
		if status := <-answers; status != 200 {
			t.Errorf("a request that waited: %d", status)
		}
	}
	if status, _, _ := call(t, "POST", h.URL+"/v1/localize", "", photo); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}

func TestShutdown(t *testing.T) {
	s, _ := serve(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	l := listen(t)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	url := "http://" + l.Addr().String()
	one, two := <-s.desk.sessions, <-s.desk.sessions
	answer := make(chan int, 1)
	photo := pngOf(t, scene(red))
	go func() {
		r, err := http.Post(url+"/v1/localize", "", bytes.NewReader(photo))
		if err != nil {
			t.Error(err)
			answer <- 0
			return
		}
		r.Body.Close()
		answer <- r.StatusCode
	}()
	until(func() bool { return s.desk.inside() == 1 })
	if status, _, _ := call(t, "GET", url+"/v2/health/ready", "", nil); status != 200 {
		t.Errorf("ready: %d", status)
	}
	stop()
	<-s.closing
	select {
	case err := <-ended:
		t.Fatalf("ended with a request under way: %v", err)
	default:
	}
	s.desk.sessions <- one
	s.desk.sessions <- two
	if status := <-answer; status != 200 {
		t.Errorf("the request under way: %d", status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
