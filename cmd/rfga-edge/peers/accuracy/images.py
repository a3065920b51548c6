"""Makes what int8 is calibrated and judged with. usage: images.py PHOTOS STAMPS CALIBRATION.tsv OUT [--composites 450]

PHOTOS is the unpacked resource files of Debian's gcompris-qt-data, STAMPS the unpacked package tuxpaint-stamps-default. The
photographs of CALIBRATION.tsv calibrate. The others judge, and composites: cut-out photographs of animals, food, plants and
vehicles, turned, scaled and put on photographs at random, from one seed. Both become float32 arrays, 3x224x224 an image, the
whole image squashed, (x-127)/128: OUT/calib.npy and OUT/eval.npy, with names in OUT/calib.txt and OUT/eval.txt. All
contestants read these arrays, so nobody's image decoding matters. Nothing of this is committed or trained on.
"""
import argparse
import glob
import os

import numpy as np
from PIL import Image

p = argparse.ArgumentParser()
p.add_argument("photos")
p.add_argument("stamps")
p.add_argument("calibration")
p.add_argument("out")
p.add_argument("--composites", type=int, default=450)
a = p.parse_args()


def array(im):
    if isinstance(im, str):
        im = Image.open(im).convert("RGB")
    return ((np.asarray(im.resize((224, 224), Image.BILINEAR), np.float32) - 127) / 128).transpose(2, 0, 1)


def composite(rng, stamps, backgrounds):
    stamp = Image.open(stamps[rng.integers(len(stamps))]).convert("RGBA")
    stamp = stamp.rotate(float(rng.uniform(-18, 18)), Image.BICUBIC, expand=True)
    stamp = stamp.crop(stamp.getchannel("A").point(lambda v: 255 * (v > 64)).getbbox())
    k = float(rng.uniform(100, 200)) / max(stamp.size)
    stamp = stamp.resize((max(8, int(stamp.width * k)), max(8, int(stamp.height * k))), Image.BICUBIC)
    photo = Image.open(backgrounds[rng.integers(len(backgrounds))]).convert("RGB")
    side = min(photo.size) * float(rng.uniform(0.6, 1))
    x, y = (float(rng.uniform(0, n - side)) for n in photo.size)
    image = photo.resize((224, 224), Image.BICUBIC, box=(x, y, x + side, y + side))
    image.paste(stamp, tuple(int(rng.integers(0, 224 - n + 1)) for n in stamp.size), stamp)
    return image


calib = [os.path.join(a.photos, line.split("\t")[0]) for line in open(a.calibration) if not line.startswith("#")]
known = {os.path.realpath(f) for f in calib}
photos = [f for f in sorted(glob.glob(a.photos + "/**/*.webp", recursive=True)) if os.path.realpath(f) not in known and "explore_farm_animals" not in f]
stamps = [f for d in ("animals", "food", "plants", "vehicles", "hobbies", "household", "sports")
          for f in sorted(glob.glob(f"{a.stamps}/usr/share/tuxpaint/stamps/{d}/**/*.png", recursive=True)) if "_mirror" not in f]
backgrounds = [f for f in sorted(glob.glob(a.photos + "/explore_monuments/**/*.webp", recursive=True) + glob.glob(a.photos + "/**/renewable/*.webp", recursive=True))]
rng = np.random.default_rng(1)
os.makedirs(a.out, exist_ok=True)
sets = {"calib": [(os.path.basename(f), array(f)) for f in calib], "eval": [(os.path.basename(f), array(f)) for f in photos]}
sets["eval"] += [(f"composite {i}", array(composite(rng, stamps, backgrounds))) for i in range(a.composites)]
for name, images in sets.items():
    np.save(f"{a.out}/{name}.npy", np.stack([x for _, x in images]))
    open(f"{a.out}/{name}.txt", "w").writelines(n + "\n" for n, _ in images)
print(f"{len(calib)} photographs to calibrate, {len(photos)} photographs and {a.composites} composites to judge")
