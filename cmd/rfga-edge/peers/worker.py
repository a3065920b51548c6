"""One runtime, one model file, one number of threads; driven line by line over standard input.

usage: worker.py RUNTIME MODELFILE THREADS INPUT.npy

Prints "READY {json}" after the first inference, with the time since the process began and the most memory it has held. Then
answers each line with one of JSON: "run SECONDS LEAST" with a list of latencies in ms; "out FILE.npz" writes the outputs for
the input; "quit" ends it. A program in any language can stand in for it.
"""
import json
import os
import sys
import time

runtime, path, threads, input_path = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
os.environ["OMP_NUM_THREADS"] = str(threads)  # before the runtimes are imported

import numpy as np  # noqa: E402


def onnx_runtime():
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    if threads > 1:
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return ort.__version__, lambda x: dict(zip(names, session.run(None, {"input": x})))


def openvino():
    import openvino as ov
    model = ov.Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
                                                  "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
    request = model.create_infer_request()
    names = [next((n for n in ("maps", "logits") if n in o.get_names()), "other") for o in model.outputs]

    def infer(x):
        request.infer({0: x}, share_inputs=True)
        return {n: request.get_output_tensor(i).data for i, n in enumerate(names)}
    return ov.__version__, infer


def litert():
    import importlib.metadata
    from ai_edge_litert.interpreter import Interpreter
    it = Interpreter(path, num_threads=threads)
    it.allocate_tensors()
    index, outputs = it.get_input_details()[0]["index"], it.get_output_details()

    def infer(x):
        it.set_tensor(index, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
        it.invoke()
        values = [it.get_tensor(o["index"]) for o in outputs]
        return {"maps" if v.ndim == 4 else "logits": v.transpose(0, 3, 1, 2) if v.ndim == 4 else v for v in values}
    return importlib.metadata.version("ai-edge-litert"), infer


def ncnn():
    import ncnn as nc
    net = nc.Net()
    net.opt.num_threads, net.opt.use_vulkan_compute = threads, False
    net.load_param(path)
    net.load_model(path.removesuffix(".param") + ".bin")
    names = sorted(net.output_names())

    def infer(x):
        extractor, result = net.create_extractor(), {}
        extractor.input("in0", nc.Mat(x[0]))
        for name in names:
            v = np.array(extractor.extract(name)[1])
            is_maps = v.ndim == 3 and v.shape[1] > 1
            result["maps" if is_maps else "logits"] = v[None] if is_maps else v.reshape(1, -1)
        return result
    return nc.__version__, infer


def mnn():
    import MNN
    it = MNN.Interpreter(path)
    session = it.createSession({"numThread": threads, "backend": "CPU", "precision": "high"})
    target = it.getSessionInput(session)

    def infer(x):
        layout = MNN.Tensor_DimensionType_Caffe
        target.copyFrom(MNN.Tensor(x.shape, MNN.Halide_Type_Float, np.ascontiguousarray(x), layout))
        it.runSession(session)
        result = {}
        for name, t in it.getSessionOutputAll(session).items():
            shape = t.getShape()
            host = MNN.Tensor(shape, MNN.Halide_Type_Float, np.zeros(shape, np.float32), layout)
            t.copyToHostTensor(host)
            result[name] = np.array(host.getNumpyData()).reshape(shape)
        return result
    return MNN.version(), infer


def since_start():
    """Seconds since this process began, as the kernel tells."""
    with open("/proc/self/stat") as f:
        begin = int(f.read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
    with open("/proc/uptime") as f:
        return float(f.read().split()[0]) - begin


def peak_rss():
    """The most memory held so far, in MiB."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024


def measure(infer, x, seconds, least):
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        infer(x)
        times.append(round((time.perf_counter() - begin) * 1e3, 4))
    return times


def main():
    x = np.load(input_path)[:1]
    version, infer = {"ONNX Runtime": onnx_runtime, "OpenVINO": openvino, "LiteRT": litert, "ncnn": ncnn, "MNN": mnn}[runtime]()
    infer(x)
    ready = dict(cold_s=round(since_start(), 3), peak_rss_mib=round(peak_rss(), 1), version=version)
    print("READY", json.dumps(ready), flush=True)
    for line in sys.stdin:
        word, *arguments = line.split()
        if word == "quit":
            break
        answer = {}
        if word == "run":
            answer = measure(infer, x, float(arguments[0]), int(arguments[1]))
        elif word == "out":
            np.savez(arguments[0], **infer(x))
        print(json.dumps(answer), flush=True)


main()
