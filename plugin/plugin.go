package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/kernels"
)

// ABI is the version of the module's interface that this package speaks.
const ABI = 1

// Config says how a module runs. The zero value is usable.
type Config struct {
	// CacheDir keeps compiled modules, so that the next start takes milliseconds. Empty: none is kept.
	CacheDir string
	// Interruptible makes a call stop as soon as its ctx is done, which leaves the instance unusable. wazero then looks at every turn
	// of every loop, and calls take about six times as long. Otherwise ctx is looked at before a call.
	Interruptible bool
	// MemoryPages bounds the module's memory, in pages of 64 KiB; 0 is 16384, one GiB.
	MemoryPages uint32
}

// Plugin is an instance of the module. It is not safe for concurrent use; instances are independent of each other.
type Plugin struct {
	runtime wazero.Runtime
	cache   wazero.CompilationCache
	module  api.Module
	call    map[string]api.Function
}

// exports of the module that are called.
var exports = []string{"rfga_abi", "rfga_alloc", "rfga_free", "rfga_load", "rfga_unload", "rfga_info", "rfga_options", "rfga_localize", "rfga_heat", "rfga_run", "rfga_error"}

// Open compiles and starts a module.
func Open(ctx context.Context, wasm []byte, c Config) (_ *Plugin, err error) {
	p := &Plugin{call: map[string]api.Function{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close(context.WithoutCancel(ctx)))
		}
	}()
	if c.MemoryPages == 0 {
		c.MemoryPages = 1 << 14
	}
	config := wazero.NewRuntimeConfig().WithMemoryLimitPages(c.MemoryPages).WithCloseOnContextDone(c.Interruptible)
	if c.CacheDir != "" {
		if p.cache, err = wazero.NewCompilationCacheWithDir(c.CacheDir); err != nil {
			return nil, fmt.Errorf("compilation cache: %w", err)
		}
		config = config.WithCompilationCache(p.cache)
	}
	p.runtime = wazero.NewRuntimeWithConfig(ctx, config)
	if _, err = wasi_snapshot_preview1.Instantiate(ctx, p.runtime); err != nil {
		return nil, err
	}
	compiled, err := p.runtime.CompileModule(ctx, wasm)
	if err != nil {
		return nil, fmt.Errorf("not a WebAssembly module that can run here: %w", err)
	}
	for _, name := range exports {
		if compiled.ExportedFunctions()[name] == nil {
			return nil, fmt.Errorf("the module exports no function %s: it is no rfga-edge.wasm of interface %d", name, ABI)
		}
	}
	p.module, err = p.runtime.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().
		WithStartFunctions("_initialize").WithSysWalltime().WithSysNanotime().WithEnv(kernels.HostEnv, "wazero"))
	if err != nil {
		return nil, err
	}
	for _, name := range exports {
		p.call[name] = p.module.ExportedFunction(name)
	}
	version, err := p.invoke(ctx, "rfga_abi")
	if err != nil {
		return nil, err
	}
	if int32(version) != ABI {
		return nil, fmt.Errorf("the module has interface %d, this host speaks %d", int32(version), ABI)
	}
	return p, nil
}

// Close ends the instance with everything that was loaded into it.
func (p *Plugin) Close(ctx context.Context) (err error) {
	if p.runtime != nil {
		err = p.runtime.Close(ctx)
	}
	if p.cache != nil {
		err = errors.Join(err, p.cache.Close(ctx))
	}
	return err
}

// MemorySize is the size of the instance's memory in bytes.
func (p *Plugin) MemorySize() int { return int(p.module.Memory().Size()) }

// An Error is what the module says of a call that failed, with the code of ABI.md.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return e.Text }

func (p *Plugin) invoke(ctx context.Context, name string, args ...uint64) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r, err := p.call[name].Call(ctx, args...)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return r[0], nil
}

// small calls a function that returns a 32-bit number, negative for an error.
func (p *Plugin) small(ctx context.Context, name string, args ...uint64) (int32, error) {
	r, err := p.invoke(ctx, name, args...)
	if err == nil && int32(r) < 0 {
		err = p.lastError(ctx, int64(int32(r)))
	}
	return int32(r), err
}

// text calls a function that returns a text by address and size, negative for an error. The text is a copy.
func (p *Plugin) text(ctx context.Context, name string, args ...uint64) ([]byte, error) {
	r, err := p.invoke(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	if int64(r) < 0 {
		return nil, p.lastError(ctx, int64(r))
	}
	return p.read(uint32(r>>32), uint32(r))
}

func (p *Plugin) read(ptr, n uint32) ([]byte, error) {
	b, ok := p.module.Memory().Read(ptr, n)
	if !ok {
		return nil, fmt.Errorf("the module names %d bytes at %d, outside of its memory", n, ptr)
	}
	return append([]byte(nil), b...), nil
}

func (p *Plugin) lastError(ctx context.Context, code int64) error {
	r, err := p.invoke(ctx, "rfga_error")
	if err != nil {
		return err
	}
	text, err := p.read(uint32(r>>32), uint32(r))
	if err != nil {
		return err
	}
	return &Error{int(code), string(text)}
}

// put copies b into a block of the module.
func (p *Plugin) put(ctx context.Context, b []byte) (uint64, error) {
	ptr, err := p.invoke(ctx, "rfga_alloc", uint64(len(b)))
	if err != nil {
		return 0, err
	}
	if uint32(ptr) == 0 || !p.module.Memory().Write(uint32(ptr), b) {
		return 0, fmt.Errorf("the module has no room for %d bytes", len(b))
	}
	return ptr, nil
}

// lend calls f with b in a block of the module, which is freed afterwards.
func (p *Plugin) lend(ctx context.Context, b []byte, f func(ptr uint64) error) error {
	ptr, err := p.put(ctx, b)
	if err != nil {
		return err
	}
	if err := f(ptr); err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return err // the instance has ended
		}
		_, _ = p.small(ctx, "rfga_free", ptr)
		return err
	}
	_, err = p.small(ctx, "rfga_free", ptr)
	return err
}

