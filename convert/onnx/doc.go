// Package onnx imports ONNX models (opset 9 to 23) as models of package runtime/format: float32 or float16 weights as float
// models, quantized ones as int8.
//
// An import has five steps, each in files of its own:
//
//	wire.go, tensor.go    the file, decoded with protowire; constants stay where they are until they are needed
//	graph.go, fold*.go    names, live nodes in execution order, constant folding (table folds)
//	subgraph.go           the branches of If: shapes are known, so that their conditions are, and one branch becomes part of the graph
//	view.go, ops*.go      each ONNX operator becomes nodes of a small graph over NHWC activations (table rules);
//	                      Reshape, Transpose, Squeeze and the like only change the view of an activation
//	arrange.go            moves the data where an operator needs it in another layout than its view has it
//	match*.go             patterns: RFGA, swish, GELU and their kin, normalisations, batch normalisation into convolutions,
//	                      activations into clamps, class activation heads. They see neither node order nor reshapes
//	emit.go               package convert/build makes the model
//
// Networks that were quantized before they were exported take the same way, with integers in the place of weights and nodes
// that round (quantized.go, and quantized_ops.go for operators on integers); quantized_match.go finds RFGA, heads,
// normalisations and functions between them, quantized_grid.go says which grid a value has, quantized_emit.go makes an int8 model. What ONNX Runtime and this differ in is rounding: at most one step of a layer's
// result.
//
// To add an operator, add a row to rules (and to folds, if exporters compute shapes with it); a new kind of node needs a
// case in emit.go. What cannot be converted is collected: Import returns one error that lists every such node, before it
// reads a weight.
//
// The package imports convert/build, runtime/format, kernels (for functions and half precision), protowire and the standard library.
package onnx
