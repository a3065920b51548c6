package quant

// A mixture says which layers of a model get more than int8. Its lists are indexed by the float model's tensors or operators;
// one that ends before an index says no.
type mixture struct {
	wide  []bool // activations, by tensor, that are int16
	fine  []bool // linear layers, by operator, whose weights are two int8 parts (lower_parts.go)
	float []bool // operators that compute in float32 with weights in half precision (lower_float.go)
}

func at(list []bool, i int) bool { return i < len(list) && list[i] }
