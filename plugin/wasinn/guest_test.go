package wasinn_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/rfga-edge/rfga-edge/plugin/wasinn"
)

// calls are the functions of WASI-NN with their numbers of i32 parameters; each has one i32 result.
var calls = []struct {
	name   string
	params int
}{{"load", 5}, {"load_by_name", 3}, {"init_execution_context", 2}, {"set_input", 3}, {"compute", 1}, {"get_output", 5}}

// trampoline is a WebAssembly module with one page of memory that exports, for each function of WASI-NN, one that calls it, so that
// a test can call them as a guest with any arguments.
func trampoline() []byte {
	section := func(id byte, content []byte) []byte {
		return append(binary.AppendUvarint([]byte{id}, uint64(len(content))), content...)
	}
	name := func(s string) []byte { return append([]byte{byte(len(s))}, s...) }
	var types, imports, functions, exports, bodies []byte
	for _, list := range []*[]byte{&types, &imports, &functions, &exports, &bodies} {
		*list = append(*list, byte(len(calls)))
	}
	exports[0]++ // the memory
	for i, c := range calls {
		types = append(types, 0x60, byte(c.params))
		for range c.params {
			types = append(types, 0x7f)
		}
		types = append(types, 1, 0x7f)
		imports = append(append(append(imports, name(wasinn.ModuleName)...), name(c.name)...), 0, byte(i))
		functions = append(functions, byte(i))
		exports = append(append(exports, name(c.name)...), 0, byte(len(calls)+i))
		body := []byte{0} // no locals
		for p := range c.params {
			body = append(body, 0x20, byte(p)) // local.get
		}
		body = append(body, 0x10, byte(i), 0x0b) // call, end
		bodies = append(append(bodies, byte(len(body))), body...)
	}
	exports = append(append(exports, name("memory")...), 2, 0)
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = append(b, section(1, types)...)
	b = append(b, section(2, imports)...)
	b = append(b, section(3, functions)...)
	b = append(b, section(5, []byte{1, 0, 1})...)
	b = append(b, section(7, exports)...)
	return append(b, section(10, bodies)...)
}

// client calls WASI-NN as a guest.
type client struct {
	t   testing.TB
	mod api.Module
	nn  *wasinn.Host
}

func newClient(t testing.TB, c wasinn.Config) *client {
	t.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { rt.Close(ctx) })
	nn := wasinn.New(c)
	if _, err := nn.Instantiate(ctx, rt); err != nil {
		t.Fatal(err)
	}
	mod, err := rt.Instantiate(ctx, trampoline())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := mod.Memory().Grow(255); !ok { // 16 MiB in all
		t.Fatal("no memory")
	}
	return &client{t, mod, nn}
}

func (c *client) call(name string, args ...uint32) wasinn.Errno {
	c.t.Helper()
	return c.callCtx(context.Background(), name, args...)
}

func (c *client) callCtx(ctx context.Context, name string, args ...uint32) wasinn.Errno {
	c.t.Helper()
	wide := make([]uint64, len(args))
	for i, a := range args {
		wide[i] = uint64(a)
	}
	r, err := c.mod.ExportedFunction(name).Call(ctx, wide...)
	if err != nil {
		c.t.Fatalf("%s%v: %v", name, args, err)
	}
	return wasinn.Errno(r[0])
}

// put writes words to an address.
func (c *client) put(address uint32, words ...uint32) {
	for i, w := range words {
		if !c.mod.Memory().WriteUint32Le(address+4*uint32(i), w) {
			c.t.Fatalf("address %d", address)
		}
	}
}

func (c *client) get(address uint32) uint32 {
	v, ok := c.mod.Memory().ReadUint32Le(address)
	if !ok {
		c.t.Fatalf("address %d", address)
	}
	return v
}
