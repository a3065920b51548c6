package checkpoint

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"
)

// advice closes every refusal of a PyTorch file that another way of saving would have avoided.
const advice = `save the weights alone in PyTorch: torch.save(model.state_dict(), "weights.pth")`

// legacyMagic is the first pickle of a legacy file: the number 0x1950a86a20f9469cfc6c.
const legacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

// readArchive reads a zip archive, which PyTorch and NumPy write, and says which it is.
func readArchive(r io.ReaderAt, size int64) (format string, tensors map[string]*Tensor, err error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return formatZip, nil, fmt.Errorf("the archive is damaged or cut: %w", err)
	}
	if isNPZ(z) {
		tensors, err = readNPZ(r, size, z)
		return formatNPZ, tensors, err
	}
	tensors, err = readZip(r, size, z)
	return formatZip, tensors, err
}

// readZip reads the format of torch.save since 1.6: a zip archive whose entries, all under one folder, are data.pkl,
// the storages data/KEY (not compressed, so that they are read in place), version and byteorder.
func readZip(r io.ReaderAt, size int64, z *zip.Reader) (map[string]*Tensor, error) {
	entries := make(map[string]*zip.File, len(z.File))
	root, found := "", false
	for _, f := range z.File {
		if entries[f.Name] != nil {
			return nil, fmt.Errorf("two entries are called %s", quote(f.Name))
		}
		entries[f.Name] = f
		if dir, base := path.Split(f.Name); base == "data.pkl" && (!found || len(dir) < len(root)) {
			root, found = dir, true
		}
	}
	for name := range entries {
		if rest, ok := strings.CutPrefix(name, root); ok && found && (rest == "constants.pkl" || strings.HasPrefix(rest, "code/")) {
			return nil, fmt.Errorf("this is a TorchScript archive, a program with its weights (entry %s); load it in PyTorch and %s", quote(name), advice)
		}
	}
	if !found {
		return nil, errors.New("the archive has no data.pkl, so torch.save did not write it; " + advice)
	}
	big := false
	if f := entries[root+"byteorder"]; f != nil {
		b, err := readEntry(f, 16)
		if err != nil {
			return nil, err
		}
		switch string(b) {
		case "little":
		case "big":
			big = true
		default:
			return nil, fmt.Errorf("entry %s says %s, not little or big", quote(f.Name), quote(string(b)))
		}
	}
	f := entries[root+"data.pkl"]
	b, err := readEntry(f, maxPickle)
	if err != nil {
		return nil, err
	}
	u := newUnpickler(strings.NewReader(string(b)), int64(len(b)))
	top, err := u.load()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	checked := make(map[*zip.File]bool)
	return stateDict(top, func(v *view) (*Tensor, error) {
		f := entries[root+"data/"+v.storage.key]
		if f == nil {
			return nil, fmt.Errorf("its storage, entry %s, is missing", quote(root+"data/"+v.storage.key))
		}
		start, n, err := entryRange(f)
		if err != nil {
			return nil, err
		}
		if n/sizes[v.storage.dtype] < v.storage.numel {
			return nil, fmt.Errorf("entry %s has %d bytes, its %d elements of %s need more", quote(f.Name), n, v.storage.numel, v.storage.dtype)
		}
		if start > size || n > size-start {
			return nil, fmt.Errorf("entry %s reaches beyond the end of the file", quote(f.Name))
		}
		if !checked[f] {
			if err := checkRange(f, r, start, n); err != nil {
				return nil, err
			}
			checked[f] = true
		}
		return v.tensor(r, start, big)
	})
}

// entryRange says where an entry's bytes lie in the file.
func entryRange(f *zip.File) (start, n int64, err error) {
	if f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 || f.CompressedSize64 > 1<<62 {
		return 0, 0, fmt.Errorf("entry %s is compressed, which torch.save never does; unpack the archive and pack it again without compression", quote(f.Name))
	}
	start, err = f.DataOffset()
	if err != nil {
		return 0, 0, fmt.Errorf("entry %s: %w", quote(f.Name), err)
	}
	return start, int64(f.UncompressedSize64), nil
}

func readEntry(f *zip.File, limit int64) ([]byte, error) {
	if _, n, err := entryRange(f); err != nil {
		return nil, err
	} else if n > limit {
		return nil, fmt.Errorf("entry %s has %d bytes, the limit is %d", quote(f.Name), n, limit)
	}
	r, err := f.OpenRaw() // Open would insist on a checksum, see checkCRC
	if err != nil {
		return nil, fmt.Errorf("entry %s: %w", quote(f.Name), err)
	}
	b, err := io.ReadAll(io.LimitReader(r, limit))
	if err == nil && uint64(len(b)) != f.UncompressedSize64 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("entry %s: %w", quote(f.Name), err)
	}
	return b, checkCRC(f, crc32.ChecksumIEEE(b))
}

// checkRange compares the checksum of an entry that lies in the file as it is.
func checkRange(f *zip.File, r io.ReaderAt, start, n int64) error {
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, io.NewSectionReader(r, start, n)); err != nil {
		return err
	}
	return checkCRC(f, sum.Sum32())
}

