// Package rfgaedge says what is in a picture and where, with a network that learned it from class labels alone.
//
// A program opens a model, makes a session per goroutine, and localizes frames:
//
//	model, err := rfgaedge.Open("model.rfga")
//	session, err := model.NewSession(rfgaedge.Threads(2))
//	var result rfgaedge.Result
//	err = session.Localize(ctx, &frame, &result)
//
// The result holds the most probable classes and, for each, a box in the frame's pixels. After the first frame of a size
// and format, Localize allocates nothing. An int8 model gives the same bits on every machine, for every number of threads.
//
// This package is small on purpose: it opens models (package runtime), prepares frames (package frame) and turns class
// maps into boxes (package rfga); besides these it imports only kernels, for the exponential function of the probabilities.
// Converters and the command are not behind it; the model that the command carries is in package defaultmodel, for programs
// that want those megabytes.
package rfgaedge
