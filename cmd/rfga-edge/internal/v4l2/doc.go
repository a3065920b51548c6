// Package v4l2 takes frames from Linux video devices: webcams, capture cards and the sensors of boards whose driver has the
// single-planar interface (Video4Linux 2).
//
// Open negotiates format and size, and Camera.Read gives frame after frame. A device that is pulled out, stalls or fails gives
// one Image with an error, and the frames go on when it is back. Everything goes through a handful of ioctls (abi.go), behind an
// interface that tests have a device of their own for.
//
// It imports frame and golang.org/x/sys.
package v4l2
