"""Quantizes pnnx's float models as ncnn's own tools would, which its wheel lacks: weights per output channel, the input of each
convolution by its largest magnitude, and no float between two convolutions.

usage: quant_ncnn.py MODELDIR [MODEL ...]        needs ncnn and numpy

A layer's weights in a .bin file are a tag and the values; then come its biases, and with parameter 8, int8_scale_term, the scales: of
the weights, of the input, and above 100 of the output, which is then int8 too.
"""
import json
import os
import sys

import ncnn
import numpy as np

INT8 = np.uint32(0x000D4B38)  # the tag; 0 is float32
KINDS = {  # layer type: the parameters weights, bias, and the number of weight scales
    "Convolution": ("6", "5", "0"),
    "ConvolutionDepthWise": ("6", "5", "7"),
    "InnerProduct": ("2", "1", "0"),
}


class Layer:
    def __init__(self, line):
        words = line.split()
        self.kind, self.name = words[:2]
        inputs, outputs = int(words[2]), int(words[3])
        self.inputs, self.outputs = words[4:4 + inputs], words[4 + inputs:4 + inputs + outputs]
        self.params = dict(w.split("=", 1) for w in words[4 + inputs + outputs:])
        self.weights = self.bias = self.data = None

    def read(self, blob, at):
        """Takes the layer's constants out of the file, and returns where the next one's begin."""
        floats = blob.view(np.float32)
        if self.kind == "MemoryData":
            size = int(np.prod([int(self.params.get(k, 0)) or 1 for k in ("0", "1", "11", "2")]))
            self.data = floats[at:at + size]
            return at + size
        if self.kind not in KINDS:
            return at
        weights, bias, _ = KINDS[self.kind]
        if blob.view(np.uint32)[at] != 0:
            raise SystemExit(f"{self.name}: weights are not float32")
        end = at + 1 + int(self.params[weights])
        self.weights = floats[at + 1:end]
        if self.params.get(bias, "0") != "0":
            self.bias = floats[end:end + int(self.params["0"])]
            end += len(self.bias)
        return end

    def takes_int8(self):
        """All but convolutions of a single channel, as along the channels of a vector."""
        return self.kind in KINDS and len(self.weights) // int(self.params["0"]) >= 9

    def quantize(self, scale_in, scale_out):
        rows = self.weights.reshape(int(self.params[KINDS[self.kind][2]]), -1)
        scales = 127 / np.maximum(np.abs(rows).max(1, keepdims=True), 1e-20)
        q = np.rint(rows * scales).astype(np.int8).ravel()
        self.data = [INT8, np.pad(q, (0, -len(q) % 4))]
        self.data += [self.bias] if self.bias is not None else []
        self.data += [scales.astype(np.float32), np.float32(scale_in)]
        self.params["8"] = "1"
        if scale_out:
            self.params["8"] = "101"
            self.data.append(np.float32(scale_out))

    def constants(self):
        if self.data is None and self.weights is not None:
            self.data = [np.uint32(0), self.weights] + ([self.bias] if self.bias is not None else [])
        parts = [] if self.data is None else self.data if isinstance(self.data, list) else [self.data]
        return b"".join(np.asarray(p).tobytes() for p in parts)

    def line(self):
        words = [self.kind, self.name, len(self.inputs), len(self.outputs), *self.inputs, *self.outputs]
        return " ".join(map(str, words + [f"{k}={v}" for k, v in self.params.items()]))


def largest(path, blobs, images):
    """The largest magnitude of each blob over the images."""
    net = ncnn.Net()
    net.opt.num_threads = 2
    net.load_param(path)
    net.load_model(path.removesuffix(".param") + ".bin")
    most = dict.fromkeys(blobs, 0.0)
    for x in images:
        extractor = net.create_extractor()
        extractor.set_light_mode(False)
        extractor.input("in0", ncnn.Mat(np.ascontiguousarray(x)))
        for b in blobs:
            most[b] = max(most[b], float(np.abs(np.array(extractor.extract(b)[1])).max()))
    return most


def output_scale(layer, layers, scales):
    """The scale of what the layer's only readers, perhaps behind a split, take as int8, else None."""
    readers = [r for r in layers if layer.outputs[0] in r.inputs]
    if len(readers) == 1 and readers[0].kind == "Split":
        readers = [r for r in layers for o in readers[0].outputs if o in r.inputs]
    found = {scales.get(r.name) for r in readers}
    return found.pop() if len(found) == 1 else None


def main(folder, *names):
    with open(f"{folder}/models.json") as f:
        info = json.load(f)
    for name in names or info:
        source, target = f"{folder}/ncnn/{name}.ncnn", f"{folder}/ncnn/{name}.int8"
        if os.path.exists(f"{target}.param"):
            continue
        with open(f"{source}.param") as f:
            head, lines = [f.readline(), f.readline()], f.read().splitlines()
        layers, blob, at = [Layer(line) for line in lines], np.fromfile(f"{source}.bin", np.uint8), 0
        for layer in layers:
            at = layer.read(blob, at)
        if at * 4 != len(blob):
            raise SystemExit(f"{source}.bin: {len(blob)} bytes, but the layers' constants take {at * 4}")
        todo = [layer for layer in layers if layer.takes_int8()]
        most = largest(f"{source}.param", {layer.inputs[0] for layer in todo}, np.load(f"{folder}/calib_{info[name]['size']}.npy")[:12])
        scales = {layer.name: 127 / max(most[layer.inputs[0]], 1e-20) for layer in todo}
        for layer in todo:
            layer.quantize(scales[layer.name], output_scale(layer, layers, scales) if layer.kind != "InnerProduct" else None)
        with open(f"{target}.bin", "wb") as f:
            f.write(b"".join(layer.constants() for layer in layers))
        with open(f"{target}.param", "w") as f:
            f.write("".join(head) + "".join(layer.line() + "\n" for layer in layers))
        print(f"{target}.param", flush=True)


main(*sys.argv[1:])
