package format

import (
	"encoding/binary"
	"io"
	"math"
	"slices"
)

// Encode validates m and writes it as an .rfga file. The same model always gives the same bytes. Constants are written
// from where they lie; only the tables are built in memory. m.Exact is not read: the file says what DeriveExact says.
func Encode(w io.Writer, m *Model) error {
	g, err := check(m)
	if err != nil {
		return err
	}
	parts := layOut(g)
	sum := digestOfParts(parts)
	copy(parts[0][offDigest:], sum[:])
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// layOut returns the file as a list of slices: header and directory, then each section and its padding.
func layOut(g *graph) [][]byte {
	var zeros [alignment]byte
	m := g.m
	count := numSections
	if m.Quality != nil {
		count++
	}
	head := make([]byte, headerSize+count*entrySize)
	parts := [][]byte{head}
	pos := uint64(len(head))
	add := func(b []byte) {
		parts = append(parts, b)
		pos += uint64(len(b))
	}
	pad := func() { add(zeros[:alignUp(pos)-pos]) }

	for i, write := range [maxKnown]func() []byte{
		func() []byte { return encodeMeta(m) },
		func() []byte { return encodeLabels(m) },
		func() []byte { return encodeProvenance(m) },
		func() []byte { return encodeTensors(g) },
		func() []byte { return encodeOps(m) },
		nil, // constants
		func() []byte { return encodeQuality(m.Quality) },
	} {
		if i == count {
			break
		}
		pad()
		start := pos
		if i == secData {
			for j := range m.Tensors {
				if t := &m.Tensors[j]; t.Data != nil {
					pad()
					add(t.Data)
				}
			}
		} else {
			add(write())
		}
		e := head[headerSize+i*entrySize:]
		copy(e, sectionIDs[i])
		if i < numSections {
			binary.LittleEndian.PutUint32(e[4:], flagRequired)
		}
		binary.LittleEndian.PutUint64(e[8:], start)
		binary.LittleEndian.PutUint64(e[16:], pos-start)
	}
	pad()

	copy(head, magic)
	binary.LittleEndian.PutUint16(head[offMajor:], Major)
	minor, flags := minorOf(m), uint32(0)
	if g.exact {
		flags |= flagExact
	}
	if pos >= treeFrom {
		minor, flags = max(minor, minorTree), flags|flagTree
	}
	binary.LittleEndian.PutUint16(head[offMinor:], uint16(minor))
	binary.LittleEndian.PutUint32(head[offSections:], uint32(count))
	binary.LittleEndian.PutUint64(head[offSize:], pos)
	binary.LittleEndian.PutUint32(head[offFlags:], flags)
	return parts
}

// table builds a section of records.
type table struct{ b []byte }

func (t *table) u8(v uint8)    { t.b = append(t.b, v) }
func (t *table) u16(v uint16)  { t.b = binary.LittleEndian.AppendUint16(t.b, v) }
func (t *table) u32(v uint32)  { t.b = binary.LittleEndian.AppendUint32(t.b, v) }
func (t *table) u64(v uint64)  { t.b = binary.LittleEndian.AppendUint64(t.b, v) }
func (t *table) f32(v float32) { t.u32(math.Float32bits(v)) }

func (t *table) str(s string) {
	t.u32(uint32(len(s)))
	t.b = append(t.b, s...)
}

func encodeMeta(m *Model) []byte {
	var t table
	t.str(m.Name)
	t.str(m.Arch)
	t.u32(uint32(m.Input))
	t.u32(uint32(len(m.Outputs)))
	for _, o := range m.Outputs {
		t.str(o.Name)
		t.u32(uint32(o.Tensor))
		flat := uint8(0)
		if o.Flat {
			flat = 1
		}
		t.u8(flat)
	}
	p := &m.Pre
	t.u32(uint32(p.Width))
	t.u32(uint32(p.Height))
	t.u32(uint32(p.Resize))
	t.u8(uint8(p.Rule))
	t.u8(uint8(p.Order))
	for _, v := range slices.Concat(p.Mean[:], p.Std[:]) {
		t.f32(v)
	}
	t.u8(uint8(m.Loc.Norm))
	t.f32(m.Loc.Threshold)
	return t.b
}

func encodeLabels(m *Model) []byte {
	var t table
	t.u32(uint32(len(m.Labels)))
	for _, l := range m.Labels {
		t.str(l)
	}
	return t.b
}

func encodeProvenance(m *Model) []byte {
	var t table
	for _, s := range []string{m.Prov.Source, m.Prov.Licence, m.Prov.Converter, m.Prov.Calibration, m.Prov.Notes} {
		t.str(s)
	}
	return t.b
}

func encodeTensors(g *graph) []byte {
	var t table
	t.u32(uint32(len(g.m.Tensors)))
	pos := uint64(0) // in the section of constants
	for i := range g.m.Tensors {
		x := &g.m.Tensors[i]
		t.str(x.Name)
		t.u8(uint8(x.DType))
		t.u8(uint8(g.roles[i]))
		t.u8(uint8(len(x.Shape)))
		t.u8(0)
		for _, d := range x.Shape {
			t.u32(uint32(d))
		}
		t.u32(uint32(len(x.Scale)))
		for _, s := range x.Scale {
			t.f32(s)
		}
		t.u32(uint32(x.Zero))
		if x.Data != nil {
			pos = alignUp(pos)
			t.u64(pos)
			t.u64(uint64(len(x.Data)))
			pos += uint64(len(x.Data))
		}
	}
	return t.b
}

func encodeOps(m *Model) []byte {
	var t table
	t.u32(uint32(len(m.Ops)))
	for i := range m.Ops {
		op := &m.Ops[i]
		t.u16(uint16(op.Kind))
		t.u8(uint8(len(op.Inputs)))
		t.u8(uint8(len(op.Outputs)))
		t.u8(uint8(len(op.Inner)))
		counted := len(t.b)
		t.u8(0) // attributes, below
		t.str(op.Name)
		for _, list := range [][]int{op.Inputs, op.Outputs, op.Inner} {
			for _, x := range list {
				t.u32(uint32(x))
			}
		}
		var buf [MaxInputs]uint32
		for j, d := range attrDefs {
			words := d.get(buf[:0], &op.Attr)
			if slices.Equal(words, attrDefaults[j]) {
				continue
			}
			t.b[counted]++
			t.u16(uint16(d.key))
			t.u16(uint16(len(words)))
			for _, v := range words {
				t.u32(v)
			}
		}
	}
	return t.b
}
