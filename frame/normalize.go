package frame

import "math"

// Normalizer turns the bytes of a network's square into the normalised values (byte/255-mean)/std that float networks take,
// and back. Channels are in the order of the square.
type Normalizer struct {
	value   [3][256]float32
	std255  [3]float32
	mean255 [3]float32
	pad     [3]byte
}

// NewNormalizer computes the tables for a mean and standard deviation per channel.
func NewNormalizer(mean, std [3]float32) *Normalizer {
	n := new(Normalizer)
	for c := range 3 {
		m, s := 255*float64(mean[c]), 255*float64(std[c])
		n.std255[c], n.mean255[c] = float32(s), float32(m)
		n.pad[c] = byte(math.RoundToEven(min(max(m, 0), 255)))
		for b := range n.value[c] {
			n.value[c][b] = float32((float64(b) - m) / s)
		}
	}
	return n
}

// CHW writes the square pix (rows of three interleaved channels) to dst, channel after channel.
func (n *Normalizer) CHW(dst []float32, pix []byte) {
	plane := len(pix) / 3
	for c := range 3 {
		table, out := &n.value[c], dst[c*plane:][:plane]
		for i := range out {
			out[i] = table[pix[3*i+c]]
		}
	}
}

// NHWC writes the square pix to dst in its own order.
func (n *Normalizer) NHWC(dst []float32, pix []byte) {
	dst = dst[:len(pix)]
	for i := 0; i+3 <= len(pix); i += 3 {
		dst[i], dst[i+1], dst[i+2] = n.value[0][pix[i]], n.value[1][pix[i+1]], n.value[2][pix[i+2]]
	}
}

// Byte returns the byte whose normalised value in channel c is nearest to x, by the rule of the int8 contract: one rounding
// for the product and one for the sum, limits, then half to even. NaN gives the padding value, the byte nearest to zero.
func (n *Normalizer) Byte(x float32, c int) byte {
	if x != x {
		return n.pad[c]
	}
	v := float32(float32(x*n.std255[c]) + n.mean255[c])
	return byte(math.RoundToEven(float64(min(max(v, 0), 255))))
}

// Bytes writes the square whose normalised values are x, channel after channel, to pix. It undoes CHW.
func (n *Normalizer) Bytes(pix []byte, x []float32) {
	plane := len(x) / 3
	for c := range 3 {
		for i, v := range x[c*plane:][:plane] {
			pix[3*i+c] = n.Byte(v, c)
		}
	}
}
