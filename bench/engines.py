#!/usr/bin/env python3
"""Runs one net on one peer, in a process of its own: a worker of bench/compare.

    engines.py ENGINE MODEL INPUT_SHAPE THREADS        (a shape such as 1x3x224x224)

Reads commands from stdin and answers each with a line of JSON: `measure SECONDS MIN_RUNS`, `run INPUT.npy
OUTPUT.npy`, and of an engine that trains `train INPUTS.npz OUTPUT.npy STEPS RATE`, which writes the losses of
steps on one batch. The first line comes unasked, when the session is ready.

Every peer runs at the best settings that its documentation names for latency on a CPU: all graph
optimisations, float32 arithmetic, inputs and outputs bound beforehand where the engine can.
"""

import json
import os
import pathlib
import sys
import time

WARM_UP_SHARE = 0.25
# While steps of training are measured: so small that, however many there are, the net and its gradients
# stay what they were, for zeros and denormal numbers have other speeds.
MEASURING_RATE = 1e-6


def status_bytes(key):
    """VmHWM (the peak of the resident set) or VmRSS of this process."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return 0


def waited_ms():
    """How long this process's threads have waited for a CPU that somebody else had."""
    total = 0
    for task in pathlib.Path("/proc/self/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[1])
        except OSError:  # a thread that ended, or a kernel that does not say
            pass
    return total * 1e-6


def folder_bytes(folder, *patterns):
    """Size of the shared libraries in a package's folder."""
    files = {file.resolve() for pattern in patterns for file in pathlib.Path(folder).rglob(pattern)}
    return sum(file.stat().st_size for file in files)


class OnnxRuntime:
    """All optimisations; outputs bound to buffers; no second pool."""

    def __init__(self, model, shape, threads):
        import numpy
        import onnxruntime
        self.started = time.perf_counter()
        self.version = onnxruntime.__version__
        self.engine_bytes = folder_bytes(pathlib.Path(onnxruntime.__file__).parent / "capi", "*.so*")
        onnxruntime.set_default_logger_severity(3)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options,
                                                    providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        self.x = onnxruntime.OrtValue.ortvalue_from_numpy(numpy.zeros(shape, "f4"))
        output = self.session.get_outputs()[0]
        self.y = onnxruntime.OrtValue.ortvalue_from_numpy(numpy.zeros(output.shape, "f4"))
        self.binding.bind_ortvalue_input(self.session.get_inputs()[0].name, self.x)
        self.binding.bind_ortvalue_output(output.name, self.y)

    def set_input(self, x):
        self.x.update_inplace(x)

    def call(self):
        self.session.run_with_iobinding(self.binding)

    def output(self):
        return self.y.numpy()


class OpenVino:
    """Latency hint, one stream, tensors bound; float32, as bfloat16 would be another net."""

    def __init__(self, model, shape, threads):
        import numpy
        import openvino
        from openvino import properties
        self.started = time.perf_counter()
        self.version = openvino.__version__.split("-")[0]
        self.engine_bytes = folder_bytes(pathlib.Path(openvino.__file__).parent / "libs", "*.so*")
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(model), "CPU", {
            properties.hint.performance_mode: properties.hint.PerformanceMode.LATENCY,
            properties.hint.inference_precision: openvino.Type.f32,
            properties.inference_num_threads: threads,
            properties.num_streams: 1,
        })
        self.x = numpy.zeros(shape, "f4")
        self.y = numpy.zeros(compiled.output(0).shape, "f4")
        self.request = compiled.create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(self.x, shared_memory=True))
        self.request.set_output_tensor(openvino.Tensor(self.y, shared_memory=True))

    def set_input(self, x):
        self.x[...] = x

    def call(self):
        self.request.infer()

    def output(self):
        return self.y


