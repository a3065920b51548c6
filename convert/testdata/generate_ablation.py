"""PyTorch's answers of mobilenet.pth with parts of its attention left out: python3 generate_ablation.py (torch, torchvision, numpy).

mobilenet.ablation.npy has the class maps of each variant, (V,K,H,W) in the order of VARIANTS; mobilenet.attention.npy the
sigmoids of the whole network's views, one behind the other: (C), (H,C), (W,C).
"""
import numpy as np
import torch

from generate import image, mobilenet, path

# The coefficient of the residual, the coefficients of the views of channels, rows and columns, and whether rows and columns
# are spread over the map.
VARIANTS = [(1, (1, 1, 1), True), (1, (0, 1, 1), True), (1, (1, 0, 1), True), (1, (1, 1, 0), True), (1, (1, 1, 1), False), (0, (1, 1, 1), True)]


def views(attention, x):
    c = attention.conv_c(x.mean((2, 3))[:, None])[:, 0, :, None, None]
    h = attention.conv_h(x.mean(3))[..., None]
    w = attention.conv_w(x.mean(2))[:, :, None]
    return attention.bn1(c).sigmoid(), attention.bn2(h).sigmoid(), attention.bn3(w).sigmoid()


def main():
    net = mobilenet([8, 9, 8, 10, 8, 8, 8, 8, 8, 8, 8, 12, 16, 18], 5)
    net.load_state_dict(torch.load(path("mobilenet.pth")))
    with torch.no_grad():
        x = net.eval().features(image(48))
        c, h, w = views(net.rfga, x)
        maps = []
        for a, use, expand in VARIANTS:
            rows, columns = (h, w) if expand else (h.mean(2, keepdim=True), w.mean(3, keepdim=True))
            m = use[0] * c + use[1] * rows + use[2] * columns
            maps.append(net.classifier(x * (a + m)))
    np.save(path("mobilenet.ablation.npy"), torch.cat(maps).numpy())
    flat = [c[0, :, 0, 0], h[0, :, :, 0].T.reshape(-1), w[0, :, 0].T.reshape(-1)]
    np.save(path("mobilenet.attention.npy"), torch.cat(flat).numpy())


if __name__ == "__main__":
    main()
