package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	rfgaedge "github.com/rfga-edge/rfga-edge"
	"github.com/rfga-edge/rfga-edge/kernels"
	"github.com/rfga-edge/rfga-edge/runtime/format"
)

type benchKernelsCmd struct {
	Op      []string `placeholder:"OP" help:"Only these operations: ${ops}."`
	Model   string   `short:"m" placeholder:"M.rfga" help:"Model whose layers give the shapes; without it the one built in, or some classic layers where there is none."`
	Seconds float64  `default:"0.01" placeholder:"S" help:"How long to measure a kernel at a shape (${default})."`
	JSON    bool     `name:"json" help:"Print one JSON object."`
}

// Help is what 'bench kernels --help' adds.
func (*benchKernelsCmd) Help() string {
	return `A shape is M x K x N: output pixels, terms a result, output channels. Speeds are the best of five rounds on one thread, in billions of multiplications with addition (GMAC/s) or of elements a second; those that a tile spends on rows or columns behind the shape's end do not count. The share is of what this core's multiplier does on registers alone, measured in the same rounds.

* marks the kernel that is chosen for the shape: for layers of the model by what the model runs with, for other operations by what they would run with here. A layer marked at a 16-bit product of 16-bit weights (s16s16) runs by Winograd's method: 3x3 with a quarter of the multiplications.`
}

// kernelBench is one line of the result.
type kernelBench struct {
	Op     string  `json:"op"`
	M      int     `json:"m"`
	K      int     `json:"k"`
	N      int     `json:"n"`
	Layers int     `json:"layers"` // of the model, of this shape
	Kernel string  `json:"kernel"`
	ISA    string  `json:"isa"`
	Pick   bool    `json:"pick"`
	Rate   float64 `json:"g_per_s"` // GMAC/s or billions of elements a second
	Unit   string  `json:"unit"`    // "mac" or "element"
	Peak   string  `json:"peak,omitempty"`
	Share  float64 `json:"of_peak,omitempty"`
}

type kernelsResult struct {
	V       int                `json:"v"`
	Version string             `json:"version"`
	Model   string             `json:"model"`
	ISA     string             `json:"isa"`
	Peaks   map[string]float64 `json:"peaks_gmac_per_s"`
	Kernels []kernelBench      `json:"kernels"`
}

func (c *benchKernelsCmd) Run(e *env) error {
	if !(c.Seconds > 0 && c.Seconds <= 60) {
		return usage("--seconds %g: above 0, at most 60", c.Seconds)
	}
	for _, op := range c.Op {
		if !slices.Contains(kernels.BenchOps, op) {
			return usage("--op %s: unknown; there are %s", op, strings.Join(kernels.BenchOps, ", "))
		}
	}
	r := &kernelsResult{V: 1, Version: version(), Model: "classic layers", ISA: kernels.Features().String(), Peaks: map[string]float64{}}
	layers := classicLayers()
	model, err := openModel(c.Model)
	if err == nil {
		defer model.Close()
		r.Model, layers = model.Name(), modelLayers(model)
	} else if c.Model != "" {
		return err
	}
	for _, l := range layers {
		if len(c.Op) > 0 && !slices.Contains(c.Op, l.op) {
			continue
		}
		if err := c.measure(e.ctx, r, l); err != nil {
			return err
		}
	}
	for i := range r.Kernels { // after all rounds: a peak is the best that was ever seen
		if k := &r.Kernels[i]; r.Peaks[k.Peak] > 0 {
			k.Share = round(k.Rate/r.Peaks[k.Peak], 3)
		}
	}
	for name, v := range r.Peaks {
		r.Peaks[name] = round(v, 2)
	}
	if c.JSON {
		return printJSON(e.out, r)
	}
	return r.print(e)
}

// benchRounds is how often everything at a shape is visited, so that what disturbs the machine for a moment spoils no kernel.
const benchRounds = 5

