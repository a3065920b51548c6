// Package runtime executes .rfga models: it makes a plan once when a model is loaded (operators fused, kernels chosen, weights
// packed, one arena laid out by lifetime) and runs it in sessions that share the read-only model.
//
// Where things are:
//
//	model.go    opening a model; what sessions share
//	plan.go     from the file's graph to steps; fusion in fuse.go
//	prepare*.go one operator of the file to one prepared operator of package kernels
//	arena.go    placing activations by lifetime
//	session.go  memory of one user, running, cancellation; input.go and output.go its two ends
//	pool.go     the worker threads
//
// Inside, activations are NHWC and an int8 value is stored as the byte q+128. A batch is run image by image, so every batch
// size gives the bits of batch 1; threads split each operator into units whose results do not depend on the split.
//
// The package imports kernels, rfga and runtime/format only.
package runtime
