package rfgaedge

import (
	"fmt"
	"image"

	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/runtime"
)

// Option sets up a session. Options given to Open or Load are the defaults of the model's sessions.
type Option func(*config) error

type config struct {
	threads  int
	filter   Filter
	localize LocalizeOptions
	halfMath bool
}

// Threads sets the number of threads of a session, the caller's included. The default is 1; results do not depend on it.
func Threads(n int) Option {
	return func(c *config) error {
		if n < 1 || n > runtime.MaxThreads {
			return &OptionError{"Threads", fmt.Sprintf("%d is not in 1..%d", n, runtime.MaxThreads)}
		}
		c.threads = n
		return nil
	}
}

// HalfMath lets the convolutions of an fp16 model multiply in half precision too, where the CPU has arithmetic for it
// (FEAT_FP16 of ARMv8.2: Cortex-A55 and A75, and newer): twice the products in a cycle, and other bits than float32's. Every
// 64 products are summed in a half, these sums in float32; activations beyond 65504 become infinite. On other machines and in
// other models it changes nothing. It is for Open and Load: a model that is loaded stays as it is.
func HalfMath() Option {
	return func(c *config) error {
		c.halfMath = true
		return nil
	}
}

// Filter says how frames are resized to the network's square.
type Filter = frame.Filter

// Filters; package frame defines them.
const (
	Exact       = frame.Exact       // Pillow's bits, as networks are trained: for files; many times slower
	Antialiased = frame.Antialiased // to within 1 of 255 of that, in one pass over the frame
	Fast        = frame.Fast        // with fewer of the rows of tall frames
)

// Resizing sets the filter by which frames are resized. The default is Antialiased. Each gives the same bits on every machine.
func Resizing(f Filter) Option {
	return func(c *config) error {
		if f > Fast {
			return &OptionError{"Resizing", fmt.Sprintf("there is no filter %d", f)}
		}
		c.filter = f
		return nil
	}
}

// Localizing sets what a session looks for. Session.SetOptions changes it later.
func Localizing(o LocalizeOptions) Option {
	return func(c *config) error {
		c.localize = o
		return o.check()
	}
}

// LocalizeOptions says what Localize looks for. The zero value names and locates the most probable class.
type LocalizeOptions struct {
	// TopK is the number of most probable classes to name; 0 is 1.
	TopK int
	// Locate is how many of the named classes to locate, the most probable first; 0 is all. Each costs a heat map.
	Locate int
	// Classes are the ids of the classes to locate instead, probable or not.
	Classes []int
	// MinP leaves out classes less probable than it, 0..1.
	MinP float64
	// Threshold is the fraction of the heat map's maximum, 0..1, above which a place belongs to the object.
	// 0 takes the model's own; the smallest positive number stands for zero.
	Threshold float64
	// Multi gives a box for every separate warm region of a class, largest first, instead of the largest alone.
	Multi bool
	// Mask hides parts of the frame: where it is darker than 128 the network sees its mean colour, and no heat is left for a box.
	// It is stretched over the whole frame, whatever its size. Nil hides nothing. It must not be changed afterwards.
	Mask *image.Gray
	// Heat keeps the heat map of the first located class in the result.
	Heat bool
}

func (o *LocalizeOptions) check() error {
	switch {
	case o.TopK < 0:
		return &OptionError{"TopK", fmt.Sprintf("%d is negative", o.TopK)}
	case o.Locate < 0:
		return &OptionError{"Locate", fmt.Sprintf("%d is negative", o.Locate)}
	case !(o.MinP >= 0 && o.MinP <= 1):
		return &OptionError{"MinP", fmt.Sprintf("%g is not in 0..1", o.MinP)}
	case !(o.Threshold >= 0 && o.Threshold <= 1):
		return &OptionError{"Threshold", fmt.Sprintf("%g is not in 0..1", o.Threshold)}
	case o.Mask != nil && o.Mask.Rect.Empty():
		return &OptionError{"Mask", "it has no pixels"}
	}
	return nil
}
