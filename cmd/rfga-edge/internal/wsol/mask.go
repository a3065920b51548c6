package wsol

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/rfga"
)

// Mask reads an image's masks and unites them on the grid: foreground where any of them is; ignored where an ignore mask is
// and no foreground. It returns nil for an image without masks.
func (s *Set) Mask(it *Item) ([]uint8, error) {
	if len(it.masks) == 0 {
		return nil, nil
	}
	s.loading.Lock() // one large picture at a time
	defer s.loading.Unlock()
	grid := make([]uint8, rfga.GridSide*rfga.GridSide)
	set := func(name string, value uint8) error {
		if name == "" {
			return nil
		}
		if err := paint(grid, filepath.Join(s.masks, filepath.FromSlash(name)), value); err != nil {
			return fmt.Errorf("image %s: %w", it.ID, err)
		}
		return nil
	}
	for _, m := range it.masks {
		if err := set(m[1], rfga.Ignored); err != nil {
			return nil, err
		}
	}
	for _, m := range it.masks {
		if m[0] == "" {
			return nil, fmt.Errorf("%s: image %s has a line without a mask file", s.localizations.path, it.ID)
		}
		if err := set(m[0], rfga.Foreground); err != nil {
			return nil, err
		}
	}
	return grid, nil
}

// paint writes value where the picture, resized to the grid by taking the nearest pixel, is not black.
func paint(grid []uint8, path string, value uint8) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	img, err := frame.DecodeImage(f, frame.DefaultLimits)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	xs, ys := nearest(img.W), nearest(img.H)
	for y, sy := range ys {
		for x, sx := range xs {
			p := img.Pix[3*(sy*img.W+sx):][:3]
			if gray(p) > 0 {
				grid[y*rfga.GridSide+x] = value
			}
		}
	}
	return nil
}

// gray is OpenCV's, in fixed point.
func gray(p []byte) int {
	return (int(p[0])*4899 + int(p[1])*9617 + int(p[2])*1868 + 1<<13) >> 14
}

// nearest returns, for each position of the grid, the source position that OpenCV's INTER_NEAREST takes.
func nearest(size int) []int {
	at := make([]int, rfga.GridSide)
	scale := 1 / (float64(rfga.GridSide) / float64(size))
	for i := range at {
		at[i] = min(int(float64(i)*scale), size-1)
	}
	return at
}
