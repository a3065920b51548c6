"""Converts the models for MNN and quantizes them with its tool.

usage: quant_mnn.py MODELDIR [MODEL ...]        needs MNN and numpy

The wheel's compiled tools are called as its scripts mnnconvert and mnnquant do; the scripts themselves install a logger with pip
when they are imported.
"""
import json
import os
import struct
import subprocess
import sys
import zlib

import numpy as np

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of the images that gen_models.py normalised


def write_png(path, pixels):
    height, width, _ = pixels.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def calibration_images(folder, size):
    """The tool reads image files: those that the other runtimes calibrate with, as pixels again."""
    images = f"{folder}/png_{size}"
    if not os.path.isdir(images):
        os.makedirs(images)
        for i, x in enumerate(np.load(f"{folder}/calib_{size}.npy")[:12]):
            pixels = x.transpose(1, 2, 0) * STD + MEAN
            write_png(f"{images}/{i:03d}.png", np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    return images


def tool(out, name, *arguments):
    """Runs a tool in a process of its own, unless its output is there."""
    if os.path.exists(out):
        return
    code = f"import _tools; _tools.{name}({[name, *arguments]!r})"
    log = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    if not os.path.exists(out):
        raise SystemExit(f"{name} did not write {out}:\n{log}")
    print(out, flush=True)


def main(folder, *names):
    with open(f"{folder}/models.json") as f:
        info = json.load(f)
    for name in names or info:
        size = info[name]["size"]
        settings, plain, quantized = f"{folder}/{name}.mnnq.json", f"{folder}/{name}.fp32.mnn", f"{folder}/{name}.int8.mnn"
        with open(settings, "w") as f:
            json.dump(dict(format="RGB", mean=MEAN, normal=[1 / s for s in STD], width=size, height=size,
                           path=calibration_images(folder, size) + "/", used_image_num=12, feature_quantize_method="KL",
                           weight_quantize_method="MAX_ABS", input_type="image", feature_clamp_value=127, weight_clamp_value=127), f)
        tool(plain, "mnnconvert", "-f", "ONNX", "--modelFile", f"{folder}/{name}.onnx", "--MNNModel", plain, "--bizCode", "peers")
        tool(quantized, "mnnquant", plain, quantized, settings)


main(*sys.argv[1:])
