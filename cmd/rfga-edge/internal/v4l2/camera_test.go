package v4l2

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rfga-edge/rfga-edge/frame"
)

const streaming = capCapture | capStreaming

func opened(t *testing.T, f *fake, w Wish) *Camera {
	t.Helper()
	c, err := open(f, "/dev/video7", w)
	if err != nil {
		t.Fatal(err)
	}
	c.retry = 0
	t.Cleanup(func() {
		c.Close()
		if f.opened != 0 || f.mapped != 0 {
			t.Errorf("%d handles and %d buffers are still there", f.opened, f.mapped)
		}
	})
	return c
}

// read returns the next image, which has to be good, or bad for this reason.
func read(t *testing.T, c *Camera, reason string) *Image {
	t.Helper()
	var img Image
	if err := c.Read(&img); err != nil {
		t.Fatal(err)
	}
	if (img.Err == nil) != (reason == "") || img.Err != nil && !strings.Contains(img.Err.Error(), reason) {
		t.Fatalf("error %v, want %q", img.Err, reason)
	}
	if img.Time.IsZero() {
		t.Error("no time")
	}
	return &img
}

func TestNegotiation(t *testing.T) {
	vga, hd := [2]uint32{640, 480}, [2]uint32{1280, 720}
	usb := []fakeFormat{{"MJPG", [][2]uint32{vga, hd}}, {"H264", nil}, {"YUYV", [][2]uint32{vga, hd}}}
	for _, c := range []struct {
		formats []fakeFormat
		wish    Wish
		want    string
		w, h    uint32
	}{
		{usb, Wish{}, "YUYV", 640, 480},
		{usb, Wish{Width: 1280, Height: 720}, "MJPG", 1280, 720},
		{usb, Wish{Width: 1280, Height: 720, Format: "yuyv"}, "YUYV", 1280, 720},
		{usb, Wish{Format: "mjpeg"}, "MJPG", 640, 480},
		{usb, Wish{Format: "nv12"}, "YUYV", 640, 480}, // which it has not
		{[]fakeFormat{{"GREY", nil}, {"YU12", nil}}, Wish{Width: 320, Height: 200}, "YU12", 320, 200},
		{[]fakeFormat{{"YUYV", [][2]uint32{vga}}, {"NV12", [][2]uint32{hd}}}, Wish{}, "YUYV", 640, 480},
		{[]fakeFormat{{"YUYV", [][2]uint32{vga}}, {"NV12", [][2]uint32{hd}}}, Wish{Width: 1280, Height: 720, FPS: 15}, "NV12", 1280, 720},
	} {
		f := &fake{caps: streaming, formats: c.formats}
		opened(t, f, c.wish)
		if f.set.pixelFormat != code(c.want) || f.set.width != c.w || f.set.height != c.h || f.fps != uint32(c.wish.FPS) {
			t.Errorf("%+v: %+v at %d frames a second, want %s", c.wish, f.set, f.fps, c.want)
		}
	}
}

func TestFrames(t *testing.T) {
	// NV12 with gaps behind the rows.
	f := &fake{caps: streaming, formats: []fakeFormat{{"NV12", nil}}, pad: 4, color: quantizationFull, clock: time.Hour}
	luma := bytes.Repeat([]byte{1, 2, 3, 4, 9, 9, 9, 9}, 2)
	whole := append(luma, 5, 6, 7, 8, 9, 9, 9, 9)
	f.script = []event{{data: whole, age: time.Second}, {data: whole[:13]}, {data: whole, flags: flagError}, {}, {data: whole, age: time.Hour - 1}, {data: whole[:20]}}
	c := opened(t, f, Wish{Width: 4, Height: 2, Matrix: frame.BT709})
	img := read(t, c, "")
	fr := &img.Frame
	if fr.Format != frame.NV12 || fr.Width != 4 || fr.Height != 2 || fr.Strides != [3]int{8, 8} || fr.Range != frame.Full || fr.Matrix != frame.BT709 ||
		!bytes.Equal(fr.Planes[0][8:12], []byte{1, 2, 3, 4}) || !bytes.Equal(fr.Planes[1][:4], []byte{5, 6, 7, 8}) || fr.Check() != nil {
		t.Errorf("frame %+v", fr)
	}
	if age := time.Since(img.Time); age < time.Second || age > time.Minute {
		t.Errorf("the frame is %v old, want a second", age)
	}
	read(t, c, "take at least")
	read(t, c, "damaged")
	read(t, c, "empty")
	if img = read(t, c, ""); time.Since(img.Time) > time.Minute {
		t.Error("an impossible time is believed")
	}
	read(t, c, "") // the last row's gap may be missing
	if f.opens != 1 {
		t.Errorf("bad frames made it open the device %d times", f.opens)
	}
}

