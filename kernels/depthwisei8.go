package kernels

import (
	"fmt"
	"unsafe"

	"github.com/rfga-edge/rfga-edge/asm"
)

// PrepareDepthwiseI8 returns a quantized depthwise convolution. The rows of the input that a row of the output needs are copied
// into scratch, each once, with their padding: there no window knows of a border.
func PrepareDepthwiseI8(c *DepthwiseI8) (*Prepared, error) {
	return prepareDepthwiseI8(c, features)
}

// depthwiseI8 is a depthwise convolution made ready. Units are rows of the output by blocks of channels.
type depthwiseI8 struct {
	in, out  Shape
	win      Window
	kernel   *Depthwise
	byColumn bool     // taps are in the order of a Depthwise3x3
	flip     *Flipper // for kernels that read values, else nil
	fold     int      // neighbouring pixels that the kernel takes for one of fold times the channels
	taps     int      // rounded up to the kernel's KR
	packed   []byte
	bias     []int32
	mult     []float32
	params   *asm.Requant
	residual bool
	padRow   []byte // [C] stored padding bytes

	channels int // of a unit, a multiple of CR unless it is all of them
	blocks   int // of channels
	ring     depthwiseRing
}

// depthwiseRing is the layout of the scratch: offsets of the taps, which input row each slot holds, the slots, and one more
// that holds padding.
type depthwiseRing struct {
	columns, slots, pitch int
	offRows, offSlots     int
	size                  int
}

// maxRing bounds the scratch of one worker: a forged file could ask for padding without end.
const maxRing = 1 << 26

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
	d.choose(available)
	if d.kernel.A == S8 {
		d.flip = chooseRow(flippers, available)
	}
	if err := d.pack(c, mult); err != nil {
		return nil, err
	}
	if err := d.plan(); err != nil {
		return nil, err
	}
	why := d.kernel.ISA.String() + ", exact for any weights"
	if d.kernel.ISA == Portable {
		why = "no SIMD kernel available"
	}
	return &Prepared{
		Stages: []Stage{{Name: "depthwise", Units: d.out.H * d.blocks, Scratch: d.ring.size, Run: d.run}},
		Kernel: d.kernel.Name,
		Why:    why,
		MACs:   int64(c.Out.H) * int64(c.Out.W) * int64(c.Out.C) * int64(c.Window.KH*c.Window.KW),
		Packed: len(d.packed) + 8*len(d.bias),
	}, nil
}

// choose takes the kernel with the highest rate, idle channels and taps counting against it. With stride 1, some neighbouring
// pixels lie side by side in the input as they do in the output, and make one pixel of more channels: it may fill a block
// better.
func (d *depthwiseI8) choose(available ISA) {
	w, c := &d.win, d.in.C
	folds := 1
	if w.StrideW == 1 {
		folds = max(min(4, d.out.W/4), 1)
	}
	best := 0.0
	consider := func(k *Depthwise, byColumn bool, fold int) {
		if k.Residual != d.residual || k.ISA&^available != 0 {
			return
		}
		n := c * fold
		full := ceilDiv(n, k.CR) * k.CR * ceilDiv(w.KH*w.KW, k.KR) * k.KR
		if score := float64(k.Rate) * float64(n*w.KH*w.KW) / float64(full); score > best {
			best, d.kernel, d.byColumn, d.fold = score, k, byColumn, fold
		}
	}
	for fold := 1; fold <= folds; fold++ {
		for i := range depthwises {
			consider(&depthwises[i], false, fold)
		}
		for i := range depthwises3x3 {
			if k := &depthwises3x3[i]; w.KH == 3 && w.KW == 3 && k.Stride*w.DilationW == w.StrideW*fold {
				consider(&k.Depthwise, true, fold)
			}
		}
	}
}

