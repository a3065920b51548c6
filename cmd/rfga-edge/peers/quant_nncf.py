"""Quantizes the models for OpenVINO, by NNCF's post-training quantization.

usage: quant_nncf.py MODELDIR [MODEL ...]        needs numpy, openvino, nncf
"""
import json
import os
import sys

import nncf
import numpy as np
import openvino


def main(folder, *names):
    with open(f"{folder}/models.json") as f:
        info = json.load(f)
    for name in names or info:
        out = f"{folder}/{name}.nncf.xml"
        if os.path.exists(out):
            continue
        images = np.load(f"{folder}/calib_{info[name]['size']}.npy")[:12]
        model = openvino.Core().read_model(f"{folder}/{name}.onnx")
        quantized = nncf.quantize(model, nncf.Dataset([x[None] for x in images]), subset_size=12)
        openvino.save_model(quantized, out, compress_to_fp16=False)
        print(name, "nncf", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
