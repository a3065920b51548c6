package convert_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/rfga-edge/rfga-edge/convert"
	"github.com/rfga-edge/rfga-edge/convert/checkpoint"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

// zeroFile is a file that begins with head and goes on with zeros.
type zeroFile struct{ head []byte }

func (z zeroFile) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(z.head)) {
		copy(p, z.head[off:])
	}
	return len(p), nil
}

var _ io.ReaderAt = zeroFile{}

// zeroCheckpoint is a safetensors file of zeros with tensors of the given shapes.
func zeroCheckpoint(t *testing.T, shapes map[string][]int) *checkpoint.Checkpoint {
	t.Helper()
	header, at := map[string]any{}, 0
	for name, shape := range shapes {
		n := 2
		for _, d := range shape {
			n *= d
		}
		header[name] = map[string]any{"dtype": "F16", "shape": shape, "data_offsets": []int{at, at + n}}
		at += n
	}
	b, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	head := append(binary.LittleEndian.AppendUint64(nil, uint64(len(b))), b...)
	c, err := checkpoint.Read(zeroFile{head}, int64(len(head)+at))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// variants are the published networks: blocks and channels of each stage, and the number of parameters.
var variants = []struct {
	blocks, channels   [7]int
	parameters, side   int
	resolution, adders int
}{
	{[7]int{1, 2, 2, 3, 3, 4, 1}, [7]int{16, 24, 40, 80, 112, 192, 320}, 4652008, 7, 224, 9},
	{[7]int{1, 3, 3, 4, 4, 5, 1}, [7]int{16, 24, 40, 80, 112, 192, 320}, 5416680, 8, 240, 14},
	{[7]int{1, 3, 3, 4, 4, 5, 1}, [7]int{16, 24, 48, 88, 120, 208, 352}, 6092072, 9, 260, 14},
	{[7]int{1, 3, 3, 5, 5, 6, 1}, [7]int{24, 32, 48, 96, 136, 232, 384}, 8197096, 9, 280, 17},
	{[7]int{1, 4, 4, 6, 6, 8, 1}, [7]int{24, 32, 56, 112, 160, 272, 448}, 13006568, 10, 300, 23},
}

var kernels = [7]int{3, 3, 5, 3, 5, 5, 3}

// liteShapes lists a variant's tensors under the PyPI packages' names, or timm's.
func liteShapes(v int, timm bool) map[string][]int {
	m := map[string][]int{}
	conv := func(name, bn string, shape ...int) {
		m[name+".weight"] = shape
		for _, p := range []string{"weight", "bias", "running_mean", "running_var"} {
			m[bn+"."+p] = shape[:1]
		}
	}
	pick := func(pypi, other string) string {
		if timm {
			return other
		}
		return pypi
	}
	conv(pick("_conv_stem", "conv_stem"), pick("_bn0", "bn1"), 32, 3, 3, 3)
	in, total := 32, 0
	for s, n := range variants[v].blocks {
		for i := range n {
			b, mid := pick(fmt.Sprintf("_blocks.%d.", total), fmt.Sprintf("blocks.%d.%d.", s, i)), in
			if s > 0 {
				mid = 6 * in
				conv(b+pick("_expand_conv", "conv_pw"), b+pick("_bn0", "bn1"), mid, in, 1, 1)
			}
			out := variants[v].channels[s]
			if s == 0 && timm {
				conv(b+"conv_dw", b+"bn1", mid, 1, kernels[s], kernels[s])
				conv(b+"conv_pw", b+"bn2", out, mid, 1, 1)
			} else {
				conv(b+pick("_depthwise_conv", "conv_dw"), b+pick("_bn1", "bn2"), mid, 1, kernels[s], kernels[s])
				conv(b+pick("_project_conv", "conv_pwl"), b+pick("_bn2", "bn3"), out, mid, 1, 1)
			}
			in = out
			total++
		}
	}
	conv(pick("_conv_head", "conv_head"), pick("_bn1", "bn2"), 1280, in, 1, 1)
	m[pick("_fc", "classifier")+".weight"] = []int{1000, 1280}
	m[pick("_fc", "classifier")+".bias"] = []int{1000}
	return m
}

func TestEfficientNetLite(t *testing.T) {
	for v, want := range variants {
		shapes := liteShapes(v, false)
		n := 0
		for name, s := range shapes {
			if strings.Contains(name, "running_") {
				continue
			}
			p := 1
			for _, d := range s {
				p *= d
			}
			n += p
		}
		if n != want.parameters {
			t.Fatalf("the test's own table gives Lite%d %d parameters, not %d", v, n, want.parameters)
		}
		m, err := convert.FromCheckpoint(zeroCheckpoint(t, shapes), convert.Options{})
		if err != nil {
			t.Errorf("Lite%d: %v", v, err)
			continue
		}
		adds := 0
		for i := range m.Ops {
			if m.Ops[i].Kind == format.OpAdd {
				adds++
			}
		}
		maps := m.Tensors[m.Outputs[1].Tensor].Shape
		if m.Arch != fmt.Sprintf("efficientnet_lite%d", v) || m.Pre.Width != want.resolution || maps[1] != want.side || maps[3] != 1000 || adds != want.adders {
			t.Errorf("Lite%d: %s at %d, maps %v, %d shortcuts; want %d, %dx%d, %d", v, m.Arch, m.Pre.Width, maps, adds, want.resolution, want.side, want.side, want.adders)
		}
	}
}

// TestLitePadding checks that padding follows the size that each layer sees: behind for even sizes, around for odd ones.
func TestLitePadding(t *testing.T) {
	for size, want := range map[int][4]int{224: {0, 0, 1, 1}, 225: {1, 1, 1, 1}} {
		m, err := convert.FromCheckpoint(zeroCheckpoint(t, liteShapes(0, false)), convert.Options{InputSize: size})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Ops[0].Attr.Pad; got != want {
			t.Errorf("stem at %d pads %v, want %v", size, got, want)
		}
	}
}

// TestTimmNames: two networks share timm's names, so one must be named.
func TestTimmNames(t *testing.T) {
	shapes := liteShapes(0, true)
	_, err := convert.FromCheckpoint(zeroCheckpoint(t, shapes), convert.Options{})
	for _, want := range []string{"--arch tf_efficientnet_lite0", "--arch timm_efficientnet_lite0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %s", err, want)
		}
	}
	for arch, pad := range map[string][4]int{"tf_efficientnet_lite0": {0, 0, 1, 1}, "timm_efficientnet_lite0": {1, 1, 1, 1}} {
		m, err := convert.FromCheckpoint(zeroCheckpoint(t, shapes), convert.Options{Arch: arch})
		if err != nil || m.Ops[0].Attr.Pad != pad {
			t.Errorf("%s: stem pads %v, want %v (error %v)", arch, m.Ops[0].Attr.Pad, pad, err)
		}
	}
}

// TestLiteWithRFGA puts the attention in front of the head.
func TestLiteWithRFGA(t *testing.T) {
	shapes := liteShapes(0, false)
	shapes["rfga.conv_c.weight"], shapes["rfga.conv_h.weight"], shapes["rfga.conv_w.weight"] = []int{1, 1, 3}, []int{320, 320, 3}, []int{320, 320, 3}
	for _, bn := range []string{"bn1", "bn2", "bn3"} {
		for _, p := range []string{"weight", "bias", "running_mean", "running_var"} {
			shapes["rfga."+bn+"."+p] = []int{320}
		}
	}
	m, err := convert.FromCheckpoint(zeroCheckpoint(t, shapes), convert.Options{InputSize: 96})
	if err != nil {
		t.Fatal(err)
	}
	n := len(m.Ops)
	if m.Ops[n-3].Kind != format.OpRFGA || m.Ops[n-2].Kind != format.OpConv2D || m.Ops[n-1].Kind != format.OpCAMHead {
		t.Errorf("the network ends with %v, %v, %v", m.Ops[n-3].Kind, m.Ops[n-2].Kind, m.Ops[n-1].Kind)
	}
}
