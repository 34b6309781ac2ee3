"""The processes that bench/compare measures: Kiln's command and its libraries, and the peers."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


class EngineError(Exception):
    pass


class Case:
    """A net to run at a batch size and a thread count, and where its files are."""

    min_runs = 10
    function = "forward"

    def __init__(self, net, batch, threads, model, scratch):
        self.net, self.batch, self.threads = net, batch, threads
        self.model = model
        description = json.loads(model.with_suffix(".json").read_text())
        self.shape, self.flops = description["input_shape"], description["flops"]
        self.input_file = scratch / "input.npy"
        self.scratch = scratch

    @property
    def key(self):
        return f"{self.net} batch {self.batch} threads {self.threads}"

    def write_input(self):
        import numpy
        numpy.save(self.input_file, self.pictures())

    def pictures(self):
        import numpy
        return numpy.random.default_rng(1).standard_normal(self.shape, dtype="float32")

    def kiln(self, path):
        return Kiln(path, self)

    def question(self, answer_file):
        """What a peer is told to do for its answer."""
        return "run", self.input_file, answer_file


class TrainingCase(Case):
    """A net to train. The answer is the losses of the first steps, all on one batch."""

    min_runs = 3
    function = "train_step"
    STEPS, RATE = 3, 0.01
    RATES = {"vgg16": 1e-4}  # its losses explode at more, and with them what rounding differs in

    def __init__(self, net, batch, threads, model, scratch):
        super().__init__(net, batch, threads, model, scratch)
        self.flops *= 3  # forward, gradients of the values, gradients of the weights
        self.input_file = scratch / "input.npz"
        self.rate = self.RATES.get(net, self.RATE)

    def write_input(self):
        import numpy
        labels = numpy.random.default_rng(2).integers(0, 10, self.batch)
        numpy.savez(self.input_file, input=self.pictures(), labels=labels)

    def kiln(self, path):
        return KilnTraining(path, self)

    def question(self, answer_file):
        return "train", self.input_file, answer_file, self.STEPS, self.rate


class Peer:
    """A worker process, bench/engines.py, that holds one session."""

    def __init__(self, name, case):
        self.name, self.case = name, case
        environment = dict(os.environ, OMP_NUM_THREADS=str(case.threads),
                           TORCHINDUCTOR_CACHE_DIR=str(case.scratch / "inductor"))
        shape = "x".join(map(str, case.shape))
        self.log = open(case.scratch / f"{name}.log", "w+")
        self.process = subprocess.Popen(
            [sys.executable, HERE / "engines.py", name, case.model, shape, str(case.threads)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
            text=True)
        self.static = self.answer()
        if engine_bytes := self.static.pop("engine_bytes"):
            self.static["disk_bytes"] = case.model.stat().st_size + engine_bytes

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            last = self.log.read().strip().splitlines()[-1:] or ["no message"]
            raise EngineError(f"{self.name}: {last[0]}")
        return json.loads(line)

    def ask(self, *command):
        print(*command, file=self.process.stdin, flush=True)
        return self.answer()

    def measure(self, seconds):
        return self.ask("measure", seconds, self.case.min_runs)

    def run(self):
        import numpy
        file = self.case.scratch / f"{self.name}.npy"
        self.ask(*self.case.question(file))
        return numpy.load(file)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


class Kiln:
    """The command, in a process for each round; the library and its session times are made once a net."""

    name = "kiln"
    compiled = {}  # (net, batch) -> library and figures

    def __init__(self, path, case):
        self.path, self.case = path, case
        key = (case.net, case.batch)
        if key not in Kiln.compiled:
            Kiln.compiled = {key: self.compile()}  # one library on disk at a time
        self.library, figures = Kiln.compiled[key]
        self.static = dict(figures, engine="kiln", version=self.version())

    def version(self):
        return self.call("--version").split()[1]

    def call(self, *arguments, cache="cache"):
        return self.execute(self.path, *arguments, XDG_CACHE_HOME=str(self.case.scratch / cache))

    @staticmethod
    def execute(program, *arguments, **environment):
        done = subprocess.run([program, *map(str, arguments)], env=dict(os.environ, **environment),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise EngineError(f"{pathlib.Path(program).name} {arguments[0]}: {last[0]}")
        return done.stdout

    def compile(self):
        """The library, and how long a session takes with an empty cache and with a full one."""
        with tempfile.TemporaryDirectory(dir=self.case.scratch) as cache:
            cold, warm = (json.loads(self.call("bench", self.case.model, "--json", "--quiet",
                                               "--runs", 1, "--seconds", 0, cache=cache))
                          for _ in range(2))
        library = self.case.scratch / "libkiln_net.so"
        self.call("compile", self.case.model, "-o", library, "--quiet")
        return library, {"session_ms": cold["load_ms"], "warm_session_ms": warm["load_ms"],
                         "session_memory_bytes": cold["peak_memory_bytes"],
                         "disk_bytes": library.stat().st_size}

    def measure(self, seconds):
        return json.loads(self.execute(runner_of(self.path), self.library, self.case.function,
                                       self.case.threads, seconds, self.case.min_runs))

    def run(self):
        import numpy
        with tempfile.TemporaryDirectory(dir=self.case.scratch) as folder:
            self.call("run", self.library, "--input", f"input={self.case.input_file}",
                      "--output-dir", folder, "--quiet", "--threads", self.case.threads)
            return numpy.load(pathlib.Path(folder, "output.npy"))

    def close(self):
        pass


class KilnTraining(Kiln):
    """A library with train_step; the optimizer is `kiln compile`'s own, SGD with momentum 0.9."""

    def compile(self):
        library = self.case.scratch / "libkiln_net.so"
        with tempfile.TemporaryDirectory(dir=self.case.scratch) as cache:
            start = time.perf_counter()
            self.call("compile", self.case.model, "-o", library, "--functions",
                      self.case.function, "--quiet", cache=cache)
            return library, {"session_ms": 1e3 * (time.perf_counter() - start)}

    def measure(self, seconds):
        result = super().measure(seconds)
        result["peak_memory_bytes"] -= result["idle_memory_bytes"]
        return result

    def run(self):
        import numpy
        file = self.case.scratch / "kiln.npy"
        self.execute(sys.executable, HERE / "kiln_library.py", self.library, self.case.input_file,
                     file, self.case.STEPS, self.case.rate)
        return numpy.load(file)


def runner_of(kiln):
    """The library_runner of the build that the command belongs to."""
    return pathlib.Path(kiln).resolve().parents[1] / "bench" / "library_runner"
