package v4l2

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// ours are the numbers of abi.go under the names of testdata/abi.c.
func ours() map[string]uint64 {
	var (
		c capability
		d formatDesc
		f format
		b buffer
		s frameSize
		p streamParm
	)
	m := map[string]uint64{
		"size_v4l2_capability": uint64(unsafe.Sizeof(c)), "size_v4l2_fmtdesc": uint64(unsafe.Sizeof(d)), "size_v4l2_pix_format": uint64(unsafe.Sizeof(f.pix)),
		"size_v4l2_format": uint64(unsafe.Sizeof(f)), "size_v4l2_requestbuffers": uint64(unsafe.Sizeof(requestBuffers{})),
		"size_v4l2_buffer": uint64(unsafe.Sizeof(b)), "size_v4l2_frmsizeenum": uint64(unsafe.Sizeof(s)), "size_v4l2_streamparm": uint64(unsafe.Sizeof(p)),
		"at_v4l2_capability_device_caps": uint64(unsafe.Offsetof(c.deviceCaps)), "at_v4l2_fmtdesc_pixelformat": uint64(unsafe.Offsetof(d.pixelFormat)),
		"at_v4l2_pix_format_quantization": uint64(unsafe.Offsetof(f.pix.quantization)), "at_v4l2_format_fmt": uint64(unsafe.Offsetof(f.pix)),
		"at_v4l2_buffer_field": uint64(unsafe.Offsetof(b.field)), "at_v4l2_buffer_timestamp": uint64(unsafe.Offsetof(b.timestamp)),
		"at_v4l2_buffer_timecode": uint64(unsafe.Offsetof(b.timecode)), "at_v4l2_buffer_sequence": uint64(unsafe.Offsetof(b.sequence)),
		"at_v4l2_buffer_m": uint64(unsafe.Offsetof(b.offset)), "at_v4l2_buffer_length": uint64(unsafe.Offsetof(b.length)),
		"at_v4l2_buffer_request_fd": uint64(unsafe.Offsetof(b.requestFD)), "at_v4l2_frmsizeenum_discrete": uint64(unsafe.Offsetof(s.minWidth)),
		"at_v4l2_streamparm_timeperframe": uint64(unsafe.Offsetof(p.numerator)),
		"number_VIDIOC_QUERYCAP":          uint64(queryCap), "number_VIDIOC_ENUM_FMT": uint64(enumFormat), "number_VIDIOC_S_FMT": uint64(setFormat),
		"number_VIDIOC_REQBUFS": uint64(reqBufs), "number_VIDIOC_QUERYBUF": uint64(queryBuf), "number_VIDIOC_QBUF": uint64(queueBuf),
		"number_VIDIOC_DQBUF": uint64(dequeueBuf), "number_VIDIOC_STREAMON": uint64(streamOn), "number_VIDIOC_STREAMOFF": uint64(streamOff),
		"number_VIDIOC_S_PARM": uint64(setParm), "number_VIDIOC_ENUM_FRAMESIZES": uint64(enumSizes),
		"number_V4L2_CAP_VIDEO_CAPTURE": capCapture, "number_V4L2_CAP_VIDEO_CAPTURE_MPLANE": capCaptureMplane,
		"number_V4L2_CAP_STREAMING": capStreaming, "number_V4L2_CAP_DEVICE_CAPS": capDeviceCaps,
		"number_V4L2_BUF_TYPE_VIDEO_CAPTURE": capture, "number_V4L2_MEMORY_MMAP": memoryMmap, "number_V4L2_FIELD_NONE": fieldNone,
		"number_V4L2_FRMSIZE_TYPE_DISCRETE": sizeDiscrete, "number_V4L2_BUF_FLAG_ERROR": flagError,
		"number_V4L2_BUF_FLAG_TIMESTAMP_MASK": flagTimestampMask, "number_V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC": flagMonotonic,
		"number_V4L2_COLORSPACE_JPEG": colorspaceJPEG, "number_V4L2_COLORSPACE_REC709": colorspace709, "number_V4L2_YCBCR_ENC_709": encoding709,
		"number_V4L2_QUANTIZATION_FULL_RANGE": quantizationFull,
	}
	names := []string{"NV12", "YUV420", "NV21", "YUYV", "UYVY", "YUV422P", "RGB24", "BGR24", "RGBX32", "RGBA32", "XBGR32", "ABGR32", "MJPEG", "JPEG", "GREY"}
	for i, c := range codings {
		m["number_V4L2_PIX_FMT_"+names[i]] = uint64(c.code())
	}
	return m
}

// TestABI compares structures and numbers with the header's, as a compiler for this word size had them.
func TestABI(t *testing.T) {
	data, err := os.ReadFile("testdata/abi.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Fields(line)
		word := f[1]
		if unsafe.Sizeof(uintptr(0)) == 4 {
			word = f[2]
		}
		if want[f[0]], err = strconv.ParseUint(word, 0, 32); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, want)
}

// TestABIHere compares them with the headers of this machine.
func TestABIHere(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux has the header")
	}
	compilers := map[string][]string{"amd64": {"gcc"}, "arm64": {"gcc", "aarch64-linux-gnu-gcc"}, "arm": {"gcc", "arm-linux-gnueabihf-gcc"}}[runtime.GOARCH]
	var out []byte
	err := fmt.Errorf("no compiler is known for %s", runtime.GOARCH)
	for _, cc := range compilers {
		var machine []byte
		if machine, err = exec.Command(cc, "-dumpmachine").Output(); err != nil || !machineIs(string(machine)) {
			err = fmt.Errorf("%s is for %s, error %v", cc, machine, err)
			continue
		}
		if out, err = exec.Command(cc, "-S", "-o", "-", "testdata/abi.c").Output(); err == nil {
			break
		}
	}
	if err != nil {
		t.Skipf("the header cannot be compiled: %v", err)
	}
	symbol, value := regexp.MustCompile(`^(\w+):`), regexp.MustCompile(`^\s+\.(?:long|word)\s+(-?\d+)`)
	want, name := map[string]uint64{}, ""
	for line := range strings.Lines(string(out)) {
		if m := symbol.FindStringSubmatch(line); m != nil {
			name = m[1]
		} else if m := value.FindStringSubmatch(line); m != nil {
			v, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			want[name] = uint64(uint32(v))
		}
	}
	compare(t, want)
}

func machineIs(triple string) bool {
	return strings.HasPrefix(triple, map[string]string{"amd64": "x86_64-", "arm64": "aarch64-", "arm": "arm-"}[runtime.GOARCH])
}

func compare(t *testing.T, want map[string]uint64) {
	have := ours()
	for name, v := range have {
		if w, ok := want[name]; !ok || w != v {
			t.Errorf("%s is %#x, the header has %#x", name, v, w)
		}
	}
	for name := range want {
		if _, ok := have[name]; !ok {
			t.Errorf("%s is compared with nothing", name)
		}
	}
}
