package kernels

// Portable Go of the float rows that work in float64, or apply attention: the definitions.

func sigmoidPortable(dst, src *float32, n int) {
	y := row(dst, 0, n)
	for i, v := range row(src, 0, n) {
		y[i] = Sigmoid32(v)
	}
}

func swishPortable(dst, src *float32, n int) {
	y := row(dst, 0, n)
	for i, v := range row(src, 0, n) {
		y[i] = Swish.At(v)
	}
}

// mapRow applies f to n elements, however many; at is the function one by one.
func mapRow(f mapFunc, at Func, y, x []float32) {
	whole := len(x) &^ 7
	if whole > 0 {
		f(&y[0], &x[0], whole)
	}
	for i, v := range x[whole:] {
		y[whole+i] = at.At(v)
	}
}

func sumsPortableF32(dst *float64, a *float32, step, pixels, n int) {
	sums := row(dst, 0, n)
	clear(sums)
	for i := range pixels {
		for j, v := range row(a, i*step/4, n) {
			sums[j] += float64(v)
		}
	}
}

func dotPortable(a, b *float32, n int) float64 {
	sum, y := 0.0, row(b, 0, n)
	for i, v := range row(a, 0, n) {
		sum += float64(v) * float64(y[i])
	}
	return sum
}

// dotRow is the product of two rows, however long.
func dotRow(f dotFunc, a, b []float32) float64 {
	sum, whole := 0.0, len(a)&^15
	b = b[:len(a)]
	if whole > 0 {
		sum = f(&a[0], &b[0], whole)
	}
	for i, v := range a[whole:] {
		sum += float64(v) * float64(b[whole+i])
	}
	return sum
}

func attendPortableF32(dst, a, g, w *float32, n int, p *float32) {
	y, gs, ws, k := row(dst, 0, n), row(g, 0, n), row(w, 0, n), row(p, 0, 2)
	for i, v := range row(a, 0, n) {
		y[i] = v * float32(k[0]+float32(k[1]*(gs[i]+ws[i])))
	}
}
