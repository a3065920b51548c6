package main

import (
	"bytes"
	"image"
	"os/exec"
	"strings"
	"testing"
)

// pipe lets a program write video into stream, frames of 160x120 with a red box, and checks what is said of them: every frame is answered
// or counted as dropped, the box is found where it is.
func pipe(t *testing.T, model string, frames uint64, program []string, args ...string) {
	t.Helper()
	source := exec.CommandContext(t.Context(), program[0], program[1:]...)
	var said bytes.Buffer
	source.Stderr = &said
	out, err := source.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Start(); err != nil {
		t.Fatal(err)
	}
	code, lines, complaint := command(out, append([]string{"stream", "--model", model}, args...)...)
	if err := source.Wait(); err != nil || code != exitOK {
		t.Errorf("%s\n| rfga-edge stream %s: exit code %d\n%s\n%v\n%s", strings.Join(program, " "), strings.Join(args, " "), code, complaint, err, &said)
		return
	}
	box := image.Rect(30, 40, 80, 100)
	var counted uint64
	for s := range strings.Lines(lines) {
		var l streamLine
		decode(t, s, &l)
		if counted += 1 + l.Dropped; l.Error != "" || l.W != 160 || l.H != 120 || len(l.Locations) != 1 || l.Locations[0].ID != 0 {
			t.Errorf("%s: %s", strings.Join(args, " "), s)
			return
		}
		for i, v := range []int{box.Min.X, box.Min.Y, box.Max.X, box.Max.Y} {
			if d := l.Locations[0].Box[i] - v; d < -8 || d > 8 {
				t.Errorf("%s: box %v, want %v", strings.Join(args, " "), l.Locations[0].Box, box)
				return
			}
		}
	}
	if counted != frames {
		t.Errorf("%s: %d frames, want %d", strings.Join(args, " "), counted, frames)
	}
}

// TestFFmpegPipes pipes every format from ffmpeg.
func TestFFmpegPipes(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skipf("ffmpeg is not here: %v", err)
	}
	model := colours(t, t.TempDir())
	from := func(args ...string) []string {
		return append([]string{ffmpeg, "-v", "error", "-f", "lavfi", "-i", "color=black:s=160x120,format=rgb24,drawbox=30:40:50:60:red:fill", "-frames:v", "3"}, args...)
	}
	for _, name := range []string{"rgb24", "bgr24", "rgba", "bgra", "rgb0", "bgr0", "yuv420p", "nv12", "nv21", "yuyv422", "uyvy422", "yuv422p", "yuv444p"} {
		pipe(t, model, 3, from("-pix_fmt", name, "-f", "rawvideo", "-"), "--format", name, "--size", "160x120")
	}
	pipe(t, model, 3, from("-vf", "scale=out_color_matrix=bt709:out_range=full", "-pix_fmt", "nv12", "-f", "rawvideo", "-"),
		"--format", "nv12", "--size", "160x120", "--matrix", "bt709", "--range", "full")
	for _, name := range []string{"yuv420p", "yuv422p", "yuv444p", "yuvj420p"} {
		pipe(t, model, 3, from("-pix_fmt", name, "-strict", "-1", "-f", "yuv4mpegpipe", "-"))
		jpeg := strings.Replace(strings.Replace(name, "yuvj", "yuv", 1), "yuv", "yuvj", 1)
		pipe(t, model, 3, from("-pix_fmt", jpeg, "-c:v", "mjpeg", "-q:v", "2", "-f", "mjpeg", "-"))
		pipe(t, model, 3, from("-pix_fmt", jpeg, "-c:v", "mjpeg", "-q:v", "2", "-f", "mpjpeg", "-"))
	}
	gray := exec.CommandContext(t.Context(), ffmpeg, "-v", "error", "-f", "lavfi", "-i", "color=gray:s=160x120", "-frames:v", "3", "-pix_fmt", "gray", "-f", "rawvideo", "-")
	video, err := gray.Output()
	if err != nil {
		t.Fatal(err)
	}
	if code, lines, _ := command(bytes.NewReader(video), "stream", "--model", model, "--format", "gray", "--size", "160x120"); code != exitOK || strings.Contains(lines, "error") {
		t.Errorf("gray: exit code %d, %s", code, lines) // and no colour to find
	}
}

// TestGStreamerPipes pipes every format from gst-launch-1.0.
func TestGStreamerPipes(t *testing.T) {
	launch, err := exec.LookPath("gst-launch-1.0")
	if err != nil {
		t.Skipf("GStreamer is not here (Debian: gstreamer1.0-tools, gstreamer1.0-plugins-base and -good): %v", err)
	}
	if out, err := exec.Command("gst-inspect-1.0", "videobox").CombinedOutput(); err != nil {
		t.Skipf("GStreamer lacks its good plugins (Debian: gstreamer1.0-plugins-good): %v\n%s", err, out)
	}
	model := colours(t, t.TempDir())
	from := func(rest string) []string {
		return append([]string{launch, "-q"}, strings.Fields("videotestsrc num-buffers=3 pattern=solid-color foreground-color=0xffff0000 ! video/x-raw,format=RGB,width=50,height=60"+
			" ! videobox fill=black left=-30 right=-80 top=-40 bottom=-20 ! videoconvert ! "+rest)...)
	}
	for _, name := range []string{"RGB", "BGR", "RGBA", "BGRA", "RGBx", "BGRx", "I420", "NV12", "NV21", "YUY2", "UYVY", "Y42B", "Y444"} {
		pipe(t, model, 3, from("video/x-raw,format="+name+" ! fdsink"), "--format", name, "--size", "160x120")
	}
	for _, encoder := range []string{"y4menc", "jpegenc", "jpegenc ! multipartmux"} {
		pipe(t, model, 3, from(encoder+" ! fdsink"))
	}
}
