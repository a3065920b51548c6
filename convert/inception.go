package convert

import (
	"regexp"

	"github.com/rfga-edge/rfga-edge/convert/build"
)

// Inception v3 up to Mixed_6e under torchvision's names (inside `features`), then conv6, 3x3, and ReLU: 17x17 at 299.
// torchvision's batch normalisations here have an epsilon of 1e-3; RFGA's has 1e-5.

var inceptionNames = regexp.MustCompile(`^(features\.((Conv2d|Mixed)_\w+(\.\w+)?\.(conv|bn)|conv6)|rfga\.(conv_[chw]|bn[123])|classifier(\.0)?)\.[a-z_]+$`)

func recogniseInception(n *network) (string, error) { return "inception_v3" + localizerKind(n), nil }

// basic is torchvision's BasicConv2d.
func basic(n *network, name string, x, kh, kw, stride int, pad bool) int {
	c := conv{name: name + ".conv", bn: name + ".bn", k: [2]int{kh, kw}, stride: stride, act: build.ActReLU}
	if pad {
		c.pad = [4]int{kh / 2, kw / 2, kh / 2, kw / 2}
	}
	return n.conv(x, c)
}

func inception(n *network, withRFGA bool) {
	f := "features."
	pool3 := build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}}
	x := basic(n, f+"Conv2d_1a_3x3", n.Input(), 3, 3, 2, false)
	x = basic(n, f+"Conv2d_2a_3x3", x, 3, 3, 1, false)
	x = basic(n, f+"Conv2d_2b_3x3", x, 3, 3, 1, true)
	x = n.MaxPool(f+"maxpool1", x, pool3)
	x = basic(n, f+"Conv2d_3b_1x1", x, 1, 1, 1, false)
	x = basic(n, f+"Conv2d_4a_3x3", x, 3, 3, 1, false)
	x = n.MaxPool(f+"maxpool2", x, pool3)
	for _, b := range []string{"b", "c", "d"} {
		x = inceptionA(n, f+"Mixed_5"+b, x)
	}
	x = inceptionB(n, f+"Mixed_6a", x)
	for _, b := range []string{"b", "c", "d", "e"} {
		x = inceptionC(n, f+"Mixed_6"+b, x)
	}
	k3, p1 := square(3)
	x = n.conv(x, conv{name: f + "conv6", k: k3, stride: 1, pad: p1, act: build.ActReLU})
	n.eps = torchEps
	localizerHead(n, x, withRFGA)
}

// poolBranch is the average pooling, which counts its padding, and 1x1 convolution of modules A and C.
func poolBranch(n *network, name string, x int) int {
	y := n.AvgPool(name+".avg_pool", x, build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{1, 1}, Pad: [4]int{1, 1, 1, 1}}, true)
	return basic(n, name+".branch_pool", y, 1, 1, 1, false)
}

func inceptionA(n *network, name string, x int) int {
	b1 := basic(n, name+".branch1x1", x, 1, 1, 1, false)
	b5 := basic(n, name+".branch5x5_1", x, 1, 1, 1, false)
	b5 = basic(n, name+".branch5x5_2", b5, 5, 5, 1, true)
	b3 := basic(n, name+".branch3x3dbl_1", x, 1, 1, 1, false)
	b3 = basic(n, name+".branch3x3dbl_2", b3, 3, 3, 1, true)
	b3 = basic(n, name+".branch3x3dbl_3", b3, 3, 3, 1, true)
	return n.Concat(name, 3, b1, b5, b3, poolBranch(n, name, x))
}

func inceptionB(n *network, name string, x int) int {
	b3 := basic(n, name+".branch3x3", x, 3, 3, 2, false)
	d := basic(n, name+".branch3x3dbl_1", x, 1, 1, 1, false)
	d = basic(n, name+".branch3x3dbl_2", d, 3, 3, 1, true)
	d = basic(n, name+".branch3x3dbl_3", d, 3, 3, 2, false)
	p := n.MaxPool(name+".max_pool", x, build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}})
	return n.Concat(name, 3, b3, d, p)
}

func inceptionC(n *network, name string, x int) int {
	b1 := basic(n, name+".branch1x1", x, 1, 1, 1, false)
	b7 := basic(n, name+".branch7x7_1", x, 1, 1, 1, false)
	b7 = basic(n, name+".branch7x7_2", b7, 1, 7, 1, true)
	b7 = basic(n, name+".branch7x7_3", b7, 7, 1, 1, true)
	d := basic(n, name+".branch7x7dbl_1", x, 1, 1, 1, false)
	d = basic(n, name+".branch7x7dbl_2", d, 7, 1, 1, true)
	d = basic(n, name+".branch7x7dbl_3", d, 1, 7, 1, true)
	d = basic(n, name+".branch7x7dbl_4", d, 7, 1, 1, true)
	d = basic(n, name+".branch7x7dbl_5", d, 1, 7, 1, true)
	return n.Concat(name, 3, b1, b7, d, poolBranch(n, name, x))
}
