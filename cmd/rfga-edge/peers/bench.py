"""Measures rfga-edge beside the peers that are installed in DIR, on the same models, and writes DIR/peers.json.

usage: bench.py DIR --rfga PATH [--models M,M] [--rounds N] [--secs S] [--threads 1,2] [--only TEXT,TEXT] [--cold N] [--add]

Every contestant of a model is visited in every round, in a new order, so that the machine's drift and its other users hit all
alike; figures are medians over all rounds. A peer lives in a process of its own (worker.py) that waits between its turns;
rfga-edge is started for each. Nothing else should run meanwhile: the share of stolen time and the load are in the result.
Before, models are converted with the first 12 calibration images, which is what the peers got, and outputs are compared with
the stored float32 ones. With --add, models that an earlier run has measured stay in the result, so that a long run can be done in
parts. In a folder that avx2only.py has made, everyone is held to AVX2.
"""
import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
OURS = "rfga-edge"
PEERS = [  # runtime, form, environment in DIR, file in DIR/models
    ("ONNX Runtime", "fp32", "v_ort", "{}.onnx"),
    ("ONNX Runtime", "int8 QDQ u8s8", "v_ort", "{}.qdq_u8s8.onnx"),
    ("ONNX Runtime", "int8 QDQ u8s7", "v_ort", "{}.qdq_u8s8r.onnx"),
    ("ONNX Runtime", "int8 QDQ s8s8", "v_ort", "{}.qdq_s8s8.onnx"),
    ("ONNX Runtime", "int8 QOperator u8s8", "v_ort", "{}.qop_u8s8.onnx"),
    ("ONNX Runtime", "int8 QOperator s8s8", "v_ort", "{}.qop_s8s8.onnx"),
    ("OpenVINO", "fp32", "v_ov", "{}.onnx"),
    ("OpenVINO", "int8 QDQ u8s8", "v_ov", "{}.qdq_u8s8.onnx"),
    ("OpenVINO", "int8 NNCF", "v_ov", "{}.nncf.xml"),
    ("LiteRT", "fp32", "v_litert", "{}.fp32.tflite"),
    ("LiteRT", "int8", "v_litert", "{}.int8.tflite"),
    ("ncnn", "fp32", "v_ncnn", "ncnn/{}.ncnn.param"),
    ("ncnn", "int8", "v_ncnn", "ncnn/{}.int8.param"),
    ("MNN", "fp32", "v_mnn", "{}.fp32.mnn"),
    ("MNN", "int8", "v_mnn", "{}.int8.mnn"),
]


def held(folder):
    """What keeps peers to AVX2 in a folder made by avx2only.py, else None."""
    library = os.path.abspath(f"{folder}/avx2only.so")
    return library if os.path.exists(library) else None


def our_environment(folder):
    """What holds rfga-edge to the same."""
    return dict(os.environ, RFGA_DISABLE="avx512,avxvnni") if held(folder) else None


class Peer:
    """A process that speaks worker.py's protocol."""

    def __init__(self, folder, model, threads, runtime, form, env, file):
        self.runtime, self.form, self.threads, self.times = runtime, form, threads, []
        self.command = [f"{folder}/{env}/bin/python", WORKER, runtime, f"{folder}/models/{file.format(model)}", str(threads),
                        f"{folder}/models/{model}.input.npy"]
        self.env = dict(os.environ, LD_PRELOAD=held(folder)) if held(folder) else None

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.env)
        for line in self.process.stdout:
            if line.startswith("READY"):
                self.info = json.loads(line[5:])
                return self
        raise SystemExit(f"{' '.join(self.command)}: it failed")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        for answer in self.process.stdout:
            if answer[0] in "[{":
                return json.loads(answer)
        raise SystemExit(f"{' '.join(self.command)}: it ended unexpectedly")

    def warm_up(self):
        self.ask("run 0.3 2")

    def run(self, seconds):
        self.ask("run 0 1")
        self.times.append(self.ask(f"run {seconds} 4"))

    def outputs(self):
        with tempfile.TemporaryDirectory() as folder:
            self.ask(f"out {folder}/out.npz")
            with np.load(f"{folder}/out.npz") as z:
                return {name: z[name] for name in z.files}

    def stop(self):
        self.process.communicate("quit\n")

    def cold(self):
        """Figures of a fresh process up to its first result."""
        self.start()
        self.stop()
        return self.info


