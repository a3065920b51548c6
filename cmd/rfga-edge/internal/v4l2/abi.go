package v4l2

import "unsafe"

// Structures and numbers of linux/videodev2.h. int and uintptr are as wide as C's long on every Linux; a timeval on 32-bit machines is
// the old one of 8 bytes, which every kernel understands. abi_test.go compares all of it with the header.

type capability struct {
	driver                    [16]byte
	card, bus                 [32]byte
	version, caps, deviceCaps uint32
	reserved                  [3]uint32
}

type formatDesc struct {
	index, kind, flags uint32
	description        [32]byte
	pixelFormat, mbus  uint32
	reserved           [3]uint32
}

type pixFormat struct {
	width, height, pixelFormat, field         uint32
	bytesPerLine, sizeImage, colorspace, priv uint32
	flags, ycbcrEnc, quantization, xfer       uint32
}

type format struct {
	kind uint32
	_    [0]uintptr // the union behind has pointers in it
	pix  pixFormat
	_    [200 - 48]byte
}

type requestBuffers struct {
	count, kind, memory, capabilities uint32
	flags                             uint8
	reserved                          [3]uint8
}

type timeval struct{ sec, usec int }

type buffer struct {
	index, kind, bytesUsed, flags, field uint32
	timestamp                            timeval
	timecode                             [4]uint32
	sequence, memory                     uint32
	offset                               uint32 // a union with a pointer
	_                                    [unsafe.Sizeof(uintptr(0)) - 4]byte
	length, reserved2                    uint32
	requestFD                            int32
}

type frameSize struct {
	index, pixelFormat, kind                                      uint32
	minWidth, maxWidth, stepWidth, minHeight, maxHeight, stepHigh uint32 // of a discrete size the first two are width and height
	reserved                                                      [2]uint32
}

type streamParm struct {
	kind                   uint32
	capability, mode       uint32
	numerator, denominator uint32
	_                      [200 - 16]byte
}

// Directions of an ioctl.
const (
	toKernel   = 1
	fromKernel = 2
)

// request is a request's number as the architectures of system_linux.go have it: direction, size, 'V', number.
func request(direction, nr uint32, size uintptr) uint32 {
	return direction<<30 | uint32(size)<<16 | 'V'<<8 | nr
}

var (
	queryCap   = request(fromKernel, 0, unsafe.Sizeof(capability{}))
	enumFormat = request(fromKernel|toKernel, 2, unsafe.Sizeof(formatDesc{}))
	setFormat  = request(fromKernel|toKernel, 5, unsafe.Sizeof(format{}))
	reqBufs    = request(fromKernel|toKernel, 8, unsafe.Sizeof(requestBuffers{}))
	queryBuf   = request(fromKernel|toKernel, 9, unsafe.Sizeof(buffer{}))
	queueBuf   = request(fromKernel|toKernel, 15, unsafe.Sizeof(buffer{}))
	dequeueBuf = request(fromKernel|toKernel, 17, unsafe.Sizeof(buffer{}))
	streamOn   = request(toKernel, 18, 4)
	streamOff  = request(toKernel, 19, 4)
	setParm    = request(fromKernel|toKernel, 22, unsafe.Sizeof(streamParm{}))
	enumSizes  = request(fromKernel|toKernel, 74, unsafe.Sizeof(frameSize{}))
)

const (
	capture    = 1 // V4L2_BUF_TYPE_VIDEO_CAPTURE
	memoryMmap = 1
	fieldNone  = 1

	capCapture       = 0x00000001
	capCaptureMplane = 0x00001000
	capStreaming     = 0x04000000
	capDeviceCaps    = 0x80000000

	sizeDiscrete = 1

	flagError         = 0x00000040
	flagTimestampMask = 0x0000e000
	flagMonotonic     = 0x00002000

	colorspaceJPEG   = 7
	colorspace709    = 3
	encodingDefault  = 0
	encoding709      = 2
	quantizationFull = 1
)
