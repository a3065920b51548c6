"""Writes ops.json and ops.npy: float32 operators with the results of PyTorch, for this package's tests.

Use: python3 gen_ops.py, in this folder (PyTorch and NumPy; made with 1.13). ops.npy is one vector of float32; ops.json says where in
it each tensor lies. Activations are written as (H,W,C), weights as (O,KH,KW,I), depthwise weights as (KH,KW,C).
"""
import json

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(3)
data, cases, size, known = [], [], 0, {}


def put(t):
    global size
    a = np.ascontiguousarray(t.detach().numpy(), np.float32)
    key = (a.shape, a.tobytes())
    if key not in known:
        known[key] = {"at": size, "shape": list(a.shape)}
        data.append(a.ravel())
        size += a.size
    return known[key]


def act(t):      # 1,C,H,W
    return put(t[0].permute(1, 2, 0))


def case(op, inputs, output, **attributes):
    cases.append({"op": op, "in": inputs, "out": output, **attributes})


def rand(*shape):
    return torch.randn(*shape)


# Padding is top, left, bottom, right; F.pad wants left, right, top, bottom.
def pad(x, p, value=0.0):
    return F.pad(x, (p[1], p[3], p[0], p[2]), value=value)


INF = None       # in JSON: no clamp


def clamp(t, lo, hi):
    return t if lo is None and hi is None else t.clamp(lo, hi)