// Model is a model in the module.
type Model struct {
	p      *Plugin
	handle uint64
}

// Load loads a .rfga file; nil is the model in the module.
func (p *Plugin) Load(ctx context.Context, file []byte) (*Model, error) {
	var ptr uint64
	if len(file) > 0 {
		var err error
		if ptr, err = p.put(ctx, file); err != nil {
			return nil, err
		}
	}
	handle, err := p.small(ctx, "rfga_load", ptr, uint64(len(file))) // which takes the block
	if err != nil {
		return nil, err
	}
	return &Model{p, uint64(handle)}, nil
}

// Unload frees the model.
func (m *Model) Unload(ctx context.Context) error {
	_, err := m.p.small(ctx, "rfga_unload", m.handle)
	return err
}

// Info returns what the module says of the model, a JSON object.
func (m *Model) Info(ctx context.Context) ([]byte, error) {
	return m.p.text(ctx, "rfga_info", m.handle)
}

// SetOptions changes what Localize looks for; ABI.md has the text's form: "threshold=0.1&multi=1".
func (m *Model) SetOptions(ctx context.Context, text string) error {
	return m.p.lend(ctx, []byte(text), func(ptr uint64) error {
		_, err := m.p.small(ctx, "rfga_options", m.handle, ptr, uint64(len(text)))
		return err
	})
}

// Frame is what Localize looks at: an encoded picture, or pixels with planes one behind another. The formats are those of package
// frame, as numbers.
type Frame struct {
	Data                  []byte
	Width, Height, Stride int
	Format                uint32 // 0: an encoded picture
}

// Picture is the frame of a JPEG, PNG, WebP, GIF or BMP file.
func Picture(file []byte) Frame { return Frame{Data: file} }

// Localize finds what is in the frame and where.
func (m *Model) Localize(ctx context.Context, f Frame, topK int) (*rfgaedge.Record, error) {
	rec := new(rfgaedge.Record)
	err := m.p.lend(ctx, f.Data, func(ptr uint64) error {
		text, err := m.p.text(ctx, "rfga_localize", m.handle, ptr, uint64(len(f.Data)),
			api.EncodeI32(int32(f.Width)), api.EncodeI32(int32(f.Height)), api.EncodeI32(int32(f.Stride)), uint64(f.Format), api.EncodeI32(int32(topK)))
		if err != nil {
			return err
		}
		return json.Unmarshal(text, rec)
	})
	return rec, err
}

// Output is an output of Run.
type Output struct {
	Shape  []int  `json:"shape"`
	SHA256 string `json:"sha256"`
	Ptr    uint32 `json:"ptr"`
	Len    uint32 `json:"len"`
	Data   []byte `json:"-"` // float32, little endian
}

// Outputs is what Run computed.
type Outputs struct {
	Outputs map[string]*Output `json:"outputs"`
	Hash    string             `json:"hash"`
}

// Run computes every output from the network's square as bytes, or from normalised float32 values (3, height, width).
func (m *Model) Run(ctx context.Context, input []byte) (*Outputs, error) {
	out := new(Outputs)
	err := m.p.lend(ctx, input, func(ptr uint64) error {
		text, err := m.p.text(ctx, "rfga_run", m.handle, ptr, uint64(len(input)))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, out); err != nil {
			return err
		}
		for _, o := range out.Outputs {
			if o.Data, err = m.p.read(o.Ptr, o.Len); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Heat is the heat map of the last Localize with the option heat=1.
type Heat struct {
	Class  int    `json:"class"`
	Width  int    `json:"w"`
	Height int    `json:"h"`
	Region [4]int `json:"region"`
	Ptr    uint32 `json:"ptr"`
	Len    uint32 `json:"len"`
	Data   []byte `json:"-"` // float32 of 0..1, little endian, row by row
}

// Heat returns the heat map of the last Localize.
func (m *Model) Heat(ctx context.Context) (*Heat, error) {
	text, err := m.p.text(ctx, "rfga_heat", m.handle)
	if err != nil {
		return nil, err
	}
	h := new(Heat)
	if err := json.Unmarshal(text, h); err != nil {
		return nil, err
	}
	h.Data, err = m.p.read(h.Ptr, h.Len)
	return h, err
}
