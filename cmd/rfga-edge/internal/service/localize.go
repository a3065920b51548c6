package service

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"math"
	"net/http"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/frame"
)

// localize answers for a photo what 'localize --json' prints for it.
func (s *Server) localize(w http.ResponseWriter, r *http.Request) error {
	options, heat, err := newQuery(r, lookParameters...).look(s.o.Model, s.o.Look)
	if err != nil {
		return err
	}
	var line []byte
	err = s.photo(w, r, options, func(u *upload, f *finding) error {
		var record rfgaedge.Record
		s.o.Model.Fill(&record, u.name, &f.result, f.decode)
		line = record.AppendJSON(nil)
		line = appendHeat(line, &f.result.Heat, heat)
		return nil
	})
	if err != nil {
		return err
	}
	return s.writeJSON(w, append(line, '\n'))
}

// finding is what a photo's session has found; it is the session's until its turn ends.
type finding struct {
	result rfgaedge.Result
	decode time.Duration
}

// photo receives a request's photo, looks at it, and calls answer while what was found is there.
func (s *Server) photo(w http.ResponseWriter, r *http.Request, o rfgaedge.LocalizeOptions, answer func(*upload, *finding) error) error {
	if err := s.desk.enter(); err != nil {
		return err
	}
	defer s.desk.leave()
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	u, give, err := s.receive(ctx, w, r)
	defer give()
	if err != nil {
		return err
	}
	if err := s.permit(r, u.fields["api_key"]); err != nil {
		return err
	}
	return s.desk.with(ctx, func(session *rfgaedge.Session) error {
		var f finding
		begin := time.Now()
		img, err := frame.DecodeImage(bytes.NewReader(u.photo), s.o.Limits)
		if err != nil {
			return err
		}
		f.decode = time.Since(begin)
		if err := session.SetOptions(o); err != nil {
			return err
		}
		picture := &rfgaedge.Frame{Format: rfgaedge.RGB24, Width: img.W, Height: img.H, Planes: [3][]byte{img.Pix}}
		if err := session.Localize(ctx, picture, &f.result); err != nil {
			if ctx.Err() != nil {
				return overdue(ctx)
			}
			return err
		}
		s.metrics.looked(&f.result.Timings, f.decode)
		return answer(u, &f)
	})
}

// appendHeat adds the member "heat" to the object that line ends with.
func appendHeat(line []byte, h *rfgaedge.Heat, form heatForm) []byte {
	switch {
	case form == heatNone:
		return line
	case len(h.Pix) == 0: // nothing was located
		return appendHeatMember(line, h, form, nil)
	case form == heatPNG:
		return appendHeatMember(line, h, form, heatImage(h))
	}
	return appendHeatMember(line, h, form, heatFloats(h))
}

func appendHeatMember(line []byte, h *rfgaedge.Heat, form heatForm, data []byte) []byte {
	line = append(line[:len(line)-1], `,"heat":`...)
	if data == nil {
		return append(line, "null}"...)
	}
	line = fmt.Appendf(line, `{"class":%d,"w":%d,"h":%d,"region":[%d,%d,%d,%d],"%s":"`,
		h.Class, h.Width, h.Height, h.Region.X0, h.Region.Y0, h.Region.X1, h.Region.Y1, form)
	return append(base64.StdEncoding.AppendEncode(line, data), `"}}`...)
}

// heatImage is the map as PNG, 255 times the heat, cut off, as 'localize --heatmap' has it.
func heatImage(h *rfgaedge.Heat) []byte {
	img := image.NewGray(image.Rect(0, 0, h.Width, h.Height))
	for i, v := range h.Pix {
		img.Pix[i] = uint8(255 * v)
	}
	var b bytes.Buffer
	(&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, img)
	return b.Bytes()
}

func heatFloats(h *rfgaedge.Heat) []byte {
	b := make([]byte, 0, 4*len(h.Pix))
	for _, v := range h.Pix {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
	}
	return b
}
