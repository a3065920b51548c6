"""Compares int8 logits with float ones and writes the table. usage: table.py LOGITS_DIR BENCHMARKS.md"""
import os
import re
import sys

import numpy as np

NAMES = {
    "rfga_default": "rfga-edge, defaults", "rfga_percentile": "rfga-edge, `--method percentile:99.999`",
    "rfga_ada": "rfga-edge, `--round ada`", "rfga_ada_percentile": "rfga-edge, `--round ada --method percentile:99.999`",
    "ort_minmax": "ONNX Runtime, min-max", "ort_percentile": "ONNX Runtime, percentile", "ort_entropy": "ONNX Runtime, entropy",
    "nncf_performance": "OpenVINO NNCF, defaults", "nncf_mixed": "OpenVINO NNCF, preset mixed",
}
BEGIN, END = "<!-- int8-accuracy -->", "<!-- /int8-accuracy -->"
directory, document = sys.argv[1:]
ref = np.load(directory + "/float.npy").astype(np.float64)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


lines = [BEGIN, "", "| int8 by | top-1 as float | of the float top-1's probability, mean change | logits, signal to noise |", "|---|---|---|---|"]
for name, title in NAMES.items():
    path = f"{directory}/{name}.npy"
    if not os.path.exists(path):
        continue
    y = np.load(path).reshape(ref.shape).astype(np.float64)
    top, rows = ref.argmax(1), np.arange(len(ref))
    agree = (y.argmax(1) == top).sum()
    change = np.abs(softmax(y)[rows, top] - softmax(ref)[rows, top]).mean()
    lines.append(f"| {title} | {agree} of {len(ref)}, {100 * agree / len(ref):.1f} % | {100 * change:.2f} points | "
                 f"{10 * np.log10((ref ** 2).sum() / ((y - ref) ** 2).sum()):.1f} dB |")
lines += ["", END]
text = open(document).read()
if BEGIN not in text:
    sys.exit(f"{document} has no line {BEGIN}")
text = re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: "\n".join(lines), text, flags=re.S)
open(document, "w").write(text)
print("\n".join(lines[2:-2]))
