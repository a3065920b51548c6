"""Writes networks whose input is an image's bytes, with ONNX Runtime's results: needs onnx, onnxruntime and numpy.

    cd convert/onnx/testdata/bytes && python3 generate.py

cast.onnx casts them to floating point and normalises; quantized.onnx is a static quantization without the QuantizeLinear at its
input, which has become uint8. Byte i of the image, in the order 3,H,W, is (37*i + i*i//5) % 256. Weights are random numbers of a
fixed seed: there is nothing to license.
"""
import os

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

rng = np.random.default_rng(5)
S = 16
i = np.arange(3 * S * S)
image = ((37 * i + i * i // 5) % 256).astype(np.uint8).reshape(1, 3, S, S)
mean, std = np.float32([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1), np.float32([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)


def body():
    init = {"w": rng.standard_normal((8, 3, 3, 3)) * 0.3, "b": rng.standard_normal(8) * 0.1, "v": rng.standard_normal((6, 8, 3, 3)) * 0.2,
            "c": rng.standard_normal(6) * 0.1}
    nodes = [h.make_node("Conv", ["n", "w", "b"], ["p"], pads=[1, 1, 1, 1]), h.make_node("Relu", ["p"], ["q"]),
             h.make_node("Conv", ["q", "v", "c"], ["r"], strides=[2, 2]), h.make_node("Relu", ["r"], ["y"])]
    return nodes, {k: v.astype(np.float32) for k, v in init.items()}


def write(path, nodes, init, elem, shape):
    g = h.make_graph(nodes, "bytes", [h.make_tensor_value_info("image", elem, shape)], [h.make_tensor_value_info("y", T.FLOAT, None)],
                     [nh.from_array(np.asarray(v), k) for k, v in init.items()])
    onnx.save(h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8), path)


def results(path, x):
    s = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.save(path[:-5] + ".y.npy", s.run(None, {"image": x})[0])


nodes, init = body()
front = [h.make_node("Cast", ["image"], ["f"], to=T.FLOAT), h.make_node("Transpose", ["f"], ["t"], perm=[0, 3, 1, 2]),
         h.make_node("Sub", ["t", "mean"], ["m"]), h.make_node("Div", ["m", "std"], ["n"])]
write("cast.onnx", front + nodes, {**init, "mean": mean * 255, "std": std * 255}, T.UINT8, [1, S, S, 3])
results("cast.onnx", image.transpose(0, 2, 3, 1))

nodes, init = body()
nodes[0].input[0] = "image"
write("float.onnx", nodes, init, T.FLOAT, [1, 3, S, S])


class Images(CalibrationDataReader):
    def __init__(self):
        self.left = [((image / np.float32(255) - mean) / std).astype(np.float32)]

    def get_next(self):
        return {"image": self.left.pop()} if self.left else None


quantize_static("float.onnx", "quantized.onnx", Images(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8)
os.remove("float.onnx")
m = onnx.load("quantized.onnx")
q = next(n for n in m.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "image")
for n in m.graph.node:
    for k, name in enumerate(n.input):
        if name == q.output[0]:
            n.input[k] = "image"
m.graph.node.remove(q)
m.graph.input[0].type.tensor_type.elem_type = T.UINT8
onnx.checker.check_model(m)
onnx.save(m, "quantized.onnx")
results("quantized.onnx", image)
