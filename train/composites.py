#!/usr/bin/env python3
"""Makes a set of images with known boxes: photo stamps with transparency, composed on photographs.

30 classes. Stamps and backgrounds are disjoint between train, val and test; boxes are exact, from the alpha channel: the
first and last pixel of more than 25 %. Everything follows from one seed. The layout is that of clovaai/wsolevaluation:
OUT/images/SPLIT/... and OUT/meta/SPLIT/{image_ids,class_labels,localization,image_sizes}.txt; with --masks also pixel masks,
and OUT/meta/SPLIT-masks, in which localization.txt names them.

usage: composites.py DATA OUT [--seed 0] [--train 120 --val 20 --test 40] [--masks]     (images per class)
DATA is what get_data.sh made. Needs NumPy and Pillow. The stamps are GPL-2: composites are made when they are needed and
neither committed nor used for weights that ship.
"""
import argparse
import glob
import os
import zlib

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

STAMPS = "tuxpaint-stamps-default/usr/share/tuxpaint/stamps/"
CLASSES = {
    "antelope_deer": ("animals/mammals", "bovines/gnu-baby-stand bovines/gnu-baby bovines/gnu-sitting bovines/gnu-stand "
                      "bovines/indian_blackbuck deer/caribou deer/deer deer/doe deer/wapiti"),
    "apple": ("food/fruit", "apple_fuji apple_granny_smith apple_green apple_red apple_sierra_beauty"),
    "ball": ("sports", "australian_rules_football basketball cricketball football soccer tennis_ball"),
    "berry": ("food/fruit", "Cherry_Stella Strawberry2 strawberry raspberry grapes"),
    "big_cat": ("animals/mammals/cats", "lion lion-2 tiger tiger_sumatran"),
    "car": ("vehicles/auto", "beetle sedan sportscar2 truck"),
    "cattle": ("animals/mammals/bovines", "bison bull cow cow_white yak zebu"),
    "citrus": ("food/fruit", "lemon mandarine orange orange_seville sliced_lime sliced_orange"),
    "coin": ("symbols/money", "canadian/coins/* euro/coins/* us/coins/* japanese/*"),
    "equine": ("animals/mammals/equines", "donkey donkey_eating horse zebra"),
    "fish": ("animals/fish", "bluegroper butterflyfish clownfish coraltrout dolphinfish lionfish moonwrasse stripedfish"),
    "flower": ("plants/flowers", "adeenia anemone_red bolsom chemparathi daffodil flower1 flower10 flower2 flower3 flower5 flower6 "
               "flower8 flower9 iris marigold pigface red-gazania rose whitestar-petunia yellow-flower"),
    "gravestone": ("seasonal/halloween", " ".join("grave-" + s for s in "abcdefghij")),
    "heavy_vehicle": ("", "vehicles/emergency/firetruck vehicles/garbagetruck vehicles/masstransit/green_korean_bus "
                      "vehicles/construction/dumper military/vehicles/bradley military/vehicles/infantry-stryker"),
    "insect": ("animals/insects", "fly grasshopper hornet hoverfly mantis xanthia"),
    "long_legged_bird": ("animals/birds", "crowned_crane heron_greatblue heron_greatblue_flying pink_flamingo ostrich nandou"),
    "marine_mammal": ("animals/mammals/aquatic", "dolphin orca sea_lion whale"),
    "mushroom": ("", "plants/mushrooms/cep plants/mushrooms/cep-1 plants/mushrooms/cep-2 food/vegetables/mushroom"),
    "nut": ("food/nuts", "almond pecan walnut walnut_shelled"),
    "perching_bird": ("animals/birds", "blackbird crow cuckoo lark magpie pigeon"),
    "pig": ("animals/mammals", "pig pig_golden pig_golden2 wildboar"),
    "planet": ("space/planets", "1_mercury 2_venus 3_earth 4_mars 5_jupiter 7_uranus 8_neptune 9_pluto"),
    "poultry": ("animals/birds", "chicken_profile guineafowl helmeted_guineafowl hen rooster turkey"),
    "rodent": ("animals/mammals/rodents", "beaver capybara marmot mouse rat squirrel"),
    "sheep_goat": ("animals/mammals/bovines", "goat mountaingoat ram sheep sheep_lamb"),
    "string_instrument": ("hobbies/music/string", "cello guitar2 guitar_classical guitar_electric guitar_electric_bass violin"),
    "tool": ("household/tools", "hammer mallet_metal plyers saw wrench wrench_adjustable wrench_plumbers"),
    "tree": ("plants/trees", "holm_oak liberia-palm rambutan tree336"),
    "tropical_bird": ("animals/birds", "adelaide-rosella quetzal rainbow-lorikeet tucan"),
    "water_bird": ("animals/birds", "drake duck gander pelican seagull silver-gull"),
}
ANY_ANGLE = {"apple", "ball", "berry", "citrus", "coin", "flower", "insect", "nut", "planet", "tool"}
PLASMA = "BytheWater ColdRipple ColorfulCups DarkestHour EveningGlow FallenLeaf Grey OneStandsOut Path summer_1am".split()
MATE = "Aqua Blinds Dune GreenMeadow RainDrops Storm Wood".split()
LOMIRI = ["aitzgorri_by_Aitzol_Berasategi", "life_by_Aitzol_Berasategi", "picosdeeuropa_by_Aitzol_Berasategi", "sunset_by_Aitzol_Berasategi",
          "Bridge_by_Sander_Klootwijk", "analogpattern_by_Peter_Nerlich"]


