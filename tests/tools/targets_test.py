#!/usr/bin/env python3
"""Libraries for other CPUs give the interpreter's answers: the levels of x86-64 natively, as far as this
machine has them, and AArch64 (NEON) under qemu-user, called by a C program of the cross compiler."""

import pathlib
import shutil
import struct
import subprocess
import unittest
from array import array

from cli import ROOT, CommandTest, build_c, floats, model, node, tensors

X86_LEVELS = {"x86-64": "sse2", "x86-64-v2": "sse4_2", "x86-64-v3": "avx2", "x86-64-v4": "avx512vl"}
CROSS_COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]


def functions():
    """Softmax, normalisation and the functions that are polynomials, on an odd number of elements."""
    nodes = [node("Abs", ["x"], ["a"]), node("Add", ["a", "tenth"], ["positive"]),
             node("Exp", ["x"], ["exp"]), node("Log", ["positive"], ["log"]),
             node("Tanh", ["x"], ["tanh"]), node("Erf", ["x"], ["erf"]),
             node("Sigmoid", ["x"], ["sigmoid"]), node("Pow", ["positive", "x"], ["pow"]),
             node("Sin", ["x"], ["sin"]), node("Sqrt", ["positive"], ["sqrt"]),
             node("Softmax", ["x"], ["softmax"], axis=2),
             node("ReduceLogSumExp", ["x"], ["sums"], axes=[1], keepdims=0),
             node("ArgMax", ["x"], ["best"], axis=2)]
    outputs = [(item, (1, 7, 29)) for item in ("exp", "log", "tanh", "erf", "sigmoid", "pow", "sin",
                                               "sqrt", "softmax")] + [("sums", (1, 29))]
    return model(nodes[:-1], [("x", (1, 7, 29))], outputs, [floats("tenth", (), [0.1])])


# array's type codes and what rounding may do, by kiln_dtype; f16 and bf16 are widened below.
TYPES = {0: ("b", 0), 1: ("b", 0), 2: ("h", 0), 3: ("i", 0), 4: ("q", 0), 5: ("B", 0), 6: ("H", 0),
         7: ("I", 0), 8: ("Q", 0), 9: ("H", 2e-3), 10: ("H", 2e-2), 11: ("f", 1e-4), 12: ("d", 1e-9)}


def numbers(data, dtype):
    """The tolerance of a type, and the numbers in a tensor's bytes."""
    code, tolerance = TYPES[dtype]
    values = array(code, data).tolist()
    if dtype == 9:
        values = struct.unpack(f"<{len(data) // 2}e", data)
    elif dtype == 10:
        values = array("f", array("I", [value << 16 for value in values]).tobytes()).tolist()
    return tolerance, values


def build_caller(folder, compiler="cc"):
    return build_c(folder, f"caller-{compiler}", ROOT / "tests" / "tools" / "library_caller.c", "-ldl",
                   "-lpthread", compiler=compiler)


