package wsol

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"slices"
	"strings"
)

const maxLine = 1 << 16

// table is a text file of lines "key,field,...,field". It is read once to learn where each key's lines are; a line is read
// again when it is needed. Keys may hold commas, fields may not.
type table struct {
	file   *os.File
	path   string
	fields int // behind the key
	seed   maphash.Seed
	lines  []lineRef // by hash, then by position
}

type lineRef struct {
	hash uint64
	at   int64
}

// openTable opens a file whose lines have the given number of fields, one of choices; the first line decides.
func openTable(path string, choices ...int) (*table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t := &table{file: f, path: path, fields: -1, seed: maphash.MakeSeed()}
	err = eachLine(f, path, func(number int, at int64, line string) error {
		if t.fields < 0 {
			have := strings.Count(line, ",")
			t.fields = choices[0]
			for _, c := range choices {
				if have >= c {
					t.fields = c
					break
				}
			}
		}
		key, _, ok := t.split(line)
		if !ok {
			return fmt.Errorf("%s:%d: %q: an image's id and %d fields behind it are expected, separated by commas", path, number, line, t.fields)
		}
		t.lines = append(t.lines, lineRef{maphash.String(t.seed, key), at})
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	slices.SortStableFunc(t.lines, func(a, b lineRef) int { return cmp.Compare(a.hash, b.hash) })
	t.lines = slices.Clip(t.lines)
	return t, nil
}

// split cuts the fields off the end of a line.
func (t *table) split(line string) (key string, fields []string, ok bool) {
	fields = make([]string, t.fields)
	for i := t.fields - 1; i >= 0; i-- {
		at := strings.LastIndexByte(line, ',')
		if at < 0 {
			return "", nil, false
		}
		line, fields[i] = line[:at], line[at+1:]
	}
	return line, fields, line != ""
}

// find returns the fields of every line of a key, in the file's order; a key without a line is an error.
func (t *table) find(key string) ([][]string, error) {
	h := maphash.String(t.seed, key)
	i, _ := slices.BinarySearchFunc(t.lines, h, func(l lineRef, h uint64) int { return cmp.Compare(l.hash, h) })
	var found [][]string
	for ; i < len(t.lines) && t.lines[i].hash == h; i++ {
		line, err := lineAt(t.file, t.path, t.lines[i].at)
		if err != nil {
			return nil, err
		}
		if k, fields, ok := t.split(line); ok && k == key {
			found = append(found, fields)
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s: no line for image %s, which image_ids.txt lists", t.path, key)
	}
	return found, nil
}

func (t *table) close() error {
	if t == nil {
		return nil
	}
	return t.file.Close()
}

// eachLine calls f for every line that is not blank.
func eachLine(r io.Reader, path string, f func(number int, at int64, line string) error) error {
	b := bufio.NewReaderSize(r, maxLine)
	at := int64(0)
	for number := 1; ; number++ {
		raw, err := b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("%s:%d: a line of more than %d bytes", path, number, maxLine)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if line := trim(raw); line != "" {
			if err := f(number, at, line); err != nil {
				return err
			}
		}
		if at += int64(len(raw)); err != nil {
			return nil
		}
	}
}

func lineAt(r io.ReaderAt, path string, at int64) (string, error) {
	var small [512]byte
	buf := small[:]
	for {
		n, err := r.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if end := bytes.IndexByte(buf[:n], '\n'); end >= 0 {
			return trim(buf[:end]), nil
		}
		if errors.Is(err, io.EOF) {
			return trim(buf[:n]), nil
		}
		if len(buf) > maxLine {
			return "", fmt.Errorf("%s: it was changed while it was read", path)
		}
		buf = make([]byte, 4*len(buf))
	}
}

func trim(line []byte) string { return strings.TrimRight(string(line), "\r\n \t") }
