"""EfficientNet-Lite0 from its checkpoint to ONNX, for the peers. usage: lite0_onnx.py CHECKPOINT.pth OUT.onnx

The checkpoint is PyTorch's legacy format, a row of pickles and then the bare values, read here without PyTorch. Batch
normalisation (epsilon 1e-3) is folded into the convolutions, which is what every quantizer would do first; padding is
TensorFlow's SAME, written out for 224x224. The only output is the logits.
"""
import io
import pickle
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 224
# blocks, kernel, stride of the first block, expansion, output channels
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


class Records(dict):
    """An OrderedDict that may have attributes."""


class Reader(pickle.Unpickler):
    """Builds nothing but dictionaries and records of where a tensor's values lie."""

    def find_class(self, module, name):
        if name == "OrderedDict":
            return Records
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, stride, *rest: (storage, offset, shape, stride)
        if module == "torch" and name in TYPES:
            return TYPES[name]
        raise ValueError(f"{module}.{name} is not expected in this checkpoint")

    def persistent_load(self, pid):
        _, dtype, key, _, count, _ = pid
        return dtype, key, count


def load(path):
    f = io.BytesIO(open(path, "rb").read())
    for _ in range(3):  # magic number, version, properties of the machine
        pickle.load(f)
    records = Reader(f).load()
    order = pickle.load(f)
    dtypes = {s[1]: s[0] for s, _, _, _ in records.values()}
    values = {}
    for key in order:
        count = struct.unpack("<q", f.read(8))[0]
        dtype = np.dtype(dtypes[key])
        values[key] = np.frombuffer(f.read(count * dtype.itemsize), dtype)
    out = {}
    for name, (storage, offset, shape, stride) in records.items():
        v = values[storage[1]]
        out[name] = np.lib.stride_tricks.as_strided(v[offset:], shape, [s * v.itemsize for s in stride])
    return out


class Graph:
    def __init__(self, tensors):
        self.t, self.nodes, self.constants = tensors, [], []

    def constant(self, name, value):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(self, x, side, conv, bn, stride=1, groups=1, relu6=True):
        w = self.t[conv + ".weight"].astype(np.float64)
        gain = self.t[bn + ".weight"] / np.sqrt(self.t[bn + ".running_var"].astype(np.float64) + 1e-3)
        bias = self.t[bn + ".bias"] - self.t[bn + ".running_mean"] * gain
        k, out = w.shape[2], -(-side // stride)
        pad = max(0, (out - 1) * stride + k - side)
        y = conv + ".out"
        self.nodes.append(helper.make_node("Conv", [x, self.constant(conv + ".w", (w * gain[:, None, None, None]).astype(np.float32)),
                                                    self.constant(conv + ".b", bias.astype(np.float32))], [y], conv, kernel_shape=[k, k],
                                           strides=[stride] * 2, group=groups, pads=[pad // 2, pad // 2, pad - pad // 2, pad - pad // 2]))
        if relu6:
            self.nodes.append(helper.make_node("Clip", [y, "zero", "six"], [conv + ".relu6"], conv + ".clip"))
            y = conv + ".relu6"
        return y, out


def build(t):
    g = Graph(t)
    g.constant("zero", np.float32(0))
    g.constant("six", np.float32(6))
    x, side = g.conv("input", SIZE, "_conv_stem", "_bn0", 2)
    channels, n = 32, 0
    for blocks, _, stride, expand, cout in STAGES:
        for i in range(blocks):
            b, y, s = f"_blocks.{n}.", x, side
            mid, st = channels * expand, stride if i == 0 else 1
            if expand > 1:
                y, s = g.conv(y, s, b + "_expand_conv", b + "_bn0")
            y, s = g.conv(y, s, b + "_depthwise_conv", b + "_bn1", st, mid)
            y, s = g.conv(y, s, b + "_project_conv", b + "_bn2", relu6=False)
            if st == 1 and channels == cout:
                g.nodes.append(helper.make_node("Add", [x, y], [b + "add"], b + "add"))
                y = b + "add"
            x, side, channels, n = y, s, cout, n + 1
    x, _ = g.conv(x, side, "_conv_head", "_bn1")
    g.nodes += [helper.make_node("GlobalAveragePool", [x], ["pooled"], "pool"), helper.make_node("Flatten", ["pooled"], ["features"], "flatten"),
                helper.make_node("Gemm", ["features", g.constant("fc.w", t["_fc.weight"]), g.constant("fc.b", t["_fc.bias"])], ["logits"], "fc", transB=1)]
    graph = helper.make_graph(g.nodes, "efficientnet_lite0", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1000])], g.constants)
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(m)
    return m


if __name__ == "__main__":
    onnx.save(build(load(sys.argv[1])), sys.argv[2])