class TargetsTest(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.flags = set(pathlib.Path("/proc/cpuinfo").read_text().split())
        cls.nets = []

    def prepare(self):
        """Nets with their inputs, and the interpreter's answers: (name, model, output names)."""
        if self.nets:
            return
        self.write("functions.onnx", functions())
        for name, path, shape in (
                ("functions", self.folder / "functions.onnx", (1, 7, 29)),
                ("mobilenet", self.generate("mobilenet_v2", "--size", "32", "--width", "0.25",
                                            "--classes", "10"), (1, 3, 32, 32)),
                ("lrn", self.generate("alexnet_lrn", "--size", "67", "--width", "0.06", "--classes",
                                      "10"), (1, 3, 67, 67)),
                ("resnet", self.generate("resnet18", "--size", "32", "--width", "0.125", "--classes",
                                         "10"), (1, 3, 32, 32))):
            value = self.random_input(*shape)
            tensors.write_raw(str(value), str(self.folder / f"{name}.bin"))
            text = self.kiln("run", path, "--input", value, "--reference", "--output-dir", name)
            self.nets.append((name, path, [line.partition(":")[0] for line in text.splitlines()]))

    def check(self, target, caller, *options):
        self.prepare()
        for name, path, outputs in self.nets:
            with self.subTest(target=target, net=name):
                library = self.folder / f"lib{name}-{target}.so"
                self.kiln("compile", path, "-o", library, *options)
                if caller is None:
                    continue
                self.call_library(caller, library, self.folder / f"{name}.bin")
                place = library.with_suffix(".out")
                for i, output in enumerate(outputs):
                    self.assert_close(self.folder / name / f"{output}.npy", place / f"0.{i}.bin")

    def test_x86_levels(self):
        caller = build_caller(self.folder)
        for cpu, flag in X86_LEVELS.items():
            runs = flag in self.flags
            if not runs:
                print(f"{cpu}: compiled, but this machine cannot run it")
            self.check(cpu, [caller] if runs else None, "--target", "x86_64-linux-gnu", "--cpu", cpu)

    def test_levels_by_their_registers(self):
        path = self.write("relu.onnx", model([node("Relu", ["x"], ["y"])], [("x", (64, 64))],
                                             [("y", (64, 64))]))
        for cpu, register in (("x86-64-v2", "xmm"), ("x86-64-v3", "ymm"), ("x86-64-v4", "zmm")):
            self.kiln("compile", path, "-o", "relu.s", "--emit", "asm", "--target", "x86_64-linux-gnu",
                      "--cpu", cpu)
            assembly = (self.folder / "relu.s").read_text()
            for name in ("xmm", "ymm", "zmm"):
                if name > register:
                    self.assertNotIn(f"%{name}", assembly, cpu)
            self.assertIn(f"%{register}", assembly, cpu)

    def test_every_op_on_aarch64(self):
        """The case file of each op as a library, with NEON under the emulator and natively: the numbers are
        the same up to rounding. (That the native ones are right, tests/compiler/op_case_code_test.cc says.)"""
        self.need_the_emulator()
        native = build_caller(self.folder)
        arm = build_caller(self.folder, CROSS_COMPILER)
        files = sorted((ROOT / "tests" / "ops" / "cases").glob("*.kir"))
        self.assertGreater(len(files), 10)
        for path in files:
            with self.subTest(cases=path.stem):
                answers = []
                for target, *caller in (("native", native), ("neon", *EMULATOR, arm)):
                    library = self.folder / f"{path.stem}-{target}.so"
                    options = ["--target", "aarch64-linux-gnu"] if target == "neon" else []
                    self.kiln("compile", path, "-o", library, "--quiet", *options)
                    answers.append(self.call_library(caller, library))
                self.compare(*answers)

    def call_library(self, caller, library, *inputs):
        """The outputs as lists of numbers, by "FUNCTION.OUTPUT"."""
        place = library.with_suffix(".out")
        place.mkdir()
        done = subprocess.run([*caller, library, place, *inputs], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        outputs = {}
        for line in done.stdout.splitlines():
            name, dtype = line.split()
            outputs[name] = numbers((place / f"{name}.bin").read_bytes(), int(dtype))
        return outputs

    def compare(self, expected, found):
        self.assertEqual(expected.keys(), found.keys())
        for name, (tolerance, values) in expected.items():
            for a, b in zip(values, found[name][1], strict=True):
                same = a == b or (a != a and b != b) or abs(a - b) <= tolerance * max(1, abs(a))
                self.assertTrue(same, f"{name}: {a} and {b}")

    def need_the_emulator(self):
        if not shutil.which(CROSS_COMPILER) or not shutil.which(EMULATOR[0]):
            self.skipTest("not run: gcc-aarch64-linux-gnu or qemu-user is missing")

    def test_aarch64(self):
        self.check("arm", None, "--target", "aarch64-linux-gnu")
        self.need_the_emulator()
        caller = build_caller(self.folder, CROSS_COMPILER)
        self.check("neon", [*EMULATOR, caller], "--target", "aarch64-linux-gnu")
        example = build_c(self.folder, "arm-example", ROOT / "examples" / "run_library.c", "-ldl",
                          compiler=CROSS_COMPILER)
        subprocess.run([*EMULATOR, example, self.folder / "libfunctions-neon.so"], check=True,
                       stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    unittest.main()
