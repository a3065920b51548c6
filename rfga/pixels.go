package rfga

import "math"

// Pixels counts, over a data set, how many pixels inside and outside of the masks have which heat: the histograms of PxAP,
// the area under the precision-recall curve of the heat's pixels.
type Pixels struct {
	edges           []float64 // ascending: the thresholds, 1, 2, 3
	inside, outside []int     // pixels from each edge up to the next
}

func newPixels(thresholds []float64) Pixels {
	edges := append(append([]float64(nil), thresholds...), 1, 2, 3)
	return Pixels{edges, make([]int, len(edges)-1), make([]int, len(edges)-1)}
}

func (p *Pixels) count(heat []float64, mask []uint8) {
	n := len(p.edges) - 3
	for i, v := range heat[:len(mask)] {
		// The last edge that is not above the value. Thresholds are even, so a guess is off by one at most.
		bin := min(int(v*float64(n)), n)
		for p.edges[bin] > v {
			bin--
		}
		for p.edges[bin+1] <= v {
			bin++
		}
		switch mask[i] {
		case Foreground:
			p.inside[bin]++
		case Background:
			p.outside[bin]++
		}
	}
}

// precision returns PxAP in percent, NaN where there is no foreground. A pixel is found when its heat reaches an edge:
// from the highest edge down, the precision at each counts with the recall that it adds.
func (p *Pixels) precision() float64 {
	total := 0
	for _, n := range p.inside {
		total += n
	}
	if total == 0 {
		return math.NaN()
	}
	var terms []float64
	found, wrong, recall := 0, 0, 0.0
	for k := len(p.inside) - 1; k >= 0; k-- {
		found, wrong = found+p.inside[k], wrong+p.outside[k]
		r := float64(found) / float64(total)
		if k < len(p.inside)-1 && found+wrong > 0 {
			terms = append(terms, float64(found)/float64(found+wrong)*(r-recall))
		}
		recall = r
	}
	return pairwiseSum(terms) * 100
}

// pairwiseSum adds as NumPy's sum does: eight sums side by side in blocks of up to 128, blocks in pairs.
func pairwiseSum(v []float64) float64 {
	n := len(v)
	switch {
	case n < 8:
		sum := 0.0
		for _, x := range v {
			sum += x
		}
		return sum
	case n <= 128:
		var r [8]float64
		copy(r[:], v)
		i := 8
		for ; i < n-n%8; i += 8 {
			for k := range r {
				r[k] += v[i+k]
			}
		}
		sum := ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
		for ; i < n; i++ {
			sum += v[i]
		}
		return sum
	}
	half := n / 2
	half -= half % 8
	return pairwiseSum(v[:half]) + pairwiseSum(v[half:])
}
