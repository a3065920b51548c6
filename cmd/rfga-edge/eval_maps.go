package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/npy"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/outdir"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/wsol"
	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/runtime"
)

// modelMaps runs a model on the images.
type modelMaps struct {
	model   *rfgaedge.Model
	session *runtime.Session
	images  string
	answers *answers
	resizer frame.Resizer
	spec    frame.Spec
	input   []byte
	logits  []float32
	cam     []float32
	h, w    int
}

func newModelMaps(model *rfgaedge.Model, images string, answers *answers) (*modelMaps, error) {
	session, err := model.Runtime().NewSession(runtime.Options{Threads: 1})
	if err != nil {
		return nil, badModel(err)
	}
	h, w, classes := model.Runtime().MapShape()
	m := &modelMaps{model: model, session: session, images: images, answers: answers, h: h, w: w,
		spec: rfgaedge.FrameSpec(&model.Runtime().Format().Pre), logits: make([]float32, classes), cam: make([]float32, h*w)}
	m.spec.Rule = frame.Squash // boxes are those of the whole image
	m.input = make([]byte, 3*m.spec.W*m.spec.H)
	return m, nil
}

func (m *modelMaps) close() { m.session.Close() }

func (m *modelMaps) make(ctx context.Context, item *wsol.Item, out *classMap) error {
	img, err := openImage(m.images, item)
	if err != nil {
		return err
	}
	if err := m.resizer.Preprocess(m.input, img, m.spec); err != nil {
		return badInput(fmt.Errorf("image %s: %w", item.ID, err))
	}
	if err := m.session.SetImage(0, m.input); err != nil {
		return badModel(err)
	}
	if err := m.session.RunHead(ctx); err != nil {
		return err
	}
	if err := m.session.Logits(0, m.logits); err != nil {
		return err
	}
	right, err := m.answers.of(item, len(m.logits))
	if err != nil {
		return err
	}
	out.name(m.logits, right)
	if err := m.session.ClassMap(0, out.class, m.cam); err != nil {
		return err
	}
	out.pix, out.w, out.h = slices.Grow(out.pix[:0], len(m.cam)), m.w, m.h
	for _, v := range m.cam {
		out.pix = append(out.pix, float64(v))
	}
	return nil
}

// name compares the five most probable classes, of equals those with the smaller id first, with the right ones. The map is
// that of the first right one, or of the most probable class where none is known to be right.
func (m *classMap) name(logits []float32, right []int) {
	var first []int
	for id := range logits {
		at := len(first)
		for at > 0 && logits[first[at-1]] < logits[id] {
			at--
		}
		if at < 5 {
			first = slices.Insert(first[:min(len(first), 4)], at, id)
		}
	}
	m.predicted, m.class = first[0], first[0]
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v - logits[first[0]]))
	}
	m.p = float32(1 / sum)
	m.naming.Known = len(right) > 0
	m.naming.Top1 = slices.Contains(right, first[0])
	m.naming.Top5 = slices.ContainsFunc(first, func(id int) bool { return slices.Contains(right, id) })
	if len(right) > 0 {
		m.class = right[0]
	}
}

// write writes the map as DIR/ID.npy, the id's extension replaced.
func (m *classMap) write(dir, id string) error {
	name := filepath.FromSlash(strings.TrimSuffix(id, path.Ext(id)) + ".npy")
	if !filepath.IsLocal(name) {
		return badInput(fmt.Errorf("image %s: its map would lie outside of %s", id, dir))
	}
	to := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return badIO(err)
	}
	return badIO(outdir.WriteFile(to, func(out io.Writer) error {
		w, err := npy.NewWriter(out, []int{m.h, m.w})
		if err != nil {
			return err
		}
		pix := make([]float32, len(m.pix))
		for i, v := range m.pix {
			pix[i] = float32(v)
		}
		return errors.Join(w.Write(pix), w.Close())
	}))
}

// openImage reads an image of the data set: as it is stored, which is how the field's programs read it, or turned as its EXIF
// data say where image_sizes.txt has the size that it then has.
func openImage(dir string, item *wsol.Item) (*frame.Image, error) {
	file := filepath.Join(dir, filepath.FromSlash(item.ID))
	img, orientation, err := source{name: file}.decodeStored(nil)
	if err != nil {
		return nil, err
	}
	turned := func() bool { return img.W == item.Height && img.H == item.Width && img.W != img.H }
	if turned() {
		img = img.Upright(orientation)
	}
	if turned() {
		return nil, badInput(fmt.Errorf("%s is %dx%d, but image_sizes.txt has %dx%d, which nothing in the picture explains", file, img.W, img.H, item.Width, item.Height))
	}
	return img, nil
}

// npyMaps reads maps that were made elsewhere.
type npyMaps struct{ dir string }

const maxMapSide = 4096

func (*npyMaps) close() {}

func (n *npyMaps) make(ctx context.Context, item *wsol.Item, out *classMap) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := n.open(item.ID)
	if err != nil {
		return badInput(err)
	}
	defer f.Close()
	if s := f.Shape; len(s) != 2 || min(s[0], s[1]) < 1 || max(s[0], s[1]) > maxMapSide {
		return badInput(fmt.Errorf("map of image %s has shape %v; height x width are expected, sides of 1 to %d", item.ID, f.Shape, maxMapSide))
	}
	out.h, out.w = f.Shape[0], f.Shape[1]
	out.pix = slices.Grow(out.pix[:0], out.w*out.h)[:out.w*out.h]
	out.class, out.predicted = item.Class, wsol.NoClass
	return badIO(f.ReadFloat64(out.pix, 0))
}

// open finds the map of an id: ID.npy, or the id with its extension replaced.
func (n *npyMaps) open(id string) (*npy.File, error) {
	file := filepath.Join(n.dir, filepath.FromSlash(id)+".npy")
	f, err := npy.Open(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	short := strings.TrimSuffix(file, filepath.Ext(id)+".npy") + ".npy"
	f, err = npy.Open(short)
	if errors.Is(err, fs.ErrNotExist) {
		err = &os.PathError{Op: "open", Path: file + " or " + short, Err: fs.ErrNotExist}
	}
	return f, err
}
