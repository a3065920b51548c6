"""Exports torchvision's classifiers to ONNX, with inputs and ONNX Runtime's results, for `make onnx-zoo DIR=...`.

    python3 zoo.py export DIR [NAME ...]   # needs torch and torchvision (Debian's python3-torch, python3-torchvision)
    python3 zoo.py run DIR                 # needs onnxruntime and numpy

Weights are torchvision's initial ones, drawn from a fixed seed; a few passes in training mode make the statistics of
batch normalisation what they would be, so that activations have a realistic range. Nothing is downloaded.
DIR gets NAME.onnx, NAME.input.npy (1,3,S,S), NAME.calib.npy (8,3,S,S) and NAME.OUTPUT.npy.
"""
import glob
import os
import sys

import numpy as np

NAMES = ["resnet18", "resnet34", "resnet50", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "squeezenet1_1", "densenet121",
         "googlenet", "inception_v3", "mnasnet1_0", "shufflenet_v2_x1_0", "regnet_y_400mf", "regnet_x_400mf", "efficientnet_b0",
         "convnext_tiny", "alexnet", "resnext50_32x4d", "vgg11_bn"]
OPSET = {"convnext_tiny": 15, "densenet121": 12, "mobilenet_v2": 11, "shufflenet_v2_x1_0": 14, "resnet18": 9}  # 13 otherwise
MEAN, STD = np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1), np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)


def images(n, size, seed):
    """Noise with the spectrum of photographs, on the grid of 8-bit pixels, normalised."""
    rng, out = np.random.default_rng(seed), np.zeros((n, 3, size, size))
    k = 2
    while k <= size:
        grid = rng.standard_normal((n, 3, k + 1, k + 1)) / k ** 0.5
        at = np.arange(size) * k / size
        i, f = at.astype(int), at - at.astype(int)
        rows = grid[:, :, i] * (1 - f)[:, None] + grid[:, :, i + 1] * f[:, None]
        out += rows[..., i] * (1 - f) + rows[..., i + 1] * f
        k *= 2
    out /= out.std((1, 2, 3), keepdims=True)
    pixels = np.round(np.clip(out * STD + MEAN, 0, 1) * 255) / 255
    return ((pixels - MEAN) / STD).astype(np.float32)


def build(name):
    import torch
    import torchvision
    torch.manual_seed(1)
    kw = {}
    if name in ("googlenet", "inception_v3"):
        kw = {"aux_logits": False, "init_weights": False, "transform_input": True}
    model = getattr(torchvision.models, name)(weights=None, **kw)
    size = 299 if name == "inception_v3" else 224
    model.train()
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.momentum = None  # the average of all passes
        if isinstance(m, torch.nn.Dropout) or type(m).__name__ == "StochasticDepth":
            m.p = 0.0
        if hasattr(m, "layer_scale"):  # ConvNeXt begins with blocks that do next to nothing
            torch.nn.init.normal_(m.layer_scale, 0.3, 0.1)
        if isinstance(m, torch.nn.LayerNorm):
            torch.nn.init.normal_(m.weight, 1.0, 0.3)
            torch.nn.init.normal_(m.bias, 0.0, 0.3)
    with torch.no_grad():
        for i in range(3):
            model(torch.from_numpy(images(4, size, 100 + i)))
    return model.eval(), size


def export(out, names):
    import torch
    torch.set_num_threads(2)
    for name in names or NAMES:
        path = os.path.join(out, name)
        if os.path.exists(path + ".onnx"):
            continue
        model, size = build(name)
        np.save(path + ".input.npy", images(1, size, 7))
        np.save(path + ".calib.npy", images(8, size, 8))
        torch.onnx.export(model, torch.zeros(1, 3, size, size), path + ".tmp", opset_version=OPSET.get(name, 13),
                          input_names=["image"], output_names=["scores"], dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}})
        os.rename(path + ".tmp", path + ".onnx")
        print(name, "exported", flush=True)


def run(out):
    import onnxruntime
    for path in sorted(glob.glob(os.path.join(out, "*.onnx"))):
        base = path[:-5]
        s = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        x = np.load(base + ".input.npy")
        for o, v in zip(s.get_outputs(), s.run(None, {s.get_inputs()[0].name: x})):
            np.save(f"{base}.{o.name}.npy", v)
            print(os.path.basename(base), o.name, v.shape, float(np.abs(v).max()), float(v.std()), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(sys.argv[2], sys.argv[3:])
    else:
        run(sys.argv[2])
