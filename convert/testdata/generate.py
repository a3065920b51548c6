"""Makes the checkpoints of this folder and PyTorch's answers to them: python3 generate.py (torch, torchvision, numpy).

The networks have the structure and the parameter names of the real ones and as few channels as possible. Weights are
random. The input is a formula, so that no file has to hold it: element i of the (3,S,S) array is (i*7919 % 509)/254 - 1.
For each network NAME.logits.npy and NAME.maps.npy are what PyTorch computes in float32.
"""
import collections
import json
import os
import struct

import numpy as np
import torch
from torch import nn
from torchvision.models import inception

HERE = os.path.dirname(os.path.abspath(__file__))
SCALE = 32  # Inception's channels are divided by this


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv_c = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.conv_h = nn.Conv1d(c, c, 3, padding=1, bias=False)
        self.conv_w = nn.Conv1d(c, c, 3, padding=1, bias=False)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm2d(c) for _ in range(3))

    def forward(self, x):
        c = self.conv_c(x.mean((2, 3))[:, None])[:, 0, :, None, None]
        h = self.conv_h(x.mean(3))[..., None]
        w = self.conv_w(x.mean(2))[:, :, None]
        return x + x * (self.bn1(c).sigmoid() + self.bn2(h).sigmoid() + self.bn3(w).sigmoid())


class Head(nn.Module):
    """Features, attention under `rfga`, 1x1 classifier: the answer is (logits, maps)."""

    def __init__(self, features, channels, classes):
        super().__init__()
        self.features, self.rfga, self.classifier = features, Attention(channels), nn.Conv2d(channels, classes, 1)

    def forward(self, x):
        maps = self.classifier(self.rfga(self.features(x)))
        return maps.mean((2, 3)), maps


def mobilenet(widths, classes):
    def conv(i, o, k, s, g=1):
        return [nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o), nn.ReLU()]

    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1]
    layers = [nn.Sequential(*conv(3, widths[0], 3, 2))]
    for i, o, s in zip(widths, widths[1:], strides):
        layers.append(nn.Sequential(*conv(i, i, 3, s, i), *conv(i, o, 1, 1)))
    return Head(nn.Sequential(*layers), widths[-1], classes)


def vgg(widths, pool4, classes):
    layers, i = [], 3
    for n, o in enumerate(widths):
        layers += [nn.Conv2d(i, o, 3, padding=1), nn.ReLU()]
        i = o
        if n in (1, 3, 6) or n == 9 and pool4:
            layers.append(nn.MaxPool2d(2))
    return Head(nn.Sequential(*layers), i, classes)


