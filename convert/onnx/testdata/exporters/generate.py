"""Odd but legal graphs, as exporters of many years write them, with what ONNX Runtime computes: NAME.onnx, and NAME.OUTPUT.npy or, of
more than four outputs, all of them as one vector in NAME.npy. ../input.npy is the image.

    pip install onnxruntime==1.32.0 onnx==1.23.2 numpy
    python generate.py

All weights are random. Everything here is part of this project and under its licence.
"""
import os

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T, helper as H, numpy_helper as NH

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGE = np.load(os.path.join(HERE, "..", "input.npy"))
S = IMAGE.shape[2]


class G:
    def __init__(self, seed):
        self.r, self.nodes, self.inits, self.k = np.random.default_rng(seed), [], [], 0

    def const(self, a, dtype=np.float32):
        self.k += 1
        self.inits.append(NH.from_array(np.array(a, dtype, order="C"), f"c{self.k}"))
        return f"c{self.k}"

    def i64(self, *v):
        return self.const(list(v), np.int64)

    def w(self, *shape, dtype=np.float32):
        return self.const(self.r.standard_normal(shape) * (2 / max(1, int(np.prod(shape[1:])))) ** 0.5, dtype)

    def op(self, kind, *ins, n=1, **kw):
        self.k += 1
        out = [f"v{self.k}" if n == 1 else f"v{self.k}_{i}" for i in range(n)]
        self.nodes.append(H.make_node(kind, list(ins), out, name=f"{kind.lower()}_{self.k}", **kw))
        return out[0] if n == 1 else out

    def norm(self, x, **kw):
        c = [self.const(0.5 + self.r.random(x[1])) for _ in range(4)]
        return self.op("BatchNormalization", x[0], *c, **kw)

    def save(self, name, outs, opset, n=1, old=False, **kw):
        ins = [H.make_tensor_value_info("image", T.FLOAT, [n, 3, S, S])]
        if old:  # IR version 3 lists the constants as inputs, in front of the image here
            ins = [H.make_tensor_value_info(i.name, i.data_type, i.dims) for i in self.inits] + ins
        g = H.make_graph(self.nodes, name, ins, [H.make_tensor_value_info(o, T.FLOAT, None) for o in outs], self.inits)
        m = H.make_model(g, opset_imports=[H.make_opsetid("", opset)], ir_version=3 if old else 10 if opset < 23 else 11)
        path = os.path.join(HERE, name)
        onnx.save(m, path + ".onnx", **kw)
        v = ort.InferenceSession(path + ".onnx", providers=["CPUExecutionProvider"]).run(None, {"image": IMAGE})
        if len(v) > 4:
            np.save(path + ".npy", np.concatenate([a.ravel() for a in v]))
        else:
            for o, a in zip(outs, v):
                np.save(f"{path}.{o}.npy", a)
        print(name, [a.shape for a in v])