def conv(cin, h, w, cout, kh, kw, stride=(1, 1), dil=(1, 1), p=(0, 0, 0, 0), groups=1, bias=True, lo=INF, hi=INF, residual=False, ilo=INF, ihi=INF):
    x, f = rand(1, cin, h, w), rand(cout, cin // groups, kh, kw) * (2 / (cin // groups * kh * kw)) ** 0.5
    b = rand(cout) * 0.3 if bias else None
    y = F.conv2d(pad(x, p), f, b, stride, 0, dil, groups)
    inputs = [act(x)]
    if residual:
        r = rand(*y.shape)
        inputs.append(act(r))
        y = clamp(y, ilo, ihi) + r
    y = clamp(y, lo, hi)
    depthwise = groups == cin == cout and groups > 1
    weights = put(f[:, 0].permute(1, 2, 0)) if depthwise else put(f.permute(0, 2, 3, 1))
    case("depthwise" if depthwise else "conv", inputs, act(y), weights=weights, bias=put(b) if bias else None, window=[kh, kw, *stride, *dil, *p],
         groups=groups, clamp=[lo, hi], residual=residual, inner=[ilo, ihi])


conv(3, 9, 8, 5, 3, 3, (2, 2), p=(0, 0, 1, 1))
conv(30, 9, 10, 7, 3, 3, p=(1, 1, 1, 1), lo=0.0)                                   # more than one panel of terms and block of rows
conv(6, 11, 9, 8, 3, 2, (2, 1), (2, 3), (3, 0, 1, 2), groups=2, bias=False)
conv(10, 5, 8, 66, 1, 1, lo=0.0, hi=6.0)
conv(10, 7, 7, 9, 1, 1, (2, 2))
conv(12, 6, 6, 12, 1, 1, groups=3)
conv(8, 6, 7, 9, 1, 7, p=(0, 3, 0, 3), residual=True, lo=0.0)
conv(8, 6, 7, 9, 5, 1, p=(2, 0, 2, 0), residual=True, ilo=0.0, ihi=1.0)
conv(260, 1, 1, 9, 1, 1)                                                            # fully connected
conv(13, 9, 8, 13, 3, 3, (1, 2), (1, 1), (1, 0, 1, 2), groups=13, lo=0.0, hi=6.0)
conv(6, 9, 9, 6, 5, 5, (2, 2), (1, 2), (2, 4, 1, 3), groups=6, bias=False)
conv(5, 6, 6, 5, 3, 3, p=(1, 1, 1, 1), groups=5, residual=True, ilo=0.0, lo=-0.5, hi=0.75)

x = rand(1, 7, 11, 10)
wide = rand(1, 67, 5, 4)
for t, k, s, p, ceil in [(x, (3, 3), (2, 2), (1, 1, 1, 1), False), (x, (3, 3), (2, 2), (1, 1, 1, 1), True), (x, (2, 3), (2, 3), (0, 0, 0, 0), True),
                         (x, (3, 2), (2, 2), (0, 1, 1, 0), False), (x, (3, 3), (2, 3), (0, 1, 1, 1), True), (x, (5, 4), (3, 3), (2, 1, 2, 2), True),
                         (wide, (3, 3), (2, 2), (0, 0, 1, 1), True), (x, (11, 10), (1, 1), (0, 0, 0, 0), False), (x, (2, 2), (3, 3), (1, 1, 1, 1), True)]:
    window = [*k, *s, 1, 1, *p]
    ref = act(t)
    symmetric = p[0] == p[2] and p[1] == p[3]
    m = F.max_pool2d(t, k, s, (p[0], p[1]), 1, ceil) if symmetric else F.max_pool2d(pad(t, p, -float("inf")), k, s, 0, 1, ceil)
    case("maxpool", [ref], act(m), window=window)
    for include in (False, True):
        if symmetric:
            a = F.avg_pool2d(t, k, s, (p[0], p[1]), ceil, include)
        else:
            a = F.avg_pool2d(pad(t, p), k, s, 0, ceil)
            if not include:
                a = a / F.avg_pool2d(pad(torch.ones_like(t), p), k, s, 0, ceil)
        case("avgpool", [ref], act(a), window=window, include=include)
case("maxpool", [act(x)], act(F.max_pool2d(x, (3, 2), (2, 1), (1, 1), (2, 3), True)), window=[3, 2, 2, 1, 2, 3, 1, 1, 1, 1])

x = rand(1, 3, 5, 7)
ref = act(x)
for out in [(10, 14), (3, 4), (8, 5), (13, 20), (1, 1), (5, 7)]:
    case("resize", [ref], act(F.interpolate(x, out, mode="nearest")), bilinear=False, align=False)
    for align in (False, True):
        case("resize", [ref], act(F.interpolate(x, out, mode="bilinear", align_corners=align)), bilinear=True, align=align)

x = torch.cat([rand(60) * 4, torch.tensor([0.0, -0.0, 3, -3, 6, -6, 1e-30, 20, -20, 60, -60, 88.7, -88.7, 104, -104, 1e20, -1e20])])
for number, f in enumerate([F.relu, F.relu6, torch.sigmoid, F.silu, F.hardsigmoid, F.hardswish], 1):
    case("unary", [put(x)], put(f(x)), func=number)

x = rand(1, 9, 2, 3) * 6
case("softmax", [act(x)], act(F.softmax(x, 1)))

for name, f in (("add", torch.add), ("mul", torch.mul)):
    a = rand(1, 5, 4, 6)
    for shape in [(5, 4, 6), (5, 1, 1), (1, 4, 6), (1, 1, 6), (5, 4, 1), (5, 1, 6), (1, 1, 1)]:
        b = rand(1, *shape)
        case(name, [act(a), act(b)], act(clamp(f(a, b), 0.0, 1.5)), clamp=[0.0, 1.5])

a, b, c = rand(1, 3, 4, 5), rand(1, 2, 4, 5), rand(1, 3, 4, 2)
case("concat", [act(a), act(b)], act(torch.cat([a, b], 1)), axis=3)
case("concat", [act(a), act(c)], act(torch.cat([a, c], 3)), axis=2)
case("concat", [act(a), act(a[:, :, :1]), act(a)], act(torch.cat([a, a[:, :, :1], a], 2)), axis=1)
case("pad", [act(a)], act(pad(a, (1, 0, 2, 3), 0.5)), window=[1, 1, 1, 1, 1, 1, 1, 0, 2, 3], value=0.5)

# RFGA with batch normalisation folded, as the converter does; and the head.
for h, w, c, sa, sb in [(5, 7, 20, 1.0, 1.0), (3, 2, 9, 0.35, 0.65)]:
    x = rand(1, c, h, w) + 0.3
    wc, wh, ww = rand(3), rand(c, c, 3) * c ** -0.5, rand(c, c, 3) * c ** -0.5
    gain, shift = [rand(c) * 0.3 + 1 for _ in range(3)], [rand(c) * 0.2 for _ in range(3)]
    yc = F.conv1d(x.mean((2, 3)).unsqueeze(1), wc.view(1, 1, 3), padding=1).squeeze(1)[..., None, None]
    yh = F.conv1d(x.mean(3), wh, padding=1)[..., None]
    yw = F.conv1d(x.mean(2), ww, padding=1)[:, :, None]
    m = sum(torch.sigmoid(y * g.view(1, c, 1, 1) + s.view(1, c, 1, 1)) for y, g, s in zip((yc, yh, yw), gain, shift))
    fold = [wc[None] * gain[0][:, None], wh * gain[1].view(c, 1, 1), ww * gain[2].view(c, 1, 1)]
    case("rfga", [act(x)], act(x * (sa + sb * m)), wc=put(fold[0].view(c, 1, 1, 3)), wh=put(fold[1].permute(0, 2, 1)[:, :, None]),
         ww=put(fold[2].permute(0, 2, 1)[:, None]), bc=put(shift[0]), bh=put(shift[1]), bw=put(shift[2]), a=sa, b=sb)

x, f, b = rand(1, 70, 3, 4), rand(19, 70, 1, 1) * 0.1, rand(19)
maps = F.conv2d(x, f, b)
case("head", [act(x)], act(maps), window=[1] * 6 + [0] * 4, weights=put(f.permute(0, 2, 3, 1)), bias=put(b), logits=put(maps.mean((2, 3))[0]))

# PyTorch in float64, rounded once: its float32 forms lose digits in tails, and those of GELU in float64.
x = torch.cat([rand(50) * 3, torch.tensor([0.0, 1e-6, -1e-6, 0.01, -0.01, 0.4, -0.4, 3, -3, 8, -8, 12, -12, 25, -25])]).double()
up = x.abs() + 1e-3
for number, t, f, ab in [(7, x, lambda v: F.leaky_relu(v, 0.125), (0.125, 1)), (8, x, lambda v: F.elu(v, 0.5), (0.5, 1)),
                         (8, x, F.selu, (1.0507009873554805 * 1.6732632423543772, 1.0507009873554805)), (10, x, torch.tanh, (1, 1)),
                         (11, x, lambda v: F.softplus(v, threshold=50), (1, 1)), (12, x, F.mish, (1, 1)), (13, x.clamp(-5, 12), F.gelu, (1, 1)),
                         (14, x.clamp(-5, 12), lambda v: F.gelu(v, approximate="tanh"), (1, 1)), (15, x, torch.erf, (1, 1)), (16, x, torch.exp, (1, 1)),
                         (17, up, torch.log, (1, 1)), (18, up, torch.sqrt, (1, 1)), (19, up, torch.reciprocal, (1, 1)), (20, x, torch.abs, (1, 1)),
                         (21, x, F.softsign, (1, 1)), (22, up, lambda v: v ** -0.75, (-0.75, 1)), (22, up, lambda v: v ** 1.3, (1.3, 1))]:
    t = t.float().double()
    case("unary", [put(t)], put(f(t)), func=number, a=float(np.float32(ab[0])), b=float(np.float32(ab[1])))
x, slope = rand(1, 5, 3, 4), rand(5)
case("unary", [act(x)], act(F.prelu(x, slope)), func=9, weights=put(slope))
x = rand(1, 9, 2, 3) * 40
case("softmax", [act(x)], act(F.log_softmax(x, 1)), log=True)

# Normalisation: of each position (axis 3), of all positions (axis 1).
x, g, b = rand(1, 12, 5, 3) * 2 + 1, rand(12), rand(12)
case("normalize", [act(x)], act(F.layer_norm(x.permute(0, 2, 3, 1), (12,), g, b, 1e-6).permute(0, 3, 1, 2)), axis=3, groups=1, value=1e-6, weights=put(g), bias=put(b))
case("normalize", [act(x)], act(F.instance_norm(x, None, None, g, b, eps=1e-5)), axis=1, groups=12, value=1e-5, weights=put(g), bias=put(b))
case("normalize", [act(x)], act(F.group_norm(x, 3, None, b, 1e-3)), axis=1, groups=3, value=1e-3, bias=put(b))
case("normalize", [act(x)], act(F.layer_norm(x, (12, 5, 3))), axis=1, groups=1, value=1e-5)
each = F.group_norm(x.permute(0, 2, 3, 1).reshape(15, 12), 4, g, None, 1e-5)  # of each position, in groups
case("normalize", [act(x)], act(each.reshape(1, 5, 3, 12).permute(0, 3, 1, 2)), axis=3, groups=4, value=1e-5, weights=put(g))

np.save("ops.npy", np.concatenate(data))
with open("ops.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
print(len(cases), "cases,", size, "values; torch", torch.__version__)