// checkCRC compares an entry's checksum. PyTorch can be told not to compute one; the field is then zero.
func checkCRC(f *zip.File, sum uint32) error {
	if f.CRC32 != 0 && f.CRC32 != sum {
		return fmt.Errorf("entry %s is damaged: its checksum is %08x, the archive says %08x; copy or download the file again", quote(f.Name), sum, f.CRC32)
	}
	return nil
}

// readLegacy reads the format of torch.save before 1.6: five pickles (a magic number, the protocol version, facts about
// the machine, the object, the storages' keys in order), then each storage as its length and its elements, little endian.
func readLegacy(r io.ReaderAt, size int64) (map[string]*Tensor, error) {
	u := newUnpickler(io.NewSectionReader(r, 0, size), size)
	magic, err := u.load()
	if err != nil {
		return nil, fmt.Errorf("first pickle: %w", err)
	}
	if m, ok := magic.(bigInt); !ok || string(m) != legacyMagic {
		return nil, errors.New("this is a pickle, but torch.save did not write it (its magic number is missing); " + advice)
	}
	version, err := u.load()
	if err != nil {
		return nil, fmt.Errorf("protocol version: %w", err)
	}
	if version != int64(1001) {
		return nil, fmt.Errorf("protocol version %v; 1001 is the only one known", version)
	}
	if _, err := u.load(); err != nil {
		return nil, fmt.Errorf("description of the machine: %w", err)
	}
	top, err := u.load()
	if err != nil {
		return nil, fmt.Errorf("the checkpoint's pickle: %w", err)
	}
	storages := u.storages
	v, err := u.load()
	if err != nil {
		return nil, fmt.Errorf("list of storages: %w", err)
	}
	keys, ok := v.(*list)
	if !ok {
		return nil, fmt.Errorf("list of storages: found %s", describe(v))
	}
	starts := make(map[string]int64, len(keys.items))
	at := u.pos()
	for _, k := range keys.items {
		key, _ := k.(string)
		s := storages[key]
		if s == nil {
			return nil, fmt.Errorf("list of storages: %s is not one that the checkpoint's tensors use", quote(fmt.Sprint(k)))
		}
		if _, twice := starts[key]; twice {
			return nil, fmt.Errorf("list of storages: %s appears twice", quote(key))
		}
		var b [8]byte
		if _, err := readFull(r, b[:], at); err != nil {
			return nil, fmt.Errorf("length of storage %s at byte %d: %w", quote(key), at, err)
		}
		n, elem := int64(binary.LittleEndian.Uint64(b[:])), sizes[s.dtype]
		at += 8
		if n != s.numel || n > (size-at)/elem {
			return nil, fmt.Errorf("storage %s at byte %d has %d elements of %s; the tensors say %d, and %d bytes of the file are left", quote(key), at, n, s.dtype, s.numel, size-at)
		}
		starts[key] = at
		at += n * elem
	}
	return stateDict(top, func(v *view) (*Tensor, error) {
		start, ok := starts[v.storage.key]
		if !ok {
			return nil, fmt.Errorf("its storage %s is not in the file", quote(v.storage.key))
		}
		return v.tensor(r, start, false)
	})
}

// wrappers are the keys under which training scripts keep the weights, best first.
var wrappers = []string{"state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights"}

// stateDict finds the dictionary of tensors in what a checkpoint holds and makes its tensors.
func stateDict(top any, locate func(*view) (*Tensor, error)) (map[string]*Tensor, error) {
	d, ok := top.(*dict)
	if !ok {
		return nil, fmt.Errorf("the checkpoint is %s, not a dictionary of tensors; %s", describe(top), advice)
	}
	for range 4 { // wrappers may nest, but not for ever
		next := (*dict)(nil)
		for _, key := range wrappers {
			if w, ok := d.get(key).(*dict); ok && len(w.entries) > 0 {
				next = w
				break
			}
		}
		if next == nil {
			break
		}
		d = next
	}
	tensors := map[string]*Tensor{}
	var others []string
	for _, e := range d.entries {
		name, isName := e.key.(string)
		v, isTensor := e.value.(*view)
		if !isName || !isTensor {
			others = append(others, fmt.Sprintf("%s: %s", describe(e.key), describe(e.value)))
			continue
		}
		t, err := locate(v)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", quote(name), err)
		}
		t.Name = name
		tensors[name] = t
	}
	if len(tensors) == 0 {
		return nil, fmt.Errorf("no tensors in the checkpoint's dictionary, which has %s; the weights are looked for at the top and under %s",
			strings.Join(others[:min(len(others), 10)], ", "), strings.Join(wrappers, ", "))
	}
	return tensors, nil
}

// tensor is v in a storage that begins at byte start of src.
func (v *view) tensor(src io.ReaderAt, start int64, big bool) (*Tensor, error) {
	s := v.storage
	elem := sizes[s.dtype]
	dtype, numel := s.dtype, s.numel
	if s.viewLen >= 0 {
		start, numel = start+s.viewStart*elem, s.viewLen
	}
	if v.dtype != "" && v.dtype != dtype { // an untyped storage counts bytes
		dtype, numel = v.dtype, numel*elem/sizes[v.dtype]
	}
	return newTensor(src, start, numel, dtype, v.offset, v.size, v.stride, big)
}
