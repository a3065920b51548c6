// Package convert turns trained weights into float models.
//
// Load recognises a file by its content. Checkpoints (package convert/checkpoint) are tensors without a program, so the
// network must be one that Archs lists: it is recognised from the names and shapes of the tensors, or named by
// Options.Arch. What cannot be seen in weights (strides, input size, preprocessing) is fixed for each architecture; the
// table in archs.go says how. ONNX files (package convert/onnx) bring their own graph. Both write through convert/build,
// which folds batch normalisation and lays weights out as the file format wants them.
//
//	load.go       Load, Options
//	archs.go      the architectures, and how a checkpoint is recognised
//	weights.go    tensors by name; what is missing, misshapen or left over, in one error
//	resnet.go ... the networks, one family a file
//	half.go       fp16 models
//
// It may import runtime and quant, never a command. A program that runs models does not import this package.
package convert
