"""Runs one model over an array, one image at a time. usage: logits.py MODEL.onnx|MODEL.xml eval.npy OUT.npy"""
import sys

import numpy as np

model, images, out = sys.argv[1:]
x = np.load(images, mmap_mode="r")
if model.endswith(".onnx"):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(model, options)
    run = lambda image: session.run(None, {"input": image})[0]
else:
    import openvino
    compiled = openvino.Core().compile_model(model, "CPU")
    run = lambda image: compiled(image)[0]
np.save(out, np.concatenate([run(np.ascontiguousarray(x[i:i + 1])) for i in range(len(x))]))
