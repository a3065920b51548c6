"""Stands in for what get_data.sh brings, so that `recipe.py --smoke` needs no download: drawn shapes for stamps, noise for
photographs, and a backbone of random weights. Numbers measured with it mean nothing."""
import os
import shutil

import numpy as np
import torch
from PIL import Image, ImageDraw

import composites
import lite0
import photos

PICTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testdata", "photos")


def save(image, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    image.save(path)


def make(data):
    r = np.random.default_rng(0)
    for k, (folder, names) in enumerate(composites.CLASSES.values()):
        for n in names.replace("*", "a").split():
            stamp = Image.new("RGBA", (80, 60))
            tone = tuple(int(v) for v in r.integers(0, 256, 3))
            (ImageDraw.Draw(stamp).ellipse if k % 2 else ImageDraw.Draw(stamp).rectangle)((4, 4, 70, 50), fill=tone + (255,))
            save(stamp, os.path.join(data, composites.STAMPS, folder, n + ".png"))
    scenes = [f"{data}/gcrcc/explore_monuments/{n}.webp" for n in range(4)] + composites.fixed_backgrounds(data)
    for path in scenes:
        save(Image.fromarray(r.integers(0, 256, (12, 16, 3), np.uint8)).resize((320, 240), Image.BICUBIC), path)
    torch.manual_seed(0)
    torch.save(lite0.Lite0().state_dict(), data + "/lite0.pth")
    there = {f"images/{f}" for f in os.listdir(PICTURES) if f.endswith(".jpg")}
    for name in ("image_ids.txt", "class_labels.txt", "image_sizes.txt", "localization.txt"):
        os.makedirs(data + "/photos/meta", exist_ok=True)
        with open(f"{photos.META}/{name}") as f, open(f"{data}/photos/meta/{name}", "w") as out:
            out.writelines(line for line in f if line.rstrip("\n").split(",")[0] in there)
    shutil.copytree(PICTURES, data + "/photos/images", dirs_exist_ok=True)
