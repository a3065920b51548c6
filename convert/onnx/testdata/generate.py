"""Makes the ONNX files of this folder, with inputs and ONNX Runtime's outputs. Steps, because torch, onnx and
onnxruntime are not always found in one Python:

    python3 generate.py torch .      # needs torch (Debian's python3-torch): what its exporter writes
    python3 generate.py dynamo .     # needs torch of 2.5 or later, onnxscript: what its new exporter writes
    python3 generate.py hand .       # needs onnx, numpy: graphs as other exporters and people write them
    python3 generate.py run .        # needs onnxruntime, numpy: input.npy, and NAME.OUTPUT.npy for every NAME.onnx, or
                                     # NAME.npy, one vector, where it has more than four outputs

All weights are random. Everything here is part of this project and under its licence.
"""
import glob
import os
import sys

import numpy as np

SIZE = 16  # of the images


def torch_models(out, new=False):
    import torch
    from torch import nn
    import torch.nn.functional as F

    class RFGA(nn.Module):
        """The attention in the form of the paper; form picks how the views are reshaped around the convolutions."""

        def __init__(self, c, form="unsqueeze", a=1.0, b=1.0):
            super().__init__()
            self.conv_c = nn.Conv1d(1, 1, 3, padding=1, bias=False)
            self.conv_h = nn.Conv1d(c, c, 3, padding=1, bias=False)
            self.conv_w = nn.Conv1d(c, c, 3, padding=1, bias=False)
            self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(c), nn.BatchNorm2d(c), nn.BatchNorm2d(c)
            self.form, self.a, self.b = form, a, b

        def forward(self, x):
            if self.form == "unsqueeze":
                y_c = self.conv_c(x.mean((2, 3)).unsqueeze(1)).squeeze(1).unsqueeze(-1).unsqueeze(-1)
                y_h = self.conv_h(x.mean(3)).unsqueeze(-1)
                y_w = self.conv_w(x.mean(2)).unsqueeze(-2)
                m = torch.sigmoid(self.bn1(y_c)) + torch.sigmoid(self.bn2(y_h)) + torch.sigmoid(self.bn3(y_w))
            else:
                n, c, h, w = x.shape
                y_w = self.conv_w(x.mean(2, keepdim=True).view(n, c, w)).view(n, c, 1, w)
                y_h = self.conv_h(F.avg_pool2d(x, (1, 8)).squeeze(-1)).view(n, c, h, 1)
                y_c = F.adaptive_avg_pool2d(x, 1).squeeze(-1).transpose(-1, -2)
                y_c = self.conv_c(y_c).transpose(-1, -2).unsqueeze(-1)
                m = self.bn3(y_w).sigmoid().expand_as(x) + (self.bn1(y_c).sigmoid().expand_as(x) + self.bn2(y_h).sigmoid().expand_as(x))
            return x * (self.a + self.b * m)

    class Net(nn.Module):
        def __init__(self, form="unsqueeze", a=1.0, b=1.0):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                                      nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
            self.rfga = RFGA(8, form, a, b)
            self.classifier = nn.Conv2d(8, 5, 1)

        def forward(self, x):
            a = self.rfga(self.stem(x))
            maps = self.classifier(a)
            return maps.mean((2, 3)), maps, a

    class Blocks(nn.Module):
        """Layers of mobile networks: squeeze and excitation, swish, hard-swish, residuals, a classifier after Flatten."""

        def __init__(self):
            super().__init__()
            self.a = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Hardswish())
            self.b = nn.Sequential(nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2), nn.BatchNorm2d(8), nn.SiLU())
            self.se1, self.se2 = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
            self.fc1, self.fc2 = nn.Linear(8, 4), nn.Linear(4, 8)
            self.pre = nn.BatchNorm2d(8)
            self.c = nn.Conv2d(16, 6, (3, 1), padding=(1, 0))
            self.head = nn.Sequential(nn.Dropout(), nn.Linear(6 * 4 * 3, 7))

        def forward(self, x):
            x = self.a(x)
            y = self.b(x)
            s = F.hardsigmoid(self.se2(F.relu(self.se1(F.adaptive_avg_pool2d(y, 1)))))
            y = F.relu(x + y * s)
            t = torch.sigmoid(self.fc2(F.relu(self.fc1(y.mean((2, 3))))))
            y = F.relu(self.pre(y * t.view(-1, 8, 1, 1)))              # pre-activation: a scale and shift before ReLU
            up = F.interpolate(F.max_pool2d(y, 3, 2, 1), scale_factor=2, mode="nearest")
            y = torch.cat([y, up], 1)
            z = F.avg_pool2d(F.hardtanh(self.c(y), -0.5, 2.0), (2, 3), (2, 3), (0, 1), ceil_mode=False)
            p = F.softmax(self.head(torch.flatten(z, 1)), 1)
            return p, F.interpolate(z, size=(7, 9), mode="bilinear", align_corners=False), F.interpolate(z, size=(7, 9), mode="bilinear", align_corners=True)

    class TorchvisionHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1), nn.ReLU())
            self.fc = nn.Linear(6, 5)

        def forward(self, x):
            return self.fc(torch.flatten(F.adaptive_avg_pool2d(self.features(x), 1), 1))

    def randomize(model, seed):
        g = torch.Generator().manual_seed(seed)
        for m in model.modules():
            if isinstance(m, nn.BatchNorm2d):
                n = m.weight.shape
                m.weight.data, m.bias.data = 0.6 + 0.8 * torch.rand(n, generator=g), torch.randn(n, generator=g) * 0.3
                m.running_mean, m.running_var = torch.randn(n, generator=g) * 0.3, 0.5 + torch.rand(n, generator=g)
            elif hasattr(m, "weight") and m.weight is not None:
                m.weight.data = torch.randn(m.weight.shape, generator=g) * (2.0 / m.weight[0].numel()) ** 0.5
                if m.bias is not None:
                    m.bias.data = torch.randn(m.bias.shape, generator=g) * 0.3
        return model.eval()

    def export(name, model, outputs, seed, **kw):
        kw.setdefault("opset_version", 13)
        torch.onnx.export(randomize(model, seed), torch.randn(1, 3, SIZE, SIZE), os.path.join(out, name + ".onnx"),
                          input_names=["image"], output_names=outputs, **kw)

    if new:
        def dynamo(name, model, seed, **kw):
            torch.onnx.export(randomize(model, seed), (torch.randn(1, 3, SIZE, SIZE),), os.path.join(out, name + ".onnx"), dynamo=True, external_data=False,
                              input_names=["image"], **kw)
            import onnx
            path = os.path.join(out, name + ".onnx")
            m = onnx.load(path)
            for part in [m, m.graph, *m.graph.node, *m.graph.input, *m.graph.output, *m.graph.value_info, *m.graph.initializer]:
                del part.metadata_props[:]  # where in whose source each node comes from
                part.doc_string = ""
            del m.graph.value_info[:]
            onnx.save(m, path)

        batch = {"dynamic_shapes": {"x": {0: "n"}}}
        dynamo("dynamo_rfga", Net(), 21, output_names=["logits", "maps", "attended"])
        dynamo("dynamo_rfga_batch", Net("view", 0.35, 0.65), 22, output_names=["logits", "maps", "attended"], **batch)
        dynamo("dynamo_blocks", Blocks(), 23, output_names=["p", "half_pixel", "align_corners"])
        return
    three = ["logits", "maps", "attended"]
    export("torch_rfga", Net(), three, 1)
    export("torch_rfga_unfolded", Net(a=0.35, b=0.65), three, 2, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)
    every = {0: "n", 2: "h", 3: "w"}
    export("torch_rfga_dynamic", Net(), three, 3, dynamic_axes={"image": every, "logits": {0: "n"}, "maps": every, "attended": every})
    batch = {"image": {0: "n"}, "logits": {0: "n"}, "maps": {0: "n"}, "attended": {0: "n"}}
    export("torch_rfga_expand", Net("view"), three, 4, dynamic_axes=batch, opset_version=11)
    export("torch_blocks", Blocks(), ["p", "half_pixel", "align_corners"], 5)
    export("torch_blocks_opset9", Blocks_opset9(Blocks), ["p"], 5, opset_version=9)
    export("torch_classifier", TorchvisionHead(), ["scores"], 6, dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}})


