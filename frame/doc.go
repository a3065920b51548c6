// Package frame brings pictures into the form that networks take.
//
// Here live the decoding of image files (DecodeImage), the frames that cameras and decoders hand over (Frame, FrameOf), the
// resizing to the network's square (Resizer, Spec) and the way back from there to the picture's pixels (Spec.ToSource), and
// the step between bytes and normalised values (Normalizer). It imports the standard library and golang.org/x/image.
//
// # Files
//
// With the filter Exact the resize is Pillow's antialiased bilinear one (torchvision's on images), bit for bit: the same pixels give
// the same square. Lossless files decode to Pillow's pixels too. JPEG and lossy WebP files follow libjpeg and libwebp in
// interpolating chroma and in their colour conversion; what remains are the roundings of the inverse transform: on a set of 27
// photographs 0.034 of 255 on average and at most 3, before and after the resize. YCbCr frames are converted before they are
// resized, each pixel with the chroma sample of its block, without interpolation. At full range with BT.601 that gives the bits
// of image/color.YCbCrToRGB; otherwise it is rounded to nearest.
//
// # Cameras
//
// With Antialiased and Fast a frame goes through in one pass, in integers, with the same bits on every instruction set. The filter
// is the same triangle, as wide as two source pixels, or two destination pixels where that is more; its weights, computed in
// float64, are rounded to 15 bits so that their running sum is exact, and add up to one. Per row of the square and per plane:
//
//	v[j] = sum over rows k of mulhrs(256*(byte[k][j]-128), c[k])          16 bits; mulhrs(x, c) = (x*c + 1<<14)>>15
//	w[i] = (sum over columns j of d[i][j]*v[j] + 1<<15)>>16               128*(value-128)
//	byte = clamp((m0*w0 + m1*w1 + m2*w2 + bias + 1<<19)>>20, 0, 255)      m with 13 fractional bits
//
// Colours are thus converted after the resize. That is the same as before it, but for rounding, as long as no pixel of the frame
// leaves the range of red, green and blue; where one does (saturated colours at the edge of what YCbCr can say), its excess
// is averaged instead of cut off first. A chroma sample belongs to its block of 2x2 or 2x1 pixels and sits in the middle of
// it, as in JPEG and MPEG-1: its weight is the sum of its pixels' weights. MPEG-2's siting, half a pixel to the left, is not
// told apart. Against Exact, which rounds YCbCr three times on the way: at most 1 of 255 for RGB and gray; for YCbCr at most 2, and
// that in no more than one byte of a thousand.
//
// Fast takes of the rows under a filter that spans 8 or more only every second, of 16 or more every fourth, and so on.
package frame