class Ours:
    """rfga-edge, which measures itself: started for every turn."""

    def __init__(self, program, folder, model, threads, form):
        self.runtime, self.form, self.threads, self.times = OURS, form, threads, []
        self.program, self.model, self.input = program, f"{folder}/models/{model}.{form}.rfga", f"{folder}/models/{model}.input.npy"
        self.env = our_environment(folder)

    def start(self):
        self.info = self.bench(0.01)
        return self

    def bench(self, seconds):
        command = [self.program, "bench", self.model, "--threads", str(self.threads), "--seconds", str(seconds), "--json"]
        r = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=self.env).stdout)
        return {k: r[k] for k in ("times_ms", "cold_s", "peak_rss_mib", "version", "isa")}

    def warm_up(self):
        pass  # it does so itself, at every turn

    def run(self, seconds):
        self.times.append(self.bench(seconds)["times_ms"])

    def outputs(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [self.program, "run", self.model, "--input", self.input, "--out", folder]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            return {f.removesuffix(".npy"): np.load(f"{folder}/{f}") for f in os.listdir(folder)}

    def stop(self):
        pass

    def cold(self):
        return self.bench(0.001)


def convert(program, folder, model, size):
    """Makes our forms of a model, unless they are newer than the program."""
    for form in ("int8", "fp16"):
        out, source = f"{folder}/models/{model}.{form}.rfga", f"{folder}/models/{model}.onnx"
        if os.path.exists(out) and os.path.getmtime(out) > max(os.path.getmtime(source), os.path.getmtime(program)):
            continue
        command = [program, "convert", source, "-o", out, "--precision", form]
        with tempfile.TemporaryDirectory() as tmp:
            if form == "int8":
                np.save(f"{tmp}/calib.npy", np.load(f"{folder}/models/calib_{size}.npy")[:12])
                command += ["--calibrate", f"{tmp}/calib.npy"]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def correlations(folder, model, outputs):
    """How well outputs agree with the stored ones. Maps are each less their mean: it is the place that counts."""
    result = {}
    for name, y in outputs.items():
        path = f"{folder}/models/{model}.{name}.npy"
        if os.path.exists(path):
            want, got = np.load(path).astype(np.float64), np.asarray(y, np.float64)
            if name == "maps":
                want, got = (a - a.mean((2, 3), keepdims=True) for a in (want, got.reshape(want.shape)))
            result[name] = round(float(np.corrcoef(want.ravel(), got.ravel())[0, 1]), 5)
    return result


def cpu_times():
    """Stolen and all ticks so far."""
    with open("/proc/stat") as f:
        ticks = [int(v) for v in f.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def contestants(args, model, threads):
    wanted = [t for t in args.only.split(",") if t]
    every = [Ours(args.rfga, args.folder, model, threads, form) for form in ("int8", "fp16")]
    for runtime, form, env, file in PEERS:
        if os.path.exists(f"{args.folder}/{env}/bin/python") and os.path.exists(f"{args.folder}/models/{file.format(model)}"):
            every.append(Peer(args.folder, model, threads, runtime, form, env, file))
    return [c for c in every if not wanted or any(t in f"{c.runtime} {c.form}" for t in wanted)]


def measure(args, model, macs):
    live = [c.start() for t in args.threads for c in contestants(args, model, t)]
    if not live:
        raise SystemExit("--only leaves nobody")
    agreement = {(c.runtime, c.form): correlations(args.folder, model, c.outputs()) for c in live if c.threads == args.threads[0]}
    for c in live:
        c.warm_up()
    before = cpu_times()
    for r in range(args.rounds):
        order = live[:]
        random.Random(r).shuffle(order)
        for c in order:
            c.run(args.secs)
    after = cpu_times()
    load = os.getloadavg()[0]
    rows = []
    for c in live:
        every = sorted(t for times in c.times for t in times)
        row = dict(runtime=c.runtime, form=c.form, threads=c.threads, version=c.info["version"], isa=c.info.get("isa"),
                   median=round(statistics.median(every), 3), min=every[0], n=len(every),
                   rounds=[round(statistics.median(times), 3) for times in c.times], correlation=agreement[c.runtime, c.form])
        c.stop()
        if c.threads == args.threads[0]:  # alone on the machine now
            cold = [c.cold() for _ in range(args.cold)]
            row["cold_s"] = min((x["cold_s"] for x in cold), default=None)
            row["peak_rss_mib"] = min((x["peak_rss_mib"] for x in cold), default=None)
        rows.append(row)
    steal = 100 * (after[0] - before[0]) / max(1, after[1] - before[1])
    print(f"\n{model}: {macs / 1e9:.2f} GMAC, {steal:.1f} % stolen, load {load:.1f}")
    for r in sorted(rows, key=lambda r: (r["threads"], r["median"])):
        print(f"  {r['threads']} thread(s) {r['runtime']:13s} {r['form']:21s} median {r['median']:9.3f} ms  min {r['min']:9.3f}  "
              f"correlation {r['correlation']}", flush=True)
    return dict(macs=macs, steal=round(steal, 1), load=round(load, 1), rows=rows)


def peaks(program, folder):
    """What one core can multiply, in GMAC/s, by kind of operand."""
    command = [program, "bench", "kernels", "--op", "gemm,gemmf32", "--seconds", "0.002", "--json"]
    r = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=our_environment(folder)).stdout)["peaks_gmac_per_s"]
    kinds = {"int8": "u8s8", "fp32": "f32"}
    return {kind: max((v for name, v in r.items() if name.startswith(prefix)), default=None) for kind, prefix in kinds.items()}


