"""Trains CAM and RFGA under equal conditions and measures how well each localizes.

    python3 recipe.py DATA OUT [--smoke]

DATA is what get_data.sh made. The network is EfficientNet-Lite0 at stride 16 with a classifier of 30 classes, fine-tuned end
to end on composites (composites.py), once as it is (CAM) and once with RFGA in front of its head. For either, the learning
rate of the pretrained layers is the one of --rates with the best MaxBoxAcc on the validation images, by the first seed; the threshold is the best one
there, for each network. Everything is measured by `rfga-edge eval` on the converted checkpoints: `convert` reads what this
writes. OUT/table.md has the table: mean and deviation over the seeds, on the test composites and on the photographs.

A run that was interrupted goes on where it stopped. Needs torch, NumPy, Pillow and a built rfga-edge. With the defaults a
checkpoint takes six minutes on a core, and there are twelve.
"""
import argparse
import json
import os
import subprocess
import time

import numpy as np
import torch

import composites
import finetune
import standin

ARCH = "efficientnet_lite0_s16"
VARIANTS = ("cam", "rfga")
# Classes of the photographs (ImageNet's numbers) that the composites have too; on the other photographs the map is that of
# the class which the network finds most probable.
PHOTO_CLASSES = [(c, "fish") for c in (0, 1, 392, 393)] + [(587, "tool"), (784, "tool"), (429, "ball")]
METRICS = [("Top-1", "clova-v1", "Top1"), ("Top-1 Loc", "clova-v1", "Top1Loc"), ("MaxBoxAcc", "clova-v1", "MaxBoxAcc"), ("MaxBoxAccV2", "clova-v2", "MaxBoxAccV2"),
           ("authors' 30/50/70", "moana", "MaxBoxAccV2"), ("PxAP", "clova-v1", "PxAP"), ("BoxAcc at the validation threshold", "clova-v1", "at")]


def run(*args):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, text=True).stdout


