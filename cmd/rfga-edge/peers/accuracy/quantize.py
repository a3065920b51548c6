"""The peers' static int8 of one ONNX model, with every calibration image. usage: quantize.py ort|nncf MODEL.onnx calib.npy OUT_DIR

ort: ONNX Runtime, QDQ, unsigned activations, signed weights per channel, calibrated by minimum and maximum, percentile
(99.999, its default) and entropy. nncf: OpenVINO NNCF with its defaults and with preset "mixed". Files that exist are kept.
"""
import os
import sys

import numpy as np

tool, model, calib, out = sys.argv[1:]
images = np.load(calib, mmap_mode="r")
os.makedirs(out, exist_ok=True)


def ort():
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.it = iter(images)

        def get_next(self):
            x = next(self.it, None)
            return None if x is None else {"input": np.ascontiguousarray(x[None])}

    pre = out + "/preprocessed.onnx"
    quant_pre_process(model, pre, skip_symbolic_shape=True)
    for method in "MinMax", "Percentile", "Entropy":
        path = f"{out}/ort_{method.lower()}.onnx"
        if not os.path.exists(path):
            quantize_static(pre, path, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
                            weight_type=QuantType.QInt8, calibrate_method=getattr(CalibrationMethod, method))
            print(path, flush=True)


def nncf():
    import nncf
    import openvino as ov
    for preset in "performance", "mixed":
        path = f"{out}/nncf_{preset}.xml"
        if not os.path.exists(path):
            q = nncf.quantize(ov.Core().read_model(model), nncf.Dataset([np.ascontiguousarray(x[None]) for x in images]), subset_size=len(images),
                              preset=nncf.QuantizationPreset(preset))
            ov.save_model(q, path, compress_to_fp16=False)
            print(path, flush=True)


{"ort": ort, "nncf": nncf}[tool]()
