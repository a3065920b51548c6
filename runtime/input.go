package runtime

import (
	"fmt"
	"math"

	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// inputTables holds, per channel, what turns the image's bytes into the network's input and back.
type inputTables struct {
	height, width int
	pixels        bool            // the input tensor takes the bytes themselves
	real          [3][256]float32 // the normalised value of a byte
	quant         [3][256]byte    // its stored byte, for quantized inputs that are not pixels
	std255        [3]float32      // std*255 and mean*255, as the contract rounds them
	mean255       [3]float32
	pad           [3]byte // what NaN becomes: the value nearest to zero
}

// IsPixels reports whether the model's input is the image's bytes: int8, scale 1, zero point -128.
func IsPixels(t *format.Tensor) bool {
	return t.DType == format.I8 && len(t.Scale) == 1 && t.Scale[0] == 1 && t.Zero == -128
}

func (in *inputTables) init(fm *format.Model) {
	t := &fm.Tensors[fm.Input]
	in.height, in.width, in.pixels = t.Shape[1], t.Shape[2], IsPixels(t)
	for c := range 3 {
		mean, std := float64(fm.Pre.Mean[c]), float64(fm.Pre.Std[c])
		in.std255[c], in.mean255[c] = float32(std*255), float32(mean*255)
		in.pad[c] = byte(min(max(math.RoundToEven(255*mean), 0), 255))
		for b := range 256 {
			v := float32((float64(b) - 255*mean) / (255 * std))
			in.real[c][b] = v
			if t.DType == format.I8 && len(t.Scale) == 1 {
				in.quant[c][b] = byte(quantize(v, t.Scale[0], t.Zero)) ^ 0x80
			}
		}
	}
}

// byteOf is the inverse of normalisation: q+128 of the contract's rule for float inputs.
func (in *inputTables) byteOf(x float32, c int) byte {
	if x != x {
		return in.pad[c]
	}
	v := float32(float32(x*in.std255[c]) + in.mean255[c])
	return byte(math.RoundToEven(float64(min(max(v, 0), 255))))
}

func (s *Session) checkImage(n, have, want int, what string) error {
	if n < 0 || n >= len(s.images) {
		return fmt.Errorf("image %d of a batch of %d", n, len(s.images))
	}
	if have != want {
		return fmt.Errorf("input of %d %s: the model takes %d (%dx%d, 3 channels)", have, what, want, s.input.width, s.input.height)
	}
	if s.plan.fm.Tensors[s.plan.fm.Input].Shape[3] != 3 {
		return fmt.Errorf("the model's input has %d channels, an image has 3", s.plan.fm.Tensors[s.plan.fm.Input].Shape[3])
	}
	return nil
}

// SetImage sets the n-th image of the batch: height x width x 3 bytes of the preprocessed image, in the model's colour
// order. It is copied.
func (s *Session) SetImage(n int, pix []byte) error {
	in := &s.input
	if err := s.checkImage(n, len(pix), in.height*in.width*3, "bytes"); err != nil {
		return err
	}
	dst := s.images[n][s.plan.fm.Input]
	switch {
	case in.pixels:
		copy(dst, pix)
	case s.plan.fm.Tensors[s.plan.fm.Input].DType == format.I8:
		for i := 0; i < len(pix); i += 3 {
			dst[i], dst[i+1], dst[i+2] = in.quant[0][pix[i]], in.quant[1][pix[i+1]], in.quant[2][pix[i+2]]
		}
	default:
		f := view[float32](dst)
		for i := 0; i < len(pix); i += 3 {
			f[i], f[i+1], f[i+2] = in.real[0][pix[i]], in.real[1][pix[i+1]], in.real[2][pix[i+2]]
		}
	}
	return nil
}

// SetFloat sets the n-th image of the batch from normalised values, shape (3,height,width). A quantized model takes the
// nearest bytes: an image and its normalised array are the same input.
func (s *Session) SetFloat(n int, x []float32) error {
	in := &s.input
	plane := in.height * in.width
	if err := s.checkImage(n, len(x), 3*plane, "values"); err != nil {
		return err
	}
	dst, t := s.images[n][s.plan.fm.Input], &s.plan.fm.Tensors[s.plan.fm.Input]
	for c := range 3 {
		src := x[c*plane:][:plane]
		switch {
		case in.pixels:
			for i, v := range src {
				dst[3*i+c] = in.byteOf(v, c)
			}
		case t.DType == format.I8:
			for i, v := range src {
				dst[3*i+c] = byte(quantize(v, t.Scale[0], t.Zero)) ^ 0x80
			}
		default:
			f := view[float32](dst)
			for i, v := range src {
				f[3*i+c] = v
			}
		}
	}
	return nil
}