def cpu_name():
    with open("/proc/cpuinfo") as f:
        lines = f.read().splitlines()
    value = {key: next((x.split(":", 1)[1].strip() for x in lines if x.startswith(key)), "?") for key in ("model name", "cpu family", "model\t")}
    return f"{value['model name']} (family {value['cpu family']}, model {value['model' + chr(9)]})"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("--rfga", required=True)
    p.add_argument("--models", default="mnv1_cam,r50_cls,r50_cam,vgg16_cam,inc3_cls")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--secs", type=float, default=0.4)
    p.add_argument("--threads", type=lambda s: [int(t) for t in s.split(",")], default=[1, 2])
    p.add_argument("--only", default="")
    p.add_argument("--cold", type=int, default=3)
    p.add_argument("--add", action="store_true")
    args = p.parse_args()
    args.rfga = os.path.abspath(args.rfga)
    with open(f"{args.folder}/models/models.json") as f:
        info = json.load(f)
    models = [m for m in args.models.split(",") if m]
    for m in models:
        convert(args.rfga, args.folder, m, info[m]["size"])
    result = dict(when=time.strftime("%F"), cpu=cpu_name(), cores=os.cpu_count(), system=f"{platform.system()} {platform.release()}",
                  python=platform.python_version(), rounds=args.rounds, secs=args.secs, threads=args.threads, peaks=peaks(args.rfga, args.folder),
                  held="AVX2" if held(args.folder) else None, models={})
    if args.add and os.path.exists(f"{args.folder}/peers.json"):
        with open(f"{args.folder}/peers.json") as f:
            result["models"] = json.load(f)["models"]
    for m in models:
        result["models"][m] = measure(args, m, info[m]["macs"])
        with open(f"{args.folder}/peers.json", "w") as f:
            json.dump(result, f, indent=1)
    bad = [(m, r["form"]) for m, x in result["models"].items() for r in x["rows"] if r["runtime"] == OURS and r["correlation"].get("logits", 0) < 0.98]
    if bad:
        sys.exit(f"these do not agree with the float32 outputs: {bad}")


if __name__ == "__main__":
    main()
