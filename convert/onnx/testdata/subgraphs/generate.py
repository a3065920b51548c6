"""Makes the ONNX files of this folder, whose nodes have graphs of their own, and what ONNX Runtime computes with them.

    python3 generate.py torch    # needs torch 1.13 or 2 (Debian's python3-torch): what its exporter writes for a scripted module
    python3 generate.py hand     # needs onnx, numpy
    python3 generate.py run      # needs onnxruntime, numpy: NAME.OUTPUT.npy; ../input.npy is the image

All weights are random. Everything here is part of this project and under its licence.
"""
import glob
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SIZE = 16


def torch_models():
    import torch
    from torch import nn

    class Gate(nn.Module):
        """Squeezes of dimensions whose size the exporter does not know become If; so does a decision by a shape."""

        def __init__(self):
            super().__init__()
            self.conv, self.fc, self.down = nn.Conv2d(3, 6, 3, 2, 1), nn.Linear(6, 6), nn.AvgPool2d(2)

        def forward(self, x):
            x = torch.relu(self.conv(x))
            if x.shape[2] > 4:
                x = self.down(x)
                if x.shape[3] > 2:
                    x = self.down(x)
            y = nn.functional.avg_pool2d(x, [2, 2]).squeeze(3).squeeze(2)
            return torch.sigmoid(self.fc(y))

    torch.manual_seed(3)
    model = torch.jit.script(Gate().eval())
    every = {0: "n", 2: "h", 3: "w"}
    torch.onnx.export(model, torch.randn(1, 3, SIZE, SIZE), os.path.join(HERE, "torch_if.onnx"), opset_version=13, input_names=["image"],
                      output_names=["y"], dynamic_axes={"image": every, "y": {0: "n"}})


def hand_models():
    import onnx
    from onnx import TensorProto as T, helper as H, numpy_helper as NH
    rng = np.random.default_rng(5)
    const = lambda name, a, dtype=np.float32: NH.from_array(np.array(a, dtype), name)
    weights = lambda name, *s: const(name, rng.standard_normal(s) * 0.4)
    node = lambda op, ins, outs, **kw: H.make_node(op, ins.split(), outs.split(), name=op.lower() + "_" + outs.split()[0], **kw)

    def graph(name, nodes, outputs, inits=()):
        return H.make_graph(nodes, name, [], [H.make_tensor_value_info(o, T.FLOAT, None) for o in outputs.split()], list(inits))

    # A branch in a branch, with constants of their own; both branches use the same names; a branch that hands on what is around it,
    # by a name and by Identity, and a constant; a shape that only a branch computes; conditions by comparison, And and Not.
    deep = H.make_node("If", ["small"], ["deepest"], name="inner_if",
                       then_branch=graph("then_inner", [node("Sigmoid", "t", "u"), node("Mul", "u k", "v")], "v", [const("k", 3)]),
                       else_branch=graph("else_inner", [node("Mystery", "t", "v")], "v"))
    taken = graph("taken", [node("Conv", "x kernel", "t"), node("Shape", "t", "s"), node("Gather", "s two", "h"), node("Less", "h limit", "small"),
                            deep, node("Identity", "x", "same"), node("Add", "deepest one", "sum")],
                  "sum same half", [weights("kernel", 5, 4, 3, 3), const("two", 2, np.int64), const("limit", 7, np.int64), const("half", [[[[0.5]]]])])
    other = graph("other", [node("LSTM", "x", "sum"), node("Relu", "x", "same"), node("Neg", "one", "half")], "sum same half")
    nodes = [node("Conv", "image w", "x", strides=[2, 2]), node("Shape", "x", "shape"), node("Gather", "shape axis", "c"), node("Equal", "c four", "a"),
             node("Not", "no", "b"), node("And", "a b", "cond"),
             H.make_node("If", ["cond"], ["p", "q", "r"], name="outer_if", then_branch=taken, else_branch=other),
             node("Mul", "q r", "y"),
             H.make_node("If", ["a"], ["target"], name="shape_if", then_branch=graph("then_shape", [node("Concat", "head tail", "z", axis=0)], "z", [const("tail", [-1], np.int64)]),
                         else_branch=graph("else_shape", [node("Identity", "head", "z")], "z")),
             node("Reshape", "p target", "z")]
    for n in nodes[-2].attribute:
        n.g.output[0].type.tensor_type.elem_type = T.INT64
    g = H.make_graph(nodes, "g", [H.make_tensor_value_info("image", T.FLOAT, [1, 3, SIZE, SIZE])],
                     [H.make_tensor_value_info(o, T.FLOAT, s) for o, s in (("y", [1, 4, 8, 8]), ("z", [1, 180]))],
                     [weights("w", 4, 3, 2, 2), const("axis", 1, np.int64), const("four", 4, np.int64), const("no", False, bool), const("one", 1), const("head", [1], np.int64)])
    m = H.make_model(g, opset_imports=[H.make_opsetid("", 16)], ir_version=8)
    onnx.save(m, os.path.join(HERE, "hand_if.onnx"))


def run_models():
    import onnx
    import onnxruntime
    for path in sorted(glob.glob(os.path.join(HERE, "*.onnx"))):
        m = onnx.load(path)
        drop(m.graph)
        s = onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
        values = s.run(None, {"image": np.load(os.path.join(HERE, "..", "input.npy"))})
        for o, v in zip(s.get_outputs(), values):
            np.save(f"{path[:-5]}.{o.name}.npy", v)
        print(os.path.basename(path), [v.shape for v in values])


def drop(g):
    """Branches that are never taken hold operators that do not exist, which ONNX Runtime would not load: a constant in their place."""
    from onnx import helper as H
    for n in g.node:
        for a in n.attribute:
            if a.HasField("g"):
                drop(a.g)
        if n.op_type in ("Mystery", "LSTM"):
            out = list(n.output)
            n.CopyFrom(H.make_node("Constant", [], out, value_float=0.0))


if __name__ == "__main__":
    {"torch": torch_models, "hand": hand_models, "run": run_models}[sys.argv[1]]()
