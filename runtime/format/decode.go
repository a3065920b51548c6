package format

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

// Decode reads an .rfga file that lies in memory, verifies its digest and validates the model. The data of constants
// aliases b, which must not change while the model is used; everything else is copied. If b begins on a 64-byte boundary,
// as a mapped file does, so does every constant. Errors are of type *Error.
func Decode(b []byte) (*Model, *Info, error) { return decode(b, true) }

// decode can leave out the digest, so that tests reach what lies behind it.
func decode(b []byte, verify bool) (*Model, *Info, error) {
	info, sections, err := decodeFrame(b, verify)
	if err != nil {
		return nil, nil, err
	}
	flags := binary.LittleEndian.Uint32(b[offFlags:])
	m := &Model{Exact: flags&flagExact != 0}
	d := decoder{m: m, info: info}
	for i, read := range [maxKnown]func(*reader){d.meta, d.labels, d.provenance, d.tensors, d.ops, d.data, d.quality} {
		s := sections[i]
		if s.Name == "" {
			continue // only an optional one can be absent
		}
		r := &reader{section: s.Name, b: b[s.Offset : s.Offset+s.Size : s.Offset+s.Size]}
		read(r)
		if r.err == nil && r.pos != len(r.b) {
			r.failf("%d bytes are left behind the last record", len(r.b)-r.pos)
		}
		if r.err != nil {
			return nil, nil, r.err
		}
	}
	g, err := check(m)
	if err != nil {
		return nil, nil, err
	}
	for i, r := range d.roles {
		if r != g.roles[i] {
			return nil, nil, failTensor(m, i, "the file calls it %v, but it is used as %v", r, g.roles[i])
		}
	}
	if m.Exact != g.exact {
		return nil, nil, failf("header", "the flag exact is %v, the operators make it %v", m.Exact, g.exact)
	}
	lowest := minorOf(m)
	if flags&flagTree != 0 {
		lowest = max(lowest, minorTree)
	}
	if info.Minor <= Minor && info.Minor != lowest {
		return nil, nil, failf("header", "version %d.%d: what the file uses is of version %d.%d", info.Major, info.Minor, Major, lowest)
	}
	return m, info, nil
}

