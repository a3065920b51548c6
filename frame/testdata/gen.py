#!/usr/bin/env python3
"""Makes resize.txt and images.zip with Pillow: what the photos of a data set go through before they reach a network in PyTorch.

Use: python3 gen.py   (python3-pil, python3-torchvision, python3-numpy; the committed files: Pillow 9.4.0)
resize.txt: rule, source size, network size, short side, SHA-256 of the result; the source's bytes come from noise().
images.zip: pictures NAME and, as NAME.rgb, u16 width and height (little endian) and the pixels of Pillow's convert("RGB"),
turned as EXIF says.
"""
import hashlib
import io
import os
import struct
import zipfile
import zlib

import numpy as np
import torchvision.transforms as T
from PIL import Image, ImageDraw, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))


def noise(n, seed):
    """A linear congruential generator that any language has in one line."""
    out, x = bytearray(n), seed
    for i in range(n):
        x = (x * 1664525 + 1013904223) & 0xffffffff
        out[i] = x >> 24
    return bytes(out)


def resize():
    cases = [("squash", w, h, W, H, 0) for w, h, W, H in (
        (1, 1, 8, 8), (3, 2, 7, 5), (224, 100, 224, 100), (100, 224, 100, 64), (64, 99, 20, 99), (97, 61, 32, 32), (31, 17, 96, 80),
        (500, 3, 16, 16), (2, 700, 9, 11), (333, 250, 224, 224), (640, 360, 96, 96), (100, 100, 99, 101), (50, 50, 25, 25),
        (5, 5, 1, 1), (1000, 8, 1, 3))]
    cases += [("crop", w, h, W, H, s) for w, h, W, H, s in (
        (97, 61, 24, 24, 28), (61, 97, 24, 24, 29), (40, 40, 33, 33, 40), (41, 300, 32, 32, 36), (300, 41, 31, 32, 37),
        (256, 300, 224, 224, 256), (17, 13, 48, 40, 55))]
    with open(os.path.join(HERE, "resize.txt"), "w") as f:
        for i, (rule, w, h, W, H, s) in enumerate(cases):
            im = Image.frombytes("RGB", (w, h), noise(3 * w * h, i))
            if rule == "squash":
                im = im.resize((W, H), Image.BILINEAR)
            else:
                im = T.CenterCrop((H, W))(T.Resize(s, T.InterpolationMode.BILINEAR)(im))
            assert im.size == (W, H)
            print(rule, w, h, W, H, s, hashlib.sha256(im.tobytes()).hexdigest(), file=f)


def picture(w, h, mode="RGB"):
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([40 + 170 * x / w, 50 + 150 * y / h, 200 - 120 * (x + y) / (w + h)], -1).round().astype(np.uint8)
    im = Image.fromarray(a)
    d = ImageDraw.Draw(im)
    d.ellipse((w * .15, h * .1, w * .5, h * .6), fill=(220, 60, 40))
    d.rectangle((w * .6, h * .5, w * .9, h * .95), fill=(30, 90, 200))
    if mode.endswith("A"):
        im.putalpha(Image.fromarray((255 * x / w).astype(np.uint8)))
    return im.convert(mode)


def png16(w, h, colour):
    """A 16-bit PNG, which Pillow does not write; its upper bytes are picture()'s."""
    a = np.asarray(picture(w, h, "RGB" if colour == 2 else "L")).astype(np.uint16) * 256 + 77
    rows = b"".join(b"\0" + r.astype(">u2").tobytes() for r in a)
    chunk = lambda k, b: struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 16, colour, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def images():
    w, h = 43, 30
    files = {}

    def save(name, im, **kw):
        b = io.BytesIO()
        im.save(b, {"jpg": "JPEG", "webp": "WEBP"}.get(name.split(".")[-1], name.split(".")[-1]), **kw)
        files[name] = (b.getvalue(), None)

    rgb = picture(w, h)
    for sub in (0, 1, 2):
        save(f"s{sub}.jpg", rgb, quality=92, subsampling=sub)
    save("progressive.jpg", rgb, quality=90, progressive=True)
    save("gray.jpg", rgb.convert("L"), quality=92)
    save("cmyk.jpg", rgb.convert("CMYK"), quality=95)
    for o in range(1, 9):
        e = Image.Exif()
        e[0x112], e[0x010e] = o, "a description"
        save(f"exif{o}.jpg", rgb, quality=92, exif=e, subsampling=0)
    for mode in ("RGB", "RGBA", "L", "LA", "1", "P"):
        save(f"{mode}.png", picture(w, h, mode))
    p = rgb.quantize(60)
    save("trns.png", p, transparency=3)
    save("rgbtrns.png", rgb, transparency=rgb.getpixel((5, 5)))
    files["rgb16.png"] = (png16(w, h, 2), rgb)
    files["gray16.png"] = (png16(w, h, 0), rgb.convert("L").convert("RGB"))
    save("p.gif", p)
    save("rgb.bmp", rgb)
    save("p.bmp", p)
    save("l.bmp", rgb.convert("L"))
    save("rgba.bmp", picture(w, h, "RGBA"))
    save("lossy.webp", rgb, quality=92)
    save("lossyalpha.webp", picture(w, h, "RGBA"), quality=92)
    save("lossless.webp", rgb, lossless=True)
    save("losslessalpha.webp", picture(w, h, "RGBA"), lossless=True, exact=True)
    e = Image.Exif()
    e[0x112] = 6
    save("exif6.webp", rgb, lossless=True, exif=e)
    with zipfile.ZipFile(os.path.join(HERE, "images.zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for name, (data, want) in files.items():
            want = want or ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
            for n, b in ((name, data), (name + ".rgb", struct.pack("<HH", *want.size) + want.tobytes())):
                z.writestr(zipfile.ZipInfo(n), b, zipfile.ZIP_DEFLATED)


resize()
images()
