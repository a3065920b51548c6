package checkpoint

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rfga-edge/rfga-edge/convert/npy"
)

// kerasAdvice is how weights of TensorFlow come in.
const kerasAdvice = "export the network: to ONNX (python -m tf2onnx.convert --keras model.h5 --output model.onnx) or to .tflite (tf.lite.TFLiteConverter)"

// npyTypes are NumPy's names of element types that a file may hold, less the byte order.
var npyTypes = map[string]DType{
	"f4": Float32, "f8": Float64, "f2": Float16, "i8": Int64, "i4": "int32", "i2": "int16", "i1": "int8", "u1": "uint8",
	"u2": "uint16", "u4": "uint32", "u8": "uint64", "b1": "bool",
}

// isNPZ says whether an archive is numpy.savez's: arrays, and nothing else.
func isNPZ(z *zip.Reader) bool {
	return len(z.File) > 0 && !slices.ContainsFunc(z.File, func(f *zip.File) bool { return !strings.HasSuffix(f.Name, ".npy") })
}

// readNPZ reads the arrays of numpy.savez and numpy.savez_compressed, named as in a checkpoint.
func readNPZ(r io.ReaderAt, size int64, z *zip.Reader) (map[string]*Tensor, error) {
	tensors := make(map[string]*Tensor, len(z.File))
	inflate := 4*size + 16<<20 // weights hardly shrink: an archive that grows by more is no archive of weights
	for _, f := range z.File {
		name := strings.TrimSuffix(f.Name, ".npy")
		if tensors[name] != nil {
			return nil, fmt.Errorf("two entries are called %s", quote(f.Name))
		}
		if strings.HasSuffix(name, ":0") || strings.HasSuffix(name, "/kernel") {
			return nil, fmt.Errorf("%s is a variable of TensorFlow, whose names and order of dimensions (rows, columns, inputs, outputs) are others than a checkpoint's; %s",
				quote(name), kerasAdvice)
		}
		t, err := npzTensor(r, size, f, &inflate)
		if err != nil {
			return nil, fmt.Errorf("array %s: %w", quote(name), err)
		}
		t.Name = name
		tensors[name] = t
	}
	return tensors, nil
}

// npzTensor reads an array's header; inflate is how many bytes compressed arrays may still have.
func npzTensor(r io.ReaderAt, size int64, f *zip.File, inflate *int64) (*Tensor, error) {
	var src io.ReaderAt
	n := int64(f.UncompressedSize64)
	switch f.Method {
	case zip.Store:
		start, n, err := entryRange(f)
		if err != nil {
			return nil, err
		}
		if start > size || n > size-start {
			return nil, fmt.Errorf("it reaches beyond the end of the file")
		}
		if err := checkRange(f, r, start, n); err != nil {
			return nil, err
		}
		src = io.NewSectionReader(r, start, n)
	case zip.Deflate:
		if n < 0 || n > *inflate {
			return nil, fmt.Errorf("it would be %d bytes uncompressed, far more than the file: save it with numpy.savez, which does not compress", f.UncompressedSize64)
		}
		*inflate -= n
		b, err := inflated(f, n)
		if err != nil {
			return nil, err
		}
		src = bytes.NewReader(b)
	default:
		return nil, fmt.Errorf("its compression method %d is not known", f.Method)
	}
	h, err := npy.ReadHeader(src, n)
	if err != nil {
		return nil, err
	}
	if len(h.Descr) < 2 {
		return nil, fmt.Errorf("element type %s is not known", quote(h.Descr))
	}
	dtype, ok := npyTypes[h.Descr[1:]]
	if !ok || !strings.ContainsRune("<>|=", rune(h.Descr[0])) {
		return nil, fmt.Errorf("element type %s is not known; numbers are read", quote(h.Descr))
	}
	shape, stride := make([]int64, len(h.Shape)), []int64(nil)
	run := int64(1)
	for i, d := range h.Shape {
		shape[i] = int64(d)
		if h.Fortran {
			stride = append(stride, run)
			if run *= int64(d); run > 1<<40 {
				return nil, fmt.Errorf("shape %v is too large", h.Shape)
			}
		}
	}
	return newTensor(src, h.Data, (n-h.Data)/sizes[dtype], dtype, 0, shape, stride, h.Descr[0] == '>')
}

// inflated returns the n bytes of a compressed entry, whose checksum package zip compares.
func inflated(f *zip.File, n int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF { // the end, where the checksum is compared
		if err == nil {
			err = fmt.Errorf("it has more than the %d bytes that the archive says", n)
		}
		return nil, err
	}
	return b, nil
}
