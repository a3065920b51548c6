// Package guest is what the WebAssembly modules of this project do, apart from how a host calls them: models by handle,
// memory blocks by address, results as JSON. It is plain Go, so its tests run natively; plugin/module and plugin/extism export it.
package guest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/frame"
	"github.com/rfga-edge/rfga-edge/runtime"
)

// ABI is the version of the interface that plugin/ABI.md specifies.
const ABI = 1

// Error codes of the interface.
const (
	CodeArgument = -1 // a handle, address, size or option that makes no sense
	CodeModel    = -2 // not a usable model
	CodeInput    = -3 // not a usable picture, frame or array
	CodeSupport  = -4 // the model or the module cannot do that
	CodeInternal = -5 // a bug
)

// Error is an error with its code.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

func fail(code int, format string, args ...any) error {
	return &Error{code, fmt.Errorf(format, args...)}
}

// Code is the code of an error, 0 for nil.
func Code(err error) int {
	var e *Error
	var f *rfgaedge.FrameError
	var o *rfgaedge.OptionError
	var m *rfgaedge.ModelError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Code
	case errors.As(err, &f):
		return CodeInput
	case errors.As(err, &o):
		return CodeArgument
	case errors.As(err, &m):
		return CodeModel
	case errors.Is(err, rfgaedge.ErrNoHead):
		return CodeSupport
	}
	return CodeInternal
}

// Limits bounds the pictures that Localize decodes: a module's memory ends at 4 GiB at most.
var Limits = frame.Limits{Bytes: 64 << 20, Pixels: 1 << 25, Side: frame.MaxSide}

// Guest holds the models that a host has loaded. The zero value is ready. It is not safe for concurrent use.
type Guest struct {
	// Default opens the model that is built in, nil without one.
	Default func(...rfgaedge.Option) (*rfgaedge.Model, error)
	// Address says where the host finds the bytes of a block, nil where it cannot look.
	Address func([]byte) uint32

	models map[int32]*entry
	last   int32
}

type entry struct {
	model   *rfgaedge.Model
	session *rfgaedge.Session
	run     *runtime.Session // made by the first Run
	options rfgaedge.LocalizeOptions
	frame   frame.Frame
	result  rfgaedge.Result
	record  rfgaedge.Record
	out     []byte // of Run and Heat
}

// Load prepares a model; file belongs to the guest from then on. No bytes: the model that is built in.
func (g *Guest) Load(file []byte) (int32, error) {
	var m *rfgaedge.Model
	var err error
	switch {
	case len(file) > 0:
		var rt *runtime.Model
		if rt, err = runtime.FromBytes(file); err != nil {
			return 0, &Error{CodeModel, err}
		}
		m, err = rfgaedge.New(rt)
	case g.Default != nil:
		m, err = g.Default()
	default:
		err = fail(CodeSupport, "this module was built without a model: load one")
	}
	if err != nil {
		return 0, err
	}
	g.last++
	if g.models == nil {
		g.models = map[int32]*entry{}
	}
	g.models[g.last] = &entry{model: m}
	return g.last, nil
}

// Unload forgets a model.
func (g *Guest) Unload(handle int32) error {
	e, err := g.entry(handle)
	if err != nil {
		return err
	}
	if e.session != nil {
		e.session.Close()
	}
	if e.run != nil {
		e.run.Close()
	}
	delete(g.models, handle)
	return e.model.Close()
}

func (g *Guest) entry(handle int32) (*entry, error) {
	e := g.models[handle]
	if e == nil {
		return nil, fail(CodeArgument, "no model has handle %d", handle)
	}
	return e, nil
}

// Info describes a model.
func (g *Guest) Info(handle int32) ([]byte, error) {
	e, err := g.entry(handle)
	if err != nil {
		return nil, err
	}
	run, err := e.runner()
	if err != nil {
		return nil, err
	}
	return appendInfo(nil, e.model, run.Outputs()), nil
}

// Options changes what Localize looks for; see parseOptions.
func (g *Guest) Options(handle int32, text []byte) error {
	e, err := g.entry(handle)
	if err != nil {
		return err
	}
	next, err := parseOptions(e.options, string(text))
	if err != nil {
		return err
	}
	s, err := e.localizer()
	if err != nil {
		return err
	}
	if err := s.SetOptions(next); err != nil {
		return err
	}
	e.options = next
	return nil
}

func (e *entry) localizer() (*rfgaedge.Session, error) {
	if e.session == nil {
		s, err := e.model.NewSession(rfgaedge.Localizing(e.options), rfgaedge.Resizing(rfgaedge.Exact)) // as the command localize does
		if err != nil {
			return nil, err
		}
		e.session = s
	}
	return e.session, nil
}