// decodeFrame checks the header, the digest, the section directory and the padding between sections, and returns the
// sections of version 1; an optional one that is absent has no name.
func decodeFrame(b []byte, verify bool) (*Info, [maxKnown]Section, error) {
	var known [maxKnown]Section
	fail := func(section, format string, args ...any) (*Info, [maxKnown]Section, error) {
		return nil, known, failf(section, format, args...)
	}
	if !Sniff(b) {
		e := failf("header", "this is not an .rfga file")
		e.Err = ErrNotRFGA
		return nil, known, e
	}
	if len(b) < headerSize {
		return fail("header", "the file has %d bytes, fewer than its header: it is cut short", len(b))
	}
	le := binary.LittleEndian
	major, minor := le.Uint16(b[offMajor:]), le.Uint16(b[offMinor:])
	if major != Major {
		e := failf("header", "version %d.%d of the format: this program reads version %d; convert the model again, or use the program that made it", major, minor, Major)
		e.Err = ErrVersion
		return nil, known, e
	}
	if n := le.Uint64(b[offSize:]); n != uint64(len(b)) {
		return fail("header", "the header says %d bytes, the file has %d: it was cut short or something was appended", n, len(b))
	}
	sum := [sha256.Size]byte(b[offDigest:headerSize])
	if verify && digestOf(b) != sum {
		e := failf("header", "the digest does not fit the contents: the file is damaged")
		e.Err = ErrDigest
		return nil, known, e
	}
	if f := le.Uint32(b[offFlags:]); f&^(flagExact|flagTree) != 0 {
		return fail("header", "unknown flags %#x", f&^(flagExact|flagTree))
	}
	if v := le.Uint32(b[offReserved:]); v != 0 {
		return fail("header", "the reserved field is %#x: want 0", v)
	}
	count := le.Uint32(b[offSections:])
	if count < numSections || count > maxSections || headerSize+int(count)*entrySize > len(b) {
		return fail("header", "%d sections: want %d to %d, and a directory that fits the file", count, numSections, maxSections)
	}

	info := &Info{Major: int(major), Minor: int(minor), Digest: digestString(sum), FileSize: int64(len(b)),
		Sections: make([]Section, 0, count)}
	next := 0 // the section of version 1 that comes next
	end := uint64(headerSize + int(count)*entrySize)
	for i := range int(count) {
		e := b[headerSize+i*entrySize:][:entrySize]
		id, flags, offset, size := string(e[:4]), le.Uint32(e[4:]), le.Uint64(e[8:]), le.Uint64(e[16:])
		if err := checkText(id, false); err != nil {
			return fail("directory", "entry %d: %v", i, err)
		}
		// Sections touch but for padding, so that nothing overlaps and nothing hides between them.
		if offset != alignUp(end) || offset > uint64(len(b)) || size > uint64(len(b))-offset {
			return fail("directory", "%s has %d bytes at %d: it must begin at %d and end inside the file", id, size, offset, alignUp(end))
		}
		if !isZero(b[end:offset]) {
			return fail("directory", "the padding before %s is not zero", id)
		}
		s := Section{Name: id, Offset: int64(offset), Size: int64(size)}
		if slices.ContainsFunc(info.Sections, func(o Section) bool { return o.Name == id }) {
			return fail("directory", "%s occurs twice", id)
		}
		info.Sections = append(info.Sections, s)
		end = offset + size
		switch {
		case next < numSections && id == sectionIDs[next]:
			if flags != flagRequired {
				return fail("directory", "%s has flags %#x: want %#x", id, flags, flagRequired)
			}
			known[next] = s
			next++
		case next == numSections && id == sectionIDs[secQuality]:
			if flags != 0 {
				return fail("directory", "%s has flags %#x: want 0", id, flags)
			}
			known[secQuality] = s
		case slices.Contains(sectionIDs[:], id):
			return fail("directory", "%s is out of order", id)
		case flags != 0:
			return fail("directory", "%s is a section that this program does not know and may not skip: it needs a newer one (the file is version %d.%d)", id, major, minor)
		default:
			info.Skipped = append(info.Skipped, "section "+id)
		}
	}
	if next < numSections {
		return fail("directory", "%s is missing", sectionIDs[next])
	}
	if alignUp(end) != uint64(len(b)) || !isZero(b[end:]) {
		return fail("directory", "the file must end with the last section, padded with zeros to a multiple of %d bytes", alignment)
	}
	return info, known, nil
}

func isZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// decoder fills a model from its sections, in their order.
type decoder struct {
	m     *Model
	info  *Info
	roles []role
	spans [][2]uint64 // offset and size of each constant
	owner []int       // and the tensor it belongs to
}

func (d *decoder) meta(r *reader) {
	m := d.m
	m.Name, m.Arch = r.str(), r.str()
	m.Input = r.index()
	m.Outputs = make([]Output, r.count("outputs", MaxOutputs, minOutput))
	for i := range m.Outputs {
		m.Outputs[i] = Output{Name: r.str(), Tensor: r.index(), Flat: r.bool()}
	}
	p := &m.Pre
	p.Width, p.Height, p.Resize = r.index(), r.index(), r.index()
	p.Rule, p.Order = ResizeRule(r.u8()), ColorOrder(r.u8())
	for i := range 3 {
		p.Mean[i] = r.f32()
	}
	for i := range 3 {
		p.Std[i] = r.f32()
	}
	m.Loc = Localization{Norm: HeatNorm(r.u8()), Threshold: r.f32()}
}

func (d *decoder) labels(r *reader) {
	if n := r.count("labels", MaxLabels, minString); n > 0 {
		d.m.Labels = make([]string, n)
	}
	for i := range d.m.Labels {
		d.m.Labels[i] = r.str()
	}
}

func (d *decoder) provenance(r *reader) {
	d.m.Prov = Provenance{Source: r.str(), Licence: r.str(), Converter: r.str(), Calibration: r.str(), Notes: r.str()}
}

func (d *decoder) tensors(r *reader) {
	n := r.count("tensors", MaxTensors, minTensor)
	d.m.Tensors = make([]Tensor, n)
	d.roles = make([]role, n)
	for i := 0; i < n && r.err == nil; i++ {
		d.tensor(r, i)
	}
}