// place is where tap ky, kx is in the kernel's order.
func (d *depthwiseI8) place(ky, kx int) int {
	if d.byColumn {
		return kx*columnTaps + ky
	}
	return ky*d.win.KW + kx
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
	k, w := d.kernel, &c.Window
	taps := w.KH * w.KW
	d.taps = ceilDiv(taps, k.KR) * k.KR
	if d.byColumn {
		d.taps = w.KW * columnTaps
	}
	blocks := ceilDiv(c.In.C*d.fold, k.CR)
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
		d.padRow[ch] = padByte(c.PadValue, c.ZeroIn, ch)
		if k.A == S8 {
			d.padRow[ch] ^= 0x80
		}
		for f := range d.fold {
			n := f*c.In.C + ch
			place := n
			if k.Order != nil {
				place += orderInverse(k.Order, n%k.CR) - n%k.CR
			}
			d.bias[place] = foldBias(c.Bias, ch, c.ZeroIn, k.A.Bias(), s.pos+s.neg)
			d.mult[place] = mult[ch]
			block := weights[place/k.CR*d.taps*k.CR:]
			for t, v := range filter {
				p := d.place(t/w.KW, t%w.KW)
				block[(p/k.KR*k.CR+place%k.CR)*k.KR+p%k.KR] = v
			}
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

// plan divides the channels into units where the rows alone are few, and lays out the scratch.
func (d *depthwiseI8) plan() error {
	k, w := d.kernel, &d.win
	d.channels, d.blocks = d.in.C, 1
	// A unit has at least a cache line of channels, so that threads do not write to the same one.
	if line := max(k.CR, channelUnit); d.out.H < minUnits && d.in.C >= 2*line && d.fold == 1 {
		want := ceilDiv(2*minUnits, d.out.H)
		d.channels = max(ceilDiv(ceilDiv(d.in.C, want), line), 1) * line
		d.blocks = ceilDiv(d.in.C, d.channels)
	}
	r := &d.ring
	r.columns = (d.out.W-1)*w.StrideW + (w.KW-1)*w.DilationW + 1
	r.slots = min((w.KH-1)*w.DilationH+1, d.in.H)
	if bytes := int64(r.columns) * int64(d.channels) * int64(r.slots+1); bytes > maxRing {
		return fmt.Errorf("%d rows of %d columns of %d channels, with their padding: more than %d bytes", r.slots, r.columns, d.channels, maxRing)
	}
	r.pitch = align64(r.columns * d.channels)
	r.offRows = align64(8 * d.taps)
	r.offSlots = r.offRows + align64(8*r.slots)
	r.size = r.offSlots + (r.slots+1)*r.pitch + Slack
	return nil
}

// run computes units lo..hi-1, block by block of channels.
func (d *depthwiseI8) run(io *IO, lo, hi int, tmp []byte) {
	r := &d.ring
	off, rows, slots := view[int](tmp[:8*d.taps]), view[int](tmp[r.offRows:])[:r.slots], tmp[r.offSlots:]
	clear(off)
	block := -1
	for u := lo; u < hi; u++ {
		b, oy := u/d.out.H, u%d.out.H
		c0 := b * d.channels
		n := min(d.channels, d.in.C-c0)
		if b != block {
			block = b
			d.clear(rows, slots, c0, n)
		}
		d.row(io, off, rows, slots, oy, c0, n)
	}
}

// clear empties the ring for a block of channels: it writes the padding, which stays.
func (d *depthwiseI8) clear(rows []int, slots []byte, c0, n int) {
	r := &d.ring
	left, right := d.inside()
	for slot := range r.slots + 1 {
		s := slots[slot*r.pitch:]
		for x := range r.columns {
			if slot == r.slots || x < left || x >= right {
				copy(s[x*d.channels:][:n], d.padRow[c0:])
			}
		}
	}
	for i := range rows {
		rows[i] = -1
	}
}

// inside says which columns of the ring lie in the image.
func (d *depthwiseI8) inside() (left, right int) {
	left = min(d.win.Pad[1], d.ring.columns)
	return left, max(left, min(d.in.W+d.win.Pad[1], d.ring.columns))
}

// row computes n channels from c0 of output row oy.
func (d *depthwiseI8) row(io *IO, off, rows []int, slots []byte, oy, c0, n int) {
	w, r, k := &d.win, &d.ring, d.kernel
	for ky := range w.KH {
		slot := r.slots // padding
		if iy := oy*w.StrideH - w.Pad[0] + ky*w.DilationH; iy >= 0 && iy < d.in.H {
			slot = iy % r.slots
			if rows[slot] != iy {
				rows[slot] = iy
				d.load(slots[slot*r.pitch:], io.In[0], iy, c0, n)
			}
		}
		for kx := range w.KW {
			off[d.place(ky, kx)] = slot*r.pitch + kx*w.DilationW*d.channels
		}
	}
	c := d.out.C
	pixels := func(ox, count, fold int) {
		y := (oy*d.out.W+ox)*c + c0
		var res *byte
		if d.residual {
			res = at(io.In[1], y)
		}
		a, step, ld := at(slots, ox*w.StrideW*d.channels), fold*w.StrideW*d.channels, fold*c
		k.Fn(at(io.Out[0], y), ld, a, step, count, unsafe.SliceData(off), d.taps, at(d.packed, c0*d.taps*k.W.Size()), fold*n,
			at(d.bias, c0), at(d.mult, c0), res, ld, d.params)
	}
	whole := d.out.W / d.fold
	pixels(0, whole, d.fold)
	if rest := d.out.W % d.fold; rest > 0 {
		pixels(whole*d.fold, 1, rest)
	}
}

// load copies the part of an input row that the windows see into a slot, as the kernel reads it.
func (d *depthwiseI8) load(slot, x []byte, iy, c0, n int) {
	left, right := d.inside()
	if left == right {
		return
	}
	src := x[(iy*d.in.W+left-d.win.Pad[1])*d.in.C+c0:]
	to := slot[left*d.channels:][:(right-left)*d.channels]
	if d.flip == nil {
		gatherRuns(to, src, right-left, n, d.channels, d.in.C)
		return
	}
	if n < d.in.C {
		gatherRuns(to, src, right-left, n, d.channels, d.in.C)
		src = to
	}
	flipExactly(d.flip, to, src)
}

// flipRun is the number of bytes of which a Flipper takes a whole number.
const flipRun = 64

// flipExactly flips len(dst) bytes and writes nothing behind them.
func flipExactly(f *Flipper, dst, src []byte) {
	m := len(dst) / flipRun * flipRun
	if m > 0 {
		f.Fn(unsafe.SliceData(dst), unsafe.SliceData(src), m)
	}
	for i := m; i < len(dst); i++ {
		dst[i] = src[i] ^ 0x80
	}
}

// Portable Go: the definition.
var portableDepthwises = []Depthwise{
	{Name: "u8s8_depthwise_8c1_portable", CR: 8, KR: 1, A: U8, W: S8, Rate: 1, Fn: depthwisePortable},
	{Name: "u8s8_depthwiseadd_8c1_portable", CR: 8, KR: 1, A: U8, W: S8, Rate: 1, Residual: true, Fn: depthwiseAddPortable},
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
