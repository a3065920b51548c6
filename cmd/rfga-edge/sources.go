package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rfga-edge/rfga-edge/frame"
)

// source is one image to work on: a file, or standard input.
type source struct {
	name string // as the user or the folder names it
	err  error  // why there is no image
}

const stdinName = "-"

// imageExtensions are what a folder is searched for. A file that is named itself may be called anything.
var imageExtensions = []string{".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp"}

// listSources expands what the user named: a file or "-" stands for itself, a folder for the images directly in it, by name.
func listSources(names []string) []source {
	var list []source
	for _, name := range names {
		if name == stdinName {
			list = append(list, source{name: name})
			continue
		}
		st, err := os.Stat(name)
		switch {
		case err != nil:
			list = append(list, source{name, badIO(err)})
		case !st.IsDir():
			list = append(list, source{name: name})
		default:
			files, err := imagesIn(name)
			if err != nil {
				list = append(list, source{name, err})
			}
			for _, f := range files {
				list = append(list, source{name: f})
			}
		}
	}
	return list
}

// imagesIn lists the images directly in a folder, by name.
func imagesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, badIO(err)
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains(imageExtensions, strings.ToLower(filepath.Ext(e.Name()))) && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, badInput(fmt.Errorf("%s: no images in this folder (%s; folders in it are not searched)", dir, strings.Join(imageExtensions, " ")))
	}
	return files, nil
}

// open gives the bytes of the source. The caller closes it.
func (s source) open(stdin io.Reader) (io.ReadCloser, error) {
	switch {
	case s.err != nil:
		return nil, s.err
	case s.name == stdinName:
		return io.NopCloser(stdin), nil
	}
	f, err := os.Open(s.name)
	if err != nil {
		return nil, badIO(err)
	}
	return f, nil
}

// decode reads and decodes the image, upright.
func (s source) decode(stdin io.Reader) (*frame.Image, error) {
	img, orientation, err := s.decodeStored(stdin)
	if err != nil {
		return nil, err
	}
	return img.Upright(orientation), nil
}

// decodeStored is decode without turning the picture.
func (s source) decodeStored(stdin io.Reader) (img *frame.Image, orientation int, err error) {
	r, err := s.open(stdin)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	if img, orientation, err = frame.DecodeStored(r, frame.DefaultLimits); err != nil {
		if !isIO(err) {
			err = fmt.Errorf("%s: %w", s.name, err)
		}
		return nil, 0, badInput(err)
	}
	return img, orientation, nil
}

// cause is the error without the source's name, for a place that shows the name already.
func (s source) cause(err error) string {
	var c *coded
	if errors.As(err, &c) {
		err = c.err
	}
	return strings.TrimPrefix(err.Error(), s.name+": ")
}
