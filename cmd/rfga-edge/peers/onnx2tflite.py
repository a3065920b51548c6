"""Builds the ONNX graphs of gen_models.py again in TensorFlow, NHWC, and converts them to float32 and int8 .tflite files.

usage: onnx2tflite.py MODELDIR MODEL [IMAGES]        needs tensorflow-cpu, onnx, numpy

One model a process: the converter takes many GB for the large ones, less with fewer calibration images.
"""
import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["CUDA_VISIBLE_DEVICES"] = "2", ""

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import tensorflow as tf  # noqa: E402
from onnx import numpy_helper  # noqa: E402


def padded(x, pads):
    top, left, bottom, right = pads
    return tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]]) if any(pads) else x


def is_same(n, k, stride, before, after):
    """Whether TensorFlow's "SAME" pads so: a convolution that pads by itself is faster than one behind a pad operator."""
    total = max((-(-n // stride) - 1) * stride + k - n, 0)
    return (before, after) == (total // 2, total - total // 2)


def conv(x, a, weights, bias=None):
    strides, pads = a["strides"], a["pads"]
    sizes = zip(x.shape[1:3], weights.shape[2:], strides, pads[:2], pads[2:])
    mode = "SAME" if all(is_same(*s) for s in sizes) else "VALID"
    if mode == "VALID":
        x = padded(x, pads)
    if a["group"] > 1:
        y = tf.nn.depthwise_conv2d(x, weights.transpose(2, 3, 0, 1), [1, *strides, 1], mode)
    else:
        y = tf.nn.conv2d(x, weights.transpose(2, 3, 1, 0), strides, mode)
    return y if bias is None else tf.nn.bias_add(y, bias)


def pool(x, a, function):
    # Inputs of maxima are not negative, and averages count the padding: zeros are right for both.
    return function(padded(x, a["pads"]), a["kernel_shape"], a["strides"], "VALID")


def reshape(x, shape):
    shape = [int(n) for n in shape]  # only images of one pixel are reshaped
    return tf.reshape(x, [shape[0], *shape[2:], shape[1]] if len(shape) == 4 else shape)


OPERATORS = {
    "Conv": conv,
    "Relu": lambda x, a: tf.nn.relu(x),
    "Sigmoid": lambda x, a: tf.sigmoid(x),
    "Add": lambda x, a, y: x + y,
    "Mul": lambda x, a, y: x * y,
    "MaxPool": lambda x, a: pool(x, a, tf.nn.max_pool2d),
    "AveragePool": lambda x, a: pool(x, a, tf.nn.avg_pool2d),
    "GlobalAveragePool": lambda x, a: tf.reduce_mean(x, [1, 2], keepdims=True),
    "ReduceMean": lambda x, a: tf.reduce_mean(x, [{2: 1, 3: 2}[axis] for axis in a["axes"]], keepdims=True),
    "Reshape": lambda x, a, shape: reshape(x, shape),
    "Concat": lambda x, a, *more: tf.concat([x, *more], 3),
    "Gemm": lambda x, a, weights, bias: tf.matmul(x, weights.T) + bias,
}


def build(path):
    """The graph as a Python function of TensorFlow."""
    graph = onnx.load(path).graph
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}

    def run(x):
        values = {"input": x}
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            operands = [values[n] if n in values else constants[n] for n in node.input]
            if node.op_type in ("Add", "Mul"):  # a constant image is NCHW
                operands = [tf.constant(v.transpose(0, 2, 3, 1)) if isinstance(v, np.ndarray) and v.ndim == 4 else v for v in operands]
            values[node.output[0]] = OPERATORS[node.op_type](operands[0], attributes, *operands[1:])
        return {o.name: values[o.name] for o in graph.output}
    return run


def main(folder, name, images="12"):
    files = {form: f"{folder}/{name}.{form}.tflite" for form in ("fp32", "int8")}
    if all(map(os.path.exists, files.values())):
        return
    with open(f"{folder}/models.json") as f:
        size = json.load(f)[name]["size"]
    function = tf.function(build(f"{folder}/{name}.onnx"), input_signature=[tf.TensorSpec([1, size, size, 3], tf.float32, "input")])
    got = function(tf.constant(np.load(f"{folder}/{name}.input.npy").transpose(0, 2, 3, 1)))["logits"].numpy()
    print(name, "largest difference of logits from ONNX:", np.abs(got - np.load(f"{folder}/{name}.logits.npy")).max(), flush=True)
    calibration = np.load(f"{folder}/calib_{size}.npy")[:int(images)].transpose(0, 2, 3, 1)
    module = tf.Module()
    module.run = function
    for form, path in files.items():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], module)
        if form == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([x[None]] for x in calibration)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        model = converter.convert()
        with open(path, "wb") as f:
            f.write(model)


main(*sys.argv[1:])
