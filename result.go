package rfgaedge

import "time"

// Result is what Localize found. Its slices are reused when the Result is passed to Localize again.
type Result struct {
	// Width and Height are the frame's.
	Width, Height int
	// Classes are the most probable classes, the most probable first.
	Classes []Class
	// Locations are boxes, in the order of the located classes, the largest of a class first. A class whose map is flat
	// has none. Empty: nothing was found.
	Locations []Location
	// Heat is the heat map of the first located class if LocalizeOptions.Heat asks for it; without one, Pix is empty.
	Heat    Heat
	Timings Timings
}

// Class is a class with its probability.
type Class struct {
	ID    int
	Label string // empty if the model has no labels
	P     float32
}

// Location is where a class is.
type Location struct {
	Class     Class
	Box       Box
	Threshold float64 // fraction of the heat map's maximum that bounds the region
	Area      float64 // of the warm region, as a share of what the network saw
}

// Box is a rectangle in pixels of the frame, half-open: X1-X0 columns and Y1-Y0 rows.
type Box struct{ X0, Y0, X1, Y1 int }

// Heat is the heat map of a class, 0..1, in the network's own resolution.
type Heat struct {
	Class         int // its id
	Width, Height int
	Pix           []float64 // row by row
	Region        Box       // what it covers, in pixels of the frame
}

// Timings says how long the steps of Localize took.
type Timings struct {
	Preprocess time.Duration // frame to network input
	Infer      time.Duration // the network, up to the probabilities
	Locate     time.Duration // class maps, heat maps and boxes
}
