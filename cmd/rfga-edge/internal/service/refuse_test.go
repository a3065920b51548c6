package service

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/frame"
)

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// pngHeader is a PNG of which there is only the size.
func pngHeader(w, h uint32) []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	b = binary.BigEndian.AppendUint32(b, 13)
	chunk := append([]byte("IHDR"), 0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0)
	binary.BigEndian.PutUint32(chunk[4:], w)
	binary.BigEndian.PutUint32(chunk[8:], h)
	b = append(b, chunk...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
	return append(b, 0, 0, 0, 0, 'I', 'D', 'A', 'T', 0x35, 0xaf, 0x06, 0x1e)
}

// jpegHeader makes a JPEG say that it has another size.
func jpegHeader(t *testing.T, w, h uint16) []byte {
	b := jpegOf(t, scene(red))
	i := bytes.Index(b, []byte{0xff, 0xc0})
	if i < 0 {
		t.Fatal("no frame header")
	}
	binary.BigEndian.PutUint16(b[i+5:], h)
	binary.BigEndian.PutUint16(b[i+7:], w)
	return b
}

func TestRefuses(t *testing.T) {
	_, h := serve(t, nil)
	photo := pngOf(t, scene(red))
	form, kind := formOf(t, photo)
	_, boundary, _ := strings.Cut(kind, "boundary=")
	noPhoto, noPhotoKind := formOf(t, nil, "a", "b")
	manyFields := []string{}
	for range 20 {
		manyFields = append(manyFields, "a", "b")
	}
	many, manyKind := formOf(t, photo, manyFields...)
	long, longKind := formOf(t, photo, "a", strings.Repeat("x", 5000))
	two := append(bytes.TrimSuffix(bytes.Clone(form), []byte("--\r\n")), form[len("--")+len(boundary):]...)
	const post, get = "POST", "GET"
	const localize = "/v1/localize"
	for name, test := range map[string]struct {
		method, path, kind string
		body               []byte
		status             int
		says               string
	}{
		"path":              {get, "/v1/nothing", "", nil, 404, "/v1/localize"},
		"source":            {get, "/v1/sources/door/latest.json", "", nil, 404, "--source"},
		"model":             {get, "/v2/models/x", "", nil, 404, "colours"},
		"version":           {get, "/v2/models/colours/versions/2", "", nil, 404, "version"},
		"method":            {get, localize, "", nil, 405, "POST"},
		"put":               {"PUT", "/v1/sources", "", nil, 405, "GET"},
		"page by post":      {post, "/", "", nil, 405, "GET"},
		"empty":             {post, localize, "", nil, 400, "image"},
		"unknown query":     {post, localize + "?top=3", "", photo, 400, "topk"},
		"topk":              {post, localize + "?topk=0", "", photo, 400, "topk"},
		"topk word":         {post, localize + "?topk=many", "", photo, 400, "topk"},
		"threshold":         {post, localize + "?threshold=1.5", "", photo, 400, "threshold"},
		"threshold NaN":     {post, localize + "?threshold=NaN", "", photo, 400, "threshold"},
		"multi":             {post, localize + "?multi=maybe", "", photo, 400, "multi"},
		"min-p":             {post, localize + "?min-p=-1", "", photo, 400, "min-p"},
		"class":             {post, localize + "?class=cat", "", photo, 400, "cat"},
		"heatmap":           {post, localize + "?heatmap=jpeg", "", photo, 400, "f32"},
		"query":             {post, localize + "?topk=%zz", "", photo, 400, "query"},
		"json":              {post, localize, "application/json", []byte("{}"), 415, "image/jpeg"},
		"type of nonsense":  {post, localize, ";;;", photo, 415, "image/jpeg"},
		"form, no boundary": {post, localize, "multipart/form-data", form, 415, "image"},
		"text":              {post, localize, "", []byte("hello, this is no picture at all"), 415, "JPEG"},
		"too large":         {post, localize, "", bytes.Repeat([]byte{0xff, 0xd8, 0xff}, 400000), 413, "--max-body"},
		"damaged":           {post, localize, "", append(bytes.Clone(photo[:60]), make([]byte, 100)...), 422, "png"},
		"truncated":         {post, localize, "", photo[:len(photo)/2], 422, "png"},
		"truncated jpeg":    {post, localize, "", jpegOf(t, scene(red))[:700], 422, "jpeg"},
		"wrong boundary":    {post, localize, "multipart/form-data; boundary=other", form, 400, "boundary"},
		"truncated form":    {post, localize, kind, form[:len(form)/2], 400, "form"},
		"form of nothing":   {post, localize, kind, []byte("nothing"), 400, "form"},
		"no photo":          {post, localize, noPhotoKind, noPhoto, 400, "image"},
		"many fields":       {post, localize, manyKind, many, 400, "16 fields"},
		"long field":        {post, localize, longKind, long, 400, "4096 bytes"},
		"two photos":        {post, localize, kind, two, 400, "one by one"},
		"infer":             {post, "/v2/models/colours/infer", "application/json", []byte(`{"inputs":`), 400, "Open Inference"},
		"infer, no input":   {post, "/v2/models/colours/infer", "application/json", []byte(`{}`), 400, "input"},
		"infer, objects":    {post, "/v2/models/colours/infer", "application/json", []byte(`{"inputs":[{"name":"input","data":[{}]}]}`), 400, "numbers"},
	} {
		status, header, text := call(t, test.method, h.URL+test.path, test.kind, test.body)
		var e struct {
			V     int
			Error string
		}
		if json.Unmarshal([]byte(text), &e) != nil {
			t.Errorf("%s: %s", name, text)
		}
		if status != test.status || e.V != 1 || !strings.Contains(e.Error, test.says) || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, want %d and %q", name, status, text, test.status, test.says)
		}
		if status == 405 && header.Get("Allow") == "" {
			t.Errorf("%s: no header Allow", name)
		}
	}
}

