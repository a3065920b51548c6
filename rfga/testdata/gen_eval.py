#!/usr/bin/env python3
"""Makes eval.bin.gz: maps with boxes and masks, and what the field's protocols give for them, by OpenCV and NumPy.

Use: python3 gen_eval.py [DIR [maps [seed]]]. The committed file: defaults, OpenCV 5.0.0, NumPy 2.4.6. Little endian:
u32 length and JSON [[step, {protocol: [images, acc30, acc50, acc70, PxAP]}], ...]; then per map: u8 index of its step; u16 w, h;
f32 values; u8 n and n boxes of four i16 on the grid; u8 m and m rectangles of four u8 that make the mask (the last one is
ignored); for each of the three protocols the first 8 bytes of the SHA-256 over its overlaps (f64, a threshold each).
"""
import gzip
import hashlib
import json
import os
import struct
import sys

import cv2
import numpy as np

SIDE = 224
STEPS = [0.1, 0.03, 0.001]
PROTOCOLS = [("clova-v1", False, False), ("clova-v2", False, True), ("moana", True, False)]  # name, percentile, every contour
np.seterr(all="ignore")


def normalise(cam, percentile):
    if np.isnan(cam).any() or np.isinf(cam).any() or cam.min() == cam.max():
        return np.zeros_like(cam)
    cam = cam - (np.percentile(cam, 65) if percentile else cam.min())
    if cam.max() <= 0:
        return np.zeros_like(cam)
    return np.clip(cam / cam.max(), 0, 1)


def boxes(levels, threshold, every):
    _, cut = cv2.threshold(levels, int(threshold * np.max(levels)), 255, cv2.THRESH_BINARY)
    found = cv2.findContours(cut, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[-2]
    if len(found) == 0:
        return [[0, 0, 0, 0]]
    if not every:
        found = [max(found, key=cv2.contourArea)]
    rects = [cv2.boundingRect(c) for c in found]
    return [[x, y, min(x + w, SIDE - 1), min(y + h, SIDE - 1)] for x, y, w, h in rects]


def overlap(a, b):
    a, b = np.array(a)[:, None, :], np.array(b)[None, :, :]
    side = lambda lo, hi: np.maximum(0, hi - lo + 1)
    both = side(np.maximum(a[..., 0], b[..., 0]), np.minimum(a[..., 2], b[..., 2])) * side(np.maximum(a[..., 1], b[..., 1]), np.minimum(a[..., 3], b[..., 3]))
    area = lambda r: (r[..., 2] - r[..., 0] + 1) * (r[..., 3] - r[..., 1] + 1)
    return (both / (area(a) + area(b) - both)).max()


class Count:
    """One protocol at one step."""

    def __init__(self, step):
        self.thresholds = np.arange(0, 1, step)
        self.right = {d: np.zeros(len(self.thresholds)) for d in (30, 50, 70)}
        self.edges = np.append(self.thresholds, [1.0, 2.0, 3.0])
        self.inside, self.outside, self.n = np.zeros(len(self.edges) - 1), np.zeros(len(self.edges) - 1), 0

    def add(self, heat, every, truth, mask):
        levels = (heat * 255).astype(np.uint8)
        curve = np.array([overlap(boxes(levels, t, every), truth) for t in self.thresholds])
        for d in self.right:
            self.right[d][np.where(curve >= d / 100)[0]] += 1
        self.n += 1
        self.inside += np.histogram(heat[mask == 1], bins=self.edges)[0]
        self.outside += np.histogram(heat[mask == 0], bins=self.edges)[0]
        return curve

    def result(self):
        tp, fp = self.inside[::-1].cumsum(), self.outside[::-1].cumsum()
        precision, recall = tp / (tp + fp), tp / self.inside.sum()
        ap = (precision[1:] * np.diff(recall))[(tp + fp != 0)[1:]].sum() * 100
        return [self.n] + [float((self.right[d] * 100. / float(self.n)).max()) for d in self.right] + [float(ap)]


def random_map(r, k):
    h, w = (int(v) for v in r.choice([1, 2, 3, 5, 7, 7, 10, 14], 2))
    m = r.standard_normal((h, w))
    if k % 12 == 0:
        m = np.round(m)                               # ties
    elif k % 12 == 1:
        m = np.full((h, w), r.choice([0.0, 1.0, -3.5]))  # constant
    elif k % 12 == 2:
        m[r.integers(h), r.integers(w)] = np.nan
    elif k % 12 == 3:
        m = np.zeros((h, w))
        m[r.integers(h), r.integers(w)] = 1           # one cell
    elif k % 12 == 4:
        m = np.maximum(m, 0) ** 4                     # mostly nothing
    elif k % 12 == 5:
        m = np.zeros((9, 9))
        m[1:8, 1:8], m[3:6, 3:6] = 1, 0               # a hole
        m = m + 0.05 * r.standard_normal((9, 9))
    elif k % 12 == 6:
        m = np.zeros((SIDE // 4, SIDE // 4))          # thin lines, up to the border
        m[:, r.integers(56)], m[r.integers(56), :] = 1, 0.6
    elif k % 12 == 7:
        m = np.ones((7, 7))
        m[1:6, 1:6] = 0                               # the border alone
    elif k % 12 == 8:
        m = (r.random((14, 14)) < 0.5) * 1.0          # many components
    elif k % 12 == 9:
        m = m * 10.0 ** r.integers(-30, 30)
    return m.astype("<f4")


def rectangle(r, top):
    x, y = np.sort(r.integers(0, top, 2)), np.sort(r.integers(0, top, 2))
    return [int(x[0]), int(y[0]), int(x[1]), int(y[1])]


def main(out=os.path.dirname(os.path.abspath(__file__)), maps=1200, seed=1):
    r = np.random.default_rng(int(seed))
    counts = [[Count(s) for _ in PROTOCOLS] for s in STEPS]
    body = b""
    for k in range(int(maps)):
        m = random_map(r, k)
        step = 2 if k % 40 == 39 else int(k % 4 == 0)
        truth = [rectangle(r, 225) for _ in range(r.integers(1, 4))]
        areas = [rectangle(r, 224) for _ in range(r.integers(2, 4))]
        ignored, front = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
        x0, y0, x1, y1 = areas[-1]
        ignored[y0:y1 + 1, x0:x1 + 1] = 1
        for x0, y0, x1, y1 in areas[:-1]:
            front[y0:y1 + 1, x0:x1 + 1] = 1
        mask = front + 255 * (ignored & ~front & 1)
        body += struct.pack("<BHH", step, m.shape[1], m.shape[0]) + m.tobytes()
        body += struct.pack("<B", len(truth)) + b"".join(struct.pack("<4h", *b) for b in truth)
        body += struct.pack("<B", len(areas)) + b"".join(struct.pack("<4B", *b) for b in areas)
        big = cv2.resize(m.astype(np.float64), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        for (_, percentile, every), count in zip(PROTOCOLS, counts[step]):
            curve = count.add(normalise(big, percentile), every, truth, mask)
            body += hashlib.sha256(curve.astype("<f8").tobytes()).digest()[:8]
    head = json.dumps([[s, {p[0]: c.result() for p, c in zip(PROTOCOLS, row)}] for s, row in zip(STEPS, counts)]).encode()
    with gzip.GzipFile(os.path.join(out, "eval.bin.gz"), "wb", 9, mtime=0) as f:
        f.write(struct.pack("<I", len(head)) + head + body)


if __name__ == "__main__":
    main(*sys.argv[1:])
