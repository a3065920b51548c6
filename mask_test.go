package rfgaedge_test

import (
	"image"
	"image/color"
	"image/draw"
	"reflect"
	"testing"

	rfgaedge "github.com/rfga-edge/rfga-edge"
)

// maskOf is white but for black rectangles.
func maskOf(w, h int, black ...image.Rectangle) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, image.White, image.Point{}, draw.Src)
	for _, r := range black {
		draw.Draw(m, r, image.Black, image.Point{}, draw.Src)
	}
	return m
}

// What a mask hides is neither named nor located, in whatever size the mask is drawn and whichever part of the frame is
// looked at.
func TestMask(t *testing.T) {
	large, small := image.Rect(40, 60, 140, 160), image.Rect(200, 20, 240, 60)
	f := rfgaedge.FrameOf(picture(320, 240, map[image.Rectangle]color.Color{large: red, small: blue}))
	s := session(t, load(t, colours(t)))
	look := func(mask *image.Gray, crop image.Rectangle) rfgaedge.Result {
		t.Helper()
		var r rfgaedge.Result
		if err := s.SetOptions(rfgaedge.LocalizeOptions{Mask: mask, Heat: true}); err != nil {
			t.Fatal(err)
		}
		f.Crop = crop
		if err := s.Localize(t.Context(), f, &r); err != nil {
			t.Fatal(err)
		}
		r.Timings = rfgaedge.Timings{}
		return r
	}
	bare := look(nil, image.Rectangle{})
	if bare.Classes[0].ID != 0 {
		t.Fatalf("%+v", bare.Classes)
	}
	if white := look(maskOf(7, 3), image.Rectangle{}); !reflect.DeepEqual(white, bare) {
		t.Errorf("a mask that hides nothing changes %+v to %+v", bare, white)
	}
	for _, scale := range []int{1, 5, 20} { // the mask's pixels are so many of the frame's
		hide := image.Rect(large.Min.X/scale, large.Min.Y/scale, (large.Max.X+scale-1)/scale, (large.Max.Y+scale-1)/scale)
		mask := maskOf(320/scale, 240/scale, hide)
		for _, crop := range []image.Rectangle{{}, image.Rect(20, 10, 260, 190)} {
			r := look(mask, crop)
			if len(r.Locations) != 1 || r.Classes[0].ID != 2 {
				t.Fatalf("scale %d, crop %v: %+v", scale, crop, r.Classes)
			}
			near(t, r.Locations[0].Box, small, 8)
			for y := range r.Heat.Height {
				for x := range r.Heat.Width {
					// In the frame, and well inside of what is hidden.
					px := r.Heat.Region.X0 + (2*x+1)*(r.Heat.Region.X1-r.Heat.Region.X0)/(2*r.Heat.Width)
					py := r.Heat.Region.Y0 + (2*y+1)*(r.Heat.Region.Y1-r.Heat.Region.Y0)/(2*r.Heat.Height)
					if (image.Point{px, py}).In(large.Inset(5)) && r.Heat.Pix[y*r.Heat.Width+x] != 0 {
						t.Fatalf("scale %d, crop %v: heat at %d,%d", scale, crop, px, py)
					}
				}
			}
		}
	}
	if r := look(maskOf(2, 2, image.Rect(0, 0, 2, 2)), image.Rectangle{}); len(r.Locations) != 0 {
		t.Errorf("all is hidden, and found is %+v", r.Locations)
	}
	if err := s.SetOptions(rfgaedge.LocalizeOptions{Mask: image.NewGray(image.Rectangle{})}); err == nil {
		t.Error("an empty mask passes")
	}
	mask := maskOf(64, 48, image.Rect(0, 0, 20, 20))
	look(mask, image.Rectangle{})
	var r rfgaedge.Result
	if err := s.SetOptions(rfgaedge.LocalizeOptions{Mask: mask}); err != nil {
		t.Fatal(err)
	}
	views := []image.Rectangle{{}, image.Rect(20, 10, 260, 190)}
	n := 0
	run := func() {
		f.Crop = views[n%2] // what is hidden is found anew each time
		n++
		if err := s.Localize(t.Context(), f, &r); err != nil {
			t.Fatal(err)
		}
	}
	run()
	run()
	if n := testing.AllocsPerRun(10, run); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
