// Package npy reads and writes NumPy's .npy files of real numbers: float32 and float64, little endian, C order, versions
// 1 to 3 of the format. Files are read piece by piece at any offset, so a batch of images never has to fit in memory, and
// the header is checked against the file's size before anything is allocated: a hostile file gives an error.
//
// It imports only the standard library.
package npy
