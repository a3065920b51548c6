package main

import (
	"encoding/binary"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/outdir"
	"github.com/rfga-edge/rfga-edge/rfga"
)

// spool keeps what was measured of every image in a temporary file until the best thresholds are known: 4 bytes a protocol
// and threshold. A nil spool keeps nothing.
type spool struct {
	file                  *os.File
	protocols, thresholds int
}

const spoolHead = 16 // predicted, probability, class, flags

// spoolRow is an image's record. Overlaps are float32: they are for people to read.
type spoolRow struct {
	bytes      []byte
	thresholds int
}

func newSpool(protocols, thresholds int) (*spool, error) {
	f, err := os.CreateTemp("", "rfga-edge-eval-*")
	if err != nil {
		return nil, err
	}
	return &spool{f, protocols, thresholds}, nil
}

func (s *spool) close() error { return errors.Join(s.file.Close(), os.Remove(s.file.Name())) }

func (s *spool) size() int { return spoolHead + 4*s.protocols*s.thresholds }

func (s *spool) begin(m *classMap) *spoolRow {
	if s == nil {
		return nil
	}
	b := make([]byte, s.size())
	binary.LittleEndian.PutUint32(b, uint32(int32(m.predicted)))
	binary.LittleEndian.PutUint32(b[4:], math.Float32bits(m.p))
	binary.LittleEndian.PutUint32(b[8:], uint32(int32(m.class)))
	for i, v := range []bool{m.naming.Known, m.naming.Top1, m.naming.Top5} {
		if v {
			b[12+i] = 1
		}
	}
	return &spoolRow{b, s.thresholds}
}

func (r *spoolRow) curve(p int, curve []float64) {
	if r == nil {
		return
	}
	at := spoolHead + 4*p*r.thresholds
	for i, v := range curve {
		binary.LittleEndian.PutUint32(r.bytes[at+4*i:], math.Float32bits(float32(v)))
	}
}

func (s *spool) put(i int, r *spoolRow) error {
	if s == nil {
		return nil
	}
	_, err := s.file.WriteAt(r.bytes, int64(i)*int64(s.size()))
	return err
}

func (s *spool) row(i int) (*spoolRow, error) {
	r := &spoolRow{make([]byte, s.size()), s.thresholds}
	_, err := io.ReadFull(io.NewSectionReader(s.file, int64(i)*int64(s.size()), int64(s.size())), r.bytes)
	return r, err
}

func (r *spoolRow) predicted() (class int, p float32) {
	return int(int32(binary.LittleEndian.Uint32(r.bytes))), math.Float32frombits(binary.LittleEndian.Uint32(r.bytes[4:]))
}

func (r *spoolRow) class() int { return int(int32(binary.LittleEndian.Uint32(r.bytes[8:]))) }

func (r *spoolRow) overlaps(p int) []float32 {
	v := make([]float32, r.thresholds)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.bytes[spoolHead+4*(p*r.thresholds+i):]))
	}
	return v
}

// writeCSV writes a line an image: what was predicted, and for every protocol the overlap at the data set's best threshold
// for IoU 50 and the best overlap of the image's own, with its threshold. Cells that the data do not give are empty.
func (ev *evaluation) writeCSV(s *spool, scores []rfga.Scores) error {
	return badIO(outdir.WriteFile(ev.cmd.CSV, func(w io.Writer) error {
		c := csv.NewWriter(w)
		head := []string{"image_id", "class", "predicted", "p", "top1", "top5"}
		for _, p := range ev.protocols {
			head = append(head, p.Name+" iou", p.Name+" best iou", p.Name+" best threshold")
		}
		c.Write(head)
		for i := range ev.set.Len() {
			item, err := ev.set.Item(i)
			if err != nil {
				return err
			}
			row, err := s.row(i)
			if err != nil {
				return err
			}
			c.Write(append([]string{item.ID}, ev.cells(row, scores)...))
		}
		c.Flush()
		return c.Error()
	}))
}

func (ev *evaluation) cells(row *spoolRow, scores []rfga.Scores) []string {
	cells := make([]string, 5)
	if class := row.class(); class >= 0 {
		cells[0] = strconv.Itoa(class)
	}
	if id, p := row.predicted(); id >= 0 {
		cells[1], cells[2] = strconv.Itoa(id), strconv.FormatFloat(float64(p), 'g', 4, 32)
	}
	if row.bytes[12] == 1 {
		cells[3], cells[4] = strconv.Itoa(int(row.bytes[13])), strconv.Itoa(int(row.bytes[14]))
	}
	for p := range scores {
		best := scores[p].Best[1]
		if best < 0 {
			cells = append(cells, "", "", "")
			continue
		}
		curve := row.overlaps(p)
		top := slices.Max(curve)
		short := func(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }
		cells = append(cells, short(float64(curve[best])), short(float64(top)), short(ev.thresholds[slices.Index(curve, top)]))
	}
	return cells
}
