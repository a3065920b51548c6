"""Makes the quantized ONNX fixtures of convert/onnx and what ONNX Runtime computes with them.

    pip install onnxruntime==1.32.0 onnx==1.23.2 numpy sympy
    python generate.py

A small network with random weights (a residual addition, depthwise convolution, concatenation of two poolings, squeeze and
excitation, hard-swish, decomposed attention, a class activation head) is quantized by onnxruntime.quantization in the forms it
has; classifier is another with Gemm and softmax. qat is written by hand as training with quantization exports it: weights in
floating point behind QuantizeLinear, biases not quantized. ../input.npy is the image. Results are those of ONNX Runtime without
graph optimization, which computes QDQ models in floating point: no saturating kernels, the same on every machine.

Everything here is made by this script; licence: Apache-2.0, as the project.
"""
import os

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

HERE = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(7)
image = np.load(os.path.join(HERE, "..", "input.npy"))
S, C, K = image.shape[2], 8, 5


class Graph:
    def __init__(self):
        self.nodes, self.init, self.n = [], [], 0

    def const(self, a, name=None):
        self.n += 1
        name = name or f"c{self.n}"
        self.init.append(numpy_helper.from_array(a, name))
        return name

    def op(self, kind, *ins, name=None, domain="", **attrs):
        self.n += 1
        name = name or f"{kind.lower()}_{self.n}"
        self.nodes.append(helper.make_node(kind, list(ins), [name], name=name, domain=domain, **attrs))
        return name

    def conv(self, x, i, o, k, group=1, stride=1, pads=None, bias=True):
        kh, kw = (k, k) if isinstance(k, int) else k
        w = rng.normal(0, 1.2 / np.sqrt(i // group * kh * kw), (o, i // group, kh, kw)).astype(np.float32)
        ins = [x, self.const(w)] + ([self.const(rng.normal(0, 0.2, o).astype(np.float32))] if bias else [])
        pads = pads or [kh // 2, kw // 2, kh // 2, kw // 2]
        return self.op("Conv", *ins, kernel_shape=[kh, kw], strides=[stride, stride], pads=pads, group=group, dilations=[1, 1])

    def save(self, path, outputs, opset=14):
        g = helper.make_graph(self.nodes, "g", [helper.make_tensor_value_info("image", 1, [1, 3, S, S])],
                              [helper.make_tensor_value_info(o, 1, None) for o in outputs], self.init)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        m = onnx.shape_inference.infer_shapes(m)
        onnx.save(m, path)


def attention(g, x):
    """out = x*(1 + s(c) + s(h) + s(w)), as an exporter decomposes it"""
    y = g.op("GlobalAveragePool", x)
    y = g.op("Reshape", y, g.const(np.array([1, 1, C, 1], np.int64)))
    y = g.op("Conv", y, g.const(rng.normal(0, 0.7, (1, 1, 3, 1)).astype(np.float32)), kernel_shape=[3, 1], pads=[1, 0, 1, 0])
    y = g.op("Reshape", y, g.const(np.array([1, C, 1, 1], np.int64)))
    y = g.op("Mul", y, g.const(rng.uniform(0.5, 1.5, (1, C, 1, 1)).astype(np.float32)))
    y = g.op("Add", y, g.const(rng.normal(0, 0.5, (1, C, 1, 1)).astype(np.float32)))
    c = g.op("Sigmoid", y)
    h = g.op("Sigmoid", g.conv(g.op("ReduceMean", x, axes=[3], keepdims=1), C, C, (3, 1)))
    w = g.op("Sigmoid", g.conv(g.op("ReduceMean", x, axes=[2], keepdims=1), C, C, (1, 3)))
    m = g.op("Add", g.op("Add", w, h), c)
    return g.op("Mul", x, g.op("Add", m, g.const(np.ones((1, 1, 1, 1), np.float32))), name="attended")


def backbone(g):
    x = g.op("Relu", g.conv("image", 3, C, 3, stride=2))
    y = g.op("Clip", g.conv(x, C, C, 3, group=C), g.const(np.float32(0)), g.const(np.float32(6)))
    y = g.conv(y, C, C, 1)
    x = g.op("Relu", g.op("Add", x, y))
    a = g.op("MaxPool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    b = g.op("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], count_include_pad=1)
    x = g.op("HardSwish", g.conv(g.op("Concat", a, b, axis=1), 2 * C, C, 1))
    s = g.op("Sigmoid", g.conv(g.op("GlobalAveragePool", x), C, C, 1))
    return g.op("Mul", x, s, name="excited")


def localizer(path):
    g = Graph()
    x = attention(g, backbone(g))
    g.conv(x, C, K, 1)
    g.nodes[-1].output[0] = g.nodes[-1].name = "maps"
    g.op("Reshape", g.op("GlobalAveragePool", "maps"), g.const(np.array([1, K], np.int64)), name="logits")
    g.save(path, ["logits", "maps", "excited", "attended"])


def classifier(path):
    g = Graph()
    x = g.op("Flatten", g.op("GlobalAveragePool", backbone(g)))
    w = g.const(rng.normal(0, 0.5, (K, C)).astype(np.float32))
    x = g.op("Gemm", x, w, g.const(rng.normal(0, 0.2, K).astype(np.float32)), transB=1)
    g.op("Softmax", x, axis=1, name="probabilities")
    g.save(path, ["probabilities"])


def qat(path):
    """weights float -> QuantizeLinear -> Clip -> DequantizeLinear, per channel; biases float; a linear layer with Transpose"""
    g = Graph()

    def fake(x, lo, hi):
        scale = np.float32((hi - lo) / 255)
        s, z = g.const(scale), g.const(np.uint8(round(-lo / scale)))
        return g.op("DequantizeLinear", g.op("QuantizeLinear", x, s, z), s, z)

    def weight(shape, axis=0):
        w = rng.normal(0, 1.2 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
        s = g.const((np.abs(w).max(axis=tuple(i for i in range(len(shape)) if i != axis)) / 127).astype(np.float32))
        z = g.const(np.zeros(shape[axis], np.int8))
        q = g.op("QuantizeLinear", g.const(w), s, z, axis=axis)
        q = g.op("Clip", q, g.const(np.int8(-127)), g.const(np.int8(127)))
        return g.op("DequantizeLinear", q, s, z, axis=axis)

    def bias(n):
        return g.const(rng.normal(0, 0.3, n).astype(np.float32))

    x = fake("image", -2.2, 2.4)
    x = g.op("Conv", x, weight((C, 3, 3, 3)), bias(C), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = fake(g.op("Relu", x), 0, 3.1)
    y = g.op("Conv", x, weight((C, 1, 3, 3)), bias(C), kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=C)
    y = fake(g.op("Clip", y, g.const(np.float32(0)), g.const(np.float32(6))), 0, 2.7)
    x = fake(g.op("Add", x, y), 0, 5)
    x = fake(g.op("GlobalAveragePool", x), 0, 3)
    x = g.op("Reshape", x, g.const(np.array([1, C], np.int64)))
    x = g.op("MatMul", x, g.op("Transpose", weight((K, C)), perm=[1, 0]))
    g.op("Add", x, bias(K), name="logits")
    g.save(path, ["logits"])


def mixer(path):
    """what moves elements, and what computes between them: a channel shuffle, Slice, Split, PRelu and LeakyRelu, a layer normalisation
    and a GELU in parts, a batch normalisation behind a concatenation"""
    global rng
    before, rng = rng, np.random.default_rng(9)
    g = Graph()
    i64 = lambda *v: g.const(np.array(v, np.int64))
    f32 = lambda *v: g.const(np.array(v, np.float32))
    x = g.op("Relu", g.conv("image", 3, C, 3, stride=2), name="stem")
    x = g.op("Reshape", g.op("Transpose", g.op("Reshape", x, i64(1, 2, C // 2, S // 2, S // 2)), perm=[0, 2, 1, 3, 4]), i64(1, C, S // 2, S // 2), name="shuffled")
    a = g.op("Slice", x, i64(0), i64(C // 2), i64(1))
    b = g.op("Slice", x, i64(C // 2), i64(C), i64(1))
    a = g.op("PRelu", g.conv(a, C // 2, C // 2, 3, group=C // 2), g.const(rng.uniform(-0.5, 0.8, (C // 2, 1, 1)).astype(np.float32)))
    b = g.op("LeakyRelu", g.conv(b, C // 2, C // 2, 1), alpha=0.2)
    x = g.op("Concat", b, a, axis=1, name="joined")
    t = g.op("Transpose", x, perm=[0, 2, 3, 1])
    d = g.op("Sub", t, g.op("ReduceMean", t, axes=[-1], keepdims=1))
    v = g.op("ReduceMean", g.op("Pow", d, f32(2)), axes=[-1], keepdims=1)
    t = g.op("Div", d, g.op("Sqrt", g.op("Add", v, f32(1e-5))))
    t = g.op("Add", g.op("Mul", t, g.const(rng.uniform(0.5, 1.5, C).astype(np.float32))), g.const(rng.normal(0, 0.3, C).astype(np.float32)))
    t = g.op("Add", g.op("MatMul", t, g.const(rng.normal(0, 0.5, (C, C)).astype(np.float32))), g.const(rng.normal(0, 0.2, C).astype(np.float32)))
    e = g.op("Add", g.op("Erf", g.op("Div", t, f32(2 ** 0.5))), f32(1))
    t = g.op("Mul", g.op("Mul", t, e), f32(0.5))
    y = g.op("Add", x, g.op("Transpose", t, perm=[0, 3, 1, 2]), name="mixed")
    g.n += 1
    g.nodes.append(helper.make_node("Split", [y], ["low", "high"], axis=1, name="split"))
    z = g.op("Concat", "high", g.op("AveragePool", "low", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), axis=1)
    norm = [g.const(rng.uniform(0.5, 1.5, C).astype(np.float32)) for _ in range(4)]
    z = g.op("Relu", g.op("BatchNormalization", z, *norm))
    z = g.op("Flatten", g.op("GlobalAveragePool", z))
    g.op("Gemm", z, g.const(rng.normal(0, 1, (K, C)).astype(np.float32)), g.const(rng.normal(0, 1, K).astype(np.float32)), transB=1, name="scores")
    g.save(path, ["joined", "mixed", "scores"])
    rng = before


class Images(CalibrationDataReader):
    def __init__(self):
        r = np.random.default_rng(3)
        self.it = iter([image] + [r.normal(0, 1, image.shape).astype(np.float32) for _ in range(3)])

    def get_next(self):
        x = next(self.it, None)
        return None if x is None else {"image": x}


def store(path):
    so = ort.SessionOptions()
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = ort.InferenceSession(path, so, providers=["CPUExecutionProvider"])
    for o, v in zip(s.get_outputs(), s.run(None, {"image": image})):
        np.save(f"{path[:-5]}.{o.name}.npy", v.astype("<f4"))
        print(os.path.basename(path), o.name, v.shape, float(np.abs(v).max()))


def main():
    f = os.path.join(HERE, "float.onnx")
    u8, s8 = QuantType.QUInt8, QuantType.QInt8
    forms = {
        "qdq_u8s8": dict(quant_format=QuantFormat.QDQ, activation_type=u8, weight_type=s8, per_channel=True),
        "qdq_u8s7": dict(quant_format=QuantFormat.QDQ, activation_type=u8, weight_type=s8, per_channel=True, reduce_range=True),
        "qdq_s8s8": dict(quant_format=QuantFormat.QDQ, activation_type=s8, weight_type=s8, per_channel=True,
                         extra_options={"ActivationSymmetric": True}),
        "qdq_tensor": dict(quant_format=QuantFormat.QDQ, activation_type=u8, weight_type=s8, per_channel=False),
        "qdq_asymmetric": dict(quant_format=QuantFormat.QDQ, activation_type=u8, weight_type=u8, per_channel=False,
                               extra_options={"WeightSymmetric": False}),
        "qop_u8s8": dict(quant_format=QuantFormat.QOperator, activation_type=u8, weight_type=s8, per_channel=True),
        "qop_s8s8": dict(quant_format=QuantFormat.QOperator, activation_type=s8, weight_type=s8, per_channel=True),
    }
    for kind, make, chosen in (("localizer", localizer, forms), ("classifier", classifier, ("qdq_u8s8", "qop_u8s8")),
                               ("mixer", mixer, ("qdq_u8s8", "qdq_s8s8", "qop_u8s8"))):
        make(f)
        for name in chosen:
            path = os.path.join(HERE, f"{kind}_{name}.onnx")
            quantize_static(f, path, Images(), **forms[name])
            store(path)
    path = os.path.join(HERE, "qat.onnx")
    qat(path)
    store(path)
    os.remove(f)


main()
