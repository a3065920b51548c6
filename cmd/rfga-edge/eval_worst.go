package main

import (
	"cmp"
	"fmt"
	"image"
	"image/png"
	"io"
	"slices"

	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/outdir"
	"github.com/rfga-edge/rfga-edge/cmd/rfga-edge/internal/overlay"
	"github.com/rfga-edge/rfga-edge/rfga"
)

// worstImage is an image and its overlap at the best threshold for IoU 50.
type worstImage struct {
	index int
	iou   float32
}

// worst finds the images with the smallest overlaps, of equals the earlier ones, under the first protocol.
func (ev *evaluation) worst(s *spool, scores []rfga.Scores) ([]worstImage, error) {
	var list []worstImage
	for i := range ev.set.Len() {
		row, err := s.row(i)
		if err != nil {
			return nil, badIO(err)
		}
		w := worstImage{i, row.overlaps(0)[scores[0].Best[1]]}
		at, _ := slices.BinarySearchFunc(list, w, func(a, b worstImage) int {
			return cmp.Or(cmp.Compare(a.iou, b.iou), cmp.Compare(a.index, b.index))
		})
		if at < ev.cmd.WorstN {
			list = slices.Insert(list[:min(len(list), ev.cmd.WorstN-1)], at, w)
		}
	}
	return list, nil
}

// drawWorst draws each with its heat map, the box at the best threshold and the true boxes.
func (ev *evaluation) drawWorst(s *spool, scores []rfga.Scores) error {
	list, err := ev.worst(s, scores)
	if err != nil {
		return err
	}
	dir, err := outdir.New(ev.cmd.Worst, nil)
	if err != nil {
		return badIO(err)
	}
	maps, err := ev.newMapMaker()
	if err != nil {
		return err
	}
	defer maps.close()
	for rank, w := range list {
		item, err := ev.set.Item(w.index)
		if err != nil {
			return badInput(err)
		}
		var m classMap
		if err := maps.make(ev.ctx, item, &m); err != nil {
			return err
		}
		img, err := openImage(ev.cmd.Images, item)
		if err != nil {
			return err
		}
		heat, boxes := cut(&m, ev.protocols[0], ev.thresholds[scores[0].Best[1]])
		whole := image.Rect(0, 0, img.W, img.H)
		var marks []overlay.Mark
		for i, b := range boxes {
			mark := overlay.Mark{Box: fromGrid(b, whole)}
			if i == 0 {
				mark.Label, mark.Detail = "predicted", fmt.Sprintf("IoU %.2f", w.iou)
			}
			marks = append(marks, mark)
		}
		for _, b := range item.Boxes {
			marks = append(marks, overlay.Mark{Box: fromGrid(b, whole), Group: 1, Label: "true"})
		}
		picture := overlay.Draw(img.Pix, img.W, img.H, &overlay.Heat{Pix: heat, W: rfga.GridSide, H: rfga.GridSide, Region: whole}, marks)
		path := dir.Path(fmt.Sprintf("%02d-%s", rank+1, outdir.Stem(item.ID)), ".png")
		if err := outdir.WriteFile(path, func(out io.Writer) error {
			return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(out, picture)
		}); err != nil {
			return badIO(err)
		}
	}
	return nil
}

// cut makes the heat map and the boxes of one threshold.
func cut(m *classMap, p rfga.Protocol, threshold float64) ([]float64, []rfga.EvalBox) {
	var mapper rfga.Mapper
	heat := make([]float64, rfga.GridSide*rfga.GridSide)
	mapper.Resize(heat, rfga.GridSide, rfga.GridSide, m.pix, m.w, m.h)
	rfga.Normalize(heat, p.Norm)
	levels := make([]uint8, len(heat))
	top := rfga.Quantize(levels, heat)
	return heat, mapper.EvalBoxes(nil, levels, rfga.GridSide, rfga.GridSide, rfga.Level(threshold, top), p.Multi)
}

// fromGrid moves a box, both ends inside, from the grid to the picture.
func fromGrid(b rfga.EvalBox, picture image.Rectangle) image.Rectangle {
	x := func(v int) int { return v * picture.Dx() / rfga.GridSide }
	y := func(v int) int { return v * picture.Dy() / rfga.GridSide }
	return image.Rect(x(b[0]), y(b[1]), x(b[2]+1), y(b[3]+1)).Intersect(picture)
}
