#!/usr/bin/env python3
"""Makes frames.zip: a picture as ffmpeg writes it in YCbCr formats, and what ffmpeg's conversion back and Pillow's resize make of it.

Use: python3 gen_frames.py   (ffmpeg, python3-pil, python3-numpy; the committed file: ffmpeg 5.1.9, Pillow 9.4.0)
FORMAT-MATRIX-RANGE.yuv is a frame of 88x62; the file of the same name with .rgb is 30x24 pixels, red, green, blue.
"""
import os
import subprocess
import zipfile

import numpy as np
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
W, H, w, h = 88, 62, 30, 24


def ffmpeg(data, *args):
    return subprocess.run(["ffmpeg", "-v", "error", *args], input=data, stdout=subprocess.PIPE, check=True).stdout


def picture():
    """Waves of muted colours: no pixel comes near the edge of what YCbCr can say."""
    y, x = np.mgrid[0:H, 0:W]
    a = np.stack([120 + 60 * np.sin(x / 9 + y / 23), 130 + 50 * np.sin(x / 17 - y / 11), 110 + 55 * np.cos(x / 29 + y / 7)], -1)
    return a.round().astype(np.uint8).tobytes()


with zipfile.ZipFile(os.path.join(HERE, "frames.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    for name, pix in ("i420", "yuv420p"), ("nv12", "nv12"), ("nv21", "nv21"), ("yuyv", "yuyv422"), ("uyvy", "uyvy422"), ("i422", "yuv422p"), ("i444", "yuv444p"):
        for matrix, rng in ("bt601", "limited"), ("bt709", "limited"), ("bt601", "full"), ("bt709", "full"):
            if name not in ("nv12", "yuyv") and (matrix, rng) != ("bt601", "limited"):
                continue
            colour = f"in_color_matrix={matrix}:in_range={rng}"
            size = ("-f", "rawvideo", "-s", f"{W}x{H}")
            yuv = ffmpeg(picture(), *size, "-pix_fmt", "rgb24", "-i", "-", "-vf",
                         f"scale=out_color_matrix={matrix}:out_range={rng}:flags=accurate_rnd+full_chroma_int+area", "-pix_fmt", pix, "-f", "rawvideo", "-")
            rgb = ffmpeg(yuv, *size, "-pix_fmt", pix, "-i", "-", "-vf", f"scale={colour}:flags=accurate_rnd+full_chroma_int+neighbor", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
            small = Image.frombytes("RGB", (W, H), rgb).resize((w, h), Image.BILINEAR).tobytes()
            for suffix, b in (".yuv", yuv), (".rgb", small):
                z.writestr(zipfile.ZipInfo(f"{name}-{matrix}-{rng}{suffix}"), b, zipfile.ZIP_DEFLATED)