func TestJPEG(t *testing.T) {
	f := &fake{caps: streaming, formats: []fakeFormat{{"MJPG", nil}}, script: []event{{data: []byte("\xff\xd8...")}}}
	if img := read(t, opened(t, f, Wish{}), ""); string(img.Picture) != "\xff\xd8..." || img.Frame.Planes[0] != nil {
		t.Errorf("%+v", img)
	}
}

// A device that is pulled out, stalls, or fails comes back, with frames that are whole.
func TestUnplug(t *testing.T) {
	f := &fake{caps: streaming, formats: []fakeFormat{{"GREY", nil}}}
	data := []byte("0123456789ab")
	pull := event{err: syscall.ENODEV, skip: func() { f.away = 3 }}
	f.script = []event{{data: data}, pull, {data: data}, {err: syscall.EIO}, {data: data}, {err: syscall.EAGAIN}, {data: data}, {index: 7}, {data: data}}
	c := opened(t, f, Wish{Width: 4, Height: 3})
	first := read(t, c, "")
	read(t, c, "has been pulled out; waiting for /dev/video7")
	if string(first.Frame.Planes[0]) != string(data) {
		t.Errorf("the frame before is now %q", first.Frame.Planes[0])
	}
	if f.opened != 0 || f.mapped != 0 {
		t.Errorf("pulled out: %d handles and %d buffers are still there", f.opened, f.mapped)
	}
	read(t, c, "")
	if f.opens != 5 {
		t.Errorf("opened %d times, want 5", f.opens)
	}
	read(t, c, "input/output error")
	read(t, c, "")
	read(t, c, "")
	read(t, c, "buffer 7")
	read(t, c, "")
	f.script = []event{{nothing: true}}
	read(t, c, "no frame for 5s")
	f.script = []event{{data: data}}
	read(t, c, "")
}

// Close ends a Read that waits, for a frame or for a device.
func TestClose(t *testing.T) {
	for _, away := range []bool{false, true} {
		f := &fake{caps: streaming, formats: []fakeFormat{{"GREY", nil}}}
		c := opened(t, f, Wish{Width: 4, Height: 3})
		if away {
			f.away = 1 << 30
			f.script = []event{{err: syscall.ENODEV}}
			read(t, c, "pulled out")
		} else {
			f.script = []event{{err: syscall.EAGAIN, skip: func() { f.script = []event{{err: syscall.EAGAIN}, {err: syscall.EAGAIN}} }}}
		}
		ended := make(chan error)
		go func() {
			var img Image
			for {
				if err := c.Read(&img); err != nil {
					ended <- err
					return
				}
			}
		}()
		c.Close()
		if err := <-ended; err != io.EOF {
			t.Errorf("away %v: %v", away, err)
		}
	}
}

func TestRefusedDevices(t *testing.T) {
	gray := []fakeFormat{{"GREY", nil}}
	for _, c := range []struct {
		f    *fake
		want string
	}{
		{&fake{caps: capStreaming}, "captures no video"},
		{&fake{caps: capCapture, formats: gray}, "cannot stream"},
		{&fake{caps: capCaptureMplane | capStreaming, formats: gray}, "multi-planar"},
		{&fake{caps: streaming, formats: []fakeFormat{{"H264", nil}, {"RGGB", nil}}}, `the formats "H264", "RGGB"; none`},
		{&fake{caps: streaming, formats: gray, away: 1}, "no such file"},
	} {
		_, err := open(c.f, "/dev/video7", Wish{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
		if c.f.opened != 0 || c.f.mapped != 0 {
			t.Errorf("%s: left open", c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	want := "not a video device"
	if runtime.GOOS != "linux" {
		want = "on Linux only"
	}
	if _, err := Open(path, Wish{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a file: %v", err)
	}
	if IsDevice(path) || IsDevice("/dev/null") {
		t.Error("a file or /dev/null passes for a video device")
	}
}