func (e *entry) runner() (*runtime.Session, error) {
	if e.run == nil {
		s, err := e.model.Runtime().NewSession(runtime.Options{})
		if err != nil {
			return nil, &Error{CodeModel, err}
		}
		e.run = s
	}
	return e.run, nil
}

// Localize finds what is in a picture and where. format 0 is an encoded picture (JPEG, PNG, WebP, GIF, BMP), whose w, h and stride
// do not matter; others are those of package frame, with planes one behind another.
func (g *Guest) Localize(handle int32, data []byte, w, h, stride int, format uint32, topK int) ([]byte, error) {
	e, err := g.entry(handle)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	f := &e.frame
	if format == 0 {
		img, err := frame.DecodeImage(bytes.NewReader(data), Limits)
		if err != nil {
			return nil, &Error{CodeInput, err}
		}
		*f = frame.Frame{Format: frame.RGB24, Width: img.W, Height: img.H, Planes: [3][]byte{img.Pix}}
	} else {
		*f = frame.Frame{Format: frame.Format(min(format, 255)), Width: w, Height: h}
		if err := f.SplitRows(stride, data); err != nil {
			return nil, err
		}
	}
	decode := time.Since(begin)
	s, err := e.localizer()
	if err != nil {
		return nil, err
	}
	if topK != e.options.TopK {
		next := e.options
		next.TopK = topK
		if err := s.SetOptions(next); err != nil {
			return nil, err
		}
		e.options = next
	}
	if err := s.Localize(context.Background(), f, &e.result); err != nil {
		return nil, err
	}
	e.model.Fill(&e.record, "", &e.result, decode)
	return e.record.AppendJSON(nil), nil
}

// Heat describes the heat map of the last Localize: float32 of 0..1, row by row, over region of the picture.
func (g *Guest) Heat(handle int32) ([]byte, error) {
	e, err := g.entry(handle)
	if err != nil {
		return nil, err
	}
	src := &e.result.Heat
	if len(src.Pix) == 0 {
		return nil, fail(CodeSupport, `no heat map: set the option "heat" before localizing; a picture in which nothing was found has none`)
	}
	e.out = e.out[:0]
	for _, v := range src.Pix {
		e.out = binary.LittleEndian.AppendUint32(e.out, math.Float32bits(float32(v)))
	}
	return appendHeat(nil, src, block{g.address(e.out), len(e.out)}), nil
}

func (g *Guest) address(b []byte) uint32 {
	if g.Address == nil {
		return 0
	}
	return g.Address(b)
}

// Run computes every output. The input is the network's square as bytes (height, width, 3; in the model's colour order) or as
// normalised little-endian float32 (3, height, width). Hashes are those of the command's verb run.
func (g *Guest) Run(handle int32, data []byte) ([]byte, error) {
	e, err := g.entry(handle)
	if err != nil {
		return nil, err
	}
	s, err := e.runner()
	if err != nil {
		return nil, err
	}
	w, h := e.model.InputSize()
	switch n := 3 * w * h; len(data) {
	case n:
		err = s.SetImage(0, data)
	case 4 * n:
		x := make([]float32, n)
		for i := range x {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
		err = s.SetFloat(0, x)
	default:
		return nil, fail(CodeInput, "input of %d bytes: the model takes %d (bytes of %dx%d pixels) or %d (float32)", len(data), n, w, h, 4*n)
	}
	if err != nil {
		return nil, &Error{CodeInput, err}
	}
	if err := s.Run(context.Background()); err != nil {
		return nil, err
	}
	return g.outputs(e, s)
}

func (g *Guest) outputs(e *entry, s *runtime.Session) ([]byte, error) {
	list := s.Outputs()
	total := 0
	for _, o := range list {
		total += 4 * elements(o.Shape)
	}
	e.out = slices.Grow(e.out[:0], total) // addresses are taken below: it must not move
	all := sha256.New()
	text := append([]byte(nil), `{"v":1,"outputs":{`...)
	for i, o := range list {
		x := make([]float32, elements(o.Shape))
		if err := s.OutputFloat(0, i, x); err != nil {
			return nil, err
		}
		begin := len(e.out)
		for _, v := range x {
			e.out = binary.LittleEndian.AppendUint32(e.out, math.Float32bits(v))
		}
		sum := sha256.Sum256(s.AppendRaw(nil, 0, i))
		all.Write(sum[:])
		if i > 0 {
			text = append(text, ',')
		}
		text = appendOutput(text, o, sum[:], block{g.address(e.out[begin:]), len(e.out) - begin})
	}
	text = hex.AppendEncode(append(text, `},"hash":"`...), all.Sum(nil))
	return append(text, `"}`...), nil
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}
