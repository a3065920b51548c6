package main

// Kernels that turn a camera's rows into the network's: package kernels, pixels.go, says what they are for.

const (
	blendSig  = "dst *int16, src *byte, stride int, n int, coef *int16, taps int"
	unzipSig  = "even *int16, odd *int16, src *int16, n int"
	unzip3Sig = "a *int16, b *int16, c *int16, src *int16, n int"
	reduceSig = "dst *int16, src *int16, first *int32, coef *int16, blocks int, n int"
	colorSig  = "dst *byte, a *int16, b *int16, c *int16, n int, m *ColorMatrix"
)

func blendDoc(name string) []string {
	return []string{name + " is, for j < n, modulo 2**16:", "",
		"\tdst[j] = sum over k < taps of (256*(int(src[stride*k+j])-128)*coef[k] + 1<<14) >> 15", "",
		"n is at least 64, taps at least 1, coefficients above -32768. n elements are read and written, no more."}
}

func unzipDoc(name string) []string {
	return []string{name + " is, for i < n, a multiple of 64:", "", "\teven[i], odd[i] = src[2*i], src[2*i+1]"}
}

func unzip3Doc(name string) []string {
	return []string{name + " is, for i < n, a multiple of 64:", "", "\ta[i], b[i], c[i] = src[3*i], src[3*i+1], src[3*i+2]"}
}

func reduceDoc(name string) []string {
	return []string{name + " is, for i < n, a multiple of 8, with c(i, k) = coef[16*(i/2*blocks+k/8)+8*(i%2)+k%8]:", "",
		"\tdst[i] = (sum over k < 8*blocks of c(i, k)*src[first[i]+k] + 1<<15) >> 16"}
}

func colorDoc(name string) []string {
	return []string{name + " is ColorMatrix's formula for a[i], b[i], c[i], i < n, to dst[3*i:3*i+3]. n is at least 16; 3*n bytes are", "written, no more."}
}

// interleaveMask says from which of 8 bytes of red followed by 8 of green (first), or of blue twice (second), comes byte at+i of
// eight pixels; 128 where it comes from the other.
func interleaveMask(at int) (rg, b [16]byte) {
	for i := range 16 {
		rg[i], b[i] = 128, 128
		switch k := at + i; {
		case k >= 24:
		case k%3 == 2:
			b[i] = byte(k / 3)
		default:
			rg[i] = byte(k/3 + 8*(k%3))
		}
	}
	return rg, b
}

// unzipMask puts the even ones of eight 16-bit numbers before the odd ones.
func unzipMask() (m [16]byte) {
	for i := range 8 {
		from := 2*(i%4) + i/4
		m[2*i], m[2*i+1] = byte(2*from), byte(2*from+1)
	}
	return m
}

// unzip3Mask says which bytes of eight 16-bit numbers, the part-th eight of 24, go to channel ch; 128 where another part has them.
func unzip3Mask(ch, part int) (m [16]byte) {
	for i := range 8 {
		m[2*i], m[2*i+1] = 128, 128
		if from := 3*i + ch - 8*part; from >= 0 && from < 8 {
			m[2*i], m[2*i+1] = byte(2*from), byte(2*from+1)
		}
	}
	return m
}
