"""Makes the benchmark's models as float32 ONNX, with the images to calibrate and judge by and the outputs to expect.

usage: gen_models.py OUTDIR        needs numpy, onnx, onnxruntime

Weights are random (He initialisation, batch normalisation folded, so scales differ from channel to channel; residual
branches are damped): speed does not depend on them, and no licence does either. A localizer's attention is written with the
operators that ONNX has, its one-dimensional convolutions as 3x1 and 1x3 ones.
"""
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    def __init__(self, name, size):
        self.random = np.random.default_rng(sum(map(ord, name)))
        self.nodes, self.constants = [], []
        self.shape = {"input": (1, 3, size, size)}
        self.count = 0
        self.macs = 0

    def name(self, prefix):
        self.count += 1
        return f"{prefix}_{self.count}"

    def constant(self, array, prefix="w"):
        name = self.name(prefix)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, kind, inputs, shape, **attributes):
        out = self.name(kind.lower())
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        self.shape[out] = tuple(shape)
        return out

    def conv(self, x, channels, kernel, stride=1, pad=None, group=1, gain=2.0, relu=True):
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        ph, pw = (kh // 2, kw // 2) if pad is None else (pad, pad)
        n, ci, h, w = self.shape[x]
        fan = ci // group * kh * kw
        weights = self.random.standard_normal((channels, ci // group, kh, kw)).astype(np.float32)
        weights *= np.float32(np.sqrt(gain / fan))
        weights *= np.exp(self.random.standard_normal((channels, 1, 1, 1)) * 0.3).astype(np.float32)
        bias = (self.random.standard_normal(channels) * 0.1).astype(np.float32)
        ho, wo = (h + 2 * ph - kh) // stride + 1, (w + 2 * pw - kw) // stride + 1
        self.macs += channels * fan * ho * wo
        out = self.op("Conv", [x, self.constant(weights), self.constant(bias, "b")], (n, channels, ho, wo), kernel_shape=[kh, kw],
                      strides=[stride, stride], pads=[ph, pw, ph, pw], group=group, dilations=[1, 1])
        return self.relu(out) if relu else out

    def relu(self, x):
        return self.op("Relu", [x], self.shape[x])

    def add(self, a, b):
        return self.op("Add", [a, b], np.maximum(self.shape[a], self.shape[b]).tolist())

    def pool(self, x, kernel, stride, pad=0, kind="MaxPool", **attributes):
        n, c, h, w = self.shape[x]
        out = n, c, (h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1
        return self.op(kind, [x], out, kernel_shape=[kernel, kernel], strides=[stride, stride], pads=[pad] * 4, **attributes)

    def global_mean(self, x):
        n, c, _, _ = self.shape[x]
        return self.op("GlobalAveragePool", [x], (n, c, 1, 1))

    def mean(self, x, axis):
        shape = list(self.shape[x])
        shape[axis] = 1
        return self.op("ReduceMean", [x], shape, axes=[axis], keepdims=1)

    def reshape(self, x, shape):
        return self.op("Reshape", [x, self.constant(np.array(shape, np.int64), "shp")], shape)

    def concat(self, parts):
        n, _, h, w = self.shape[parts[0]]
        return self.op("Concat", parts, (n, sum(self.shape[x][1] for x in parts), h, w), axis=1)


def attention(g, x):
    """Residual fine-grained attention: x * (1 + three sigmoids)."""
    n, c, h, w = g.shape[x]
    t = g.reshape(g.global_mean(x), (n, 1, c, 1))
    weights = g.constant(g.random.standard_normal((1, 1, 3, 1)).astype(np.float32))
    t = g.op("Conv", [t, weights], (n, 1, c, 1), kernel_shape=[3, 1], strides=[1, 1], pads=[1, 0, 1, 0], group=1, dilations=[1, 1])
    g.macs += 3 * c
    t = g.reshape(t, (n, c, 1, 1))
    t = g.op("Mul", [t, g.constant((1 + .2 * g.random.standard_normal((1, c, 1, 1))).astype(np.float32))], (n, c, 1, 1))
    t = g.op("Add", [t, g.constant((.2 * g.random.standard_normal((1, c, 1, 1))).astype(np.float32))], (n, c, 1, 1))
    by_channel = g.op("Sigmoid", [t], (n, c, 1, 1))
    t = g.conv(g.mean(x, 3), c, (3, 1), relu=False)
    by_row = g.op("Sigmoid", [t], g.shape[t])
    t = g.conv(g.mean(x, 2), c, (1, 3), relu=False)
    by_column = g.op("Sigmoid", [t], g.shape[t])
    m = g.op("Add", [by_column, by_row], (n, c, h, w))
    m = g.op("Add", [m, by_channel], (n, c, h, w))
    m = g.op("Add", [m, g.constant(np.ones((1, 1, 1, 1), np.float32))], (n, c, h, w))
    return g.op("Mul", [x, m], (n, c, h, w))


def localizer(g, x, classes=200):
    maps = g.conv(attention(g, x), classes, 1, relu=False, gain=1.0)
    return {"maps": maps, "logits": g.reshape(g.global_mean(maps), (1, classes))}


def classifier(g, x, classes=1000):
    c = g.shape[x][1]
    features = g.reshape(g.global_mean(x), (1, c))
    weights = (g.random.standard_normal((classes, c)) / np.sqrt(c)).astype(np.float32)
    g.macs += classes * c
    inputs = [features, g.constant(weights), g.constant(np.zeros(classes, np.float32), "b")]
    return {"logits": g.op("Gemm", inputs, (1, classes), transB=1)}


def mobilenet_v1(g, last_stride):
    x = g.conv("input", 32, 3, 2)
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, last_stride), (1024, 1)]
    for channels, stride in blocks:
        x = g.conv(x, g.shape[x][1], 3, stride, group=g.shape[x][1])
        x = g.conv(x, channels, 1)
    return x


def resnet50(g, stride3, stride4):
    x = g.pool(g.conv("input", 64, 7, 2), 3, 2, 1)
    for width, blocks, stride in [(64, 3, 1), (128, 4, 2), (256, 6, stride3), (512, 3, stride4)]:
        for b in range(blocks):
            s = stride if b == 0 else 1
            y = g.conv(g.conv(x, width, 1), width, 3, s)
            y = g.conv(y, 4 * width, 1, relu=False, gain=0.3)
            short = g.conv(x, 4 * width, 1, s, relu=False, gain=1.0) if b == 0 else x
            x = g.relu(g.add(y, short))
    return x


def vgg16(g):
    x = "input"
    for v in [64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, 1024]:
        x = g.pool(x, 2, 2) if v == "pool" else g.conv(x, v, 3)
    return x


def inception_v3(g):
    conv, pool = g.conv, g.pool

    def average(x):
        return pool(x, 3, 1, 1, "AveragePool", count_include_pad=1)

    x = conv(conv(conv("input", 32, 3, 2, 0), 32, 3, 1, 0), 64, 3)
    x = conv(conv(pool(x, 3, 2), 80, 1), 192, 3, 1, 0)
    x = pool(x, 3, 2)
    for width in (32, 64, 64):
        x = g.concat([conv(x, 64, 1), conv(conv(x, 48, 1), 64, 5), conv(conv(conv(x, 64, 1), 96, 3), 96, 3), conv(average(x), width, 1)])
    x = g.concat([conv(x, 384, 3, 2, 0), conv(conv(conv(x, 64, 1), 96, 3), 96, 3, 2, 0), pool(x, 3, 2)])
    for c in (128, 160, 160, 192):
        a = conv(conv(conv(x, c, 1), c, (1, 7)), 192, (7, 1))
        b = conv(x, c, 1)
        for kernel, channels in [((7, 1), c), ((1, 7), c), ((7, 1), c), ((1, 7), 192)]:
            b = conv(b, channels, kernel)
        x = g.concat([conv(x, 192, 1), a, b, conv(average(x), 192, 1)])
    a = conv(conv(x, 192, 1), 320, 3, 2, 0)
    b = conv(conv(conv(conv(x, 192, 1), 192, (1, 7)), 192, (7, 1)), 192, 3, 2, 0)
    x = g.concat([a, b, pool(x, 3, 2)])
    for _ in range(2):
        a, b = conv(x, 384, 1), conv(conv(x, 448, 1), 384, 3)
        x = g.concat([conv(x, 320, 1), conv(a, 384, (1, 3)), conv(a, 384, (3, 1)), conv(b, 384, (1, 3)), conv(b, 384, (3, 1)),
                      conv(average(x), 192, 1)])
    return x


MODELS = {  # name: side of the input, network
    "mnv1_cam": (224, lambda g: localizer(g, mobilenet_v1(g, 1))),
    "mnv1_cls": (224, lambda g: classifier(g, mobilenet_v1(g, 2))),
    "r50_cls": (224, lambda g: classifier(g, resnet50(g, 2, 2))),
    "r50_cam": (224, lambda g: localizer(g, resnet50(g, 1, 1))),
    "vgg16_cam": (224, lambda g: localizer(g, vgg16(g))),
    "inc3_cls": (299, lambda g: classifier(g, inception_v3(g))),
}


def image(random, size):
    """1/f noise in colour, normalised as photos are: a stand-in for one."""
    f = np.fft.fftfreq(size)
    distance = np.sqrt(f[:, None] ** 2 + f[None] ** 2)
    distance[0, 0] = 1

    def noise():
        return np.fft.ifft2(np.fft.fft2(random.standard_normal((size, size))) / distance).real

    base = noise()
    colours = []
    for _ in range(3):
        own = noise()
        colours.append(np.clip(.45 + .25 * (.8 * base / base.std() + .4 * own / own.std()), 0, 1))
    mean, std = np.array([.485, .456, .406], np.float32), np.array([.229, .224, .225], np.float32)
    return (np.stack(colours).astype(np.float32) - mean[:, None, None]) / std[:, None, None]


def rename(nodes, old, new):
    for node in nodes:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new


def main(out):
    import onnxruntime
    os.makedirs(out, exist_ok=True)
    random = np.random.default_rng(7)
    for size in (224, 299):
        np.save(f"{out}/calib_{size}.npy", np.stack([image(random, size) for _ in range(24)]))
        np.save(f"{out}/eval_{size}.npy", np.stack([image(random, size) for _ in range(8)]))
    info = {}
    for name, (size, network) in MODELS.items():
        g = Graph(name, size)
        outputs = network(g)
        shapes = {o: g.shape[value] for o, value in outputs.items()}
        for o, value in outputs.items():
            rename(g.nodes, value, o)
        graph = helper.make_graph(
            g.nodes, name, [helper.make_tensor_value_info("input", TensorProto.FLOAT, g.shape["input"])],
            [helper.make_tensor_value_info(o, TensorProto.FLOAT, list(s)) for o, s in shapes.items()], g.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        model.ir_version = 8
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        onnx.save(model, f"{out}/{name}.onnx")
        x = np.load(f"{out}/eval_{size}.npy")[:1]
        np.save(f"{out}/{name}.input.npy", x)
        session = onnxruntime.InferenceSession(f"{out}/{name}.onnx", providers=["CPUExecutionProvider"])
        for o, y in zip(shapes, session.run(None, {"input": x})):
            np.save(f"{out}/{name}.{o}.npy", y)
        info[name] = dict(size=size, macs=int(g.macs), outputs={o: list(s) for o, s in shapes.items()})
        print(f"{name}: {g.macs / 1e9:.3f} GMAC", flush=True)
    with open(f"{out}/models.json", "w") as f:
        json.dump(info, f, indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