class Recipe:
    def __init__(self, a):
        self.a, self.out, self.begin = a, a.out, time.time()
        os.makedirs(self.out + "/checkpoints", exist_ok=True)

    def log(self, text):
        print(f"[{time.time() - self.begin:6.0f} s] {text}", flush=True)

    def make_data(self):
        a, root = self.a, self.out + "/composites"
        if not os.path.exists(root + "/done"):
            composites.make(a.data, root, a.data_seed, a.train, a.val, a.test, masks=True)
            open(root + "/done", "w").close()
        self.ids, self.labels = finetune.read_ids(root + "/meta/train")
        self.pixels = finetune.load(root + "/images", self.ids)
        self.log(f"{len(self.ids)} training composites")

    def checkpoint(self, variant, rate, seed):
        """The path of a trained network's checkpoint without its extension."""
        name = f"{self.out}/checkpoints/{variant}-{rate:g}-{seed}"
        if not os.path.exists(name + ".pth"):
            self.log(name)
            net = finetune.network(self.a.data + "/lite0.pth", len(composites.CLASSES), 16, variant == "rfga", seed)
            finetune.train(net, self.pixels, self.labels, self.a.epochs, rate, seed, self.log)
            torch.save(net.state_dict(), name + ".tmp")
            os.rename(name + ".tmp", name + ".pth")
        if not os.path.exists(name + ".rfga"):
            run(self.a.rfga_edge, "convert", name + ".pth", "--arch", ARCH, "--precision", "fp32", "--labels",
                self.out + "/composites/meta/classes.txt", "-o", name + ".rfga")
        return name

    def evaluate(self, name, what, *args):
        """The metrics of a network on a data set, by protocol; kept beside the checkpoint."""
        path = f"{name}.{what}.json"
        if not os.path.exists(path):
            text = run(self.a.rfga_edge, "eval", name + ".rfga", "--json", "--step", str(self.a.step), "--threads", str(self.a.threads), *args)
            with open(path + ".tmp", "w") as f:
                f.write(text)
            os.rename(path + ".tmp", path)
        with open(path) as f:
            return json.load(f)

    def on_composites(self, name, split, *args):
        root = self.out + "/composites"
        scores = self.evaluate(name, split, "--data", f"{root}/meta/{split}", "--images", root + "/images", *args)
        if split == "test":  # masks have a list of their own
            masks = self.evaluate(name, split + "-masks", "--data", f"{root}/meta/{split}-masks", "--images", root + "/images")
            for p in scores:
                scores[p]["PxAP"] = masks[p]["PxAP"]
        return scores

    def measure(self, variant, rate, seed):
        """Metrics of one network: {data set: [value of each of METRICS]}."""
        name = self.checkpoint(variant, rate, seed)
        threshold = str(self.on_composites(name, "val")["clova-v1"]["thresholds"][1])
        sets = {"composites": self.on_composites(name, "test", "--at", threshold)}
        photos = self.a.photos or self.a.data + "/photos"
        classes = self.out + "/photo_classes.csv"
        with open(classes, "w") as f:
            f.writelines(f"{i},{label}\n" for i, label in PHOTO_CLASSES)
        sets["photographs"] = self.evaluate(name, "photos", "--data", photos + "/meta", "--classes", classes, "--at", threshold)
        return {k: [s[p]["at"]["BoxAcc"][1] if m == "at" else s[p][m] for _, p, m in METRICS] for k, s in sets.items()}

    def by_rate(self, variant):
        """Validation MaxBoxAcc of the first seed's networks: {rate: score}."""
        scores = {}
        for rate in self.a.rates:
            scores[rate] = self.on_composites(self.checkpoint(variant, rate, 0), "val")["clova-v1"]["MaxBoxAcc"]
        self.log(f"{variant}: validation MaxBoxAcc " + ", ".join(f"{v:.1f} at rate {r:g}" for r, v in scores.items()))
        return scores

    def table(self):
        scores = {v: self.by_rate(v) for v in VARIANTS}
        rates = {v: max(scores[v], key=scores[v].get) for v in VARIANTS}
        results = {v: [self.measure(v, rates[v], seed) for seed in range(self.a.seeds)] for v in VARIANTS}
        a, lines = self.a, []
        lines.append(f"EfficientNet-Lite0 at stride 16, 224x224, fine-tuned end to end: {len(self.ids)} composites of seed {a.data_seed}, {a.epochs} epochs in batches of "
                     f"{finetune.BATCH} ({a.epochs * (len(self.ids) // finetune.BATCH)} steps), {a.seeds} seeds; {30 * a.val} validation and {30 * a.test} test composites. "
                     f"Mean ± deviation over the seeds, in %.")
        lines += ["", f"| validation MaxBoxAcc by learning rate | {' | '.join(VARIANTS).upper()} |", "|---|---:|---:|"]
        for r in a.rates:
            cells = [f"{scores[v][r]:.1f}{', chosen' if r == rates[v] else ''}" for v in VARIANTS]
            lines.append(f"| {r:g} | {cells[0]} | {cells[1]} |")
        for k in ("composites", "photographs"):
            lines += ["", f"| {k} | {' | '.join(VARIANTS).upper()} | difference |", "|---|---:|---:|---:|"]
            for i, (title, _, _) in enumerate(METRICS):
                v = {w: [r[k][i] for r in results[w]] for w in VARIANTS}
                if None in v["cam"]:
                    continue
                d = np.mean(v["rfga"]) - np.mean(v["cam"])
                cells = [f"{np.mean(v[w]):.1f} ± {np.std(v[w], ddof=min(1, a.seeds - 1)):.1f}" for w in VARIANTS]
                lines.append(f"| {title} | {cells[0]} | {cells[1]} | {d:+.1f} |")
        text = "\n".join(lines) + "\n"
        with open(self.out + "/table.md", "w") as f:
            f.write(text)
        print(text)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("data")
    p.add_argument("out")
    p.add_argument("--rfga-edge", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "rfga-edge"))
    p.add_argument("--photos", help="evaluation photographs, without it DATA/photos")
    p.add_argument("--train", type=int, default=36, help="training composites a class")
    p.add_argument("--val", type=int, default=10)
    p.add_argument("--test", type=int, default=34)
    p.add_argument("--epochs", type=int, default=3)
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--rates", type=float, nargs="+", default=[1e-5, 3e-5, 1e-4, 3e-4], help="tried for the pretrained layers")
    p.add_argument("--data-seed", type=int, default=0)
    p.add_argument("--step", type=float, default=0.001, help="between thresholds")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--smoke", action="store_true", help="shows within two minutes that all of it works: DATA is made of drawn shapes, one image a class, one epoch, seed and rate")
    a = p.parse_args()
    if a.smoke:
        standin.make(a.data)
        a.train, a.val, a.test, a.epochs, a.seeds, a.rates, a.step = 1, 1, 1, 1, 1, a.rates[:1], 0.01
    torch.set_num_threads(a.threads)
    r = Recipe(a)
    r.make_data()
    r.table()


if __name__ == "__main__":
    main()
