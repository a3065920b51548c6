"""Measures the plugin beside onnxruntime-web, the native runtime and the plugin without SIMD; writes DIR/wasm.json and a section of
BENCHMARKS.md.

usage: wasm.py DIR --rfga PATH --modules FOLDER --report BENCHMARKS.md [--models M,M] [--rounds N] [--secs S] [--add]

DIR is what 'make peers-setup' made, FOLDER has the modules of 'make plugin'. One thread, one image at a time, every contestant of
a model visited in every round in a new order, as bench.py does. The native runtime is held to AVX2. With --add, models that an
earlier run has measured stay in the result.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import time

import numpy as np

import bench
import report

HEADING = "## In WebAssembly, "
WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wasm.mjs")
WEB_FORMS = [("fp32", "{}.onnx"), ("int8 QDQ u8s8", "{}.qdq_u8s8.onnx"), ("int8 QDQ s8s8", "{}.qdq_s8s8.onnx"),
             ("int8 QOperator u8s8", "{}.qop_u8s8.onnx")]


class Node(bench.Peer):
    """A process of Node that runs one module."""

    def __init__(self, name, form, arguments):
        self.runtime, self.form, self.times, self.env = name, form, [], None
        self.command = ["node", "--no-warnings", WORKER, *arguments]

    def warm_up(self):
        self.ask("run 0.5 2")

    def run(self, seconds):
        self.times.append(self.ask(f"run {seconds} 2"))

    def logits(self):
        return self.ask("out")["logits"]


class Program:
    """rfga-edge, native or with a module in wazero, started for every turn: it warms up itself."""

    def __init__(self, name, form, command, env=None, few=False):
        self.runtime, self.form, self.times, self.command = name, form, [], command
        self.env, self.few = dict(os.environ, **(env or {})), few

    def bench(self, seconds):
        r = subprocess.run([*self.command, "--seconds", str(seconds), "--json"], check=True, stdout=subprocess.PIPE, env=self.env)
        return json.loads(r.stdout)

    def start(self):
        if not self.few:
            self.bench(0.001)  # compiles the module into the cache
        r = self.bench(0.001)
        if self.few:  # seconds for an image: once is enough
            self.times.append(r["times_ms"])
        self.info = {k: r.get(k) for k in ("version", "cold_s", "start_ms", "load_ms")} | {"isa": r.get("isa") or r["model"]["isa"]}
        return self

    def warm_up(self):
        pass

    def run(self, seconds):
        if not self.few:
            self.times.append(self.bench(seconds)["times_ms"])

    def stop(self):
        pass


def contestants(args, model):
    file, array = f"{args.folder}/models/{model}.int8.rfga", f"{args.folder}/models/{model}.input.npy"
    wasm = [f"{args.modules}/rfga-edge{suffix}.wasm" for suffix in ("-nomodel", "-nosimd")]
    in_wazero = [args.rfga, "plugin", "bench", file, "--plugin"]
    yield Program("rfga-edge", "native, AVX2", [args.rfga, "bench", file], {"RFGA_DISABLE": "avx512,avxvnni"})
    yield Program("rfga-edge.wasm", "wazero", [*in_wazero, wasm[0]])
    yield Node("rfga-edge.wasm", "Node", ["rfga-edge", wasm[0], file, array])
    yield Program("rfga-edge.wasm", "wazero, plain Go", [*in_wazero, wasm[1]], few=True)
    for form, name in WEB_FORMS:
        yield Node("onnxruntime-web", f"Node, {form}", ["onnxruntime-web", f"{args.folder}/v_ortweb", f"{args.folder}/models/{name.format(model)}", array])


def measure(args, model, macs):
    live = [c.start() for c in contestants(args, model)]
    want = np.load(f"{args.folder}/models/{model}.logits.npy").ravel()
    for c in live:
        c.warm_up()
    before = bench.cpu_times()
    for r in range(args.rounds):
        order = live[:]
        random.Random(r).shuffle(order)
        for c in order:
            c.run(args.secs)
    after = bench.cpu_times()
    rows = []
    for c in live:
        every = sorted(t for times in c.times for t in times)
        row = dict(runtime=c.runtime, form=c.form, median=round(statistics.median(every), 3), min=round(every[0], 3), n=len(every), **c.info)
        if isinstance(c, Node):
            row["correlation"] = round(float(np.corrcoef(want, c.logits())[0, 1]), 4)
        c.stop()
        rows.append(row)
        print(f"{model} {c.runtime:16s} {c.form:26s} median {row['median']:9.2f} ms  min {row['min']:9.2f}  {c.info}", flush=True)
    return dict(macs=macs, steal=round(100 * (after[0] - before[0]) / max(1, after[1] - before[1]), 1), load=round(os.getloadavg()[0], 1), rows=rows)


def section(result):
    lines, starts = [], []
    for name, m in result["models"].items():
        ours = {r["form"]: r for r in m["rows"] if r["runtime"] != "onnxruntime-web"}
        web = min((r for r in m["rows"] if r["runtime"] == "onnxruntime-web"), key=lambda r: r["median"])
        native, wazero, node, plain = (ours[k]["median"] for k in ("native, AVX2", "wazero", "Node", "wazero, plain Go"))
        lines.append([name, f"{native:.1f}", f"{wazero:.1f}", f"{node:.1f}", f"{plain:.0f}", f"{web['median']:.1f}", web["form"].removeprefix("Node, "),
                      f"{web['median'] / wazero:.2f}", f"{web['median'] / node:.2f}", f"{plain / wazero:.0f}", f"{wazero / native:.1f}"])
        starts.append([name, *(f"{ours['wazero'][k]:.0f}" for k in ("start_ms", "load_ms")), f"{ours['wazero']['cold_s']:.2f}",
                       f"{ours['Node']['cold_s']:.2f}", f"{web['cold_s']:.2f}"])
    quiet = "; ".join(f"{name} {m['steal']} %, {m['load']}" for name, m in result["models"].items())
    sizes = ", ".join(f"{name}.wasm {size / (1 << 20):.1f} MiB" for name, size in result["sizes"].items())
    versions = {r["version"] for m in result["models"].values() for r in m["rows"] if r["runtime"] == "onnxruntime-web"}
    node = next(r["version"] for m in result["models"].values() for r in m["rows"] if r["form"] == "Node")
    return f"""{HEADING}{result['cpu']}

