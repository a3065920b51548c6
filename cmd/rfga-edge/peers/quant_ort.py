"""Quantizes the models with ONNX Runtime: QDQ and QOperator form, activations unsigned and signed, weights per channel.

usage: quant_ort.py MODELDIR [MODEL ...]        needs numpy, onnx, onnxruntime, sympy
"""
import json
import os
import sys

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

FORMS = {  # tag: format, type of activations, 7-bit weights
    "qdq_u8s8": (QuantFormat.QDQ, QuantType.QUInt8, False),
    "qdq_u8s8r": (QuantFormat.QDQ, QuantType.QUInt8, True),
    "qdq_s8s8": (QuantFormat.QDQ, QuantType.QInt8, False),
    "qop_u8s8": (QuantFormat.QOperator, QuantType.QUInt8, False),
    "qop_s8s8": (QuantFormat.QOperator, QuantType.QInt8, False),
}


class Images(CalibrationDataReader):
    def __init__(self, images):
        self.rest = iter(images)

    def get_next(self):
        x = next(self.rest, None)
        return None if x is None else {"input": x[None]}


def main(folder, *names):
    with open(f"{folder}/models.json") as f:
        info = json.load(f)
    for name in names or info:
        images = np.load(f"{folder}/calib_{info[name]['size']}.npy")[:12]
        prepared = f"{folder}/{name}.pre.onnx"
        quant_pre_process(f"{folder}/{name}.onnx", prepared, skip_symbolic_shape=True)
        for tag, (form, activations, reduce_range) in FORMS.items():
            out = f"{folder}/{name}.{tag}.onnx"
            if os.path.exists(out):
                continue
            quantize_static(prepared, out, Images(images), quant_format=form, per_channel=True, reduce_range=reduce_range,
                            activation_type=activations, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
                            extra_options={"ActivationSymmetric": tag == "qdq_s8s8"})
            print(name, tag, flush=True)
        os.remove(prepared)


if __name__ == "__main__":
    main(*sys.argv[1:])
