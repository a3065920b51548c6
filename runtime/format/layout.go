package format

import "crypto/sha256"

// Version of the format that this package writes, and the newest it knows. A file says the lowest that has all it uses.
const (
	Major = 1
	Minor = 2
)

// Offsets and sizes of the header and the section directory; doc.go describes them.
const (
	magic = "\x89RFGA\r\n\x1a"

	offMajor    = 8
	offMinor    = 10
	offSections = 12
	offSize     = 16
	offFlags    = 24
	offReserved = 28
	offDigest   = 32
	headerSize  = offDigest + sha256.Size

	entrySize   = 24
	maxSections = 64
	alignment   = 64

	flagExact    = 1 << 0 // header
	flagTree     = 1 << 1
	flagRequired = 1 << 0 // directory entry
)

// The sections of version 1, in the order they stand in a file.
const (
	secMeta = iota
	secLabels
	secProvenance
	secTensors
	secOps
	secData
	numSections // that every file has
	secQuality  = numSections
	maxKnown    = secQuality + 1
)

var sectionIDs = [maxKnown]string{"META", "LABL", "PROV", "TENS", "OPER", "DATA", "QUAL"}

// Smallest records, from which a reader bounds counts before it allocates.
const (
	minString = 4
	minOutput = minString + 5
	minTensor = minString + 4 + 4 + 4 + 4 // name, four bytes, one dimension, number of scales, zero point
	minOp     = 6 + minString + 8         // kind and counts, name, one input and one output
)

// Section is a part of the file, for people who look into one.
type Section struct {
	Name         string
	Offset, Size int64
}

// Info describes the file that a model was read from.
type Info struct {
	Major, Minor int
	Digest       string // "sha256:" and 64 hexadecimal digits
	FileSize     int64
	Sections     []Section
	Skipped      []string // sections and attributes of later minor versions that were ignored
}

// Sniff says whether the beginning of a file is that of an .rfga file; 8 bytes are enough.
func Sniff(head []byte) bool {
	return len(head) >= len(magic) && string(head[:len(magic)]) == magic
}

func alignUp[T int | int64 | uint64](n T) T { return (n + alignment - 1) &^ (alignment - 1) }