def stamps(data):
    """The stamps of each class, by name."""
    found = {}
    for name, (folder, names) in sorted(CLASSES.items()):
        files = []
        for n in names.split():
            path = os.path.join(data, STAMPS, folder, n + ".png")
            files += sorted(glob.glob(path)) if "*" in n else [path]
        found[name] = [f for f in files if "_mirror" not in f]
    return found


def backgrounds(data):
    files = sorted(glob.glob(data + "/gcrcc/explore_monuments/**/*.webp", recursive=True))
    files += sorted(glob.glob(data + "/gcrcc/categorization/**/renewable/*.webp", recursive=True))
    return files + fixed_backgrounds(data)


def fixed_backgrounds(data):
    files = [f"{data}/lomiri-wallpapers-16.04/usr/share/backgrounds/{s}.jpg" for s in LOMIRI]
    files += [f"{data}/plasma-workspace-wallpapers/usr/share/wallpapers/{s}/contents/images/2560x1600.jpg" for s in PLASMA]
    files += [f"{data}/mate-backgrounds/usr/share/backgrounds/mate/nature/{s}.jpg" for s in MATE]
    return files


def split(items, rng, test, val):
    items = [items[i] for i in rng.permutation(len(items))]
    t, v = (max(1, int(len(items) * share + 0.5)) for share in (test, val))
    return {"test": items[:t], "val": items[t:t + v], "train": items[t + v:]}


_loaded = {}


def load_background(path):
    if path not in _loaded:
        im = Image.open(path)
        im.draft("RGB", (1024, 1024))
        im = im.convert("RGB")
        im.thumbnail((1024, 1024), Image.BICUBIC)
        _loaded[path] = im
    return _loaded[path]


def vary(im, r, k):
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        im = change(im).enhance(float(r.uniform(1 - k, 1 + k)))
    return im


def scene(r, path, W, H):
    """A part of a photograph, W x H."""
    im = load_background(path)
    w, h = im.size
    cw = min(w, h * (W / H)) * float(r.uniform(0.55, 1))
    ch = cw / (W / H)
    x, y = float(r.uniform(0, w - cw)), float(r.uniform(0, h - ch))
    im = im.resize((W, H), Image.BICUBIC, box=(x, y, x + cw, y + ch))
    if r.random() < 0.5:
        im = im.transpose(Image.FLIP_LEFT_RIGHT)
    return vary(im, r, 0.25)


