package v4l2

import (
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// fake is a video device as the kernel shows one, with what it should do in a script.
type fake struct {
	mu      sync.Mutex
	caps    uint32
	formats []fakeFormat
	pad     int    // bytes behind a row
	color   uint32 // quantization
	script  []event
	away    int // attempts to open it that fail
	opened  int // handles that are open
	opens   int
	mapped  int
	set     pixFormat
	fps     uint32
	clock   time.Duration
}

type fakeFormat struct {
	fourCC string
	sizes  [][2]uint32 // none: any size
}

// event is what a dequeue gives: a frame of this content, or an error.
type event struct {
	data    []byte
	flags   uint32
	err     error
	nothing bool          // no frame comes, ever
	age     time.Duration // of the frame, if above 0
	index   int           // of the buffer, if above 0
	skip    func()        // called first
}

func code(s string) uint32 { return coding{fourCC: s}.code() }

func (f *fake) monotonic() time.Duration { return f.clock }

func (f *fake) open(path string) (handle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opens++
	if f.away > 0 {
		f.away--
		return nil, &os.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	f.opened++
	return &fakeHandle{f: f}, nil
}

type fakeHandle struct {
	f       *fake
	buffers [][]byte
	queued  []uint32
	on      bool
}

func (h *fakeHandle) close() error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	h.f.opened--
	return nil
}

func (h *fakeHandle) mmap(offset int64, length int) ([]byte, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	b := h.buffers[offset>>20]
	if len(b) != length {
		return nil, syscall.EINVAL
	}
	h.f.mapped++
	return b, nil
}

func (h *fakeHandle) munmap(b []byte) error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	for i := range b {
		b[i] = 0xee // whoever reads it now is wrong
	}
	h.f.mapped--
	return nil
}

func (h *fakeHandle) wait(time.Duration) (bool, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if len(h.f.script) == 0 || h.f.script[0].nothing {
		return false, nil
	}
	return true, nil
}

func (h *fakeHandle) ioctl(request uint32, arg unsafe.Pointer) error {
	f := h.f
	f.mu.Lock()
	defer f.mu.Unlock()
	switch request {
	case queryCap:
		c := (*capability)(arg)
		c.caps, c.deviceCaps = 0xffffffff, f.caps // the whole device has more than this node
	case enumFormat:
		d := (*formatDesc)(arg)
		if int(d.index) >= len(f.formats) || d.kind != capture {
			return syscall.EINVAL
		}
		d.pixelFormat = code(f.formats[d.index].fourCC)
	case enumSizes:
		s := (*frameSize)(arg)
		for _, x := range f.formats {
			if code(x.fourCC) != s.pixelFormat || int(s.index) >= len(x.sizes) {
				continue
			}
			s.kind, s.minWidth, s.maxWidth = sizeDiscrete, x.sizes[s.index][0], x.sizes[s.index][1]
			return nil
		}
		return syscall.EINVAL
	case setFormat:
		return f.setFormat(&(*format)(arg).pix)
	case setParm:
		p := (*streamParm)(arg)
		f.fps = p.denominator / p.numerator
	case reqBufs:
		r := (*requestBuffers)(arg)
		r.count = min(r.count, 3) // this driver has no more
		for range r.count {
			h.buffers = append(h.buffers, make([]byte, f.set.sizeImage))
		}
	case queryBuf:
		b := (*buffer)(arg)
		if int(b.index) >= len(h.buffers) {
			return syscall.EINVAL
		}
		b.offset, b.length = b.index<<20, uint32(len(h.buffers[b.index]))
	case queueBuf:
		h.queued = append(h.queued, (*buffer)(arg).index)
	case streamOn, streamOff:
		h.on = request == streamOn
	case dequeueBuf:
		return h.dequeue((*buffer)(arg))
	default:
		return syscall.ENOTTY
	}
	return nil
}

func (f *fake) setFormat(p *pixFormat) error {
	if p.pixelFormat == 0 {
		return syscall.EINVAL
	}
	size := uint32(1 << 16)
	for _, c := range codings {
		if c.code() == p.pixelFormat && c.format != 0 {
			p.bytesPerLine = uint32(c.format.Size(int(p.width), 2)-c.format.Size(int(p.width), 1)) + uint32(f.pad)
			if c.format.Size(2, 2) == 6 && c.fourCC != "RGB3" { // 4:2:0: the luma's
				p.bytesPerLine = p.width + uint32(f.pad)
			}
			size = p.bytesPerLine * p.height * 2
		}
	}
	p.sizeImage, p.quantization = size, f.color
	f.set = *p
	return nil
}

func (h *fakeHandle) dequeue(b *buffer) error {
	if !h.on {
		return syscall.EINVAL
	}
	if len(h.f.script) == 0 || len(h.queued) == 0 {
		return syscall.EAGAIN
	}
	e := h.f.script[0]
	h.f.script = h.f.script[1:]
	if e.skip != nil {
		e.skip()
	}
	if e.err != nil {
		return e.err
	}
	b.index, h.queued = h.queued[0], h.queued[1:]
	if e.index > 0 {
		b.index = uint32(e.index)
		return nil
	}
	b.bytesUsed, b.flags = uint32(copy(h.buffers[b.index], e.data)), e.flags
	if e.age > 0 {
		b.flags |= flagMonotonic
		at := h.f.clock - e.age
		b.timestamp = timeval{int(at / time.Second), int(at % time.Second / time.Microsecond)}
	}
	return nil
}
