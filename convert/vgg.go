package convert

import (
	"fmt"
	"regexp"

	"github.com/rfga-edge/rfga-edge/convert/build"
)

// VGG16's thirteen 3x3 convolutions and one of 1024 channels, numbered as modules of one nn.Sequential: a convolution and its
// ReLU take two numbers, a 2x2 max pooling one. Pool5 is left out. Pool4 may be left out too, for a map of 28x28: then
// the last convolution is features.29 instead of features.30, which is how the two are told apart; a checkpoint that keeps
// the number (with an nn.Identity in pool4's place) needs --arch vgg16_28_rfga.

var vggNames = regexp.MustCompile(`^(features\.\d+|rfga\.(conv_[chw]|bn[123])|classifier(\.0)?)\.[a-z_]+$`)

// The numbers of the convolutions, with pool4 at 23 and without.
var (
	vggPool4   = [...]int{0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 30}
	vggNoPool4 = [...]int{0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29}
)

// vggPooled marks the convolutions behind which a pooling stands.
var vggPooled = map[int]bool{1: true, 3: true, 6: true, 9: true}

// vggNumbering says which of the two the checkpoint has, by how many of the numbers it has.
func vggNumbering(n *network) (numbers [14]int, complete bool) {
	count := func(numbers [14]int) (hits int) {
		for _, i := range numbers {
			if n.has(fmt.Sprintf("features.%d.weight", i)) || n.has(fmt.Sprintf("features.%d.bias", i)) {
				hits++
			}
		}
		return hits
	}
	with, without := count(vggPool4), count(vggNoPool4)
	if without > with {
		return vggNoPool4, without == len(vggNoPool4)
	}
	return vggPool4, with == len(vggPool4)
}

func recogniseVGG(n *network) (string, error) {
	numbers, complete := vggNumbering(n)
	if !complete {
		return "", fmt.Errorf("a VGG whose convolutions are numbered otherwise than VGG16's with a fourteenth: features.%v or, without pool4, features.%v", vggPool4, vggNoPool4)
	}
	if numbers == vggNoPool4 {
		return "vgg16_28" + localizerKind(n), nil
	}
	return "vgg16" + localizerKind(n), nil
}

func vgg(n *network, pool4, withRFGA bool) {
	numbers, _ := vggNumbering(n)
	k3, p1 := square(3)
	x := n.Input()
	for k, i := range numbers {
		x = n.conv(x, conv{name: fmt.Sprintf("features.%d", i), k: k3, stride: 1, pad: p1, act: build.ActReLU})
		if vggPooled[k] && (k != 9 || pool4) {
			x = n.MaxPool(fmt.Sprintf("pool%d", k/3+1), x, build.PoolWin{Kernel: [2]int{2, 2}})
		}
	}
	localizerHead(n, x, withRFGA)
}
