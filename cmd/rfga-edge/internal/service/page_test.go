package service

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/stream"
)

func TestPageFiles(t *testing.T) {
	_, h := serve(t, nil)
	for path, kind := range map[string]string{"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript", "/icon.svg": "image/svg+xml"} {
		status, header, text := call(t, http.MethodGet, h.URL+path, "", nil)
		if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), kind) || len(text) < 100 {
			t.Errorf("%s: %d %v", path, status, header)
		}
		if p := header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: policy %q", path, p)
		}
		// Nothing comes from elsewhere, and nothing in the markup that the policy forbids.
		for _, bad := range []string{"http://", "https://", " style=", "onclick="} {
			if path != "/icon.svg" && strings.Contains(text, bad) {
				t.Errorf("%s has %q", path, bad)
			}
		}
	}
}

// TestPage gives the token to the page, chooses a photo, moves the slider by keyboard, asks for another class, and watches a source.
func TestPage(t *testing.T) {
	c := chromium(t)
	door := &fake{packets: make(chan *stream.Packet)}
	s, h := serve(t, func(o *Options) {
		o.Token = "open sesame"
		o.Sources = []Source{door.opened("door")}
		o.Line = func(dst []byte, name string, a *rfgaedge.Answer, record *rfgaedge.Record) []byte {
			if a.Err != nil {
				return testLine(dst, name, a, nil)
			}
			o.Model.Fill(record, name, &a.Result, a.Decode)
			return record.AppendJSON(dst)
		}
	})
	photo := filepath.Join(t.TempDir(), "fox.png")
	if err := os.WriteFile(photo, pngOf(t, scene(red)), 0o666); err != nil {
		t.Fatal(err)
	}
	c.open(h.URL+"/", "document.querySelector('#ask')?.open")
	for _, word := range []string{"sesame", "open sesame"} {
		if list := c.nameless(); len(list) > 0 {
			t.Errorf("without a name in the dialog: %v", list)
		}
		c.value("document.querySelector('#token').focus()")
		c.call("Input.insertText", map[string]any{"text": word}, nil)
		c.key("Enter", 13)
		if word == "sesame" {
			c.wait("document.querySelector('#ask').open && !document.querySelector('#wrong').hidden")
		}
	}
	c.wait("document.body.dataset.ready")
	c.wrong = nil // Chromium logs the two answers 401

	c.choose("#file", photo)
	c.wait("document.querySelector('#said').textContent.startsWith('red fox, 8')")
	c.wait("document.querySelector('#wait').hidden")
	want := c.value(fmt.Sprintf(`fetch('/v1/localize', {method: 'POST', headers: {Authorization: 'Bearer open sesame'}, body: new Blob([new Uint8Array(%s)])})
		.then(r => r.json()).then(r => 'from ' + r.loc[0].box.slice(0, 2) + ' to ' + r.loc[0].box.slice(2) + ' of 160 by 120 pixels')`, strings.ReplaceAll(fmt.Sprint(pngOf(t, scene(red))), " ", ",")))
	if label := c.value("document.querySelector('#picture').ariaLabel"); !strings.Contains(label, "red fox, "+want) {
		t.Errorf("the picture is called %q, want %q", label, want)
	}
	pixel := func(x, y int) string {
		return c.value(fmt.Sprintf("String(document.querySelector('#picture').getContext('2d').getImageData(%d, %d, 1, 1).data)", x, y))
	}
	if n := c.value("document.querySelectorAll('#classes button').length"); n != "3" {
		t.Errorf("%s classes", n)
	}

	warm := pixel(60, 80)
	c.value("document.querySelector('#heat').focus()")
	for range 14 { // from 70 % to 0
		c.key("ArrowLeft", 37)
	}
	if text := c.value("document.querySelector('#heatvalue').value"); text != "0 %" {
		t.Errorf("the slider is at %s", text)
	}
	if bare := pixel(60, 80); bare != "230,10,10,255" || warm == bare {
		t.Errorf("the square is %s, with heat map %s", bare, warm)
	}

	c.value("document.querySelectorAll('#classes button')[2].focus()")
	c.key("Enter", 13)
	c.wait("document.querySelectorAll('#classes button')[2].ariaPressed === 'true' && document.querySelector('#wait').hidden")

	if list := c.nameless(); len(list) > 0 {
		t.Errorf("without a name: %v", list)
	}
	c.value("[...document.querySelectorAll('#inputs button')].find(b => b.textContent === 'door').click()")
	f := s.hub.find("door")
	until(func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.watchers == 1
	})
	door.packets <- packet(scene(blue))
	c.wait("document.querySelector('#said').textContent.startsWith('blue jay, 8')")
	c.wait("document.querySelector('#timesaid').textContent.includes(' ms for the last answer')")
	door.packets <- &stream.Packet{Err: fmt.Errorf("cut short")}
	c.wait("document.querySelector('#problem').textContent === 'cut short'")
	door.packets <- packet(scene(red)) // said is spared to listeners for two seconds; the picture's name is not
	c.wait("document.querySelector('#picture').ariaLabel.includes('red fox') && document.querySelector('#problem').hidden")
	if len(c.wrong) > 0 {
		t.Errorf("the page has complained: %s", c.wrong)
	}
}
