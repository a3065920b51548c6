package kernels

import (
	"fmt"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// PrepareDepthwiseI8 returns a quantized depthwise convolution. Where the whole window lies inside the image the kernel
// reads the input in place; under the border the window is copied first, with its padding.
func PrepareDepthwiseI8(c *DepthwiseI8) (*Prepared, error) {
	return prepareDepthwiseI8(c, features)
}

// depthwiseI8 is a depthwise convolution made ready. Units are rows of the output by blocks of channels.
type depthwiseI8 struct {
	in, out  Shape
	win      Window
	kernel   *Depthwise
	taps     int // rounded up to the kernel's KR
	packed   []byte
	bias     []int32
	mult     []float32
	params   *asm.Requant
	residual bool
	padRow   []byte // [C] stored padding bytes

	inside    []int // offsets of the taps in the input
	patch     []int // in a copied window, [KH*KW][channels of a unit]
	channels  int   // of a unit, a multiple of CR unless it is all of them
	blocks    int   // of channels
	firstFull int   // output columns whose window lies inside the image's width
	endFull   int
}

func prepareDepthwiseI8(c *DepthwiseI8, available ISA) (*Prepared, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	d := &depthwiseI8{in: c.In, out: c.Out, win: c.Window, residual: c.Residual != nil}
	var mult []float32
	var err error
	if d.params, mult, err = c.Requant.prepare(c.Out.C, c.Residual); err != nil {
		return nil, err
	}
	taps := c.Window.KH * c.Window.KW
	d.kernel = chooseDepthwise(available, d.residual, c.In.C, taps)
	if err := d.pack(c, mult); err != nil {
		return nil, err
	}
	d.plan()
	why := d.kernel.ISA.String() + ", exact for any weights"
	if d.kernel.ISA == Portable {
		why = "no SIMD kernel available"
	}
	return &Prepared{
		Stages: []Stage{{Name: "depthwise", Units: d.out.H * d.blocks, Scratch: align64(taps*d.channels + Slack), Run: d.run}},
		Kernel: d.kernel.Name,
		Why:    why,
		MACs:   int64(c.Out.H) * int64(c.Out.W) * int64(c.Out.C) * int64(taps),
		Packed: len(d.packed) + 8*len(d.bias),
	}, nil
}

func (c *DepthwiseI8) check() error {
	if err := checkShapes(c.In, c.Out); err != nil {
		return err
	}
	if err := checkWindow(&c.Window, c.In, c.Out, false); err != nil {
		return err
	}
	if c.In.C != c.Out.C {
		return fmt.Errorf("%d input and %d output channels: a depthwise convolution keeps them", c.In.C, c.Out.C)
	}
	w := &c.Window
	taps := int64(w.KH) * int64(w.KW)
	if taps > maxElements || taps*int64(padded4(c.In.C)) > maxElements {
		return fmt.Errorf("%dx%d taps of %d channels: more than %d weights", w.KH, w.KW, c.In.C, maxElements)
	}
	if err := checkLength("weights", len(c.Weights), int(taps)*padded4(c.In.C)); err != nil {
		return err
	}
	if err := checkOptional("biases", len(c.Bias), c.Out.C); err != nil {
		return err
	}
	if err := checkOptional("padding values", len(c.PadValue), c.In.C); err != nil {
		return err
	}
	return checkZero("input", c.ZeroIn)
}

// pack lays weights, biases and multipliers out in the kernel's blocks of channels, and checks every sum.
func (d *depthwiseI8) pack(c *DepthwiseI8, mult []float32) error {
	k := d.kernel
	taps := c.Window.KH * c.Window.KW
	d.taps = ceilDiv(taps, k.KR) * k.KR
	blocks := ceilDiv(c.In.C, k.CR)
	weights := make([]int8, blocks*d.taps*k.CR)
	d.bias = aligned[int32](blocks * k.CR)
	d.mult = aligned[float32](blocks * k.CR)
	d.padRow = make([]byte, c.In.C)
	filter := make([]int8, taps)
	for ch := range c.In.C {
		for t := range taps {
			filter[t] = c.Weights[t*padded4(c.In.C)+ch]
		}
		var s channelSums
		if !s.add(filter) {
			return errMinWeight(ch)
		}
		if err := s.check(ch, c.Bias, c.ZeroIn); err != nil {
			return err
		}
		place := ch%k.CR + ch/k.CR*k.CR
		if k.Order != nil {
			place += orderInverse(k.Order, ch%k.CR) - ch%k.CR
		}
		d.bias[place] = foldBias(c.Bias, ch, c.ZeroIn, U8.Bias(), s.pos+s.neg)
		d.mult[place] = mult[ch]
		d.padRow[ch] = padByte(c.PadValue, c.ZeroIn, ch)
		block := weights[place/k.CR*d.taps*k.CR:]
		for t, w := range filter {
			block[(t/k.KR*k.CR+place%k.CR)*k.KR+t%k.KR] = w
		}
	}
	if k.W == S16 {
		d.packed = aligned[byte](2 * len(weights))
		wide := view[int16](d.packed)
		for i, w := range weights {
			wide[i] = int16(w)
		}
		return nil
	}
	d.packed = aligned[byte](len(weights))
	for i, w := range weights {
		d.packed[i] = byte(w)
	}
	return nil
}

// orderInverse is the packed place of a channel of a block.
func orderInverse(order []int, ch int) int {
	for place, c := range order {
		if c == ch {
			return place
		}
	}
	panic("kernels: Order is not a permutation")
}

// plan divides the channels into units where the rows alone are few, and lists where taps lie.
func (d *depthwiseI8) plan() {
	k, w := d.kernel, &d.win
	d.channels, d.blocks = d.in.C, 1
	// A unit has at least a cache line of channels, so that threads do not write to the same one.
	if line := max(k.CR, channelUnit); d.out.H < minUnits && d.in.C >= 2*line {
		want := ceilDiv(2*minUnits, d.out.H)
		d.channels = max(ceilDiv(ceilDiv(d.in.C, want), line), 1) * line
		d.blocks = ceilDiv(d.in.C, d.channels)
	}
	d.inside, d.patch = make([]int, d.taps), make([]int, d.taps)
	for t := range w.KH * w.KW {
		d.inside[t] = (t/w.KW*w.DilationH*d.in.W + t%w.KW*w.DilationW) * d.in.C
		d.patch[t] = t * d.channels
	}
	// Output column ox is full if its first and last taps are inside.
	d.firstFull = min(ceilDiv(w.Pad[1], w.StrideW), d.out.W)
	if room := d.in.W - 1 - (w.KW-1)*w.DilationW + w.Pad[1]; room >= 0 {
		d.endFull = min(room/w.StrideW+1, d.out.W)
	}
	d.endFull = max(d.endFull, d.firstFull)
}

// run computes units lo..hi-1, block by block of channels.
func (d *depthwiseI8) run(io *IO, lo, hi int, tmp []byte) {
	for u := lo; u < hi; u++ {
		c0 := u / d.out.H * d.channels
		d.row(io, tmp, u%d.out.H, c0, min(d.channels, d.in.C-c0))
	}
}

// row computes n channels from c0 of output row oy.
func (d *depthwiseI8) row(io *IO, tmp []byte, oy, c0, n int) {
	w := &d.win
	iy := oy*w.StrideH - w.Pad[0]
	first, end := d.firstFull, d.endFull
	if iy < 0 || iy+(w.KH-1)*w.DilationH >= d.in.H {
		first, end = d.out.W, d.out.W // no window of this row is inside
	}
	for ox := range first {
		d.border(io, tmp, oy, ox, c0, n)
	}
	if first < end {
		ix := first*w.StrideW - w.Pad[1]
		a := at(io.In[0], (iy*d.in.W+ix)*d.in.C+c0)
		d.pixels(io, a, w.StrideW*d.in.C, d.inside, oy, first, end-first, c0, n)
	}
	for ox := end; ox < d.out.W; ox++ {
		d.border(io, tmp, oy, ox, c0, n)
	}
}

// pixels computes count neighbouring outputs from ox.
func (d *depthwiseI8) pixels(io *IO, a *byte, step int, off []int, oy, ox, count, c0, n int) {
	k, c := d.kernel, d.out.C
	y := (oy*d.out.W+ox)*c + c0
	var res *byte
	if d.residual {
		res = at(io.In[1], y)
	}
	weights := at(d.packed, c0*d.taps*k.W.Size())
	k.Fn(at(io.Out[0], y), c, a, step, count, unsafe.SliceData(off), d.taps, weights, n, at(d.bias, c0), at(d.mult, c0), res, c, d.params)
}

// border computes one output whose window reaches over the image's edge.
func (d *depthwiseI8) border(io *IO, tmp []byte, oy, ox, c0, n int) {
	w := &d.win
	iy, ix := oy*w.StrideH-w.Pad[0], ox*w.StrideW-w.Pad[1]
	for t := range w.KH * w.KW {
		py, px := iy+t/w.KW*w.DilationH, ix+t%w.KW*w.DilationW
		from := d.padRow[c0:]
		if py >= 0 && py < d.in.H && px >= 0 && px < d.in.W {
			from = io.In[0][(py*d.in.W+px)*d.in.C+c0:]
		}
		copy(tmp[d.patch[t]:][:n], from)
	}
	d.pixels(io, unsafe.SliceData(tmp), 0, d.patch, oy, ox, 1, c0, n)
}

// Portable Go: the definition.
var portableDepthwises = []Depthwise{
	{Name: "u8s8_depthwise_8c1_portable", CR: 8, KR: 1, W: S8, Rate: 1, Fn: depthwisePortable},
	{Name: "u8s8_depthwiseadd_8c1_portable", CR: 8, KR: 1, W: S8, Rate: 1, Residual: true, Fn: depthwiseAddPortable},
}

func depthwisePortable(dst *byte, ldd int, a *byte, step, pixels int, off *int, taps int, w *byte, n int, bias *int32, mult *float32, _ *byte, _ int, p *asm.Requant) {
	depthwiseAddPortable(dst, ldd, a, step, pixels, off, taps, w, n, bias, mult, nil, 0, p)
}

func depthwiseAddPortable(dst *byte, ldd int, a *byte, step, pixels int, off *int, taps int, w *byte, n int, bias *int32, mult *float32, res *byte, ldr int, p *asm.Requant) {
	offsets := unsafe.Slice(off, taps)
	for px := range pixels {
		for c0 := 0; c0 < n; c0 += 8 {
			acc := [8]int32(row(bias, c0, 8))
			weights := row(w, c0*taps, 8*taps)
			for t, o := range offsets {
				u := [8]byte(row(a, px*step+o+c0, 8))
				w := [8]byte(weights[8*t:])
				for i := range acc {
					acc[i] += int32(u[i]) * int32(int8(w[i]))
				}
			}
			m := row(mult, c0, 8)
			y := row(dst, px*ldd+c0, min(8, n-c0))
			for i := range y {
				y[i] = requantByte(acc[i], m[i], p)
			}
			if res != nil {
				for i, r := range row(res, px*ldr+c0, len(y)) {
					y[i] = addResidual(y[i], r, p)
				}
			}
		}
	}
}
