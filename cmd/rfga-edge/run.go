package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strings"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/npy"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/outdir"
	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

type runCmd struct {
	Model   string `arg:"" optional:"" placeholder:"M.rfga" help:"Model; without it the one built in."`
	Input   string `required:"" placeholder:"X.npy|IMAGE" help:"Normalised input, float32 (or float64) of shape N,3,H,W, or 3,H,W for one image; or a photo, prepared as localize does."`
	Out     string `required:"" placeholder:"DIR" help:"Folder for the outputs, one NAME.npy each, float32."`
	Threads int    `default:"1" placeholder:"N" help:"Threads (${default})."`
	mathFlags
}

// Help is what 'run --help' adds.
func (*runCmd) Help() string {
	return `Prints one JSON object: for each output its shape and the SHA-256 over its raw values (what the network computed: int8, int32 or int64 of a quantized output, the bits of a float32 otherwise; little endian, in the order of the .npy file), and as "hash" the SHA-256 over these digests in the order of the model's outputs.

An int8 model gives the same hashes on every machine, and the same for a photo as for its normalised array.`
}

// runResult is the JSON object of a run.
type runResult struct {
	Outputs map[string]runOutput `json:"outputs"`
	Hash    string               `json:"hash"`
}

type runOutput struct {
	Shape  []int  `json:"shape"`
	SHA256 string `json:"sha256"`
}

func (c *runCmd) Run(e *env) (err error) {
	model, err := openModel(c.Model, c.options()...)
	if err != nil {
		return err
	}
	defer model.Close()
	in, err := openInput(c.Input, model)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := checkThreads(c.Threads); err != nil {
		return err
	}
	session, err := model.Runtime().NewSession(runtime.Options{Threads: c.Threads})
	if err != nil {
		return badModel(err)
	}
	defer session.Close()
	dir, err := outdir.New(c.Out, []string{c.Input, c.Model})
	if err != nil {
		return badIO(err)
	}
	outs, err := beginOutputs(session, dir, in.Len())
	defer func() {
		if err != nil {
			err = errors.Join(err, outs.abort())
		}
	}()
	if err != nil {
		return badIO(err)
	}
	step, end := progress(e.err, "running")
	for i := range in.Len() {
		if err := in.set(session, i); err != nil {
			return err
		}
		if err := session.Run(e.ctx); err != nil {
			return err
		}
		for _, o := range outs {
			if err := o.take(session); err != nil {
				return badIO(err)
			}
		}
		step(i+1, in.Len())
	}
	end()
	result, err := outs.commit()
	if err != nil {
		return badIO(err)
	}
	return printJSON(e.out, result)
}

// runInput is what a run reads, image by image.
type runInput interface {
	Len() int
	Close() error
	set(s *runtime.Session, i int) error
}

// openInput opens an array, or a photo if the file is not named as one.
func openInput(path string, model *rfgaedge.Model) (runInput, error) {
	fm := model.Runtime().Format()
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil, badInput(fmt.Errorf("%s: a folder; name one array or photo", path))
	}
	if !strings.EqualFold(filepath.Ext(path), ".npy") {
		return openPhoto(path, &fm.Pre)
	}
	in, err := npy.Open(path)
	if err != nil {
		return nil, badInput(err)
	}
	w, h := model.InputSize()
	n, err := batchOf(in.Shape, w, h)
	if err != nil {
		in.Close()
		return nil, badInput(fmt.Errorf("%s: %w", path, err))
	}
	return &arraySource{path: path, file: in, n: n, x: make([]float32, 3*w*h)}, nil
}

func (s *arraySource) set(session *runtime.Session, i int) error {
	if err := s.file.ReadFloat32(s.x, i*len(s.x)); err != nil {
		return badIO(fmt.Errorf("%s: %w", s.path, err))
	}
	return badModel(session.SetFloat(0, s.x))
}

// photoInput is one photo as the bytes of the network's square.
type photoInput []byte

func openPhoto(path string, pre *format.Preprocess) (runInput, error) {
	img, err := source{name: path}.decode(nil)
	if err != nil {
		return nil, err
	}
	var resizer frame.Resizer
	square := make(photoInput, 3*pre.Width*pre.Height)
	if err := resizer.Preprocess(square, img, rfgaedge.FrameSpec(pre)); err != nil {
		return nil, badInput(fmt.Errorf("%s: %w", path, err))
	}
	return square, nil
}

func (photoInput) Len() int                              { return 1 }
func (photoInput) Close() error                          { return nil }
func (p photoInput) set(s *runtime.Session, _ int) error { return badModel(s.SetImage(0, p)) }

// batchOf checks an input's shape and returns the number of images.
func batchOf(shape []int, w, h int) (int, error) {
	if len(shape) == 3 {
		shape = append([]int{1}, shape...)
	}
	if len(shape) != 4 || shape[1] != 3 || shape[2] != h || shape[3] != w {
		return 0, fmt.Errorf("shape %v: the model takes N,3,%d,%d", shape, h, w)
	}
	if shape[0] == 0 {
		return 0, errors.New("the batch is empty")
	}
	return shape[0], nil
}

// output is one output of the graph on its way into a file, image by image.
type output struct {
	index int
	info  runtime.OutputInfo
	file  *outdir.File
	npy   *npy.Writer
	hash  hash.Hash
	raw   []byte
	real  []float32
}

type outputs []*output

func beginOutputs(s *runtime.Session, dir *outdir.Dir, n int) (outs outputs, err error) {
	for i, info := range s.Outputs() {
		size := 1
		for _, d := range info.Shape[1:] {
			size *= d
		}
		info.Shape[0] = n
		o := &output{index: i, info: info, hash: sha256.New(), real: make([]float32, size)}
		if o.file, err = outdir.Begin(dir.Path(info.Name, ".npy")); err != nil {
			return outs, err
		}
		outs = append(outs, o)
		if o.npy, err = npy.NewWriter(o.file, info.Shape); err != nil {
			return outs, err
		}
	}
	return outs, nil
}

func (o *output) take(s *runtime.Session) error {
	if err := s.OutputFloat(0, o.index, o.real); err != nil {
		return err
	}
	o.raw = s.AppendRaw(o.raw[:0], 0, o.index)
	o.hash.Write(o.raw)
	return o.npy.Write(o.real)
}

func (outs outputs) commit() (*runResult, error) {
	r := &runResult{Outputs: map[string]runOutput{}}
	all := sha256.New()
	for _, o := range outs {
		if err := o.npy.Close(); err != nil {
			return nil, err
		}
		sum := o.hash.Sum(nil)
		all.Write(sum)
		r.Outputs[o.info.Name] = runOutput{o.info.Shape, hex.EncodeToString(sum)}
		err := o.file.Commit()
		if o.file = nil; err != nil {
			return nil, err
		}
	}
	r.Hash = hex.EncodeToString(all.Sum(nil))
	return r, nil
}

// abort removes what has not been committed.
func (outs outputs) abort() (err error) {
	for _, o := range outs {
		if o.file != nil {
			err = errors.Join(err, o.file.Abort())
		}
	}
	return err
}

func checkThreads(n int) error {
	if n < 1 || n > runtime.MaxThreads {
		return usage("--threads %d: 1 to %d", n, runtime.MaxThreads)
	}
	return nil
}
