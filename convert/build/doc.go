// Package build makes models: an importer walks its source in execution order and calls one method per operator.
//
// The builder speaks the conventions of the frameworks weights come from (convolutions as O,I,KH,KW; fully connected
// layers over C,H,W; batch normalisation as a layer of its own; activations as a parameter) and writes those of package
// runtime/format (O,KH,KW,I padded to 4, NHWC, batch normalisation folded in float64, activations as clamps). It infers
// every shape and refuses what does not fit, so that a finished model is valid by construction.
//
// Builder makes float models. Quantized makes int8 models of networks that were quantized elsewhere: scales, zero points and
// integers come from the caller.
//
// A value is a tensor index, as in format.Op. Arguments that do not fit never panic: the first one is kept, every later
// call does nothing and returns -1, and Finish returns the error.
//
// It imports runtime/format and the standard library, nothing else.
package build
