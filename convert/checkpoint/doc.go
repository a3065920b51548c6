// Package checkpoint reads named tensors from the files training leaves behind: PyTorch checkpoints (the zip format since
// 1.6 and the legacy format before it), safetensors and NumPy's .npz.
//
// A PyTorch checkpoint is a pickle, a program for Python's unpickler. This reader executes nothing: it knows the opcodes
// that build plain values, and of the callables that a pickle may name only those in classes.go, whose effect on a
// checkpoint of weights it imitates. Anything else is refused by name. Memory is bounded by limits and by the file's
// length: storages are not read until Tensor.Float32s asks for one.
//
// It imports the standard library, convert/npy, and the limits of runtime/format.
package checkpoint