{result['when']}, `make plugin-bench PEERS=DIR`: int8, one thread, one image; medians in ms over {result['rounds']} rounds of {result['secs']} s for each contestant.
Node {node}, onnxruntime-web {', '.join(versions)} (WASM SIMD, one thread, in Node; the fastest of {', '.join(form for form, _ in WEB_FORMS)}).
Time stolen by other guests of the machine and load average: {quiet}.

{report.table(["model", "native AVX2", "wazero", "Node", "wazero, plain Go", "onnxruntime-web", "its form", "it over ours in wazero", "it over ours in Node", "plain Go over SIMD", "wazero over native"], lines)}
Start, with the compiled module in wazero's cache: starting the module and loading the model in ms, then seconds from the start of the process to the first result.

{report.table(["model", "wazero: module, ms", "model, ms", "first result, s", "Node, s", "onnxruntime-web in Node, s"], starts)}
Sizes: {sizes}.
"""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("--rfga", required=True)
    p.add_argument("--modules", required=True)
    p.add_argument("--report", required=True)
    p.add_argument("--models", default="mnv1_cam,r50_cls,inc3_cls")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--secs", type=float, default=0.5)
    p.add_argument("--add", action="store_true")
    args = p.parse_args()
    args.folder, args.rfga, args.modules = map(os.path.abspath, (args.folder, args.rfga, args.modules))
    with open(f"{args.folder}/models/models.json") as f:
        info = json.load(f)
    sizes = {name: os.path.getsize(f"{args.modules}/{name}.wasm") for name in ("rfga-edge", "rfga-edge-nomodel", "rfga-edge-nosimd", "rfga-edge-extism")}
    result = dict(when=time.strftime("%F"), cpu=bench.cpu_name(), rounds=args.rounds, secs=args.secs, sizes=sizes, models={})
    if args.add and os.path.exists(f"{args.folder}/wasm.json"):
        with open(f"{args.folder}/wasm.json") as f:
            result["models"] = json.load(f)["models"]
    for m in args.models.split(","):
        bench.convert(args.rfga, args.folder, m, info[m]["size"])
        result["models"][m] = measure(args, m, info[m]["macs"])
    with open(f"{args.folder}/wasm.json", "w") as f:
        json.dump(result, f, indent=1)
    report.put(args.report, HEADING + result["cpu"], section(result))


if __name__ == "__main__":
    main()