func (d *decoder) tensor(r *reader, i int) {
	t := &d.m.Tensors[i]
	t.Name = r.str()
	t.DType = DType(r.u8())
	d.roles[i] = role(r.u8())
	rank := int(r.u8())
	if reserved := r.u8(); r.err == nil && (rank < 1 || rank > MaxRank || d.roles[i] > roleInner || reserved != 0) {
		r.failf("tensor %d (%s): rank %d, role %d, reserved %d: want rank 1 to %d, role 0 to %d, reserved 0",
			i, quote(t.Name), rank, d.roles[i], reserved, MaxRank, roleInner)
	}
	if r.err != nil {
		return
	}
	t.Shape = make([]int, rank)
	for k := range t.Shape {
		t.Shape[k] = r.index()
	}
	if n := r.count("scales", MaxDim, 4); n > 0 {
		t.Scale = make([]float32, n)
	}
	for k := range t.Scale {
		t.Scale[k] = r.f32()
	}
	t.Zero = int32(r.u32())
	if d.roles[i] == roleConstant || d.roles[i] == roleWeights {
		d.spans = append(d.spans, [2]uint64{r.u64(), r.u64()})
		d.owner = append(d.owner, i)
	}
}

func (d *decoder) ops(r *reader) {
	n := r.count("operators", MaxOps, minOp)
	d.m.Ops = make([]Op, n)
	for i := 0; i < n && r.err == nil; i++ {
		d.op(r, i)
	}
}

func (d *decoder) op(r *reader, i int) {
	op := &d.m.Ops[i]
	op.Kind = OpKind(r.u16())
	inputs, outputs, inner, attrs := r.u8(), r.u8(), r.u8(), r.u8()
	op.Name = r.str()
	op.Inputs, op.Outputs, op.Inner = r.indices(int(inputs)), r.indices(int(outputs)), r.indices(int(inner))
	op.Attr = NewAttr()
	last := -1
	for range attrs {
		key, n := attrKey(r.u16()), int(r.u16())
		words := r.words(n)
		if r.err != nil {
			return
		}
		if int(key) <= last {
			r.failf("operator %d (%v %s): attribute %d comes after %d: want ascending keys", i, op.Kind, quote(op.Name), key, last)
			return
		}
		last = int(key)
		if err := d.attr(op, key, words); err != nil {
			r.failf("operator %d (%v %s): %v", i, op.Kind, quote(op.Name), err)
			return
		}
	}
}

func (d *decoder) attr(op *Op, key attrKey, words []uint32) error {
	k := int(key) - int(keyKernel)
	if k < 0 || k >= len(attrDefs) {
		if key&keyIgnorable == 0 {
			return fmt.Errorf("attribute %d is one that this program does not know and may not skip: it needs a newer one (the file is version %d.%d)", key, d.info.Major, d.info.Minor)
		}
		d.info.Skipped = append(d.info.Skipped, fmt.Sprintf("attribute %d of %s", key, quote(op.Name)))
		return nil
	}
	def := &attrDefs[k]
	if def.most > 0 {
		if len(words) > def.most {
			return fmt.Errorf("attribute %s has %d words, at most %d", def.name, len(words), def.most)
		}
	} else if len(words) != len(attrDefaults[k]) {
		return fmt.Errorf("attribute %s has %d words: want %d", def.name, len(words), len(attrDefaults[k]))
	}
	if slices.Equal(words, attrDefaults[k]) {
		return fmt.Errorf("attribute %s is stored with its default value", def.name)
	}
	def.set(&op.Attr, words)
	if !slices.Equal(def.get(nil, &op.Attr), words) {
		return fmt.Errorf("attribute %s is %d: out of range", def.name, words)
	}
	return nil
}

// data gives the constants their bytes. They follow each other in the order of tensors, each on a multiple of 64, so
// that one file has one layout, nothing overlaps and every byte is accounted for.
func (d *decoder) data(r *reader) {
	end := uint64(0)
	for k, span := range d.spans {
		t := &d.m.Tensors[d.owner[k]]
		offset, size := span[0], span[1]
		if offset != alignUp(end) || offset > uint64(len(r.b)) || size > uint64(len(r.b))-offset {
			r.failf("tensor %d (%s): %d bytes at %d: want them at %d and inside the section", d.owner[k], quote(t.Name), size, offset, alignUp(end))
			return
		}
		if !isZero(r.b[end:offset]) {
			r.failf("tensor %d (%s): the padding before it is not zero", d.owner[k], quote(t.Name))
			return
		}
		end = offset + size
		t.Data = r.b[offset:end:end]
	}
	r.pos = int(end)
}