class Torch:
    """Channels-last, inference mode, oneDNN."""

    def __init__(self, model, shape, threads):
        import torch
        import torch_net
        self.started = time.perf_counter()
        self.torch = torch
        self.version = torch.__version__
        self.engine_bytes = folder_bytes(pathlib.Path(torch.__file__).parent / "lib", "*.so*")
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.net = torch_net.load(model).to(memory_format=torch.channels_last)
        self.x = torch.zeros(shape).to(memory_format=torch.channels_last)
        self.y = None
        self.guard = torch.inference_mode()
        self.guard.__enter__()

    def set_input(self, x):
        self.x.copy_(self.torch.from_numpy(x))

    def call(self):
        self.y = self.net(self.x)

    def output(self):
        return self.y.contiguous().numpy()


class TorchCompiled(Torch):
    """The same through torch.compile: max-autotune, weights frozen into the code."""

    def __init__(self, model, shape, threads):
        import torch._inductor.config
        super().__init__(model, shape, threads)
        torch._inductor.config.freezing = True
        self.net = self.torch.compile(self.net, mode="max-autotune", fullgraph=True)
        self.call()  # compiles


def training(**how):
    def make(model, shape, threads):
        from torch_training import TorchTraining
        return TorchTraining(model, shape, threads, **how)

    return make


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "torch": Torch,
           "torch-compiled": TorchCompiled,
           "eager": training(compiled=False, channels_last=False),
           "eager-nhwc": training(compiled=False, channels_last=True),
           "compiled": training(compiled=True, channels_last=False),
           "compiled-nhwc": training(compiled=True, channels_last=True)}


def measure(engine, seconds, min_runs):
    """Calls for `seconds`, at least `min_runs` times, after a warm-up. Times in ms."""
    warm = time.perf_counter() + WARM_UP_SHARE * seconds
    engine.call()
    while time.perf_counter() < warm:
        engine.call()
    times, waited, cpu, wall = [], waited_ms(), time.process_time(), time.perf_counter()
    while len(times) < min_runs or time.perf_counter() - wall < seconds:
        start = time.perf_counter()
        engine.call()
        times.append(1e3 * (time.perf_counter() - start))
    wall, cpu = 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)
    times.sort()

    def quantile(q):
        return times[int(q * (len(times) - 1) + 0.5)]

    return {"median_ms": quantile(0.5), "p10_ms": quantile(0.1), "p90_ms": quantile(0.9),
            "runs": len(times), "wall_ms": wall, "cpu_ms": cpu, "waited_ms": waited_ms() - waited,
            "peak_memory_bytes": status_bytes("VmHWM")}


def main():
    name, model, threads = sys.argv[1], sys.argv[2], int(sys.argv[4])
    shape = [int(extent) for extent in sys.argv[3].split("x")]
    answers = os.fdopen(os.dup(1), "w")  # engines print to stdout what they please
    os.dup2(2, 1)

    def answer(what):
        print(json.dumps(what), file=answers, flush=True)

    import numpy
    before = status_bytes("VmRSS")  # Python and numpy: no part of the engine
    engine = ENGINES[name](model, shape, threads)
    before = getattr(engine, "idle_bytes", before)
    answer({"engine": name, "version": engine.version, "engine_bytes": engine.engine_bytes,
            "session_ms": 1e3 * (time.perf_counter() - engine.started)})  # without imports
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "measure":
            result = measure(engine, float(arguments[0]), int(arguments[1]))
            result["peak_memory_bytes"] -= before
            answer(result)
        elif command == "run":
            engine.set_input(numpy.load(arguments[0]))
            engine.call()
            numpy.save(arguments[1], engine.output())
            answer({})
        elif command == "train":
            engine.set_batch(**numpy.load(arguments[0]))
            engine.set_rate(float(arguments[3]))
            numpy.save(arguments[1], [float(engine.call()) for _ in range(int(arguments[2]))])
            engine.set_rate(MEASURING_RATE)
            answer({})
        else:
            sys.exit(f"engines.py: unknown command {command}")


if __name__ == "__main__":
    main()
