package convert

import (
	"fmt"
	"regexp"

	"github.com/rfga-edge/rfga-edge/convert/build"
)

// ResNet with bottlenecks, under torchvision's names. The stride is on the 3x3 convolution (torchvision's v1.5).
// In the localization networks layer3 and layer4 have stride 1 and the head is `classifier`, a 1x1 convolution (also as
// `classifier.0`); modules with the names of RFGA may stand in any layer, the authors' stands at the end of layer4. The
// plain networks have torchvision's strides and its head, `fc`.

var resnetNames = regexp.MustCompile(`^(conv1|bn1|fc|classifier(\.0)?|layer[1-4]\.\d+\.(conv[123]|bn[123]|downsample\.[01]|conv_[chw]))\.[a-z_]+$`)

// resnetDepths are the bottlenecks per layer of the published networks.
var resnetDepths = map[string][4]int{"resnet50": {3, 4, 6, 3}, "resnet101": {3, 4, 23, 3}, "resnet152": {3, 8, 36, 3}}

// recogniseResNet returns the network's name, or the reason why it is none of ours.
func recogniseResNet(n *network) (string, error) {
	plan, rfga := resnetPlan(n)
	bottleneck := false
	for i := range plan[0] {
		bottleneck = bottleneck || n.has(fmt.Sprintf("layer1.%d.conv3.weight", i))
	}
	if !bottleneck {
		return "", fmt.Errorf("a ResNet of basic blocks (layer1 has no conv3), as ResNet-18 and 34 are; those with bottlenecks are known")
	}
	var depth [4]int
	for l, modules := range plan {
		for _, m := range modules {
			if m == bottleneckModule {
				depth[l]++
			}
		}
	}
	base := ""
	for name, d := range resnetDepths {
		if d == depth {
			base = name
		}
	}
	if base == "" {
		return "", fmt.Errorf("a ResNet of %v bottlenecks; 3,4,6,3 (50), 3,4,23,3 (101) and 3,8,36,3 (152) are known", depth)
	}
	switch {
	case rfga:
		return base + "_rfga", nil
	case n.has("fc.weight") || n.has("fc.bias"):
		return base, nil
	}
	return base + "_cam", nil
}

type resnetModule uint8

const (
	bottleneckModule resnetModule = iota
	rfgaModule
)

// resnetPlan lists each layer's modules by the names in the checkpoint.
func resnetPlan(n *network) (plan [4][]resnetModule, rfga bool) {
	for _, name := range n.ck.Names() {
		var layer, index int
		if k, _ := fmt.Sscanf(name, "layer%d.%d.", &layer, &index); k != 2 || layer < 1 || layer > 4 || index < 0 || index > 256 {
			continue
		}
		modules := &plan[layer-1]
		for len(*modules) <= index {
			*modules = append(*modules, bottleneckModule)
		}
		if n.hasRFGA(fmt.Sprintf("layer%d.%d", layer, index)) {
			(*modules)[index], rfga = rfgaModule, true
		}
	}
	return plan, rfga
}

// resnet builds the network whose depth is that of base. kind is "" for torchvision's, "cam" or "rfga".
func resnet(n *network, base, kind string) {
	plan, rfga := resnetPlan(n)
	depth := resnetDepths[base]
	for l := range plan { // the named network, with attention where the checkpoint has it
		var modules []resnetModule
		for blocks := 0; blocks < depth[l]; {
			m := bottleneckModule
			if i := len(modules); kind == "rfga" && i < len(plan[l]) {
				m = plan[l][i]
			}
			if modules = append(modules, m); m == bottleneckModule {
				blocks++
			}
		}
		if i := len(modules); kind == "rfga" && i < len(plan[l]) && plan[l][i] == rfgaModule || kind == "rfga" && l == 3 && !rfga {
			modules = append(modules, rfgaModule)
		}
		plan[l] = modules
	}
	strides := [4]int{1, 2, 1, 1}
	if kind == "" {
		strides = [4]int{1, 2, 2, 2}
	}
	k7, p3 := square(7)
	x := n.conv(n.Input(), conv{name: "conv1", bn: "bn1", k: k7, stride: 2, pad: p3, act: build.ActReLU})
	planes := n.Shape(x).C
	x = n.MaxPool("maxpool", x, build.PoolWin{Kernel: [2]int{3, 3}, Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}})
	for l, modules := range plan {
		for i, m := range modules {
			name := fmt.Sprintf("layer%d.%d", l+1, i)
			if m == rfgaModule {
				x = n.rfga(name, x)
				continue
			}
			stride := 1
			if i == 0 {
				stride = strides[l]
			}
			x = bottleneck(n, name, x, 4*planes<<l, stride)
		}
	}
	head := "classifier"
	if kind == "" || n.has("fc.weight") && !n.has("classifier.weight") && !n.has("classifier.0.weight") {
		head = "fc"
	} else if n.has("classifier.0.weight") || n.has("classifier.0.bias") {
		head = "classifier.0"
	}
	n.classifier(head, x)
}

// bottleneck is 1x1, 3x3 (of any width) and 1x1 convolutions around a shortcut.
func bottleneck(n *network, name string, x, out, stride int) int {
	if n.Err() != nil {
		return -1
	}
	k1, p0 := square(1)
	k3, p1 := square(3)
	short := x
	if n.Shape(x).C != out || stride != 1 || n.has(name+".downsample.0.weight") {
		short = n.conv(x, conv{name: name + ".downsample.0", bn: name + ".downsample.1", out: out, k: k1, stride: stride, pad: p0})
	}
	y := n.conv(x, conv{name: name + ".conv1", bn: name + ".bn1", k: k1, stride: 1, pad: p0, act: build.ActReLU})
	y = n.conv(y, conv{name: name + ".conv2", bn: name + ".bn2", out: n.Shape(y).C, k: k3, stride: stride, pad: p1, act: build.ActReLU})
	y = n.conv(y, conv{name: name + ".conv3", bn: name + ".bn3", out: out, k: k1, stride: 1, pad: p0})
	return n.Add(name, y, short, build.ActReLU)
}
