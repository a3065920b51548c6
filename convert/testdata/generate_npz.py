"""Makes the .npz files of this folder from its other files: python3 generate_npz.py (numpy).

vgg16_28.npz has the tensors of vgg16_28.safetensors, half of them in Fortran order; odd.npz has arrays of every element type
that is read, in both byte orders, whose element i is i - 2; compressed.npz is the same, compressed.
"""
import json
import os
import struct

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def safetensors(path):
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        head, data = json.loads(f.read(n)), f.read()
    types = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8"}
    for name, t in head.items():
        if name != "__metadata__":
            lo, hi = t["data_offsets"]
            if t["dtype"] == "BF16":  # the upper half of a float32
                a = (np.frombuffer(data[lo:hi], "<u2").astype("<u4") << 16).view("<f4")
            else:
                a = np.frombuffer(data[lo:hi], types[t["dtype"]])
            yield name, a.reshape(t["shape"])


def main():
    out = {}
    for i, (name, a) in enumerate(safetensors(os.path.join(HERE, "vgg16_28.safetensors"))):
        out[name] = np.asfortranarray(a) if i % 2 else a
    np.savez(os.path.join(HERE, "vgg16_28.npz"), **out)
    odd = {}
    for t in ("<f4", ">f4", "<f8", "<f2", ">f2"):
        a = (np.arange(6) - 2).reshape(2, 3).astype(t)
        odd[f"plain.{t[1:]}.{'big' if t[0] == '>' else 'little'}"] = a
        odd[f"fortran.{t[1:]}.{'big' if t[0] == '>' else 'little'}"] = np.asfortranarray(a)
    odd["scalar"] = np.float32(-2)
    odd["count"] = np.int64(7)
    np.savez(os.path.join(HERE, "odd.npz"), **odd)
    np.savez_compressed(os.path.join(HERE, "compressed.npz"), **odd)


main()
