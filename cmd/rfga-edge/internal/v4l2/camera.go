package v4l2

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"
)

// Camera is a video device that may go away and come back.
type Camera struct {
	sys  system
	path string
	wish Wish

	ended chan struct{}
	once  sync.Once

	mu    sync.Mutex // of Read, and of whatever touches the device
	dev   *device
	retry time.Duration // between attempts to open it again
}

// again is how long a device that has gone away is left alone before it is tried again.
const again = 500 * time.Millisecond

// Open opens a device, such as /dev/video0, and makes it deliver. Names in /dev/v4l/by-id stay with a camera when others come
// and go.
func Open(path string, wish Wish) (*Camera, error) { return open(here, path, wish) }

func open(sys system, path string, wish Wish) (*Camera, error) {
	dev, err := start(sys, path, wish)
	if err != nil {
		return nil, err
	}
	return &Camera{sys: sys, path: path, wish: wish, dev: dev, ended: make(chan struct{}), retry: again}, nil
}

// Read waits for the next frame. A frame that is bad, and a device that goes away or stalls, give an Image with an error; after
// the latter Read waits for the device to be back. After Close it returns io.EOF.
func (c *Camera) Read(img *Image) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.dev == nil {
		select {
		case <-c.ended:
			return io.EOF
		case <-time.After(c.retry):
		}
		if dev, err := start(c.sys, c.path, c.wish); err == nil { // else it is still away, or busy
			c.dev = dev
		}
	}
	err := c.dev.next(img, c.ended)
	if err == nil {
		return nil
	}
	c.dev.close()
	c.dev = nil
	if err == errEnded {
		return io.EOF
	}
	if errors.Is(err, syscall.ENODEV) {
		err = errors.New("the device has been pulled out")
	}
	*img = Image{Err: fmt.Errorf("%w; waiting for %s to deliver again", err, c.path), Time: time.Now()}
	return nil
}

// Close ends Read, and gives the device back.
func (c *Camera) Close() error {
	c.once.Do(func() { close(c.ended) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dev != nil {
		c.dev.close()
		c.dev = nil
	}
	return nil
}
