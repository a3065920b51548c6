"""Makes the LiteRT fixtures of convert/tflite and what LiteRT's reference kernels compute with them.

    pip install tensorflow-cpu==2.21.0
    python generate.py

A small network with random weights, converted by TensorFlow's converter to float32, float16, int8 with floating-point and with
integer inputs. input.npy is N,3,H,W, normalised to -1..1; results are N,C or N,C,H,W.

Everything here is made by this script; licence: Apache-2.0, as the project.
"""
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow as tf

HERE = os.path.dirname(os.path.abspath(__file__))
S, C, K = 16, 8, 5
rng = np.random.default_rng(11)


def weight(*shape):
    return tf.constant(rng.normal(0, 1.2 / np.sqrt(np.prod(shape[:-1])), shape), tf.float32)


def bias(n):
    return tf.constant(rng.normal(0, 0.2, n), tf.float32)


W = {"stem": weight(3, 3, 3, C), "depth": weight(3, 3, C, 1), "point": weight(1, 1, C, C), "merge": weight(1, 1, 2 * C, C),
     "excite": weight(1, 1, C, C), "down": weight(3, 3, C, C), "head": weight(C, K)}
B = {k: bias(K if k == "head" else C) for k in W}


def network(x, softmax):
    x = tf.nn.relu6(tf.nn.conv2d(x, W["stem"], 2, "SAME") + B["stem"])
    y = tf.nn.relu(tf.nn.depthwise_conv2d(x, W["depth"] * 3, [1, 1, 1, 1], "SAME") + B["depth"])
    x = tf.nn.relu(x + tf.nn.conv2d(y, W["point"], 1, "SAME") + B["point"])
    x = tf.concat([tf.nn.max_pool2d(x, 3, 1, "SAME"), tf.nn.avg_pool2d(x, 3, 1, "SAME")], 3)
    x = tf.nn.conv2d(x, W["merge"], 1, "VALID") + B["merge"]
    x = x * (tf.nn.relu6(x + 3) * (1 / 6))
    s = tf.nn.sigmoid(tf.nn.conv2d(tf.reduce_mean(x, [1, 2], keepdims=True), W["excite"], 1, "SAME") + B["excite"])
    x = x * s
    x = tf.nn.relu(tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), W["down"], 2, "VALID") + B["down"])
    up = tf.raw_ops.ResizeBilinear(images=x, size=[8, 8], half_pixel_centers=True)
    y = tf.reduce_mean(x, [1, 2]) @ W["head"] + B["head"]
    return {"features": up, "scores": tf.nn.softmax(y) if softmax else y}


def converter(softmax=False):
    f = tf.function(lambda x: network(x, softmax), input_signature=[tf.TensorSpec([1, S, S, 3], tf.float32, "image")])
    module = tf.Module()
    module.f = f
    return tf.lite.TFLiteConverter.from_concrete_functions([f.get_concrete_function()], module)


def images():
    r = np.random.default_rng(5)
    for _ in range(8):
        yield [r.uniform(-1, 1, (1, S, S, 3)).astype(np.float32)]


def store(name, conv, x):
    path = os.path.join(HERE, name + ".tflite")
    with open(path, "wb") as f:
        f.write(conv.convert())
    it = tf.lite.Interpreter(path, experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF)
    run = it.get_signature_runner()
    key, d = next(iter(run.get_input_details().items()))
    if d["dtype"] != np.float32:
        scale, zero = d["quantization"]
        lo, hi = np.iinfo(d["dtype"]).min, np.iinfo(d["dtype"]).max
        x = np.clip(np.round(x / np.float32(scale)) + zero, lo, hi).astype(d["dtype"])
    outs = run.get_output_details()
    for k, v in run(**{key: x}).items():
        if outs[k]["dtype"] != np.float32:
            scale, zero = outs[k]["quantization"]
            v = (v.astype(np.float32) - zero) * np.float32(scale)
        v = v.transpose(0, 3, 1, 2) if v.ndim == 4 else v
        np.save(os.path.join(HERE, f"{name}.{k}.npy"), np.ascontiguousarray(v).astype("<f4"))
        print(name, k, v.shape, float(np.abs(v).max()))


def main():
    x = np.random.default_rng(1).uniform(-1, 1, (1, S, S, 3)).astype(np.float32)
    x = ((np.round((x + 1) * 127.5) - 127.5) / 127.5).astype(np.float32)  # of bytes
    np.save(os.path.join(HERE, "input.npy"), np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    store("float32", converter(), x)
    c = converter()
    c.optimizations, c.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
    store("float16", c, x)
    for name, io, softmax in (("int8", tf.float32, False), ("int8_io", tf.int8, False), ("uint8_io", tf.uint8, True)):
        c = converter(softmax)
        c.optimizations, c.representative_dataset = [tf.lite.Optimize.DEFAULT], images
        c.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        c.inference_input_type = c.inference_output_type = io
        store(name, c, x)


main()
