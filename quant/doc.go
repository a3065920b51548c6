// Package quant lowers a float model to int8: it watches the float network run over calibration images, chooses scales,
// quantizes weights and rewrites every operator into the quantized form that package format describes.
//
// The steps, each in its own file:
//
//   - simplify.go rewrites the float graph without changing its values, where that saves a rounding step in int8.
//   - calibrate.go runs it in package runtime, with gonum's matrix product; observer.go gathers each activation's values in
//     constant memory, views.go those inside of residual fine-grained attention.
//   - equalize.go and reorder.go change the float weights, not what the network computes: the scales of channels, so that one
//     int8 grid suits all of an activation's channels, and their order, so that pair-safe weights lose little. rewrite.go is
//     what both use.
//   - ranges.go chooses what range of the observed values int8 shall cover; params.go turns it into scales and zero points, and decides which tensors share one.
//   - weights.go and pairs.go quantize one output channel; linear.go a whole layer with its multipliers and its biases, which
//     make up for what the weights' rounding is wrong by on the average input.
//   - rounding.go and gram.go improve those integers, if asked for, by how the values of a layer's input vary together.
//   - lower.go, lower_linear.go, lower_simple.go, lower_move.go and lower_rfga.go emit the operators; lower_parts.go and
//     lower_float.go those that get more than int8.
//   - saturate.go ends a range where the function that reads the activation no longer changes.
//   - measure.go and meter.go run the float network and the quantized one in step and compare every layer; shares.go says how much
//     of the outputs' error each layer causes.
//   - control.go chooses which layers get more than int8, by what causes.go measures and answers.go compares.
//   - quality.go is what the file keeps of that; findings.go says in words which layers lose, why, and what can be done.
//   - report.go is what a person gets to see: what each layer lost, and where.
//
// The result is a function of the model, the images, the options and the float kernels of the machine: neither the number
// of threads nor the order of goroutines enters it. Float kernels of different instruction sets differ in the last bits
// of a range; with RFGA_DISABLE=sse4.1, which leaves portable Go and gonum, every amd64 machine writes the same file.
//
// It imports package runtime, what that imports, and gonum; only the converter imports it.
package quant
