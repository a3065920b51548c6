package main

import (
	"fmt"
	"os"
	"path/filepath"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/npy"
	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/quant"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// calibration is a quant.Source over files. It holds one image at a time.
type calibration interface {
	quant.Source
	Name(i int) string // of image i, for people
	Close() error
}

// openCalibration opens a folder of images or an array.
func openCalibration(path string, m *format.Model) (calibration, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, badIO(err)
	}
	w, h := m.Pre.Width, m.Pre.Height
	if st.IsDir() {
		files, err := imagesIn(path)
		if err != nil {
			return nil, err
		}
		return &imageSource{files: files, spec: rfgaedge.FrameSpec(&m.Pre), normal: frame.NewNormalizer(m.Pre.Mean, m.Pre.Std), square: make([]byte, 3*w*h), x: make([]float32, 3*w*h)}, nil
	}
	f, err := npy.Open(path)
	if err != nil {
		return nil, badInput(err)
	}
	n, err := batchOf(f.Shape, w, h)
	if err != nil {
		f.Close()
		return nil, badInput(fmt.Errorf("%s: %w", path, err))
	}
	return &arraySource{path: path, file: f, n: n, x: make([]float32, 3*w*h)}, nil
}

// arraySource reads an array image by image.
type arraySource struct {
	path string
	file *npy.File
	n    int
	x    []float32
}

func (s *arraySource) Len() int     { return s.n }
func (s *arraySource) Close() error { return s.file.Close() }

func (s *arraySource) Name(i int) string {
	return fmt.Sprintf("%s, image %d", printable(filepath.Base(s.path)), i)
}

func (s *arraySource) At(i int) ([]float32, error) {
	if err := s.file.ReadFloat32(s.x, i*len(s.x)); err != nil {
		return nil, badIO(fmt.Errorf("%s: %w", s.path, err))
	}
	for k, v := range s.x {
		if v-v != 0 {
			return nil, badInput(fmt.Errorf("%s: value %d of image %d is %g", s.path, k, i, v))
		}
	}
	return s.x, nil
}

// imageSource decodes photos and prepares them as localize does.
type imageSource struct {
	files   []string
	spec    frame.Spec
	resizer frame.Resizer
	normal  *frame.Normalizer
	square  []byte
	x       []float32
}

func (s *imageSource) Len() int     { return len(s.files) }
func (s *imageSource) Close() error { return nil }

func (s *imageSource) Name(i int) string { return printable(filepath.Base(s.files[i])) }

func (s *imageSource) At(i int) ([]float32, error) {
	img, err := source{name: s.files[i]}.decode(nil)
	if err != nil {
		return nil, err
	}
	if err := s.resizer.Preprocess(s.square, img, s.spec); err != nil {
		return nil, badInput(fmt.Errorf("%s: %w", s.files[i], err))
	}
	s.normal.CHW(s.x, s.square)
	return s.x, nil
}
