"""Trains a localizer of your own classes from a folder of labelled images: docs/tutorial-own-classes.md.

    python3 own_classes.py photos/ --out out/

photos/ has a folder for each class, with its images: photos/CLASS/*.jpg (or .png). The network is MobileNetV1 with residual
fine-grained attention (RFGA) and a 1x1 classifier, trained on class labels alone; `rfga-edge convert` recognises its checkpoint.
Writes out/weights.pth and out/labels.txt. Needs torch, numpy and Pillow; a graphics card is not needed.

--init takes a checkpoint of the same network to start from (of other classes, say): tensors that fit are taken over.
"""
import argparse
import os
import random
import sys

import numpy as np
import torch
from PIL import Image
from torch import nn

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as rfga-edge convert expects of this network
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1)
CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


class RFGA(nn.Module):
    """x * (1 + M), M being the sum of the attention of three views of x: channels, rows, columns (arXiv 2104.04952)."""

    def __init__(self, c):
        super().__init__()
        self.conv_c = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.conv_h = nn.Conv1d(c, c, 3, padding=1, bias=False)
        self.conv_w = nn.Conv1d(c, c, 3, padding=1, bias=False)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(c), nn.BatchNorm1d(c), nn.BatchNorm1d(c)

    def forward(self, x):
        c = self.conv_c(x.mean((2, 3)).unsqueeze(1)).squeeze(1)[:, :, None, None]
        h = self.conv_h(x.mean(3))
        w = self.conv_w(x.mean(2))
        m = torch.sigmoid(self.bn1(c)) + torch.sigmoid(self.bn2(h)).unsqueeze(3) + torch.sigmoid(self.bn3(w)).unsqueeze(2)
        return x * (1 + m)


class Localizer(nn.Module):
    def __init__(self, classes, width):
        super().__init__()
        ch = [max(int(c * width), 8) for c in CHANNELS]
        layers = [nn.Sequential(nn.Conv2d(3, ch[0], 3, 2, 1, bias=False), nn.BatchNorm2d(ch[0]), nn.ReLU())]
        for i, o, s in zip(ch, ch[1:], STRIDES):
            layers.append(nn.Sequential(nn.Conv2d(i, i, 3, s, 1, groups=i, bias=False), nn.BatchNorm2d(i), nn.ReLU(),
                                        nn.Conv2d(i, o, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()))
        self.features = nn.Sequential(*layers)
        self.rfga = RFGA(ch[-1])
        self.classifier = nn.Conv2d(ch[-1], classes, 1)

    def forward(self, x):
        return self.classifier(self.rfga(self.features(x))).mean((2, 3))


def find(root):
    classes = sorted(d.name for d in os.scandir(root) if d.is_dir())
    files = []
    for k, name in enumerate(classes):
        for f in sorted(os.listdir(os.path.join(root, name))):
            if f.lower().endswith((".jpg", ".jpeg", ".png")):
                files.append((os.path.join(root, name, f), k))
    if len(classes) < 2 or not files:
        sys.exit(f"{root}: expected a folder for each class with images in it, found {len(classes)} folders with {len(files)} images")
    return classes, files


def tensor(img):
    x = np.asarray(img, np.float32) / 255
    return torch.from_numpy(((x - MEAN) / STD).astype(np.float32).transpose(2, 0, 1))


def load(path, size, train):
    img = Image.open(path).convert("RGB")
    if train:  # a part of the image, perhaps mirrored
        w, h = img.size
        s = random.uniform(0.6, 1)
        x, y = random.uniform(0, w * (1 - s)), random.uniform(0, h * (1 - s))
        img = img.crop((int(x), int(y), int(x + w * s), int(y + h * s)))
        if random.random() < 0.5:
            img = img.transpose(Image.FLIP_LEFT_RIGHT)
    return tensor(img.resize((size, size), Image.BILINEAR))  # squashed to a square, as rfga-edge does


def batches(files, size, n, train):
    files = files[:]
    if train:
        random.shuffle(files)
    for i in range(0, len(files), n):
        part = files[i:i + n]
        if train and len(part) < 2:
            continue  # batch normalisation needs more
        yield torch.stack([load(f, size, train) for f, _ in part]), torch.tensor([k for _, k in part])


def accuracy(net, files, size):
    net.eval()
    right = 0
    with torch.no_grad():
        for x, k in batches(files, size, 32, False):
            right += int((net(x).argmax(1) == k).sum())
    return right / max(len(files), 1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("photos")
    p.add_argument("--out", default="out")
    p.add_argument("--size", type=int, default=96, help="side of the input square (96)")
    p.add_argument("--width", type=float, default=0.25, help="of MobileNetV1's channels (0.25)")
    p.add_argument("--epochs", type=int, default=30)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rate", type=float, default=2e-3, help="learning rate (0.002)")
    p.add_argument("--held-out", type=float, default=0.2, help="share of the images that the accuracy is measured on (0.2)")
    p.add_argument("--init", help="checkpoint to start from")
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()
    random.seed(a.seed)
    torch.manual_seed(a.seed)
    classes, files = find(a.photos)
    random.shuffle(files)
    n = int(len(files) * a.held_out)
    test, train = files[:n], files[n:]
    net = Localizer(len(classes), a.width)
    if a.init:
        have, own = torch.load(a.init, map_location="cpu"), net.state_dict()
        fit = {k: v for k, v in have.items() if k in own and own[k].shape == v.shape}
        net.load_state_dict({**own, **fit})
        print(f"{len(fit)} of {len(own)} tensors from {a.init}")
    steps = a.epochs * ((len(train) + a.batch - 1) // a.batch)
    opt = torch.optim.AdamW(net.parameters(), a.rate, weight_decay=1e-2)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, a.rate, total_steps=steps + 1)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(a.epochs):
        net.train()
        total = count = 0
        for x, k in batches(train, a.size, a.batch, True):
            opt.zero_grad()
            loss = loss_of(net(x), k)
            loss.backward()
            opt.step()
            plan.step()
            total, count = total + loss.item() * len(k), count + len(k)
        if epoch == a.epochs - 1 or epoch % 5 == 4:
            print(f"epoch {epoch + 1}: loss {total / max(count, 1):.3f}, held-out accuracy {accuracy(net, test, a.size):.3f}", flush=True)
    os.makedirs(a.out, exist_ok=True)
    net.eval()
    torch.save(net.state_dict(), os.path.join(a.out, "weights.pth"))
    with open(os.path.join(a.out, "labels.txt"), "w") as f:
        f.write("".join(c + "\n" for c in classes))
    print(f"{os.path.join(a.out, 'weights.pth')}: {len(classes)} classes, {len(train)} images trained on, {len(test)} held out")


if __name__ == "__main__":
    main()