// measure adds every kernel at one shape.
func (c *benchKernelsCmd) measure(ctx context.Context, r *kernelsResult, l benchLayer) error {
	benches := kernels.Benches(l.op, l.shape)
	best := make([]float64, len(benches)) // seconds a run
	slice := c.Seconds / benchRounds
	for range benchRounds {
		used := map[string]bool{}
		for i, b := range benches {
			if t := secondsOf(b.Run, slice); best[i] == 0 || t < best[i] {
				best[i] = t
			}
			used[b.Peak] = true
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		for _, p := range kernels.Peaks() {
			if used[p.Name] {
				const n = 1 << 14
				t := secondsOf(func() { p.Fn(n) }, slice)
				r.Peaks[p.Name] = max(r.Peaks[p.Name], float64(n*p.MACs)/t/1e9)
			}
		}
	}
	list := make([]kernelBench, len(benches))
	for i, b := range benches {
		list[i] = kernelBench{Op: l.op, M: l.shape.M, K: l.shape.K, N: l.shape.N, Layers: l.layers, Kernel: b.Name, ISA: b.ISA.String(),
			Pick: b.Pick, Rate: round(float64(b.Elem)/best[i]/1e9, 2), Unit: "element", Peak: b.Peak}
		if b.MACs > 0 {
			list[i].Rate, list[i].Unit = round(float64(b.MACs)/best[i]/1e9, 2), "mac"
		}
		if l.kernel != "" {
			list[i].Pick = b.Name == l.kernel
		}
	}
	slices.SortStableFunc(list, func(a, b kernelBench) int { return cmp.Compare(b.Rate, a.Rate) })
	r.Kernels = append(r.Kernels, list...)
	return nil
}

// secondsOf is how long a run takes when it is repeated for some seconds: the best of a few parts.
func secondsOf(run func(), seconds float64) float64 {
	run()
	begin := time.Now()
	run()
	once := max(time.Since(begin).Seconds(), 1e-9)
	const parts = 3
	n := int(min(max(seconds/once/parts, 1), 1e7))
	best := once
	for range parts {
		begin := time.Now()
		for range n {
			run()
		}
		best = min(best, time.Since(begin).Seconds()/float64(n))
		if once > seconds {
			break
		}
	}
	return best
}

func (r *kernelsResult) print(e *env) error {
	fmt.Fprintf(e.out, "%s on %s\n", r.Model, r.ISA)
	for _, name := range slices.Sorted(maps.Keys(r.Peaks)) {
		fmt.Fprintf(e.out, "peak %-28s %7.1f GMAC/s\n", name, r.Peaks[name])
	}
	var last kernelBench
	for _, k := range r.Kernels {
		if k.Op != last.Op || k.M != last.M || k.K != last.K || k.N != last.N {
			fmt.Fprintf(e.out, "\n%s %dx%dx%d", k.Op, k.M, k.K, k.N)
			if k.Layers > 0 {
				fmt.Fprintf(e.out, "  (%d layer%s)", k.Layers, plural(k.Layers))
			}
			fmt.Fprintln(e.out)
			last = k
		}
		unit, share, pick := "Gelem/s", "", " "
		if k.Unit == "mac" {
			unit = "GMAC/s"
		}
		if k.Share > 0 {
			share = fmt.Sprintf("%.0f %%", 100*k.Share)
		}
		if k.Pick {
			pick = "*"
		}
		if _, err := fmt.Fprintf(e.out, "%s %8.2f %-7s %6s  %s\n", pick, k.Rate, unit, share, k.Kernel); err != nil {
			return badIO(err)
		}
	}
	return nil
}

// benchLayer is an operation at a shape.
type benchLayer struct {
	op     string
	shape  kernels.BenchShape
	layers int    // of a model that have it
	kernel string // that the model runs them with, "" if that is not known
}

type layerList []benchLayer

// add notes a layer; those of one shape and kernel become one.
func (l *layerList) add(op string, m, k, n int, kernel string) {
	new := benchLayer{op, kernels.BenchShape{M: m, K: k, N: n}, 1, kernel}
	for i := range *l {
		if old := &(*l)[i]; old.op == op && old.shape == new.shape && old.kernel == kernel {
			old.layers++
			return
		}
	}
	*l = append(*l, new)
}

// conv adds a convolution of m output pixels with what its kernels need besides.
func (l *layerList) conv(m, k, n int, kernel string, float bool) {
	fixed := func(isFloat bool) string {
		if isFloat == float {
			return kernel
		}
		return "" // the model has no such layer: the dispatcher says
	}
	l.add("gemm", m, k, n, fixed(false))
	l.add("gemmf32", m, k, n, fixed(true))
	l.add("gemmf32f16", m, k, n, "")
	l.add("gemmf16", m, k, n, "")
	l.add("requant", m, 1, n, "")
	l.add("gemmrequant", m, k, n, "")
	l.add("requanti16", m, 1, n, "")
	l.add("widen", m, 1, k, "")
	l.add("flip", m, 1, k, "")
	l.add("expand", k, 1, n, "")
	l.add("narrow", m, 1, k, "")
}

// winograd adds the transforms of a 3x3 convolution.
func (l *layerList) winograd(h, w, in, out int) {
	l.add("winograd", (h+3)/4*((w+3)/4), in, out, "")
	l.add("winogradf32", (h+1)/2*((w+1)/2), in, out, "")
}

// window adds a depthwise convolution.
func (l *layerList) window(m, taps, n int, kernel string, float bool) {
	l.add("depthwisei16", m, taps, n, "")
	if strings.HasPrefix(kernel, "s16s16_") {
		kernel = "" // of int16 activations; of bytes the dispatcher says
	}
	if float {
		l.add("depthwise", m, taps, n, "")
		l.add("depthwisef32", m, taps, n, kernel)
		return
	}
	l.add("depthwise", m, taps, n, kernel)
	l.add("depthwisef32", m, taps, n, "")
}

// sorted puts operations into their usual order and large shapes of one first.
func (l layerList) sorted() layerList {
	slices.SortStableFunc(l, func(a, b benchLayer) int {
		if x, y := slices.Index(kernels.BenchOps, a.op), slices.Index(kernels.BenchOps, b.op); x != y {
			return x - y
		}
		return b.shape.M*b.shape.K*b.shape.N - a.shape.M*a.shape.K*a.shape.N
	})
	return l
}

// modelLayers lists the distinct shapes of a model's layers.
func modelLayers(model *rfgaedge.Model) layerList {
	var l layerList
	fm := model.Runtime().Format()
	for _, s := range model.Runtime().Steps() {
		op := stepOp(fm, s.Name, s.Kind)
		x, y := &fm.Tensors[s.Inputs[0]], &fm.Tensors[s.Outputs[0]]
		h, w, c := y.Shape[1], y.Shape[2], y.Shape[3]
		m := h * w
		float := x.DType == format.F32
		switch s.Kind {
		case format.OpConv2D, format.OpFullyConnected:
			wt := fm.Tensors[op.Inputs[1]].Shape
			groups := max(op.Attr.Groups, 1)
			l.conv(m, wt[1]*wt[2]*wt[3], c/groups, s.Kernel, float)
			if wt[1] == 3 && wt[2] == 3 && op.Attr.Stride == [2]int{1, 1} && groups == 1 {
				l.winograd(h, w, wt[3], c)
			}
		case format.OpDepthwiseConv2D:
			wt := fm.Tensors[op.Inputs[1]].Shape
			l.window(m, wt[1]*wt[2], c, s.Kernel, float)
		case format.OpAdd:
			l.add("add", m, 1, c, "")
			l.add("addi16", m, 1, c, "")
		case format.OpMul:
			l.add("mul", m, 1, c, "")
		case format.OpConcat:
			l.add("rescale", m, 1, c, "")
		case format.OpMaxPool:
			k := op.Attr.Kernel[0] * op.Attr.Kernel[1]
			l.add("max", m, k, c, "")
			l.add("maxpoolf32", m, k, c, "")
		case format.OpAvgPool:
			k := op.Attr.Kernel[0] * op.Attr.Kernel[1]
			l.add("sum", m, k, c, "")
			l.add("avgpoolf32", m, k, c, "")
		case format.OpGlobalAvgPool:
			l.add("sum", 1, x.Shape[1]*x.Shape[2], c, "")
			l.add("sums", x.Shape[1]*x.Shape[2], 1, c, "")
		case format.OpUnary:
			l.add("map", m, 1, c, "")
		case format.OpRFGA:
			l.add("sum", h, w, c, "")
			l.add("gemm", max(h, w), 3*c, c, "")
			l.add("attend", m, 1, c, "")
			l.add("attendf32", m, 1, c, "")
		case format.OpCAMHead:
			l.add("sums", x.Shape[1]*x.Shape[2], 1, x.Shape[3], "")
			l.add("dot", fm.Tensors[op.Inputs[1]].Shape[0], 1, x.Shape[3], "")
			l.add("gemm", x.Shape[1]*x.Shape[2], x.Shape[3], fm.Tensors[op.Inputs[1]].Shape[0], "")
		}
	}
	return l.sorted()
}

// stepOp is the file's operator that a step does.
func stepOp(fm *format.Model, name string, kind format.OpKind) *format.Op {
	for i := range fm.Ops {
		if op := &fm.Ops[i]; op.Kind == kind && op.Name == name {
			return op
		}
	}
	return &format.Op{} // never: a step is named after its operator
}

// classicLayers are some of ResNet-50, VGG16 and MobileNet.
func classicLayers() layerList {
	var l layerList
	for _, s := range [][3]int{{196, 512, 512}, {784, 512, 2048}, {784, 2048, 512}, {3136, 64, 256}, {12544, 147, 64}, {49, 1024, 1024}, {1, 2048, 1000}} {
		l.conv(s[0], s[1], s[2], "", false)
	}
	for _, s := range [][3]int{{56, 64, 64}, {28, 128, 128}, {28, 512, 512}, {14, 512, 512}} {
		l.conv(s[0]*s[0], 9*s[1], s[2], "", false)
		l.winograd(s[0], s[0], s[1], s[2])
	}
	for _, s := range [][2]int{{12544, 32}, {3136, 128}, {784, 256}, {196, 512}, {49, 1024}} {
		l.window(s[0], 9, s[1], "", false)
	}
	l.add("add", 784, 1, 2048, "")
	l.add("addi16", 784, 1, 2048, "")
	l.add("mul", 784, 1, 512, "")
	l.add("rescale", 1225, 1, 288, "")
	l.add("max", 3136, 9, 64, "")
	l.add("maxpoolf32", 3136, 9, 64, "")
	l.add("sum", 1, 784, 2048, "")
	l.add("avgpoolf32", 1225, 9, 288, "")
	l.add("attend", 784, 1, 2048, "")
	l.add("scan", 1, 2304, 256, "")
	l.add("spread", 1, 2304, 256, "")
	l.add("sha256", 1, 2304, 256, "")
	l.add("attendf32", 784, 1, 2048, "")
	l.add("sums", 784, 1, 2048, "")
	l.add("dot", 1000, 1, 2048, "")
	l.add("map", 3136, 1, 144, "")
	// A frame of 1920x1080 to 224x224.
	l.add("blend", 224, 10, 1920, "")
	l.add("unzip", 224, 1, 960, "")
	l.add("reduce", 224, 18, 224, "")
	l.add("color", 224, 1, 224, "")
	for i := range l {
		l[i].layers = 0
	}
	return l.sorted()
}
