package v4l2

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/frame"
)

// Image is one frame of a camera.
type Image struct {
	Frame   frame.Frame // raw pixels, the camera's until the next Read
	Picture []byte      // or a JPEG, likewise
	Err     error       // or what is wrong with this one; the next may be good
	Time    time.Time   // when the driver had it
}

// device is a device that delivers.
type device struct {
	sys     system
	h       handle
	coding  coding
	frame   frame.Frame
	stride  int
	buffers [][]byte
	pixels  []byte // the newest frame, out of the driver's memory
}

const (
	wanted   = 4                      // buffers: one being filled, one that waits, and room for jitter
	tick     = 100 * time.Millisecond // how often a wait looks whether it should end
	stall    = 5 * time.Second        // without a frame
	mostSize = 1 << 28                // bytes of a buffer that are believed
)

var (
	errEnded = errors.New("the camera is closed")
	errStall = fmt.Errorf("no frame for %v", stall)
)

// start opens a device and makes it deliver. Errors of the system name the device, others leave that to the caller.
func start(sys system, path string, wish Wish) (*device, error) {
	h, err := sys.open(path)
	if err != nil {
		return nil, err
	}
	d := &device{sys: sys, h: h}
	err = d.setUp(wish)
	if err == nil {
		return d, nil
	}
	d.close()
	switch {
	case errors.Is(err, syscall.ENOTTY):
		return nil, errors.New("not a video device")
	case errors.Is(err, syscall.EBUSY):
		return nil, fmt.Errorf("%s: another program uses the device: %w", path, err)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return nil, err
}

func (d *device) setUp(wish Wish) error {
	var c capability
	if err := d.h.ioctl(queryCap, unsafe.Pointer(&c)); err != nil {
		return os.NewSyscallError("VIDIOC_QUERYCAP", err)
	}
	caps := c.caps
	if caps&capDeviceCaps != 0 { // of this node, not of the whole device
		caps = c.deviceCaps
	}
	switch {
	case caps&capCapture == 0 && caps&capCaptureMplane != 0:
		return errors.New("this device has the multi-planar interface alone, which is not read; pipe it: gst-launch-1.0 -q v4l2src ! y4menc ! fdsink")
	case caps&capCapture == 0:
		return errors.New("this device captures no video (a camera often has a second one for metadata: try its other number)")
	case caps&capStreaming == 0:
		return errors.New("this device cannot stream into memory")
	}
	coding, pix, err := negotiate(d.h, wish)
	if err != nil {
		return err
	}
	if err := d.accept(coding, &pix, wish); err != nil {
		return err
	}
	if wish.FPS > 0 { // only a wish
		p := streamParm{kind: capture, numerator: 1000, denominator: uint32(math.Round(1000 * min(wish.FPS, 1000)))}
		_ = d.h.ioctl(setParm, unsafe.Pointer(&p))
	}
	if err := d.mapBuffers(); err != nil {
		return err
	}
	on := int32(capture)
	return os.NewSyscallError("VIDIOC_STREAMON", d.h.ioctl(streamOn, unsafe.Pointer(&on)))
}

// accept checks what the driver has set, and prepares the frame.
func (d *device) accept(c coding, pix *pixFormat, wish Wish) error {
	d.coding = c
	if pix.width < 1 || pix.height < 1 || pix.width > frame.MaxSide || pix.height > frame.MaxSide {
		return fmt.Errorf("the device gives frames of %dx%d pixels", pix.width, pix.height)
	}
	d.frame = frame.Frame{Format: c.format, Width: int(pix.width), Height: int(pix.height)}
	if c.format == 0 {
		return nil
	}
	d.stride = int(pix.bytesPerLine)
	if size := c.format.Size(d.frame.Width, d.frame.Height); size > mostSize || d.stride > mostSize {
		return fmt.Errorf("the device gives frames of %d bytes in rows of %d", size, d.stride)
	}
	d.frame.Matrix, d.frame.Range = colors(pix, wish)
	return nil
}

func (d *device) mapBuffers() error {
	r := requestBuffers{count: wanted, kind: capture, memory: memoryMmap}
	if err := d.h.ioctl(reqBufs, unsafe.Pointer(&r)); err != nil {
		return os.NewSyscallError("VIDIOC_REQBUFS", err)
	}
	if r.count < 1 || r.count > 32 {
		return fmt.Errorf("the driver has %d buffers", r.count)
	}
	for i := range r.count {
		b := buffer{index: i, kind: capture, memory: memoryMmap}
		if err := d.h.ioctl(queryBuf, unsafe.Pointer(&b)); err != nil {
			return os.NewSyscallError("VIDIOC_QUERYBUF", err)
		}
		if b.length < 1 || b.length > mostSize {
			return fmt.Errorf("buffer %d has %d bytes", i, b.length)
		}
		m, err := d.h.mmap(int64(b.offset), int(b.length))
		if err != nil {
			return os.NewSyscallError("mmap", err)
		}
		d.buffers = append(d.buffers, m)
		if err := d.queue(i); err != nil {
			return err
		}
	}
	return nil
}

func (d *device) queue(i uint32) error {
	b := buffer{index: i, kind: capture, memory: memoryMmap}
	return os.NewSyscallError("VIDIOC_QBUF", d.h.ioctl(queueBuf, unsafe.Pointer(&b)))
}

// next waits for a frame. An error is the end of this device.
func (d *device) next(img *Image, ended <-chan struct{}) error {
	b := buffer{}
	for waited := time.Duration(0); ; {
		select {
		case <-ended:
			return errEnded
		default:
		}
		ready, err := d.h.wait(tick)
		if err != nil {
			return os.NewSyscallError("poll", err)
		}
		if !ready {
			if waited += tick; waited >= stall {
				return errStall
			}
			continue
		}
		b = buffer{kind: capture, memory: memoryMmap}
		err = d.h.ioctl(dequeueBuf, unsafe.Pointer(&b))
		if err == nil {
			break
		}
		if err != syscall.EAGAIN {
			return os.NewSyscallError("VIDIOC_DQBUF", err)
		}
	}
	if int(b.index) >= len(d.buffers) || int(b.bytesUsed) > len(d.buffers[b.index]) {
		return fmt.Errorf("the driver gives %d bytes of buffer %d", b.bytesUsed, b.index)
	}
	*img = Image{Time: d.when(&b)}
	img.Err = d.take(img, d.buffers[b.index][:b.bytesUsed], b.flags)
	return d.queue(b.index)
}

// take copies a frame out of the driver's memory, which goes back to it at once: it may be slow to read twice, and must
// not be read after it is unmapped.
func (d *device) take(img *Image, data []byte, flags uint32) error {
	if flags&flagError != 0 {
		return errors.New("the driver says that this frame is damaged")
	}
	if len(data) == 0 {
		return errors.New("an empty frame")
	}
	d.pixels = append(d.pixels[:0], data...)
	if d.coding.format == 0 {
		img.Picture = d.pixels
		return nil
	}
	img.Frame = d.frame
	return img.Frame.SplitRows(d.stride, d.pixels)
}

// when is the time of a frame: the driver's if it tells one of the clock known here that can be, else now.
func (d *device) when(b *buffer) time.Time {
	now := time.Now()
	if b.flags&flagTimestampMask != flagMonotonic {
		return now
	}
	stamp := time.Duration(b.timestamp.sec)*time.Second + time.Duration(b.timestamp.usec)*time.Microsecond
	if age := d.sys.monotonic() - stamp; age > 0 && age < stall {
		return now.Add(-age)
	}
	return now
}

// close gives everything back. The device may be gone: then there is nobody to tell.
func (d *device) close() {
	off := int32(capture)
	if len(d.buffers) > 0 {
		_ = d.h.ioctl(streamOff, unsafe.Pointer(&off))
	}
	for _, b := range d.buffers {
		_ = d.h.munmap(b)
	}
	d.buffers = nil
	_ = d.h.close()
}
