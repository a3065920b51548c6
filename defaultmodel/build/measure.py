"""Measures the built-in model and writes the tables of MODEL_CARD.md and README.md: measure.py DATA WORK

DATA is what train/get_data.sh made, WORK where build.sh built the model (with the float model and the backbone's plain CAM,
float and int8). What was measured on the 27 photographs, and on them and 1,020 composites together, comes from
`rfga-edge eval`. Needs NumPy, Pillow and a built ./rfga-edge in the repository's root.
"""
import csv
import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EDGE = ROOT + "/rfga-edge"
sys.path.insert(0, ROOT + "/train")
import composites  # noqa: E402

MODELS = [("RFGA, int8 (built in)", ROOT + "/defaultmodel/default.rfga"), ("RFGA, float", "float.rfga"), ("plain CAM, int8", "cam.rfga"), ("plain CAM, float", "cam-float.rfga")]
BEGIN, END = "<!-- numbers -->", "<!-- /numbers -->"


def run(*args):
    return json.loads(subprocess.run(args, check=True, stdout=subprocess.PIPE).stdout)


def scores(model, data, *args):
    """What eval says of a model. It is kept by the model's digest and the arguments, as are the maps and the class of each image."""
    with open(model, "rb") as f:
        key = hashlib.sha256(f.read() + repr((data, args)).encode()).hexdigest()[:16]
    base = f"scores/{key}"
    if not os.path.exists(base + ".json"):
        r = run(EDGE, "eval", model, "--data", data, "--json", "--maps", base, "--csv", base + ".csv", *args)
        with open(base + ".json", "w") as f:
            json.dump(r, f)
    with open(base + ".json") as f:
        return base, json.load(f)


def link(target, name):
    if not os.path.islink(name):
        os.symlink(os.path.abspath(target), name)


def prepare(data, work):
    """WORK/photos, and WORK/all with photographs and composites under one root and without classes."""
    link(data + "/photos", work + "/photos")
    made = work + "/composites"
    if not os.path.exists(made + "/done"):
        composites.make(data, made, seed=0, train=0, val=0, test=34)
        open(made + "/done", "w").close()
    os.makedirs(work + "/all/meta", exist_ok=True)
    link(data + "/photos/images", work + "/all/images")
    link(made + "/images/test", work + "/all/test")
    for name in ("image_ids", "image_sizes", "localization"):
        lines = [line for meta in (data + "/photos/meta", made + "/meta/test") for line in open(f"{meta}/{name}.txt")]
        with open(f"{work}/all/meta/{name}.txt", "w") as f:
            f.writelines(lines)


def compare():
    """int8 beside float on all images, both with the map of the class that float finds most probable: the scores of each, how
    many images int8 names alike, of how many, and how the maps correlate on average."""
    base, reference = scores("float.rfga", "all/meta", "--step", "0.01")
    with open(base + ".csv") as f:
        named = {r["image_id"]: r["predicted"] for r in csv.DictReader(f)}
    os.makedirs("all/labelled", exist_ok=True)
    for name in ("image_ids", "image_sizes", "localization"):
        link(f"all/meta/{name}.txt", f"all/labelled/{name}.txt")
    with open("all/labelled/class_labels.txt", "w") as f:
        f.writelines(f"{i},{c}\n" for i, c in named.items())
    own, r = scores(MODELS[0][1], "all/labelled", "--images", "all", "--step", "0.01")
    maps = ([np.load(f"{b}/{os.path.splitext(i)[0]}.npy").ravel() for b in (base, own)] for i in named)
    correlation = np.mean([np.corrcoef(x, y)[0, 1] for x, y in maps])
    return {MODELS[0][0]: r, MODELS[1][0]: reference}, round(r["clova-v1"]["Top1"] * len(named) / 100), len(named), correlation


def main(data, work):
    prepare(data, work)
    os.chdir(work)
    os.makedirs("scores", exist_ok=True)
    threshold = run(EDGE, "inspect", MODELS[0][1], "--json")["localization"]["threshold"]
    photos = {}
    for title, model in MODELS:
        at = ["--at", f"{threshold:g}"]
        photos[title] = scores(model, "photos/meta", "--accepted", "photos/meta/accepted.json", *at)[1]

    lines = [f"27 photographs with boxes drawn by eye. The last column is the accuracy of what `localize` draws: threshold {threshold:g}, chosen on other photographs.", "",
             "| | Top-1 | Top-1 Loc | MaxBoxAcc | MaxBoxAccV2 | authors' 30/50/70 | box at IoU 0.5, default threshold |", "|---|---:|---:|---:|---:|---:|---:|"]
    for title, _ in MODELS:
        r = photos[title]
        lines.append(f"| {title} | {r['clova-v1']['Top1']:.1f} | {r['clova-v1']['Top1Loc']:.1f} | {r['clova-v1']['MaxBoxAcc']:.1f} | {r['clova-v2']['MaxBoxAccV2']:.1f} | "
                     f"{r['moana']['MaxBoxAccV2']:.1f} | {r['moana']['at']['BoxAcc'][1]:.1f} |")
    everything, alike, total, correlation = compare()
    lines += ["", f"The same photographs and 1,020 composites (photo stamps on photographs), {total} images: int8 names float's class in {alike}, {100 * alike / total:.1f} %; "
              f"its class maps correlate with float's by {correlation:.4f} on average. Maps are those of float's class:", "",
              "| | MaxBoxAcc | MaxBoxAccV2 | authors' 30/50/70 |", "|---|---:|---:|---:|"]
    for title, r in everything.items():
        lines.append(f"| {title} | {r['clova-v1']['MaxBoxAcc']:.2f} | {r['clova-v2']['MaxBoxAccV2']:.2f} | {r['moana']['MaxBoxAccV2']:.2f} |")
    text = "\n".join([BEGIN, *lines, END])
    for document, part in ((ROOT + "/defaultmodel/MODEL_CARD.md", text), (ROOT + "/README.md", "\n".join([BEGIN, *lines[:lines.index("", 3)], END]))):
        with open(document, encoding="utf-8") as f:
            old = f.read()
        if BEGIN not in old:
            sys.exit(f"{document} has no line {BEGIN}")
        with open(document, "w", encoding="utf-8") as f:
            f.write(re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: part, old, flags=re.S))
    print("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
