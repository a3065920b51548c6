// Package tflite imports LiteRT (TensorFlow Lite) models: float ones, and int8 and uint8 ones as TensorFlow's converter makes them
// by full-integer quantization.
//
// A file is rewritten, in memory, as an ONNX model with QuantizeLinear and DequantizeLinear around each operator, which package
// convert/onnx imports: it has the operators, folds constants and finds attention and heads. The int8 scheme of LiteRT is that of
// package runtime/format, so scales, zero points and weights carry over unchanged. Its multipliers are in fixed point and its
// rounding takes halves away from zero, sometimes twice: a layer's results differ from it in at most one step, and seldom.
//
//	flat.go    flatbuffers, read in place: every offset, length and count is checked before it is used
//	model.go   tensors and operators of a file
//	proto.go   an ONNX model, written as it goes
//	ops.go     what each operator becomes (table operators)
//	import.go  Import
//
// Facts about the format are from TensorFlow's schema.fbs (Apache-2.0). The package imports convert/onnx, runtime/format,
// protowire and the standard library.
package tflite
