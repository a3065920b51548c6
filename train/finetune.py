"""Fine-tunes EfficientNet-Lite0 end to end, with or without RFGA in front of its head.

Both variants start from the same ImageNet weights and see the same crops of the same images in the same order, with the
same number of steps, the same schedule and the same decay. Batch normalisation keeps ImageNet's statistics, except RFGA's
own, which are new.
"""
import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

import lite0

SIZE = 224   # of a crop, and of the evaluation's input
LARGER = 256  # what the crops are taken from
BATCH = 16
FRESH = 1e-3  # learning rate of the layers that are new: RFGA and the classifier


def read_ids(meta):
    """The ids of a split and their classes."""
    with open(meta + "/class_labels.txt") as f:
        rows = [line.rstrip("\n").rsplit(",", 1) for line in f]
    return [r[0] for r in rows], np.array([int(r[1]) for r in rows])


def load(images, ids):
    """All images of a split, squashed to squares: N,LARGER,LARGER,3 bytes; 200 kB an image."""
    out = np.empty((len(ids), LARGER, LARGER, 3), np.uint8)
    for k, i in enumerate(ids):
        out[k] = Image.open(f"{images}/{i}").convert("RGB").resize((LARGER, LARGER), Image.BILINEAR)
    return out


def network(backbone, classes, stride, rfga, seed):
    torch.manual_seed(seed)
    net = lite0.Lite0(classes, stride, rfga)
    net.load_backbone(backbone)
    if rfga:
        # 1 + M starts near 2.5: so the head, whose normalisation keeps ImageNet's statistics, starts from its usual input.
        net._conv_head.weight.data *= 0.4
    return net.to(memory_format=torch.channels_last)


def batches(pixels, epoch, seed):
    """The batches of an epoch: indices and crops, half of them mirrored. The same for every network of a seed."""
    r = np.random.default_rng([seed, epoch])
    order = r.permutation(len(pixels))
    for at in range(0, len(order) - BATCH + 1, BATCH):
        pick, crops = order[at:at + BATCH], np.empty((BATCH, SIZE, SIZE, 3), np.uint8)
        for k, i in enumerate(pick):
            y, x = r.integers(0, LARGER - SIZE + 1, 2)
            crop = pixels[i, y:y + SIZE, x:x + SIZE]
            crops[k] = crop[:, ::-1] if r.random() < 0.5 else crop
        yield pick, lite0.normalise(crops)


def train(net, pixels, labels, epochs, rate, seed, log=print):
    """AdamW, a short warm-up, then a cosine to zero; rate is that of the pretrained layers. Batches are as many as the images
    fill; what is left over waits for another epoch's order."""
    fresh = [p for name, p in net.named_parameters() if name.startswith(("rfga", "_fc"))]
    old = [p for name, p in net.named_parameters() if not name.startswith(("rfga", "_fc"))]
    opt = torch.optim.AdamW([{"params": old, "lr": rate}, {"params": fresh, "lr": FRESH}], weight_decay=1e-2)
    steps = epochs * (len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda s: min(1, (s + 1) / (0.05 * steps + 1)) * (1 + np.cos(np.pi * min(1, s / steps))) / 2)
    net.eval()
    if hasattr(net, "rfga"):
        net.rfga.train()
    labels = torch.as_tensor(labels)
    for epoch in range(epochs):
        total, n = 0.0, 0
        for pick, x in batches(pixels, epoch, seed):
            loss = F.cross_entropy(net(x).mean((2, 3)), labels[pick])
            opt.zero_grad()
            loss.backward()
            opt.step()
            schedule.step()
            total, n = total + float(loss), n + 1
        log(f"  epoch {epoch + 1} of {epochs}: loss {total / max(n, 1):.3f}")
    net.eval()