// TestBombs sends small files that say they are huge. None of them may be decoded.
func TestBombs(t *testing.T) {
	_, h := serve(t, func(o *Options) { o.Limits = frame.Limits{Pixels: 1 << 26} })
	gif := []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00\x2c\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02\x44\x01\x00\x3b")
	progressive := append([]byte{0xff, 0xd8, 0xff, 0xc2, 0, 17, 8, 0x20, 0, 0x20, 0, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0},
		bytes.Repeat([]byte{0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0}, 300)...)
	bmp := append([]byte("BM"), make([]byte, 52)...)
	binary.LittleEndian.PutUint32(bmp[10:], 54)
	binary.LittleEndian.PutUint32(bmp[14:], 40)
	binary.LittleEndian.PutUint32(bmp[18:], 60000)
	binary.LittleEndian.PutUint32(bmp[22:], 60000)
	binary.LittleEndian.PutUint16(bmp[26:], 1)
	binary.LittleEndian.PutUint16(bmp[28:], 24)
	webp := []byte("RIFF\x1e\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\xff\xff\x00VP8 \x00\x00\x00\x00")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, bomb := range map[string][]byte{
		"png": pngHeader(65535, 65535), "tall png": pngHeader(1, 1<<31-1), "jpeg": jpegHeader(t, 65535, 65535), "wide jpeg": jpegHeader(t, 65000, 1000),
		"gif": gif, "progressive": progressive, "bmp": bmp, "webp": webp,
	} {
		for _, path := range []string{"/v1/localize", detectionPath} {
			if status, _, text := call(t, "POST", h.URL+path, "", bomb); status != 422 {
				t.Errorf("%s: %d %s", name, status, text)
			}
		}
	}
	runtime.ReadMemStats(&after)
	// The smallest of them would take 195 MB.
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<20 {
		t.Errorf("%d bytes allocated", spent)
	}
}

func TestToken(t *testing.T) {
	_, h := serve(t, func(o *Options) { o.Token = "open sesame" })
	for name, test := range map[string]struct {
		path   string
		header []string
		status int
	}{
		"none":         {"/v1/sources", nil, 401},
		"wrong":        {"/v1/sources", []string{"Authorization", "Bearer open"}, 401},
		"empty":        {"/v1/sources", []string{"Authorization", "Bearer "}, 401},
		"bearer":       {"/v1/sources", []string{"Authorization", "Bearer open sesame"}, 200},
		"basic":        {"/v1/sources", []string{"Authorization", "Basic eDpvcGVuIHNlc2FtZQ=="}, 200}, // x:open sesame
		"basic, user":  {"/v1/sources", []string{"Authorization", "Basic b3BlbiBzZXNhbWU6eA=="}, 401}, // open sesame:x
		"metrics":      {"/metrics", nil, 401},
		"model":        {"/v2/models/colours", nil, 401},
		"live":         {"/v2/health/live", nil, 200},
		"page":         {"/", nil, 200},
		"another host": {"/v1/sources", []string{"Host", "camera.example", "Authorization", "Bearer open sesame"}, 200},
	} {
		status, header, text := call(t, "GET", h.URL+test.path, "", nil, test.header...)
		if status != test.status {
			t.Errorf("%s: %d %s", name, status, text)
		}
		if status == 401 && (len(header.Values("WWW-Authenticate")) != 2 || !strings.Contains(text, "Authorization: Bearer")) {
			t.Errorf("%s: %v %s", name, header, text)
		}
	}
}

// TestStrangers acts as pages of other servers in a browser on this machine.
func TestStrangers(t *testing.T) {
	_, h := serve(t, nil)
	for name, test := range map[string]struct {
		method string
		header []string
		status int
	}{
		"name with this address": {"GET", []string{"Host", "evil.example"}, 403},
		"other site":             {"POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"other origin":           {"POST", []string{"Origin", "https://evil.example"}, 403},
		"own page":               {"POST", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		"localhost":              {"POST", []string{"Host", "localhost:8080"}, 200},
		"IPv6":                   {"POST", []string{"Host", "[::1]:8080"}, 200},
	} {
		path := "/v1/localize"
		if test.method == "GET" {
			path = "/v1/sources"
		}
		if status, _, text := call(t, test.method, h.URL+path, "", pngOf(t, scene(red)), test.header...); status != test.status {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

// TestLyingLength sends less than it has announced and hangs up.
func TestLyingLength(t *testing.T) {
	s, h := serve(t, func(o *Options) { o.Sessions, o.Queue = 1, 0 })
	c, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("POST /v1/localize HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\nshort"))
	until(func() bool { return s.desk.inside() == 1 })
	c.Close()
	until(func() bool { return s.desk.inside() == 0 })
	if !s.desk.bytes.TryAcquire(bodiesAtOnce * s.o.MaxBody) {
		t.Error("the body's memory was not given back")
	}
	s.desk.bytes.Release(bodiesAtOnce * s.o.MaxBody)
}
