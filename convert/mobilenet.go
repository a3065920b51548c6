package convert

import (
	"fmt"
	"regexp"

	"github.com/rfga-edge/rfga-edge/convert/build"
)

// MobileNetV1 of any width: features.0 is a 3x3 convolution, features.1 to 13 are depthwise (0, with normalisation 1) and
// 1x1 (3, with 4) convolutions. The last stride of 2 is 1: a 14x14 map at 224.

var mobilenetNames = regexp.MustCompile(`^(features\.\d+\.[0134]|rfga\.(conv_[chw]|bn[123])|classifier(\.0)?)\.[a-z_]+$`)

// mobilenetStrides are those of the depthwise convolutions of features.1 and on.
var mobilenetStrides = [...]int{1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1}

// tinyChannels are those of the last layer at width 0.25, the network that is run at 96 pixels.
const tinyChannels = 256

func recogniseMobileNet(n *network) (string, error) {
	name := "mobilenet_v1"
	if vote(n.dim("features.13.3.weight", 0), n.dim("features.13.4.weight", 0), n.dim("features.13.4.bias", 0)) == tinyChannels {
		name += "_tiny"
	}
	return name + localizerKind(n), nil
}

func mobilenet(n *network, withRFGA bool) {
	k1, p0 := square(1)
	k3, p1 := square(3)
	x := n.conv(n.Input(), conv{name: "features.0.0", bn: "features.0.1", k: k3, stride: 2, pad: p1, act: build.ActReLU})
	for i, stride := range mobilenetStrides {
		f := fmt.Sprintf("features.%d.", i+1)
		x = n.conv(x, conv{name: f + "0", bn: f + "1", depth: true, k: k3, stride: stride, pad: p1, act: build.ActReLU})
		x = n.conv(x, conv{name: f + "3", bn: f + "4", k: k1, stride: 1, pad: p0, act: build.ActReLU})
	}
	localizerHead(n, x, withRFGA)
}

// localizerHead is what the reference networks share: RFGA under `rfga`, then the 1x1 classifier.
func localizerHead(n *network, x int, withRFGA bool) {
	if withRFGA {
		x = n.rfga("rfga", x)
	}
	head := "classifier"
	if n.has("classifier.0.weight") {
		head = "classifier.0"
	}
	n.classifier(head, x)
}

// localizerKind is the suffix of a network with localizerHead.
func localizerKind(n *network) string {
	for _, name := range n.ck.Names() {
		if len(name) > 5 && name[:5] == "rfga." {
			return "_rfga"
		}
	}
	return "_cam"
}