def main():
    # Opset 9: constants among the inputs, Upsample, Dropout and BatchNormalization with attributes of training, SAME_LOWER.
    g = G(1)
    x = g.op("Conv", "image", g.w(6, 3, 3, 3), kernel_shape=[3, 3], auto_pad="SAME_LOWER", strides=[2, 2])
    x = g.op("Identity", g.op("Identity", g.norm((x, 6), momentum=0.9)))
    x = g.op("PRelu", g.op("Dropout", x, ratio=0.3), g.const(g.r.random((6, 1, 1))))
    u = g.op("Upsample", x, g.const([1, 1, 2, 2]), mode="nearest")
    y = g.op("Add", x, g.op("MaxPool", u, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"))
    s = g.op("Squeeze", g.op("GlobalAveragePool", y), axes=[2, 3])
    f = g.op("Gemm", s, g.w(5, 6), g.w(5), alpha=0.7, beta=1.3, transB=1)
    g.save("opset9", [y, f], 9, n="N", old=True)

    # Constant nodes of numbers and lists, Pad by reflection, a batch gathered and put back, ceil_mode with and without padding.
    g = G(2)
    k = lambda **kw: g.op("Constant", **kw)
    x = g.op("Conv", "image", g.w(4, 3, 3, 3), g.w(4), pads=[0, 1, 2, 1])
    x = g.op("Clip", x, k(value_float=-0.3), k(value_float=1.5))
    x = g.op("Mul", x, g.op("Unsqueeze", g.op("Unsqueeze", k(value_floats=[0.5, 1.0, 2.0, -1.0]), k(value_ints=[1])), k(value_ints=[-1])))
    x = g.op("Pad", x, k(value_ints=[0, 0, 1, 2, 0, 0, 2, 1]), mode="reflect")
    x = g.op("Unsqueeze", g.op("Gather", x, k(value_int=0), axis=0), k(value_ints=[0]))
    p = g.op("AveragePool", x, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)
    q = g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 3], ceil_mode=1, pads=[1, 1, 0, 0])
    g.save("constants", [p, q], 13)

    # Products: transA, alpha and beta, vectors on either side, a bias in front.
    g = G(3)
    x = g.op("GlobalAveragePool", g.op("Relu", g.op("Conv", "image", g.w(8, 3, 3, 3))))
    f, flat = g.op("Flatten", x), g.op("Squeeze", x, g.i64(0, 2, 3))
    a = g.op("Gemm", g.op("Transpose", f, perm=[1, 0]), g.w(8, 4), transA=1, alpha=2.0)
    b = g.op("Gemm", f, g.w(8, 4), g.w(1), beta=0.5)
    c = g.op("Unsqueeze", g.op("MatMul", flat, g.w(8, 2)), g.i64(0))
    d = g.op("Reshape", g.op("Add", g.w(3), g.op("MatMul", g.op("Reshape", x, g.i64(1, 1, 8)), g.w(8, 3))), g.i64(1, -1))
    e = g.op("Unsqueeze", g.op("MatMul", f, g.w(8)), g.i64(1))
    g.save("products", [a, b, c, d, e], 17)

    # Resize: coordinates, axes, aspect ratios.
    g = G(4)
    x = g.op("Conv", "image", g.w(3, 3, 4, 4), strides=[4, 4])
    to = lambda *a, **kw: g.op("Resize", x, "", *a, **kw)
    g.save("resize", [
        to(g.const([1, 1, 2, 2]), mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
        to(g.const([1, 1, 0.5, 0.5]), mode="linear", coordinate_transformation_mode="align_corners"),
        to(g.const([2, 3]), axes=[2, 3], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        to("", g.i64(8, 6), axes=[2, 3], mode="linear", keep_aspect_ratio_policy="not_larger"),
        to("", g.i64(7, 9), axes=[3, 2], mode="nearest", keep_aspect_ratio_policy="not_smaller"),
        to(g.const([1, 1, 1.5, 1.5]), mode="linear", coordinate_transformation_mode="half_pixel_symmetric"),
        to(g.const([1, 1, 0.75, 0.5]), mode="nearest", nearest_mode="round_prefer_ceil")], 19)

    # Weights in half precision, and weights that the graph itself rounds to it.
    g = G(5)
    cast = lambda v, to=T.FLOAT: g.op("Cast", v, to=to)
    x = g.op("Relu", g.op("Conv", "image", cast(g.w(6, 3, 3, 3, dtype=np.float16)), cast(g.w(6, dtype=np.float16))))
    y = g.op("Conv", x, cast(cast(g.w(4, 6, 1, 1), T.FLOAT16)))
    z = g.op("Conv", x, cast(cast(g.w(4, 6, 1, 1), T.BFLOAT16)))
    g.save("rounded", [y, z], 13)

    # Opset 21 and 23: normalisations and functions as operators, Shape of some dimensions.
    g = G(6)
    t = g.op("Transpose", g.op("Conv", "image", g.w(8, 3, 2, 2), g.w(8), strides=[2, 2]), perm=[0, 2, 3, 1])
    t = g.op("Gelu", g.op("LayerNormalization", t, g.w(8), g.w(8), axis=-1, epsilon=1e-6), approximate="tanh")
    x = g.op("GroupNormalization", g.op("Transpose", t, perm=[0, 3, 1, 2]), g.w(8), g.w(8), num_groups=2)
    a, b = g.op("Split", x, n=2, axis=1, num_outputs=2)
    x = g.op("Concat", g.op("Mish", a), g.op("HardSwish", b), axis=-3)
    g.save("opset21", [g.op("Squeeze", g.op("ReduceMax", x, g.i64(2, 3), keepdims=1), g.i64(2, 3))], 21)
    g = G(7)
    x = g.op("Conv", "image", g.w(8, 3, 2, 2), g.w(8), strides=[2, 2])
    x = g.op("GlobalMaxPool", g.op("Relu", g.norm((x, 8), training_mode=0)))
    f = g.op("Reshape", x, g.op("Shape", x, start=0, end=2))
    g.save("opset23", [g.op("Softmax", g.op("Gemm", f, g.w(8, 4)), axis=-1)], 23, n="batch_size")


main()