def Blocks_opset9(blocks):
    class Only(blocks):
        def forward(self, x):  # opset 9 has no bilinear resize that PyTorch could use
            import torch
            import torch.nn.functional as F
            y = self.b(self.a(x))
            up = F.interpolate(F.max_pool2d(y, 2, 2), scale_factor=2, mode="nearest")
            z = F.avg_pool2d(F.relu6(self.c(torch.cat([y, up], 1))), (2, 3), (2, 3), (0, 1))
            return F.softmax(self.head(torch.flatten(z, 1)), 1)
    return Only()


def hand_models(out):
    import onnx
    from onnx import TensorProto as T, helper as H, numpy_helper as NH

    class G:
        """A graph in the making; methods return the name of a value."""

        def __init__(self, seed):
            self.r, self.nodes, self.inits, self.k = np.random.default_rng(seed), [], [], 0

        def const(self, a, dtype=np.float32, typed=False):
            self.k += 1
            name, a = f"c{self.k}", np.ascontiguousarray(np.array(a, dtype))
            if typed:  # float_data instead of raw_data
                self.inits.append(H.make_tensor(name, H.np_dtype_to_tensor_dtype(a.dtype), a.shape, a.ravel().tolist()))
            else:
                self.inits.append(NH.from_array(a, name))
            return name

        def w(self, *shape, dtype=np.float32, **kw):
            fan = int(np.prod(shape[1:])) or 1
            return self.const(self.r.standard_normal(shape) * (2.0 / fan) ** 0.5, dtype, **kw)

        def op(self, kind, *ins, name=None, **kw):
            self.k += 1
            o = name or f"v{self.k}"
            self.nodes.append(H.make_node(kind, list(ins), [o], name=f"{kind.lower()}_{self.k}", **kw))
            return o

        def save(self, name, outputs, opset=13, inp=("image", [1, 3, SIZE, SIZE]), elem=T.FLOAT, **kw):
            g = H.make_graph(self.nodes, name, [H.make_tensor_value_info(inp[0], elem, inp[1])],
                             [H.make_tensor_value_info(o, elem, s) for o, s in outputs], self.inits)
            m = H.make_model(g, opset_imports=[H.make_opsetid("", opset)])
            m.ir_version = 8
            if any(s is None for _, s in outputs):
                m = onnx.shape_inference.infer_shapes(m)
                del m.graph.value_info[:]
                for o in m.graph.output:
                    if not o.type.tensor_type.HasField("shape"):  # functions hide it
                        o.CopyFrom(H.make_tensor_value_info(o.name, elem, ["n", "c", "h", "w"]))
            onnx.checker.check_model(m)
            onnx.save(m, os.path.join(out, name + ".onnx"), **kw)

    # RFGA with two-dimensional convolutions, batch normalisation folded or as Mul and Add, branches in another order.
    g = G(11)
    x = g.op("Relu", g.op("Conv", "image", g.w(6, 3, 3, 3), g.w(6), strides=[2, 2], pads=[1, 1, 1, 1]))
    t = g.op("ReduceMean", x, axes=[2], keepdims=1)
    yw = g.op("Sigmoid", g.op("Conv", t, g.w(6, 6, 1, 3), g.w(6), pads=[0, 1, 0, 1]))
    t = g.op("Reshape", g.op("GlobalAveragePool", x), g.const([1, 1, 6, 1], np.int64))
    t = g.op("Reshape", g.op("Conv", t, g.w(1, 1, 3, 1), pads=[1, 0, 1, 0]), g.const([1, 6, 1, 1], np.int64))
    yc = g.op("Sigmoid", g.op("Add", g.w(1, 6, 1, 1), g.op("Mul", t, g.w(1, 6, 1, 1))))
    t = g.op("ReduceMean", x, axes=[-1], keepdims=1)
    yh = g.op("Sigmoid", g.op("Conv", t, g.w(6, 6, 3, 1), g.w(6), pads=[1, 0, 1, 0]))
    m = g.op("Add", g.op("Add", yw, g.op("Add", g.const([[[[1]]]]), yh)), yc)
    x = g.op("Mul", m, x)
    maps = g.op("Conv", x, g.w(4, 6, 1, 1), name="maps")
    g.op("Squeeze", g.op("GlobalAveragePool", maps), g.const([2, 3], np.int64), name="logits")
    g.save("hand_rfga_2d", [("maps", [1, 4, 8, 8]), ("logits", [1, 4])])

    # RFGA twice: around Transpose, x + x*M, means of means, opset 18 (axes as inputs), layers in between.
    g = G(12)
    axes = lambda *a: g.const(list(a), np.int64)
    x = g.op("Clip", g.op("Conv", "image", g.w(6, 3, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"), g.const(0), g.const(6))
    for k in range(2):
        rows = g.op("ReduceMean", x, axes(3), keepdims=0)                       # N,C,H
        cols = g.op("ReduceMean", x, axes(2), keepdims=0)                       # N,C,W
        c = g.op("Transpose", g.op("ReduceMean", rows, axes(2), keepdims=1), perm=[0, 2, 1])
        c = g.op("Conv", c, g.w(1, 1, 3), g.const([0.25]), pads=[1, 1])         # N,1,C with a bias
        c = g.op("Unsqueeze", g.op("Transpose", c, perm=[0, 2, 1]), axes(3))
        bn = [g.const(0.5 + g.r.random(6)), g.w(6), g.w(6), g.const(0.5 + g.r.random(6))]
        c = g.op("Sigmoid", g.op("BatchNormalization", c, *bn, epsilon=1e-3))
        h = g.op("BatchNormalization", g.op("Conv", rows, g.w(6, 6, 3), pads=[1, 1]), *bn)
        h = g.op("Sigmoid", g.op("Unsqueeze", h, axes(-1)))
        w2 = g.op("Transpose", g.op("Unsqueeze", cols, axes(2)), perm=[0, 1, 3, 2])  # N,C,W,1: rows run along the width
        w2 = g.op("Conv", w2, g.w(6, 6, 3, 1), g.w(6), pads=[1, 0, 1, 0])
        w2 = g.op("Sigmoid", g.op("Transpose", w2, perm=[0, 1, 3, 2]))
        m = g.op("Sum", h, c) if k else g.op("Add", h, c)
        m = g.op("Add", w2, m)
        if k:
            x = g.op("Add", g.op("Mul", x, g.const(0.4)), g.op("Mul", g.op("Mul", m, x), g.const(0.6)))
        else:
            x = g.op("Add", x, g.op("Mul", x, m))
            x = g.op("HardSwish", g.op("Conv", x, g.w(6, 6, 1, 1)))
    f = g.op("Clip", g.op("Conv", x, g.w(10, 6, 1, 1), g.w(10)), g.const(0), g.const(6))
    s = g.op("Gemm", g.op("Flatten", g.op("GlobalAveragePool", f)), g.w(10, 4), g.w(1, 4), alpha=0.5, beta=2.0)
    g.op("Softmax", s, name="probabilities")
    g.save("hand_rfga_twice", [("probabilities", ["n", 4])], opset=18, inp=("image", ["n", 3, SIZE, SIZE]))

    # RFGA on an activation of height 1, where means over the height do nothing.
    g = G(17)
    x = g.op("Relu", g.op("Conv", "image", g.w(6, 3, 16, 3), g.w(6), strides=[1, 2]))
    axes = lambda *a: g.const(list(a), np.int64)
    w = g.op("Unsqueeze", g.op("Conv", g.op("ReduceMean", x, axes=[2], keepdims=0), g.w(6, 6, 3), pads=[1, 1]), axes(2))
    h = g.op("Unsqueeze", g.op("Conv", g.op("ReduceMean", x, axes=[3], keepdims=0), g.w(6, 6, 3), pads=[1, 1]), axes(3))
    c = g.op("Unsqueeze", g.op("ReduceMean", x, axes=[2, 3], keepdims=0), axes(1))
    c = g.op("Reshape", g.op("Conv", c, g.w(1, 1, 3), pads=[1, 1]), g.const([0, -1, 1, 1], np.int64))
    m = g.op("Add", g.op("Sigmoid", w), g.op("Add", g.op("Sigmoid", c), g.op("Sigmoid", h)))
    g.op("Mul", g.op("Add", m, g.const(1)), x, name="/attended")
    g.save("hand_rfga_row", [("/attended", [1, 6, 1, 7])])

    # float16 initialisers, typed data, Cast, a classifier as MatMul and Add, old-style inputs.
    g = G(13)
    cast = lambda v: g.op("Cast", v, to=T.FLOAT)
    x = g.op("Conv", "image", cast(g.w(5, 3, 3, 3, dtype=np.float16)), cast(g.w(5, dtype=np.float16, typed=True)), strides=[3, 3])
    x = g.op("BatchNormalization", x, *[g.w(5, typed=True) for _ in range(3)], g.const(np.ones(5)))
    x = g.op("MatMul", g.op("Transpose", g.op("Relu", x), perm=[0, 2, 3, 1]), g.w(5, 6))     # a 1x1 convolution in NHWC
    x = g.op("Relu", g.op("Transpose", g.op("Add", x, g.w(6)), perm=[0, 3, 1, 2]))
    x = g.op("AveragePool", x, kernel_shape=[5, 5])                                          # the whole 5x5 map
    x = g.op("Reshape", x, g.const([0, -1], np.int64))
    x = g.op("Add", g.op("MatMul", x, g.op("Transpose", g.w(4, 6))), g.w(4), name="scores")
    g.save("hand_float16", [("scores", [1, 4])])

    # Elementwise forms.
    g = G(14)
    c = lambda v: g.const(v)
    x = g.op("Div", g.op("Sub", "image", g.w(3, 1, 1)), c(np.reshape([0.5, 0.6, 0.7], (1, 3, 1, 1))))
    x = g.op("Conv", x, g.w(4, 3, 1, 1), g.w(4))
    step = lambda v: g.op("Clip", g.op("Add", v, c(3)), c(0), c(6))
    a = g.op("Div", g.op("Mul", x, step(x)), c(6))                                  # hard-swish
    a = g.op("Add", a, g.op("Mul", x, g.op("Div", step(x), c(6))))                  # again
    a = g.op("Add", g.op("Mul", g.op("Mul", x, c(1 / 6)), step(x)), a)              # and again
    a = g.op("Mul", g.op("Sigmoid", a), a)                                          # swish
    b = g.op("HardSigmoid", g.op("Neg", x), alpha=0.3, beta=0.4)
    b = g.op("Mul", b, g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))
    y = g.op("Sub", a, g.op("Clip", g.op("Mul", b, c(3)), c(0.1), c(0.9)))
    y = g.op("Sub", c(1), g.op("Identity", y))
    z = g.op("Relu", g.op("BatchNormalization", y, g.w(4), g.w(4), g.w(4), c(np.ones(4))))
    z = g.op("Sum", z, g.op("Clip", y, "", c(0.5)), g.op("GlobalMaxPool", y))
    g.op("Mul", g.op("GlobalAveragePool", z), z, name="y")
    g.save("hand_elementwise", [("y", [1, 4, SIZE, SIZE])])

    # Windows, in a graph whose input is N,H,W,C.
    g = G(15)
    x = g.op("Transpose", "image", perm=[0, 3, 1, 2])
    x = g.op("Conv", x, g.w(6, 3, 4, 4), auto_pad="SAME_LOWER", strides=[1, 1])
    x = g.op("Conv", x, g.w(6, 2, 3, 2), group=3, dilations=[2, 1], pads=[1, 0, 3, 1])
    p = [g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
         g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
         g.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
         g.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], dilations=[2, 2], pads=[1, 1, 1, 1]),
         g.op("AveragePool", g.op("Pad", x, g.const([0, 0, 0, 1, 0, 0, 0, 1], np.int64)), kernel_shape=[1, 2], strides=[2, 2]),
         ]
    y = g.op("Slice", g.op("Shape", x), g.const([2], np.int64), g.const([4], np.int64))
    y = g.op("Concat", g.const([1, 6], np.int64), g.op("Div", y, g.const([2], np.int64)), axis=0)
    p[-1] = g.op("Resize", p[-1], "", "", y, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    p[2] = g.op("Pad", p[2], g.const([0, 0, 0, 0, 0, 0, 0, 0], np.int64))
    t = g.op("Concat", *p, axis=1)
    u = g.op("Concat", t, g.op("Pad", g.op("ReduceMean", t, axes=[2], keepdims=1), g.const([0, 0, 1, 0, 0, 0, 0, 0], np.int64), g.const(0.5)), axis=2)
    g.op("Transpose", u, perm=[0, 2, 3, 1], name="nhwc")
    g.op("Transpose", "nhwc", perm=[0, 3, 1, 2], name="y")
    g.save("hand_windows", [("y", [1, 30, 10, 8])], inp=("image", [1, SIZE, SIZE, 3]))

    more_hand_models(G, H, NH, T)

    # External data; onnx refuses to overwrite it.
    if os.path.exists(os.path.join(out, "hand_external.bin")):
        os.remove(os.path.join(out, "hand_external.bin"))
    g = G(16)
    x = g.op("Relu", g.op("Conv", "image", g.w(4, 3, 3, 3), g.w(4)))
    g.op("Conv", x, g.w(2, 4, 5, 5), g.w(2), strides=[3, 3], name="y")
    g.save("hand_external", [("y", [1, 2, 4, 4])], save_as_external_data=True, location="hand_external.bin", size_threshold=16)


def more_hand_models(G, H, NH, T):
    """Operators by themselves: every model has one stem and many small results, all of them outputs."""
    i64 = lambda g, *v: g.const(list(v), np.int64)

    def stem(g, c=6, size=8):
        return g.op("Conv", "image", g.w(c, 3, 2, 2), g.w(c), strides=[2, 2]) if size == 8 else g.op("Conv", "image", g.w(c, 3, 4, 4), g.w(c), strides=[4, 4])

    def save(g, name, outs, **kw):
        g.save(name, [(o, None) for o in outs], **kw)

    # Elementwise functions.
    g = G(31)
    x = stem(g, 4, 4)
    p = g.op("Add", g.op("Abs", x), g.const(0.5))
    outs = [g.op(k, x, **a) for k, a in [("LeakyRelu", {"alpha": 0.2}), ("Elu", {"alpha": 0.7}), ("Selu", {}), ("Celu", {"alpha": 0.5}), ("Tanh", {}),
                                         ("Softplus", {}), ("Softsign", {}), ("Mish", {}), ("Erf", {}), ("Exp", {})]]
    outs += [g.op(k, p) for k in ("Log", "Sqrt", "Reciprocal")]
    outs += [g.op("PRelu", x, g.w(4, 1, 1)), g.op("PRelu", x, g.const([0.3])), g.op("LogSoftmax", x, axis=1)]
    save(g, "hand_functions", outs, opset=18)
    g = G(32)
    x = stem(g, 4, 4)
    y, p = g.op("Conv", x, g.w(4, 4, 1, 1)), g.op("Add", g.op("Abs", x), g.const(0.5))
    outs = [g.op("Pow", p, g.const(e)) for e in (2, 3, 0.5, -0.5, 1.7, -1)] + [g.op("Pow", g.const(1.5), x), g.op("Max", x, y, g.const(-0.3)), g.op("Min", x, y),
            g.op("Max", x, g.op("Mul", x, g.const(0.1))), g.op("Div", x, p), g.op("Div", g.const(2), p), g.op("Mean", x, y, p), g.op("Softmax", x, axis=2),
            g.op("Sub", g.w(1, 4, 4, 4), x), g.op("Mul", g.w(4, 1), g.op("Add", x, g.w(1, 1, 4)))]
    save(g, "hand_arithmetic", outs)
    g = G(33)  # what exporters decompose functions into
    x = g.op("Conv", stem(g, 4, 4), g.w(4, 4, 1, 1))
    c = g.const
    erf = lambda v: g.op("Add", g.op("Erf", g.op("Div", v, c(2 ** 0.5))), c(1))
    cube = g.op("Mul", g.op("Mul", x, x), x)
    tanh = g.op("Tanh", g.op("Mul", c((2 / np.pi) ** 0.5), g.op("Add", x, g.op("Mul", c(0.044715), cube))))
    square = g.op("Mul", x, g.op("Mul", g.op("Add", g.op("Mul", g.op("Mul", x, x), c(0.044715)), c(1)), c((2 / np.pi) ** 0.5)))
    outs = [g.op("Mul", g.op("Mul", x, erf(x)), c(0.5)), g.op("Mul", g.op("Mul", x, c(0.5)), erf(x)), g.op("Mul", x, g.op("Mul", c(0.5), erf(x))),
            g.op("Mul", g.op("Mul", c(0.5), x), g.op("Add", c(1), tanh)), g.op("Mul", x, g.op("Mul", g.op("Add", g.op("Tanh", square), c(1)), c(0.5))),
            g.op("Mul", x, g.op("Tanh", g.op("Softplus", x))), g.op("Log", g.op("Add", g.op("Exp", x), c(1))),
            g.op("Reciprocal", g.op("Add", c(1), g.op("Exp", g.op("Neg", x)))), g.op("Mul", x, g.op("Sigmoid", g.op("Mul", x, c(1.702)))),
            g.op("Add", g.op("Relu", x), g.op("Mul", g.w(4, 1, 1), g.op("Relu", g.op("Neg", x)))), g.op("Gelu", x), g.op("Gelu", x, approximate="tanh")]
    save(g, "hand_decomposed", outs, opset=20)

    # Normalisation, as operators and decomposed.
    g = G(34)
    x = stem(g, 6, 4)
    two = lambda: (c2(g.r.random(6) + 0.5), g.w(6))
    c2 = g.const
    hwc = g.op("Transpose", x, perm=[0, 2, 3, 1])

    def decomposed(v, axes, eps, unbiased=False):
        m = g.op("ReduceMean", v, i64(g, *axes), keepdims=1)
        d = g.op("Sub", v, m)
        var = g.op("ReduceMean", g.op("Pow", d, c2(2)), i64(g, *axes), keepdims=1)
        if unbiased:
            var = g.op("Mul", var, c2(16 / 15))
        return g.op("Div", d, g.op("Sqrt", g.op("Add", var, c2(eps))))

    outs = [g.op("Transpose", g.op("LayerNormalization", hwc, *two(), axis=-1, epsilon=1e-6), perm=[0, 3, 1, 2]),
            g.op("LayerNormalization", x, g.w(6, 4, 4), axis=1), g.op("LayerNormalization", x, g.w(4), g.w(4), axis=-1),
            g.op("InstanceNormalization", x, *two(), epsilon=1e-3),
            g.op("GroupNormalization", x, *two(), num_groups=3),
            g.op("LRN", x, size=5, alpha=0.3, beta=0.75, bias=1.5), g.op("LRN", x, size=3, alpha=0.1, beta=0.5),
            g.op("MeanVarianceNormalization", x)]
    t = g.op("Reshape", x, i64(g, 0, 2, -1))
    t = g.op("Reshape", g.op("InstanceNormalization", t, g.const([1.0, 1.0]), g.const([0.0, 0.0])), g.op("Shape", x))
    outs.append(g.op("Add", g.op("Mul", t, g.w(6, 1, 1)), g.w(6, 1, 1)))                                    # PyTorch's group normalisation
    outs.append(g.op("Transpose", g.op("Add", g.op("Mul", decomposed(hwc, [-1], 1e-5), g.w(6)), g.w(6)), perm=[0, 3, 1, 2]))
    outs += [decomposed(x, [2, 3], 1e-3, True), decomposed(x, [1, 2, 3], 1e-5), decomposed(x, [1], 1e-5)]
    m = g.op("ReduceMean", hwc, i64(g, 3))                                                                   # as Keras writes it
    var = g.op("Sub", g.op("ReduceMean", g.op("Mul", hwc, hwc), i64(g, 3)), g.op("Mul", m, m))
    inv = g.op("Mul", g.op("Reciprocal", g.op("Sqrt", g.op("Add", var, c2(1e-3)))), g.w(6))
    y = g.op("Add", g.op("Mul", hwc, inv), g.op("Sub", g.w(6), g.op("Mul", m, inv)))
    outs.append(g.op("Transpose", y, perm=[0, 3, 1, 2]))
    save(g, "hand_norm", outs, opset=21)

    # Reductions.
    g = G(35)
    x = stem(g, 6, 4)
    red = lambda k, *a, v=None, **kw: g.op(k, v or x, i64(g, *a), **kw)
    outs = [red("ReduceSum", 2, 3), red("ReduceMax", 2, 3), red("ReduceMin", 1), red("ReduceMax", 1), red("ReduceMean", 1), red("ReduceL2", 1, 2, 3),
            red("ReduceL1", 3), red("ReduceSumSquare", 2), g.op("ReduceMean", x, i64(g, 1, 2), keepdims=0), red("ReduceMean", 1, v=g.op("Reshape", x, i64(g, 1, 2, 3, 16))),
            g.op("Flatten", g.op("ReduceSum", x, keepdims=1))]
    save(g, "hand_reduce", outs, opset=18)

    # Data that moves.
    g = G(36)
    x = stem(g, 8, 4)
    outs = [g.op("Slice", x, i64(g, 1, 3), i64(g, 7, -9), i64(g, 1, 3), i64(g, 2, -1)), g.op("Gather", x, i64(g, 5, -1, 0), axis=1), g.op("Gather", x, g.const(2, np.int64), axis=3),
            g.op("Tile", x, i64(g, 1, 2, 1, 3)), g.op("DepthToSpace", x, blocksize=2), g.op("DepthToSpace", x, blocksize=2, mode="CRD"), g.op("SpaceToDepth", x, blocksize=2)]
    g.k += 1
    g.nodes.append(H.make_node("Split", [x, i64(g, 3, 5)], ["left", "right"], axis=1))
    outs.append(g.op("Concat", "right", "left", axis=1))
    t = g.op("Reshape", g.op("Transpose", g.op("Reshape", x, i64(g, 1, 2, 4, 4, 4)), perm=[0, 2, 1, 3, 4]), i64(g, 1, 8, 4, 4))
    g.nodes.append(H.make_node("Split", [t], ["a", "b"], axis=1))
    outs += [g.op("Conv", t, g.w(3, 8, 1, 1)), g.op("Concat", g.op("Conv", "b", g.w(4, 1, 3, 3), group=4, pads=[1, 1, 1, 1]), "a", axis=1)]
    focus = [g.op("Slice", x, i64(g, i, j), i64(g, 99, 99), i64(g, 2, 3), i64(g, 2, 2)) for i in (0, 1) for j in (0, 1)]
    outs.append(g.op("Conv", g.op("Concat", *focus, axis=1), g.w(2, 32, 1, 1)))
    t = g.op("Reshape", g.op("Transpose", x, perm=[0, 3, 1, 2]), i64(g, 1, 2, 16, 4))                   # axes that mix
    outs += [t, g.op("Conv", t, g.w(3, 2, 3, 3)), g.op("Add", x, g.op("Transpose", x, perm=[0, 1, 3, 2]))]
    outs += [g.op("Expand", g.op("ReduceMax", x, axes=[2], keepdims=1), i64(g, 1, 8, 3, 4)), g.op("Reshape", x, i64(g, 1, -1))]
    save(g, "hand_move", outs)
    g = G(37)
    x = stem(g, 3, 4)
    pad = lambda v, *p, mode="constant", val=0.25: g.op("Pad", v, i64(g, *p), *([g.const(val)] if mode == "constant" else []), mode=mode)
    outs = [pad(x, 0, 0, 2, 1, 0, 0, 1, 3, mode="reflect"), pad(x, 0, 0, 2, 0, 0, 0, 5, 1, mode="edge"), pad(x, 0, 0, 1, 2, 0, 0, 0, 3, mode="wrap"),
            pad(x, 0, 1, 0, 0, 0, 2, 0, 0), pad(x, 0, 0, -1, 2, 0, 0, 0, -1), pad(x, 0, 1, 1, 1, 0, 0, 1, 1),
            g.op("Conv", pad(x, 0, 0, 1, 1, 0, 0, 1, 1, mode="reflect"), g.w(2, 3, 3, 3))]
    size = lambda h, w, c=3: i64(g, 1, c, h, w)
    outs += [g.op("Resize", x, "", "", size(7, 6), **k) for k in [dict(mode="nearest"), dict(mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="ceil"),
             dict(mode="linear", coordinate_transformation_mode="asymmetric"), dict(mode="linear", coordinate_transformation_mode="half_pixel"),
             dict(mode="cubic"), dict(mode="cubic", coordinate_transformation_mode="align_corners", exclude_outside=1)]]
    outs.append(g.op("Resize", x, "", g.const([1, 1, 1.7, 2.6]), mode="linear"))
    save(g, "hand_pad_resize", outs, opset=19)

    # Transposed convolutions; a convolution along the channels by itself; operators on one-dimensional values.
    g = G(38)
    x = stem(g, 4, 4)
    outs = [g.op("ConvTranspose", x, g.w(4, 3, 2, 2), strides=[2, 2]), g.op("ConvTranspose", x, g.w(4, 2, 4, 4), g.w(2), strides=[2, 2], pads=[1, 1, 1, 1]),
            g.op("ConvTranspose", x, g.w(4, 3, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1], group=2),
            g.op("ConvTranspose", x, g.w(4, 2, 3, 2), g.w(2), strides=[1, 3], dilations=[2, 1]), g.op("ConvTranspose", x, g.w(4, 2, 3, 3), pads=[0, 1, 2, 0]),
            g.op("ConvTranspose", x, g.w(4, 2, 3, 3), strides=[2, 2], output_shape=[8, 8]), g.op("ConvTranspose", x, g.w(4, 2, 5, 5), strides=[2, 3], auto_pad="SAME_UPPER"),
            g.op("ConvTranspose", x, g.w(4, 2, 2, 2), strides=[3, 3], pads=[4, 1, 0, 2])]
    eca = g.op("Transpose", g.op("Squeeze", g.op("GlobalAveragePool", x), i64(g, 3)), perm=[0, 2, 1])
    eca = g.op("Unsqueeze", g.op("Transpose", g.op("Conv", eca, g.w(1, 1, 3), pads=[1, 1]), perm=[0, 2, 1]), i64(g, 3))
    outs.append(g.op("Mul", x, g.op("Sigmoid", eca)))
    rows = g.op("Reshape", x, i64(g, 0, 4, 16))
    one = g.op("MaxPool", g.op("Conv", rows, g.w(5, 4, 3), pads=[1, 1]), kernel_shape=[2], strides=[2])
    outs.append(g.op("Unsqueeze", one, i64(g, 2)))
    outs.append(g.op("MatMul", g.op("Transpose", rows, perm=[0, 2, 1]), g.w(4, 3)))
    save(g, "hand_transpose", outs)


def run_models(out):
    import onnxruntime
    for path in sorted(glob.glob(os.path.join(out, "*.onnx"))):
        base = path[:-5]
        s = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        i = s.get_inputs()[0]
        shape = [1, 3, SIZE, SIZE]
        x = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
        np.save(os.path.join(out, "input.npy"), x)  # one for all
        feed = x.transpose(0, 2, 3, 1) if i.shape[-1] == 3 else x
        values = s.run(None, {i.name: feed})
        if len(values) > 4:  # one file for all, in their order
            np.save(base + ".npy", np.concatenate([v.ravel() for v in values]))
            print(os.path.basename(base), len(values), "outputs")
            continue
        for o, v in zip(s.get_outputs(), values):
            np.save(f"{base}.{o.name.replace('/', '_')}.npy", v)
            print(os.path.basename(base), o.name, v.shape, float(np.abs(v).max()))


if __name__ == "__main__":
    {"torch": torch_models, "dynamo": lambda out: torch_models(out, True), "hand": hand_models, "run": run_models}[sys.argv[1]](sys.argv[2])
