// Package npy reads the header of NumPy's .npy files, versions 1 to 3 of the format: a Python dictionary, of which nothing is
// evaluated. What the elements are is for the caller to judge; a header that lies about itself gives an error.
//
// It imports only the standard library.
package npy
