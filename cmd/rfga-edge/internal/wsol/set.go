package wsol

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/rfga-edge/rfga-edge/rfga"
)

// Set is an opened data set. Its methods may be called from several goroutines.
type Set struct {
	dir                          string
	ids                          *os.File
	at                           []int64 // where each id's line begins
	labels, sizes, localizations *table
	masks                        string // folder of the masks
	loading                      sync.Mutex
}

// NoClass is the class of an image that has none.
const NoClass = -1

// An Item is what is known about an image before its masks are read.
type Item struct {
	ID            string
	Class         int // NoClass without one
	Width, Height int // 0 without sizes
	Boxes         []rfga.EvalBox
	masks         [][]string // mask file, ignore file
}

// Open opens the data set in a folder; masks is the folder in which mask files are looked up.
func Open(dir, masks string) (*Set, error) {
	s := &Set{dir: dir, masks: masks}
	path := filepath.Join(dir, "image_ids.txt")
	var err error
	if s.ids, err = os.Open(path); err != nil {
		return nil, err
	}
	err = eachLine(s.ids, path, func(_ int, at int64, _ string) error {
		s.at = append(s.at, at)
		return nil
	})
	if err == nil && len(s.at) == 0 {
		err = fmt.Errorf("%s: there are no images in it", path)
	}
	open := func(t **table, name string, fields ...int) {
		if err != nil {
			return
		}
		if *t, err = openTable(filepath.Join(dir, name), fields...); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	open(&s.labels, "class_labels.txt", 1)
	open(&s.sizes, "image_sizes.txt", 2)
	open(&s.localizations, "localization.txt", 4, 2)
	if err == nil && s.HasBoxes() && s.sizes == nil {
		err = fmt.Errorf("%s: boxes in localization.txt need image_sizes.txt beside it (id,width,height)", dir)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the files.
func (s *Set) Close() error {
	return errors.Join(s.ids.Close(), s.labels.close(), s.sizes.close(), s.localizations.close())
}

// Len is the number of images.
func (s *Set) Len() int { return len(s.at) }

// HasClasses, HasBoxes and HasMasks say what the data set holds.
func (s *Set) HasClasses() bool { return s.labels != nil }
func (s *Set) HasBoxes() bool   { return s.localizations != nil && s.localizations.fields == 4 }
func (s *Set) HasMasks() bool   { return s.localizations != nil && s.localizations.fields == 2 }

// Item reads what is known about the i-th image. An image without a line in a file that exists is an error.
func (s *Set) Item(i int) (*Item, error) {
	id, err := lineAt(s.ids, s.ids.Name(), s.at[i])
	if err != nil {
		return nil, err
	}
	it := &Item{ID: id, Class: NoClass}
	if err := s.class(it); err != nil {
		return nil, err
	}
	if err := s.size(it); err != nil {
		return nil, err
	}
	if s.localizations == nil {
		return it, nil
	}
	lines, err := s.localizations.find(id)
	if err != nil {
		return nil, err
	}
	if s.HasMasks() {
		it.masks = lines
		return it, nil
	}
	for _, fields := range lines {
		b, err := it.box(fields)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", s.localizations.path, id, err)
		}
		it.Boxes = append(it.Boxes, b)
	}
	return it, nil
}

func (s *Set) class(it *Item) error {
	if s.labels == nil {
		return nil
	}
	lines, err := s.labels.find(it.ID)
	if err != nil {
		return err
	}
	if it.Class, err = strconv.Atoi(lines[0][0]); err != nil || it.Class < NoClass {
		return fmt.Errorf("%s: %s: %q is no class: a number from 0, or -1 where none fits", s.labels.path, it.ID, lines[0][0])
	}
	return nil
}

func (s *Set) size(it *Item) error {
	if s.sizes == nil {
		return nil
	}
	lines, err := s.sizes.find(it.ID)
	if err != nil {
		return err
	}
	for i, v := range []*int{&it.Width, &it.Height} {
		if *v, err = strconv.Atoi(lines[0][i]); err != nil || *v < 1 || *v > 1<<24 {
			return fmt.Errorf("%s: %s: %q is no width or height in pixels", s.sizes.path, it.ID, lines[0][i])
		}
	}
	return nil
}

// box moves a box to the grid.
func (it *Item) box(fields []string) (rfga.EvalBox, error) {
	var v [4]float64
	for i, f := range fields {
		var err error
		if v[i], err = strconv.ParseFloat(f, 64); err != nil || math.IsNaN(v[i]) || math.Abs(v[i]) > 1<<24 {
			return rfga.EvalBox{}, fmt.Errorf("%q is no coordinate", f)
		}
	}
	if v[0] < 0 || v[1] < 0 || v[2] < v[0] || v[3] < v[1] {
		return rfga.EvalBox{}, fmt.Errorf("box %v: x0,y0,x1,y1 are expected, not negative, and the end not before the beginning", v)
	}
	return rfga.TruthBox(v, it.Width, it.Height, rfga.GridSide, rfga.GridSide), nil
}
