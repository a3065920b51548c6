"""Makes the README's pictures from what rfga-edge drew: pictures.py DIR, DIR from `localize --overlay DIR --attention DIR`.

overlay.jpg is the panda, boxes.jpg three more photographs, attention.jpg what the built-in model pays attention to. Their
photographs are those of photos/ATTRIBUTION.txt, public domain all. Needs Pillow.
"""
import os
import sys

from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))


def picture(name):
    return Image.open(os.path.join(sys.argv[1], name + ".png")).convert("RGB")


def save(image, name, width):
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.LANCZOS)
    image.save(os.path.join(HERE, name), quality=85, optimize=True)


panda = picture("panda.overlay")
save(panda, "overlay.jpg", 768)
height, gap, row = 240, 8, []
for name in ("hedgehog", "fish25", "baseball"):
    im = picture(name + ".overlay")
    row.append(im.resize((round(im.width * height / im.height), height), Image.LANCZOS))
sheet = Image.new("RGB", (sum(im.width for im in row) + gap * (len(row) - 1), height), "white")
x = 0
for im in row:
    sheet.paste(im, (x, 0))
    x += im.width + gap
save(sheet, "boxes.jpg", 960)
save(picture("panda.attention"), "attention.jpg", 1600)
