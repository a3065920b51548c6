#!/usr/bin/env python3
"""Makes contours.bin.gz and resize.bin.gz with OpenCV (opencv-python-headless) and NumPy: what the field's evaluation code calls.

Use: python3 gen.py [DIR [masks [maps [seed]]]]. The committed files: defaults, OpenCV 5.0.0, NumPy 2.4.6. Little endian:
contours: per mask: u16 w, h; bits (packbits, row-major); u16 n; per contour: i16 x, y, w, h, u32 twice the area, u8 hole.
resize: per map: u16 sw, sh, dw, dh; sw*sh float64; SHA-256 of the resized map, of its min-max and of its 65th-percentile form.
"""
import gzip
import hashlib
import os
import struct
import sys

import cv2
import numpy as np


def adversarial():
    yield np.zeros((1, 1), np.uint8)
    yield np.ones((1, 1), np.uint8)
    for h, w in ((1, 9), (9, 1), (2, 2), (5, 7)):
        yield np.zeros((h, w), np.uint8)
        yield np.ones((h, w), np.uint8)
    y, x = np.mgrid[0:15, 0:17]
    yield ((x + y) & 1).astype(np.uint8)                            # checkerboard: one component, many holes
    yield ((x & 1) & (y & 1)).astype(np.uint8)                      # isolated pixels: ties at area 0
    yield (1 - ((x & 1) & (y & 1))).astype(np.uint8)
    yield (np.maximum(abs(x - 8), abs(y - 7)) & 1).astype(np.uint8)  # nested squares
    yield (1 - (np.maximum(abs(x - 8), abs(y - 7)) & 1)).astype(np.uint8)
    yield ((abs(x - 8) + abs(y - 7)) % 3 == 0).astype(np.uint8)     # nested diamonds, one pixel thick
    yield ((abs(x - 8) + abs(y - 7)) == 1).astype(np.uint8)         # a ring whose hole has the same polygon
    yield (x == y).astype(np.uint8)
    yield ((x == y) | (x + y == 14)).astype(np.uint8)
    yield ((x % 5 < 3) & (y % 5 < 3)).astype(np.uint8)              # equal squares: ties
    yield ((y % 2 == 0) | ((y % 4 == 1) & (x == 16)) | ((y % 4 == 3) & (x == 0))).astype(np.uint8)  # a snake
    frame = np.ones((12, 13), np.uint8)
    frame[1:-1, 1:-1] = 0
    yield frame
    frame = frame.copy()
    frame[4:8, 4:8] = 1
    frame[5, 5] = 0
    yield frame


def random_mask(r):
    kind = r.integers(4)
    if kind < 2:                                                    # noise
        h, w = r.integers(1, 33, 2)
        return (r.random((h, w)) < r.uniform(0.1, 0.95)).astype(np.uint8)
    if kind == 2:                                                   # a class map over a threshold
        n = int(r.choice([5, 7, 14]))
        s = int(r.choice([64, 96, 224]))
        m = cv2.resize(r.standard_normal((n, n)), (s, s), interpolation=cv2.INTER_CUBIC)
        return (m > np.quantile(m, r.uniform(0.05, 0.98))).astype(np.uint8)
    m = np.zeros((int(r.integers(8, 90)), int(r.integers(8, 90))), np.uint8)
    for _ in range(r.integers(1, 12)):                              # shapes drawn over one another
        p, q = (tuple(int(v) for v in r.integers(-5, 95, 2)) for _ in range(2))
        c, t = int(r.integers(2)), int(r.choice([-1, 1, 1, 2]))
        {0: lambda: cv2.rectangle(m, p, q, c, t), 1: lambda: cv2.circle(m, p, int(r.integers(1, 30)), c, t),
         2: lambda: cv2.line(m, p, q, 1, max(t, 1))}[int(r.integers(3))]()
    return m


def contours(mask):
    found, tree = cv2.findContours((mask * 255).astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2:]
    out = struct.pack("<H", len(found))
    for i, c in enumerate(found):
        depth, p = 0, tree[0][i][3]
        while p >= 0:
            depth, p = depth + 1, tree[0][p][3]
        out += struct.pack("<hhhhIB", *cv2.boundingRect(c), round(2 * cv2.contourArea(c)), depth & 1)
    return out


def normalise(cam, base):
    cam = cam.copy()
    if np.isnan(cam).any() or cam.min() == cam.max():
        return np.zeros_like(cam)
    cam -= base(cam)
    if cam.max() == 0:      # the percentile is the maximum; the authors' code divides 0 by 0 here
        return np.zeros_like(cam)
    cam /= cam.max()
    return np.clip(cam, 0, 1)


def main(out=os.path.dirname(os.path.abspath(__file__)), masks=300, maps=14, seed=1):
    r = np.random.default_rng(int(seed))
    with gzip.GzipFile(os.path.join(out, "contours.bin.gz"), "wb", 9, mtime=0) as f:
        for m in list(adversarial()) + [random_mask(r) for _ in range(int(masks))]:
            f.write(struct.pack("<HH", m.shape[1], m.shape[0]) + np.packbits(m).tobytes() + contours(m))
    sizes = [(7, 7, 224, 224), (14, 14, 224, 224), (28, 28, 224, 224), (10, 10, 320, 320), (17, 17, 224, 224), (17, 17, 299, 299),
             (1, 1, 9, 9), (1, 5, 8, 8), (2, 2, 50, 51), (3, 2, 7, 13), (9, 11, 5, 4), (6, 6, 96, 96), (13, 7, 100, 333), (12, 12, 12, 12)]
    with gzip.GzipFile(os.path.join(out, "resize.bin.gz"), "wb", 9, mtime=0) as f:
        for i in range(int(maps)):
            sw, sh, dw, dh = sizes[i] if i < len(sizes) else (int(v) for v in (*r.integers(1, 30, 2), *r.integers(1, 330, 2)))
            m = r.standard_normal((sh, sw)) * 10 ** r.uniform(-3, 3)
            big = cv2.resize(m, (dw, dh), interpolation=cv2.INTER_CUBIC)
            forms = big, normalise(big, np.min), normalise(big, lambda c: np.percentile(c, 65))
            f.write(struct.pack("<HHHH", sw, sh, dw, dh) + m.astype("<f8").tobytes() +
                    b"".join(hashlib.sha256((a + 0.0).astype("<f8").tobytes()).digest() for a in forms))


if __name__ == "__main__":
    main(*sys.argv[1:])
