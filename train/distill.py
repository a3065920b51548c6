"""Trains the attention of the built-in model: RFGA in front of EfficientNet-Lite0's head, on unlabelled photographs.

The network teaches itself. On each crop of a photograph the untouched network says which class it sees, and draws the class
map of that class twice, from the crop as the model will see it and from a larger, mirrored one; RFGA learns to give, from
the one small image, the same class probabilities and the mean of the maps, which follows the object better than the map of
one scale does. Only RFGA's weights change. At the start it makes the features 2.5 times as large, so conv_head's weights are divided by 2.5.

    python3 distill.py LITE0.pth PHOTOS OUT.pth [--smoke]

PHOTOS is a folder of photographs, nothing else. OUT.pth is a checkpoint that `rfga-edge convert` reads. Needs torch, NumPy
and Pillow; three minutes on a core.
"""
import argparse
import os
import time
import zlib

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch.nn import functional as F

import lite0

SIZE = 320
SCALES = [(SIZE, False), (448, True)]  # side, mirrored
BATCH = 32
CHUNK = 16  # crops at a time; with fewer, PyTorch takes another and many times slower way
GAIN = 2.5  # 1 + M where every sigmoid is 1/2


def crop(path, seed):
    """A part of a photograph: 40 to 100 % of its area, aspect 3:4 to 4:3, mirrored or not, brightness and colour varied."""
    r = np.random.default_rng(seed)
    im = Image.open(path).convert("RGB")
    w, h = im.size
    area, aspect = r.uniform(0.4, 1) * w * h, np.exp(r.uniform(-0.29, 0.29))
    cw, ch = min(w, (area * aspect) ** 0.5), min(h, (area / aspect) ** 0.5)
    x, y = r.uniform(0, w - cw), r.uniform(0, h - ch)
    im = im.resize((512, 512), Image.BICUBIC, box=(x, y, x + cw, y + ch))
    if r.random() < 0.5:
        im = im.transpose(Image.FLIP_LEFT_RIGHT)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        im = change(im).enhance(r.uniform(0.75, 1.25))
    return im


def squares(crops, size, mirrored):
    a = np.stack([np.asarray(im.resize((size, size), Image.BICUBIC)) for im in crops])
    a = np.concatenate([a, a[:1].repeat(CHUNK - len(a), 0)])
    return lite0.normalise(a[:, :, ::-1] if mirrored else a)


@torch.no_grad()
def lessons(net, photos, k):
    """What the untouched network says of crop k of each photograph: the features in front of its head, its logits, its class,
    and the mean of that class's maps at both scales, from 0 to 1."""
    parts, side = [], SIZE // 32
    for at in range(0, len(photos), CHUNK):
        crops = [crop(path, zlib.crc32(f"{k}/{os.path.basename(path)}".encode())) for path in photos[at:at + CHUNK]]
        total, n = 0, len(crops)
        for size, mirrored in SCALES:
            x = net.features(net.early(squares(crops, size, mirrored)))
            x, m = x[:n], net.head(x)[:n]
            if size == SIZE:
                features, logits = x.half(), m.mean((2, 3))
                classes = logits.argmax(1)
            m = m[torch.arange(n), classes]
            m = F.interpolate((m.flip(2) if mirrored else m)[:, None], (side, side), mode="bilinear", align_corners=False)[:, 0]
            low, high = m.amin((1, 2), keepdim=True), m.amax((1, 2), keepdim=True)
            total = total + (m - low) / (high - low + 1e-6)
        parts.append((features.contiguous(), logits, classes, total / len(SCALES)))
    return [torch.cat(p) for p in zip(*parts)]


def standard(m):
    """A map with mean 0 and deviation 1."""
    m = m - m.mean((1, 2), keepdim=True)
    return m / (m.pow(2).mean((1, 2), keepdim=True).sqrt() + 1e-6)


def train(net, lesson, epochs, weight, rate=1e-3):
    features, logits, classes, maps = lesson
    for p in net.parameters():
        p.requires_grad = False
    for p in net.rfga.parameters():
        p.requires_grad = True
    for bn in (net.rfga.bn1, net.rfga.bn2, net.rfga.bn3):
        torch.nn.init.constant_(bn.weight, 0.1)  # starts almost without attention
    net.eval()
    net.rfga.train()
    opt = torch.optim.AdamW(net.rfga.parameters(), rate, weight_decay=1e-2)
    steps = epochs * (len(classes) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: (1 + np.cos(np.pi * min(1, s / steps))) / 2)
    order = np.random.default_rng(0)
    for epoch in range(epochs):
        perm, sums = order.permutation(len(classes)), np.zeros(2)
        for at in range(0, len(perm) - BATCH + 1, BATCH):
            i = torch.as_tensor(perm[at:at + BATCH])
            y = F.relu6(net._bn1(net._conv_head(net.rfga(features[i].float()))))
            z = net._fc(y.mean((2, 3)))
            m = (y * net._fc.weight[classes[i], :, None, None]).sum(1)
            says = F.kl_div(F.log_softmax(z, 1), F.softmax(logits[i], 1), reduction="batchmean")
            looks = (standard(m) - standard(maps[i])).pow(2).mean()
            opt.zero_grad()
            (says + weight * looks).backward()
            opt.step()
            schedule.step()
            sums += float(says), float(looks)
        print(f"  epoch {epoch + 1} of {epochs}: class {sums[0] / (steps / epochs):.4f}, map {sums[1] / (steps / epochs):.4f}", flush=True)
    net.eval()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("backbone")
    p.add_argument("photos")
    p.add_argument("out")
    p.add_argument("--crops", type=int, default=2, help="of each photograph")
    p.add_argument("--epochs", type=int, default=24)
    p.add_argument("--weight", type=float, default=0.1, help="of the maps beside the classes")
    p.add_argument("--smoke", action="store_true", help="two photographs, one epoch: shows that it runs")
    a = p.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)  # with one thread a machine gets the same bits each time
    torch.use_deterministic_algorithms(True)
    photos = sorted(os.path.join(a.photos, f) for f in os.listdir(a.photos))
    if a.smoke:
        photos, a.crops, a.epochs = photos[:2], BATCH // 2, 1
    begin, parts = time.time(), []
    net = lite0.Lite0().to(memory_format=torch.channels_last).eval()
    net.load_backbone(a.backbone)
    for k in range(a.crops):
        kept = f"{a.out}.lesson{k}"
        if not os.path.exists(kept):
            torch.save(lessons(net, photos, k), kept + ".tmp")
            os.rename(kept + ".tmp", kept)
        parts.append(torch.load(kept))
        print(f"lesson {k + 1} of {a.crops}: {time.time() - begin:.0f} s", flush=True)
    lesson = [torch.cat(p) for p in zip(*parts)]
    net = lite0.Lite0(rfga=True)
    net.load_backbone(a.backbone)
    net._conv_head.weight.data /= GAIN
    train(net, lesson, a.epochs, a.weight)
    torch.save(net.state_dict(), a.out)
    for k in range(a.crops):
        os.remove(f"{a.out}.lesson{k}")
    print(f"{a.out}: {time.time() - begin:.0f} s")


if __name__ == "__main__":
    main()
