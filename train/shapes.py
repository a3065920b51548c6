"""Draws a folder of labelled images to try own_classes.py with: python3 shapes.py DIR [--images N] [--seed S]

DIR/disc, DIR/square and DIR/cross get N images each, of one shape in a tone of its colour, of some size, somewhere on a noisy
background.
DIR/boxes.csv says where it is: file,x0,y0,x1,y1. Needs numpy and Pillow.
"""
import argparse
import os

import numpy as np
from PIL import Image


def draw(rng, shape, side=128):
    noise = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    img = np.asarray(Image.fromarray(noise).resize((side, side), Image.BICUBIC), np.float32) * 0.5 + 64
    r = int(rng.integers(side // 8, side // 4))
    x, y = (int(v) for v in rng.integers(r, side - r, 2))
    dy, dx = np.mgrid[:side, :side] - np.array([y, x])[:, None, None]
    ax, ay = np.abs(dx), np.abs(dy)
    inside = {"disc": dx * dx + dy * dy <= r * r, "square": np.maximum(ax, ay) <= r * 0.8,
              "cross": (np.maximum(ax, ay) <= r) & (np.minimum(ax, ay) <= r * 0.3)}[shape]
    tone = {"disc": (230, 120, 30), "square": (40, 90, 230), "cross": (50, 200, 70)}[shape]
    img[inside] = np.array(tone) + rng.uniform(-40, 40, 3)
    ys, xs = np.nonzero(inside)
    return Image.fromarray(np.clip(img + rng.normal(0, 6, img.shape), 0, 255).astype(np.uint8)), (xs.min(), ys.min(), xs.max(), ys.max())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir")
    p.add_argument("--images", type=int, default=100, help="of each class (100)")
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()
    rng = np.random.default_rng(a.seed)
    lines = []
    for shape in ("disc", "square", "cross"):
        os.makedirs(os.path.join(a.dir, shape), exist_ok=True)
        for i in range(a.images):
            img, box = draw(rng, shape)
            name = f"{shape}/{i:03d}.png"
            img.save(os.path.join(a.dir, name))
            lines.append(",".join([name, *map(str, box)]) + "\n")
    with open(os.path.join(a.dir, "boxes.csv"), "w") as f:
        f.writelines(lines)


if __name__ == "__main__":
    main()
