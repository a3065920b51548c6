package wasinn

import (
	"context"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/rfga-edge/rfga-edge/runtime"
)

// ModuleName is what guests import from.
const ModuleName = "wasi_ephemeral_nn"

// Errno is the result of every function.
type Errno uint32

// The values of nn_errno in the witx snapshot.
const (
	Success              Errno = 0
	InvalidArgument      Errno = 1
	InvalidEncoding      Errno = 2
	MissingMemory        Errno = 3
	Busy                 Errno = 4
	RuntimeError         Errno = 5
	UnsupportedOperation Errno = 6
	TooLarge             Errno = 7
	NotFound             Errno = 8
)

// The values of tensor_type that are taken.
const (
	tensorF32 = 1
	tensorU8  = 3
)

// Config says what guests find and how much each may hold. Zero limits stand for the defaults in brackets.
type Config struct {
	Models      map[string]*runtime.Model // by name for load_by_name; the host closes them
	MaxModels   int                       // that a guest has loaded itself (4)
	MaxContexts int                       // execution contexts of a guest (4)
	MaxFile     int64                     // bytes of one model file (64 MiB)
	MaxMemory   int64                     // bytes of loaded files and of contexts' activations (512 MiB)
	Threads     int                       // of a context (1)
	// Log is told why a call failed, which the error numbers cannot say. Nil: nobody is.
	Log func(guest api.Module, call string, errno Errno, reason string)
}

// Host keeps what guests have loaded. It is safe for concurrent use by different guests.
type Host struct {
	c      Config
	mu     sync.Mutex
	guests map[api.Module]*guest
}

// New makes a host module.
func New(c Config) *Host {
	def(&c.MaxModels, 4)
	def(&c.MaxContexts, 4)
	def(&c.MaxFile, 64<<20)
	def(&c.MaxMemory, 512<<20)
	def(&c.Threads, 1)
	return &Host{c: c, guests: map[api.Module]*guest{}}
}

func def[T int | int64](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Instantiate puts the module into a wazero runtime, under ModuleName.
func (h *Host) Instantiate(ctx context.Context, rt wazero.Runtime) (api.Module, error) {
	b := rt.NewHostModuleBuilder(ModuleName)
	for _, f := range []struct {
		name string
		args int
		call func(*guest, context.Context, []uint32) (Errno, string)
	}{
		{"load", 5, (*guest).load},
		{"load_by_name", 3, (*guest).loadByName},
		{"init_execution_context", 2, (*guest).initContext},
		{"set_input", 3, (*guest).setInput},
		{"compute", 1, (*guest).compute},
		{"get_output", 5, (*guest).getOutput},
	} {
		params := make([]api.ValueType, f.args)
		for i := range params {
			params[i] = api.ValueTypeI32
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			args := make([]uint32, f.args)
			for i := range args {
				args[i] = uint32(stack[i])
			}
			errno, reason := h.enter(m, func(g *guest) (Errno, string) { return f.call(g, ctx, args) })
			if errno != Success && h.c.Log != nil {
				h.c.Log(m, f.name, errno, reason)
			}
			stack[0] = uint64(errno)
		}), params, []api.ValueType{api.ValueTypeI32}).Export(f.name)
	}
	return b.Instantiate(ctx)
}

// enter runs a call of a guest, one at a time for each.
func (h *Host) enter(m api.Module, f func(*guest) (Errno, string)) (Errno, string) {
	if len(m.ExportedMemoryDefinitions()) == 0 { // Memory() of such a module cannot be asked
		return MissingMemory, "the guest exports no memory"
	}
	h.mu.Lock()
	g := h.guests[m]
	if g == nil {
		g = &guest{c: &h.c, graphs: map[uint32]*graph{}, contexts: map[uint32]*execution{}}
		h.guests[m] = g
	}
	h.mu.Unlock()
	if !g.mu.TryLock() {
		return Busy, "another call of this guest is under way"
	}
	defer g.mu.Unlock()
	g.mem = m.Memory()
	return f(g)
}

// Release frees everything that a guest has loaded. Call it when the guest has ended.
func (h *Host) Release(m api.Module) {
	h.mu.Lock()
	g := h.guests[m]
	delete(h.guests, m)
	h.mu.Unlock()
	if g != nil {
		g.close()
	}
}

// Close frees what guests have loaded that were not released, such as one that ended with an error before it could be.
func (h *Host) Close() {
	h.mu.Lock()
	guests := h.guests
	h.guests = map[api.Module]*guest{}
	h.mu.Unlock()
	for _, g := range guests {
		g.close()
	}
}
