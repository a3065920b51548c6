package wasinn_test

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/plugin/wasinn"
	"github.com/rfga-edge/rfga-edge/runtime"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// average is a network of 4x4 pixels whose three logits are the mean red, green and blue, normalised to -1..1.
func average(t testing.TB) []byte {
	t.Helper()
	half := [3]float32{0.5, 0.5, 0.5}
	b := build.New("average", "test", 4, 4, half, half)
	b.Localizer("classes", b.Input(), []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}, nil)
	m, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m.Loc = format.Localization{Norm: format.HeatMinMax, Threshold: 0.5}
	var buf bytes.Buffer
	if err := format.Encode(&buf, m); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// Places in the guest's memory.
const (
	result = 8
	tensor = 64
	dims   = 128
	list   = 192
	data   = 1024
	buffer = 512 << 10
)

// load loads a file and returns the error.
func (c *client) load(file []byte) wasinn.Errno {
	c.mod.Memory().Write(data, file)
	c.put(list, data, uint32(len(file)))
	return c.call("load", list, 1, 6, 0, result)
}

func TestPixelsAndFloats(t *testing.T) {
	c := newClient(t, wasinn.Config{})
	if e := c.load(average(t)); e != wasinn.Success {
		t.Fatalf("load: %d", e)
	}
	if e := c.call("init_execution_context", c.get(result), result); e != wasinn.Success {
		t.Fatalf("init_execution_context: %d", e)
	}
	ctx := c.get(result)
	if e := c.call("compute", ctx); e != wasinn.InvalidArgument {
		t.Errorf("compute without an input: %d", e)
	}
	if e := c.call("get_output", ctx, 0, buffer, 12, result); e != wasinn.RuntimeError {
		t.Errorf("get_output before compute: %d", e)
	}
	// 16 pixels of (255, 0, 51): 1, -1 and -0.6 when normalised.
	pixels := bytes.Repeat([]byte{255, 0, 51}, 16)
	want := []float32{1, -1, -0.6}
	try := func(kind string) {
		t.Helper()
		if e := c.call("set_input", ctx, 0, tensor); e != wasinn.Success {
			t.Fatalf("%s: set_input: %d", kind, e)
		}
		if e := c.call("compute", ctx); e != wasinn.Success {
			t.Fatalf("%s: compute: %d", kind, e)
		}
		if e := c.call("get_output", ctx, 0, buffer, 12, result); e != wasinn.Success || c.get(result) != 12 {
			t.Fatalf("%s: get_output: %d, %d bytes", kind, e, c.get(result))
		}
		for i, w := range want {
			if g := math.Float32frombits(c.get(buffer + 4*uint32(i))); math.Abs(float64(g-w)) > 1e-6 {
				t.Errorf("%s: logit %d is %v, want %v", kind, i, g, w)
			}
		}
	}
	c.put(dims, 1, 4, 4, 3)
	c.put(tensor, dims, 4, 3, data, 48)
	c.mod.Memory().Write(data, pixels)
	try("pixels")
	c.put(dims, 3, 4, 4)
	c.put(tensor, dims, 3, 1, data, 4*48)
	for i := range uint32(48) {
		c.put(data+4*i, math.Float32bits(want[i/16]))
	}
	try("floats")
	if e := c.call("get_output", ctx, 0, buffer, 11, result); e != wasinn.TooLarge || c.get(result) != 12 {
		t.Errorf("a buffer of 11 bytes: %d, %d wanted", e, c.get(result))
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if e := c.callCtx(canceled, "compute", ctx); e != wasinn.RuntimeError {
		t.Errorf("compute after cancel: %d", e)
	}
}

func TestWrongCalls(t *testing.T) {
	var reasons []string
	c := newClient(t, wasinn.Config{Log: func(_ api.Module, call string, e wasinn.Errno, reason string) {
		reasons = append(reasons, call+": "+reason)
	}})
	file := average(t)
	if e := c.load(file); e != wasinn.Success {
		t.Fatal(e)
	}
	g := c.get(result)
	c.call("init_execution_context", g, result)
	ctx := c.get(result)
	c.put(dims, 4, 4, 3)
	c.put(tensor, dims, 3, 3, data, 48)
	if e := c.call("set_input", ctx, 0, tensor); e != wasinn.Success {
		t.Fatal(e)
	}
	if e := c.call("compute", ctx); e != wasinn.Success {
		t.Fatal(e)
	}
	const end, far = 16 << 20, math.MaxUint32
	bad := func(want wasinn.Errno, name string, args ...uint32) {
		t.Helper()
		n := len(reasons)
		if e := c.call(name, args...); e != want {
			t.Errorf("%s%v: %d, want %d", name, args, e, want)
		} else if len(reasons) != n+1 || !strings.Contains(reasons[n], " ") {
			t.Errorf("%s%v: no reason", name, args)
		}
	}
	bad(1, "load", list, 0, 6, 0, result)
	bad(1, "load", list, 2, 6, 0, result)
	bad(1, "load", end-4, 1, 6, 0, result)
	bad(1, "load", far-3, 1, 6, 0, result)
	c.mod.Memory().Write(data, file)
	c.put(list, data, uint32(len(file)))
	bad(1, "load", list, 1, 6, 0, end-3)
	c.put(list, data, uint32(len(file)-1))
	bad(2, "load", list, 1, 6, 0, result)
	c.put(list, end-10, 11)
	bad(1, "load", list, 1, 6, 0, result)
	c.put(list, data, far)
	bad(7, "load", list, 1, 6, 0, result)
	bad(8, "load_by_name", data, 4, result)
	bad(1, "load_by_name", far, far, result)
	bad(1, "init_execution_context", 99, result)
	bad(1, "init_execution_context", g, far)
	bad(1, "set_input", 99, 0, tensor)
	bad(1, "set_input", ctx, 1, tensor)
	bad(1, "set_input", ctx, 0, end-19)
	for _, words := range [][]uint32{
		{dims, 5, 3, data, 48}, {end, 3, 3, data, 48}, {dims, far, 3, data, 48}, {dims, 3, 3, data, 47}, {dims, 3, 3, end - 47, 48},
		{dims, 3, 1, data, 48}, {dims, 3, 2, data, 48}, {dims, 0, 3, data, 48}, {far, 0, 3, far, far},
	} {
		c.put(tensor, words...)
		bad(1, "set_input", ctx, 0, tensor)
	}
	bad(5, "get_output", ctx, 0, buffer, 12, result) // the failed inputs left none
	c.put(tensor, dims, 3, 3, data, 48)
	c.call("set_input", ctx, 0, tensor)
	c.call("compute", ctx)
	bad(1, "compute", 99)
	bad(1, "get_output", 99, 0, buffer, 12, result)
	bad(1, "get_output", ctx, 2, buffer, 12, result)
	bad(1, "get_output", ctx, 0, end-11, 12, result)
	bad(1, "get_output", ctx, 0, buffer, 12, end-3)
	bad(7, "get_output", ctx, 0, buffer, 0, result)
}

func TestLimits(t *testing.T) {
	file := average(t)
	c := newClient(t, wasinn.Config{MaxModels: 2, MaxContexts: 2})
	for range 2 {
		if e := c.load(file); e != wasinn.Success {
			t.Fatal(e)
		}
	}
	if e := c.load(file); e != wasinn.TooLarge {
		t.Errorf("a third model: %d", e)
	}
	for range 2 {
		if e := c.call("init_execution_context", 1, result); e != wasinn.Success {
			t.Fatal(e)
		}
	}
	if e := c.call("init_execution_context", 1, result); e != wasinn.TooLarge {
		t.Errorf("a third context: %d", e)
	}
	c.nn.Release(c.mod)
	if e := c.call("compute", 3); e != wasinn.InvalidArgument {
		t.Errorf("compute with a released context: %d", e)
	}
	if e := c.load(file); e != wasinn.Success {
		t.Errorf("load after a release: %d", e)
	}
	if e := newClient(t, wasinn.Config{MaxFile: int64(len(file)) - 1}).load(file); e != wasinn.TooLarge {
		t.Errorf("a file over the limit: %d", e)
	}
	tight := newClient(t, wasinn.Config{MaxMemory: int64(len(file))})
	if e := tight.load(file); e != wasinn.Success {
		t.Fatal(e)
	}
	if e := tight.call("init_execution_context", 1, result); e != wasinn.TooLarge {
		t.Errorf("a context without room: %d", e)
	}
}

func TestByName(t *testing.T) {
	m, err := runtime.FromBytes(average(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c := newClient(t, wasinn.Config{Models: map[string]*runtime.Model{"average": m}, MaxModels: 1})
	c.mod.Memory().Write(data, []byte("average"))
	for range 3 {
		if e := c.call("load_by_name", data, 7, result); e != wasinn.Success || c.get(result) != 1 {
			t.Fatalf("%d, graph %d", e, c.get(result))
		}
	}
	if e := c.call("load_by_name", data, 6, result); e != wasinn.NotFound {
		t.Errorf("a model that is not there: %d", e)
	}
}

// FuzzGuest makes a row of calls with arguments from the fuzzer, 4 bytes each, small ones more often than not. The host must
// neither panic nor touch what is not the guest's.
func FuzzGuest(f *testing.F) {
	file := average(f)
	f.Add([]byte("\x00\xc0\x01\x06\x00\x08\x02\x01\x08\x03\x01\x00\x40\x04\x02\x05\x02\x00\x80\x0c\x08"))
	f.Add([]byte{1, 0xff, 0xff, 5, 2, 2, 2, 2, 2})
	f.Fuzz(func(t *testing.T, script []byte) {
		c := newClient(t, wasinn.Config{MaxMemory: 1 << 20})
		c.mod.Memory().Write(data, file)
		c.put(list, data, uint32(len(file)))
		c.put(dims, 4, 4, 3)
		c.put(tensor, dims, 3, 3, data, 48)
		next := func() (v uint32) {
			if len(script) == 0 {
				return 0
			}
			b := script[0]
			script = script[1:]
			switch {
			case b < 192:
				return uint32(b)
			case b < 224:
				return uint32(16<<20) - uint32(b-192) // around the end of the memory
			}
			return -uint32(b - 224) // around the end of the address space
		}
		for range 12 {
			if len(script) == 0 {
				break
			}
			call := calls[int(next())%len(calls)]
			var args []uint32
			for range call.params {
				args = append(args, next())
			}
			if e := c.call(call.name, args...); e > wasinn.NotFound {
				t.Fatalf("%s%v: errno %d", call.name, args, e)
			}
		}
		c.nn.Release(c.mod)
	})
}
