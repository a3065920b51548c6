package checkpoint

import "fmt"

// Values are nil, bool, int64, float64, string, and these.
type (
	bigInt   string // two's complement, little endian, more than eight bytes
	rawBytes string
	tuple    []any
	list     struct{ items []any }
	dict     struct {
		entries []entry
		index   map[string]int
	}
	entry struct{ key, value any }
)

func (d *dict) get(key string) any {
	if i, ok := d.index[key]; ok {
		return d.entries[i].value
	}
	return nil
}

// set puts a value under a key; a string key that is there already is overwritten, as Python does.
func (d *dict) set(key, value any) error {
	switch key := key.(type) {
	case string:
		if i, ok := d.index[key]; ok {
			d.entries[i].value = value
			return nil
		}
		if d.index == nil {
			d.index = map[string]int{}
		}
		d.index[key] = len(d.entries)
	case nil, bool, int64, float64, tuple, rawBytes, opaque, *class, *view:
	default:
		return fmt.Errorf("%s as a key of a dictionary", describe(key))
	}
	d.entries = append(d.entries, entry{key, value})
	return nil
}

// elements are the items of a list or tuple.
func elements(v any) ([]any, bool) {
	switch v := v.(type) {
	case tuple:
		return v, true
	case *list:
		return v.items, true
	}
	return nil, false
}

// integers are the items of a list or tuple of whole numbers.
func integers(v any) ([]int64, bool) {
	items, ok := elements(v)
	if !ok {
		return nil, false
	}
	n := make([]int64, len(items))
	for i := range items {
		if n[i], ok = items[i].(int64); !ok {
			return nil, false
		}
	}
	return n, true
}

// describe names a value in an error.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool, int64, float64:
		return fmt.Sprint(v)
	case string:
		return "the string " + quote(v)
	case rawBytes:
		return fmt.Sprintf("%d bytes", len(v))
	case bigInt:
		return fmt.Sprintf("a number of %d bytes", len(v))
	case opaque:
		return "a " + string(v)
	case tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *list:
		return fmt.Sprintf("a list of %d", len(v.items))
	case *dict:
		return fmt.Sprintf("a dictionary of %d", len(v.entries))
	case *class:
		return v.name
	case *storage:
		return "a storage"
	case *view:
		return fmt.Sprintf("a tensor of shape %v", v.size)
	}
	return fmt.Sprintf("%T", v)
}
