// Package convert turns trained weights into float models, and quantized networks into int8 models.
//
// Load recognises a file by its content. Checkpoints (package convert/checkpoint) are tensors without a program, so the
// network must be one that Archs lists: it is recognised from the names and shapes of the tensors, or named by
// Options.Arch. What cannot be seen in weights (strides, input size, preprocessing) is fixed for each architecture; the
// table in archs.go says how. ONNX and LiteRT files (packages convert/onnx and convert/tflite) bring their own graph. All
// write through convert/build, which folds batch normalisation and lays weights out as the file format wants them.
//
//	load.go       Load, Options
//	archs.go      the architectures, and how a checkpoint is recognised
//	weights.go    tensors by name; what is missing, misshapen or left over, in one error
//	resnet.go ... the networks, one family a file
//	graph.go      files that bring their own graph
//	half.go       fp16 models
//
// It may import runtime and quant, never a command. A program that runs models does not import this package.
package convert
