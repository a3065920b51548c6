"""Makes the evaluation photographs of testdata/wsol from the Debian package they come in: photos.py DATA OUT

DATA is what get_data.sh made. OUT/images gets the JPEG files, OUT/meta the boxes, classes and sizes of testdata/wsol, in the
metadata layout of the field. Needs Pillow.
"""
import hashlib
import os
import shutil
import sys

from PIL import Image

META = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "testdata", "wsol")


def rows(path):
    with open(path, encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]


def main(data, out):
    os.makedirs(out + "/images", exist_ok=True)
    for name, path, digest, *_ in rows(META + "/photos.tsv"):
        to = f"{out}/images/{name}.jpg"
        Image.open(f"{data}/gcrcc/{path}").convert("RGB").save(to, "JPEG", quality=92)
        with open(to, "rb") as f:
            if hashlib.sha256(f.read()).hexdigest() != digest:
                print(f"{to} has not the bytes that the published numbers were measured on: this Pillow's JPEG encoder differs", file=sys.stderr)
    os.makedirs(out + "/meta", exist_ok=True)
    for name in ("image_ids.txt", "class_labels.txt", "image_sizes.txt", "localization.txt", "accepted.json"):
        shutil.copyfile(f"{META}/{name}", f"{out}/meta/{name}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