class Bottleneck(nn.Module):
    def __init__(self, i, planes, stride):
        super().__init__()
        o = 4 * planes
        self.conv1, self.bn1 = nn.Conv2d(i, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, o, 1, bias=False), nn.BatchNorm2d(o)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    def __init__(self, stem, strides, classes, attention):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem)
        i = stem
        for n, (blocks, stride) in enumerate(zip((3, 4, 6, 3), strides)):
            planes, modules = stem << n, []
            for b in range(blocks):
                modules.append(Bottleneck(i, planes, stride if b == 0 else 1))
                i = 4 * planes
            if n == 3 and attention:
                modules.append(Attention(i))
            setattr(self, f"layer{n + 1}", nn.Sequential(*modules))
        if attention:
            self.classifier = nn.Sequential(nn.Conv2d(i, classes, 1))  # as in the authors' code
        else:
            self.fc = nn.Linear(i, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        if hasattr(self, "fc"):
            maps = nn.functional.conv2d(x, self.fc.weight[:, :, None, None], self.fc.bias)
            return self.fc(x.mean((2, 3))), maps
        maps = self.classifier(x)
        return maps.mean((2, 3)), maps


def inception_v3(classes):
    def basic(i, o, **kw):
        return inception.BasicConv2d(i if i == 3 else i // SCALE, max(1, o // SCALE), **kw)

    a, b, c = inception.InceptionA, inception.InceptionB, inception.InceptionC
    f = nn.Sequential(collections.OrderedDict(
        Conv2d_1a_3x3=basic(3, 32, kernel_size=3, stride=2), Conv2d_2a_3x3=basic(32, 32, kernel_size=3),
        Conv2d_2b_3x3=basic(32, 64, kernel_size=3, padding=1), maxpool1=nn.MaxPool2d(3, 2),
        Conv2d_3b_1x1=basic(64, 80, kernel_size=1), Conv2d_4a_3x3=basic(80, 192, kernel_size=3), maxpool2=nn.MaxPool2d(3, 2),
        Mixed_5b=a(192, 32, basic), Mixed_5c=a(256, 64, basic), Mixed_5d=a(288, 64, basic), Mixed_6a=b(288, basic),
        Mixed_6b=c(768, 128, basic), Mixed_6c=c(768, 160, basic), Mixed_6d=c(768, 160, basic), Mixed_6e=c(768, 192, basic),
        conv6=nn.Conv2d(768 // SCALE, 16, 3, padding=1), relu6=nn.ReLU()))
    return Head(f, 16, classes)


def image(s):
    i = np.arange(3 * s * s, dtype=np.int64).reshape(1, 3, s, s)
    return torch.from_numpy(((i * 7919 % 509).astype(np.float32) / np.float32(254)) - np.float32(1))


def randomize(model, s, seed):
    """Random weights; statistics of batch normalisation from random images."""
    torch.manual_seed(seed)
    for m in model.modules():
        if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            m.weight.data = torch.randn_like(m.weight) * (2 / m.weight[0].numel()) ** 0.5
            if m.bias is not None:
                m.bias.data = torch.randn_like(m.bias) * 0.1
        elif isinstance(m, nn.BatchNorm2d):
            m.weight.data = 0.6 + 0.8 * torch.rand_like(m.weight)
            m.bias.data = torch.randn_like(m.bias) * 0.2
            m.momentum = None
    with torch.no_grad():
        model.train()(torch.rand(8, 3, s, s) * 2 - 1)
    return model.eval()


def save_safetensors(path, tensors, dtype):
    """The format by its specification: the header's length, the header, the elements."""
    name = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}[dtype]
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for k, t in tensors.items():
        if t.dtype.is_floating_point:
            b = t.detach().to(dtype).contiguous().view(torch.int32 if dtype == torch.float32 else torch.int16).numpy().tobytes()
            header[k] = {"dtype": name, "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(b)]}
            data += b
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head + data)


def answers(name, model, s):
    with torch.no_grad():
        logits, maps = model(image(s))
    np.save(os.path.join(HERE, name + ".logits.npy"), logits.numpy())
    np.save(os.path.join(HERE, name + ".maps.npy"), maps.numpy())
    print(name, tuple(maps.shape), "maps", float(maps.min()), float(maps.max()), "logits", logits.numpy().round(3)[0])


def rounded(model, dtype):
    for p in list(model.parameters()) + list(model.buffers()):
        p.data = p.data.to(dtype).to(p.dtype)
    return model


def path(name):
    return os.path.join(HERE, name)


def main():
    m = randomize(mobilenet([8, 9, 8, 10, 8, 8, 8, 8, 8, 8, 8, 12, 16, 18], 5), 48, 1)
    answers("mobilenet", m, 48)
    torch.save(m.state_dict(), path("mobilenet.pth"))
    training = {"epoch": 7, "best_acc": np.float64(0.5), "lr": [0.1, 0.01], "args": {"name": "tiny", "amp": True, "none": None},
                "optimizer": torch.optim.SGD(m.parameters(), 0.1, momentum=0.9).state_dict(),
                "state_dict": collections.OrderedDict(("module." + k, v) for k, v in m.state_dict().items())}
    torch.save(training, path("mobilenet_legacy.pth"), _use_new_zipfile_serialization=False)

    m = rounded(randomize(ResNet(1, (1, 2, 1, 1), 4, True), 32, 2), torch.float16)
    answers("resnet50_rfga", m, 32)
    save_safetensors(path("resnet50_rfga.safetensors"), m.state_dict(), torch.float16)

    m = rounded(randomize(vgg([2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5, 5, 6], False, 3), 32, 3), torch.bfloat16)
    answers("vgg16_28", m, 32)
    save_safetensors(path("vgg16_28.safetensors"), m.state_dict(), torch.bfloat16)

    m = rounded(randomize(inception_v3(3), 91, 4), torch.float16)
    answers("inception", m, 91)
    save_safetensors(path("inception.safetensors"), m.state_dict(), torch.float16)

    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    odd = {"t.transposed": base.permute(2, 0, 1), "t.row": base[1, 2], "t.step": base[:, ::2, 1:3], "t.half": torch.tensor([1.5, -2.0, 6e-8]).half(),
           "t.bfloat": torch.tensor([1.5, -2.0]).bfloat16(), "t.double": torch.tensor([0.1], dtype=torch.float64), "t.count": torch.tensor(3),
           "t.scalar": torch.tensor(2.5), "t.empty": torch.zeros(0, 3), "t.parameter": nn.Parameter(torch.ones(2, 2)), "t.bytes": torch.ones(2, dtype=torch.uint8)}
    torch.save({"net": odd, "epoch": 1}, path("odd.pth"))
    torch.save({"model": {"state_dict": odd}}, path("odd_legacy.pth"), _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), path("torchscript.pt"))
    torch.save(nn.Linear(2, 1), path("whole_module.pth"))


if __name__ == "__main__":
    main()
