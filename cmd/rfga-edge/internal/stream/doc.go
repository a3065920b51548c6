// Package stream reads frames from what delivers them, and hands them to a camera of an rfgaedge.Pool.
//
// Open finds out what an input is: a file, a FIFO, standard input a TCP connection on this machine, holding y4m, raw video, or
// JPEGs one behind the other, alone or in multipart; or a video device (package v4l2). A Source gives one frame after another and survives bad ones; Pump moves
// frames from a Source to a camera at no more than the wanted rate.
//
// Nothing here keeps more than one frame, and no frame is larger than MaxFrame bytes.
//
// It imports the root package and frame.
package stream
