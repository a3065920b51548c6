package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"image"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// TestServe answers a photo as localize does, shows a FIFO's frames, and ends when it is told to.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	img := photo(t, filepath.Join(dir, "a.png"), image.Rect(20, 20, 60, 60), red)
	out, _ := expect(t, exitOK, "localize", "--json", "--model", model, "--topk", "2", img)
	var want rfgaedge.Record
	decode(t, out, &want)

	url, stop := background(t, "serve", "--listen", "127.0.0.1:0", "--model", model, "--source", "clip="+img+"#format=rgb24#size=16x16")
	data, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(url+"v1/localize?topk=2", "image/png", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var got rfgaedge.Record
	err = json.NewDecoder(r.Body).Decode(&got)
	r.Body.Close()
	got.Src, got.Micros = want.Src, want.Micros
	if a, b := string(got.AppendJSON(nil)), string(want.AppendJSON(nil)); err != nil || a != b {
		t.Errorf("%v\nserve    %s\nlocalize %s", err, a, b)
	}
	if r, err = http.Get(url + "v1/sources/clip/events"); err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var l streamLine
	for s := bufio.NewScanner(r.Body); s.Scan(); {
		if data, ok := strings.CutPrefix(s.Text(), `data: {"v":1`); ok {
			decode(t, `{"v":1`+data, &l)
			break
		}
	}
	if l.Src != "clip" || l.TS == "" {
		t.Errorf("event %+v", l)
	}
	if code, text := stop(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

// background runs the command until stop, and returns the address that it prints. It ends as by SIGTERM.
func background(t *testing.T, args ...string) (url string, stop func() (code int, stderr string)) {
	t.Helper()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- Main(args, strings.NewReader(""), io.Discard, w)
		w.Close()
	}()
	var said bytes.Buffer
	for lines := bufio.NewReader(r); url == ""; {
		line, err := lines.ReadString('\n')
		said.WriteString(line)
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, said.String())
		}
		_, url, _ = strings.Cut(strings.TrimSpace(line), " at ")
	}
	read := make(chan struct{})
	go func() {
		io.Copy(&said, r)
		close(read)
	}()
	return url, func() (int, string) {
		if err := terminate(); err != nil {
			t.Fatal(err)
		}
		code := <-ended
		<-read
		return code, said.String()
	}
}

func TestServeRefuses(t *testing.T) {
	dir := t.TempDir()
	model := colours(t, dir)
	for _, line := range []string{
		"--listen 0.0.0.0:0", "--listen :0", "--listen 192.0.2.1:80", "--listen [::]:0", "--listen example.com:80",
		"--sessions -1", "--sessions 1000", "--queue -1", "--max-body 0", "--max-pixels 0", "--max-pixels NaN", "--threads 0", "--topk 0", "--class cat",
		"--source door", "--source door=", "--source =x", "--source a/b=x", "--source ..=x", "--source door=x --source door=y", "--source door=x#fps=5",
		"--source door=x#every=0", "--source door=x#every=x", "--source door=x#fps-max=-1", "--source door=x#format=nv12", "--source door=x#size=1", "--source door=x#roi=1",
		"--mqtt mqtt://h", "--mqtt http://h --source a=x", "--mqtt mqtt:// --source a=x", "--mqtt mqtt://u:p@h --source a=x", "--mqtt mqtt://h --mqtt-topic a/# --source a=x",
		"--mqtt mqtt://h --mqtt-name a/b --source a=x", "--mqtt mqtt://h --mqtt-interval -1 --source a=x", "--mqtt mqtt://h --mqtt-discovery + --source a=x", "--mqtt %zz --source a=x",
		"--source door=x#range=some", "--source door=x#matrix=some", "--source door=x#format=jpeg2000",
	} {
		expect(t, exitUsage, append([]string{"serve", "-m", model}, strings.Fields(line)...)...)
	}
	expect(t, exitIO, "serve", "-m", model, "--listen", "127.0.0.1:nothing")
	expect(t, exitIO, "serve", "-m", filepath.Join(dir, "none"))
}