def sticker(r, name, path, W, H):
    """The stamp turned and scaled for a scene of W x H: premultiplied RGBA."""
    st = Image.open(path).convert("RGBA")
    ys, xs = np.where(np.asarray(st)[..., 3] > 64)
    st = st.crop((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
    if max(st.size) > 400:
        st.thumbnail((400, 400), Image.BICUBIC)
    if r.random() < 0.5:
        st = st.transpose(Image.FLIP_LEFT_RIGHT)
    pm = np.asarray(st).astype(np.float32)
    pm[..., :3] *= pm[..., 3:] / 255  # premultiplied: no fringe
    st = Image.fromarray(pm.astype(np.uint8), "RGBA")
    st = st.rotate(float(r.uniform(-180, 180) if name in ANY_ANGLE else r.uniform(-18, 18)), Image.BICUBIC, expand=True)
    st = st.crop(st.getchannel("A").point(lambda v: 255 * (v > 64)).getbbox())
    side, aspect = float(r.uniform(0.30, 0.85)), float(r.uniform(0.9, 1.1))
    if r.random() < 0.5:
        k = min(side * W / (st.width * aspect), side * H / st.height)
    else:
        k = side * min(W, H) / max(st.size)
    k = min(k, 0.92 * W / (st.width * aspect), 0.92 * H / st.height, 3.2)
    return st.resize((max(8, int(st.width * k * aspect)), max(8, int(st.height * k))), Image.BICUBIC)


def blur(a, radius):
    return np.asarray(Image.fromarray((a * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def compose(r, name, stamp, background):
    """An image, its box and its mask."""
    W, H = [(320, 240), (240, 320), (288, 288)][r.integers(3)]
    bg = scene(r, background, W, H)
    st = sticker(r, name, stamp, W, H)
    at = int(r.integers(0, W - st.width + 1)), int(r.integers(0, H - st.height + 1))
    mask = Image.new("L", (W, H))
    mask.paste(st.getchannel("A"), at)
    fg = Image.new("RGB", (W, H))
    fg.paste(Image.fromarray(np.asarray(st)[..., :3]), at)
    a = np.asarray(mask, np.float32) / 255
    F = np.clip(np.asarray(fg, np.float32) / np.maximum(a, 1 / 255)[..., None], 0, 255)
    F = np.asarray(vary(Image.fromarray(F.astype(np.uint8)), r, 0.25), np.float32)
    B = np.asarray(bg, np.float32)
    pull = float(r.uniform(0, 0.25))
    inside = a > 0.5
    if inside.any():  # towards the scene's mean colour
        F = F + pull * (B.mean((0, 1)) - F[inside].mean(0))
    if r.random() < 0.7:  # a soft shadow
        dx, dy = int(r.integers(-8, 9)), int(r.integers(2, 10))
        shadow = blur(np.roll(a, (dy, dx), (0, 1)), float(r.uniform(3, 7)))
        B = B * (1 - float(r.uniform(0.2, 0.5)) * shadow[..., None])
    soft = blur(a, float(r.uniform(0.3, 0.9)))[..., None]
    im = Image.fromarray(np.clip(F * soft + B * (1 - soft), 0, 255).astype(np.uint8))
    if r.random() < 0.3:
        im = im.filter(ImageFilter.GaussianBlur(float(r.uniform(0.3, 1))))
    noise = r.normal(0, float(r.uniform(0, 5)), (H, W, 1))
    im = Image.fromarray(np.clip(np.asarray(im, np.float32) + noise, 0, 255).astype(np.uint8))
    ys, xs = np.where(a > 0.25)
    return im, (int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())), mask


def write_split(out, name, count, seed, stamps, backgrounds, masks):
    """count images of each class, named SPLIT/CLASS/NUMBER.jpg."""
    meta = f"{out}/meta/{name}"
    lines = {k: [] for k in ("image_ids", "class_labels", "localization", "image_sizes")}
    for index, cls in enumerate(CLASSES_BY_NAME):
        os.makedirs(f"{out}/images/{name}/{cls}", exist_ok=True)
        for n in range(count):
            r = np.random.default_rng(zlib.crc32(f"{seed}/{name}/{cls}/{n}".encode()))
            stamp = stamps[cls][n % len(stamps[cls])]
            im, box, mask = compose(r, cls, stamp, backgrounds[r.integers(len(backgrounds))])
            i = f"{name}/{cls}/{n:04d}.jpg"
            im.save(f"{out}/images/{i}", quality=int(r.integers(82, 96)))
            if masks:
                mask.save(f"{out}/images/{i[:-4]}_mask.png")
            lines["image_ids"].append(i)
            lines["class_labels"].append(f"{i},{index}")
            lines["localization"].append(",".join(map(str, (i, *box))))
            lines["image_sizes"].append(f"{i},{im.width},{im.height}")
    write_lists(meta, lines)
    if masks:
        lines["localization"] = [f"{i},{i[:-4]}_mask.png," for i in lines["image_ids"]]
        write_lists(meta + "-masks", lines)


def write_lists(meta, lines):
    os.makedirs(meta, exist_ok=True)
    for k, v in lines.items():
        with open(f"{meta}/{k}.txt", "w") as f:
            f.write("".join(line + "\n" for line in v))


CLASSES_BY_NAME = sorted(CLASSES)


def make(data, out, seed=0, train=120, val=20, test=40, masks=False):
    rng = np.random.default_rng(seed)
    by_class = {c: split(files, rng, 0.25, 0.15) for c, files in stamps(data).items()}
    scenes = split(backgrounds(data), rng, 0.2, 0.15)
    os.makedirs(out + "/meta", exist_ok=True)
    with open(out + "/meta/classes.txt", "w") as f:
        f.write("".join(c + "\n" for c in CLASSES_BY_NAME))
    for name, count in (("train", train), ("val", val), ("test", test)):
        if count > 0:
            write_split(out, name, count, seed, {c: by_class[c][name] for c in CLASSES}, scenes[name], masks)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("data")
    p.add_argument("out")
    p.add_argument("--seed", type=int, default=0)
    for s, n in (("train", 120), ("val", 20), ("test", 40)):
        p.add_argument("--" + s, type=int, default=n)
    p.add_argument("--masks", action="store_true")
    make(**vars(p.parse_args()))
