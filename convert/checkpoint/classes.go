package checkpoint

import (
	"errors"
	"fmt"
	"strings"
)

// class is a callable that a pickle names. effect imitates the call; args are its arguments.
type class struct {
	name   string
	effect func(args tuple) (any, error)
	dtype  DType // of a storage class, or of an element type
}

// opaque stands for a value that loads but that no weight needs, such as a numpy scalar.
type opaque string

// storage is a run of elements in the file. A legacy storage may be a view of another: viewLen is -1 if it is not.
type storage struct {
	dtype              DType
	key                string
	numel              int64
	viewStart, viewLen int64
}

// view is a tensor before its storage is located.
type view struct {
	storage      *storage
	offset       int64
	size, stride []int64
	dtype        DType // if the storage does not say
}

// classes is the allow-list: everything a pickle may name. Nothing here runs code from the file.
var classes = allowList()

func allowList() map[string]*class {
	l := map[string]*class{}
	add := func(effect func(tuple) (any, error), names ...string) {
		for _, n := range names {
			l[n] = &class{name: n, effect: effect}
		}
	}
	add(newDict, "collections.OrderedDict")
	add(rebuildTensor, "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
	add(first, "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.Size")
	add(constant("torch.device"), "torch.device")
	// Numbers that training scripts keep as numpy scalars ("best_acc"); their bytes are strings in protocol 2.
	add(constant("numpy number"), "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
	add(constant("numpy.dtype"), "numpy.dtype")
	add(constant("bytes"), "_codecs.encode")
	for _, s := range []struct {
		class string
		dtype DType
	}{
		{"Float", Float32}, {"Double", Float64}, {"Half", Float16}, {"BFloat16", BFloat16}, {"Long", Int64}, {"Int", "int32"},
		{"Short", "int16"}, {"Char", "int8"}, {"Byte", "uint8"}, {"Bool", "bool"}, {"ComplexFloat", "complex64"},
		{"ComplexDouble", "complex128"}, {"Untyped", "uint8"},
	} {
		for _, module := range []string{"torch.", "torch.cuda.", "torch.storage."} {
			n := module + s.class + "Storage"
			l[n] = &class{name: n, dtype: s.dtype}
		}
	}
	for d := range sizes {
		n := "torch." + string(d)
		l[n] = &class{name: n, dtype: d}
	}
	return l
}

// lookup finds a callable by name, or refuses it.
func lookup(module, name string) (*class, error) {
	full := module + "." + name
	if c := classes[full]; c != nil {
		return c, nil
	}
	what := "a checkpoint of weights does not need it, so it was refused and nothing was run"
	if strings.HasPrefix(module, "torch.nn") || strings.HasPrefix(module, "torchvision") || module == "__main__" {
		what = "the file holds a whole pickled module instead of its weights"
	}
	return nil, fmt.Errorf("the pickle names %s: %s; %s", quote(full), what, advice)
}

// call imitates c(*args).
func (c *class) call(args tuple) (any, error) {
	if c.effect == nil {
		return nil, fmt.Errorf("a call of %s, which is only known as a type", c.name)
	}
	v, err := c.effect(args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return v, nil
}

func constant(what string) func(tuple) (any, error) {
	return func(tuple) (any, error) { return opaque(what), nil }
}

func first(args tuple) (any, error) {
	if len(args) == 0 {
		return nil, errors.New("called without arguments")
	}
	return args[0], nil
}

// newDict is OrderedDict() or OrderedDict([(key, value), ...]).
func newDict(args tuple) (any, error) {
	d := &dict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := elements(args[0])
	if !ok || len(args) > 1 {
		return nil, fmt.Errorf("called with %s; one list of pairs is known", describe(args[0]))
	}
	for _, p := range pairs {
		kv, ok := elements(p)
		if !ok || len(kv) != 2 {
			return nil, fmt.Errorf("called with %s among its pairs", describe(p))
		}
		if err := d.set(kv[0], kv[1]); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// rebuildTensor is _rebuild_tensor(storage, offset, size, stride), and v2 and v3 with arguments behind that do not change
// the values, except v3's dtype (the seventh).
func rebuildTensor(args tuple) (any, error) {
	if len(args) < 4 || len(args) > 9 {
		return nil, fmt.Errorf("called with %d arguments", len(args))
	}
	s, ok := args[0].(*storage)
	if !ok {
		return nil, fmt.Errorf("its storage is %s", describe(args[0]))
	}
	v := &view{storage: s}
	if v.offset, ok = args[1].(int64); !ok {
		return nil, fmt.Errorf("its offset is %s", describe(args[1]))
	}
	if v.size, ok = integers(args[2]); !ok {
		return nil, fmt.Errorf("its size is %s", describe(args[2]))
	}
	if v.stride, ok = integers(args[3]); !ok {
		return nil, fmt.Errorf("its stride is %s", describe(args[3]))
	}
	if len(args) > 6 {
		if c, ok := args[6].(*class); ok {
			if c.dtype == "" || c.effect != nil {
				return nil, fmt.Errorf("its element type is %s", describe(c))
			}
			v.dtype = c.dtype
		}
	}
	return v, nil
}

// persistent is what a persistent id stands for: ("storage", class, key, location, numel[, view]).
func (u *unpickler) persistent(id any) (any, error) {
	t, ok := id.(tuple)
	if !ok || len(t) < 5 || len(t) > 6 || t[0] != "storage" {
		return nil, fmt.Errorf("a persistent id of %s; only storages have one", describe(id))
	}
	c, _ := t[1].(*class)
	key, ok := t[2].(string)
	numel, ok2 := t[4].(int64)
	if c == nil || c.dtype == "" || !ok || !ok2 || numel < 0 || numel > 1<<48 {
		return nil, fmt.Errorf("a storage of type %s, key %s and length %s", describe(t[1]), describe(t[2]), describe(t[4]))
	}
	s := u.storages[key]
	if s == nil {
		s = &storage{dtype: c.dtype, key: key, numel: numel, viewLen: -1}
		u.storages[key] = s
	} else if s.dtype != c.dtype || s.numel != numel {
		return nil, fmt.Errorf("storage %s is %d elements of %s here and %d of %s elsewhere", quote(key), numel, c.dtype, s.numel, s.dtype)
	}
	if len(t) == 5 || t[5] == nil {
		return s, nil
	}
	m, ok := elements(t[5])
	if !ok || len(m) != 3 {
		return nil, fmt.Errorf("storage %s is a view by %s", quote(key), describe(t[5]))
	}
	start, ok := m[1].(int64)
	length, ok2 := m[2].(int64)
	if !ok || !ok2 || start < 0 || length < 0 || start > numel || length > numel-start {
		return nil, fmt.Errorf("storage %s has %d elements; a view of it has %s at %s", quote(key), numel, describe(m[2]), describe(m[1]))
	}
	v := *s
	v.viewStart, v.viewLen = start, length
	return &v, nil
}
