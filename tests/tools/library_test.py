#!/usr/bin/env python3
"""Emitted libraries: the same bits for any number of threads, the same bytes wherever they are made,
nothing in them but code and constants, and C programs that call them get the command's answers."""

import os
import pathlib
import random
import re
import shutil
import subprocess
import unittest

from cli import ROOT, CommandTest, build_c, floats, model, node, npy, tensors


def branchy():
    """Convolutions, a pool, a softmax, reductions along few and along all axes; odd extents."""
    numbers = random.Random(4)

    def weights(name, *shape):
        count = 1
        for extent in shape:
            count *= extent
        return floats(name, shape, [numbers.uniform(-0.3, 0.3) for _ in range(count)])

    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        node("Relu", ["c1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w2"], ["c2"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Sigmoid", ["c2"], ["s2"]),
        node("Mul", ["c2", "s2"], ["m2"]),
        node("Softmax", ["m2"], ["probabilities"], axis=1),
        node("ReduceMean", ["m2"], ["means"], axes=[2, 3], keepdims=0),
        node("ReduceL2", ["c1"], ["norm"], keepdims=0),
    ]
    return model(nodes, [("x", (1, 3, 33, 35))],
                 [("probabilities", (1, 40, 8, 9)), ("means", (1, 40)), ("norm", ())],
                 [weights("w1", 24, 3, 3, 3), weights("b1", 24), weights("w2", 40, 24, 3, 3)])


class LibraryTest(CommandTest):
    OUTPUTS = ("probabilities", "means", "norm")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.folder / "net.onnx").write_bytes(branchy())
        numbers = random.Random(5)
        cls.values = [numbers.gauss(0, 1) for _ in range(3 * 33 * 35)]
        (cls.folder / "x.npy").write_bytes(npy((1, 3, 33, 35), cls.values))
        tensors.write_raw(str(cls.folder / "x.npy"), str(cls.folder / "x.bin"))

    def setUp(self):
        if not (self.folder / "libnet.so").exists():
            self.kiln("compile", "net.onnx", "-o", "libnet.so")

    def run_model(self, name, *arguments):
        """The bytes of all outputs."""
        self.kiln("run", name, "--input", "x=x.npy", "--output-dir", "out", *arguments)
        return [tensors.read(str(self.folder / "out" / f"{output}.npy")).tobytes()
                for output in self.OUTPUTS]

    def read(self, *command):
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                              cwd=self.folder).stdout

    def test_the_same_bits_for_any_number_of_threads(self):
        results = [self.run_model(name, "--threads", threads, *options)
                   for threads in (1, 2, 4)
                   for name, options in (("net.onnx", ()), ("net.onnx", ("--no-cache",)),
                                         ("libnet.so", ()))]
        for result in results[1:]:
            self.assertEqual(result, results[0])
        self.run_model("net.onnx", "--reference")
        for name, found in zip(self.OUTPUTS, results[0]):
            path = self.folder / "found.bin"
            path.write_bytes(found)
            self.assert_close(self.folder / "out" / f"{name}.npy", path)

    def test_the_same_bytes_from_any_folder(self):
        made = []
        for folder, path, *options in (("a", "m.onnx"), ("b/c", "m.onnx", "--threads", 1),
                                       ("d", self.folder / "d" / "m.onnx", "--threads", 4),
                                       ("e", "m.onnx", "--no-cache", "--threads", 2),
                                       ("f", "m.onnx", "--no-cache", "--threads", 1)):
            where = self.folder / folder
            where.mkdir(parents=True)
            shutil.copy(self.folder / "net.onnx", where / "m.onnx")
            done = self.call("compile", path, "-o", "libm1.so", *options, cwd=where)
            self.assertEqual(done.returncode, 0, done.stderr)
            made.append([(where / name).read_bytes() for name in ("libm1.so", "libm1.h")])
        for files in made[1:]:
            self.assertEqual(files, made[0])
        for part in (str(self.folder), str(ROOT), os.uname().nodename):
            self.assertNotIn(part.encode(), made[0][0])

    def test_what_is_in_the_file(self):
        dynamic = self.read("readelf", "-dW", "libnet.so")
        self.assertLessEqual(set(re.findall(r"NEEDED.*\[(.*)\]", dynamic)),
                             {"libc.so.6", "libm.so.6"})
        self.assertEqual(re.findall(r"SONAME.*\[(.*)\]", dynamic), ["libnet.so"])
        self.assertNotRegex(dynamic, "RPATH|RUNPATH|TEXTREL|INIT|FINI")
        symbols = self.read("readelf", "--dyn-syms", "-W", "libnet.so").splitlines()
        defined = [line.split()[-1] for line in symbols
                   if re.match(r" +\d+: ", line) and "UND" not in line]
        self.assertEqual(defined, ["kiln_library"])
        # No mutable state: nothing that is writable stays so once the loader has relocated it.
        sections = re.findall(r"\] (\S+) +\S+ +\S+ +\S+ +(\S+) \S+ +(\S+)",
                              self.read("readelf", "-SW", "libnet.so"))
        self.assertIn(".text", [name for name, _, _ in sections])
        for name, size, flags in sections:
            if "W" in flags and int(size, 16) > 0:
                self.assertIn(name, (".data.rel.ro", ".dynamic", ".got", ".got.plt", ".relro_padding"))
        segments = self.read("readelf", "-lW", "libnet.so")
        self.assertNotRegex(segments, "(?m)^ +(LOAD|GNU_STACK) .* RWE ")
        relro, = re.findall(r"(?m)^ +GNU_RELRO +\S+ (\S+) \S+ \S+ (\S+)", segments)
        for start, size in re.findall(r"(?m)^ +LOAD +\S+ (\S+) \S+ \S+ (\S+) RW ", segments):
            self.assertLessEqual(int(relro[0], 16), int(start, 16))
            self.assertLessEqual(int(start, 16) + int(size, 16), int(relro[0], 16) + int(relro[1], 16))
        loaded = self.read("ldd", "libnet.so")
        for line in loaded.splitlines():
            self.assertRegex(line, r"^\s*(linux-vdso|libc|libm|/lib\S*/ld-linux\S*)\.so|statically")

    def test_c_program_calls_it_in_every_way(self):
        program = build_c(self.folder, "library_caller", ROOT / "tests" / "tools" / "library_caller.c",
                          "-ldl", "-lpthread")
        place = self.folder / "caller"
        place.mkdir(exist_ok=True)
        subprocess.run([program, "./libnet.so", place, "x.bin"], check=True, cwd=self.folder)
        for i, expected in enumerate(self.run_model("net.onnx")):
            self.assertEqual((place / f"0.{i}.bin").read_bytes(), expected)

    def test_header_and_link_editor(self):
        """A program that includes the header and names the library to its linker."""
        source = self.write("use.c", b"""#include <stdio.h>
#include <stdlib.h>
#include "libnet.h"
int main(void) {
  static float x[NET_FORWARD_X_COUNT];
  static float probabilities[NET_FORWARD_PROBABILITIES_COUNT];
  static float means[NET_FORWARD_MEANS_COUNT];
  static float norm[NET_FORWARD_NORM_COUNT];
  char* workspace = malloc(NET_FORWARD_WORKSPACE_BYTES + 64);
  if (!workspace || fread(x, 1, sizeof x, stdin) != sizeof x) return 1;
  workspace += 64 - (uintptr_t)workspace % 64;
  if (net_forward(x, probabilities, means, norm, workspace, NULL) != 0) return 2;
  fwrite(probabilities, 1, sizeof probabilities, stdout);
  fwrite(means, 1, sizeof means, stdout);
  fwrite(norm, 1, sizeof norm, stdout);
  return 0;
}
""")
        program = build_c(self.folder, "use", source, "-L.", "-lnet", "-Wl,-rpath,$ORIGIN")
        with open(self.folder / "x.bin", "rb") as values:
            found = subprocess.run([program], check=True, stdin=values, stdout=subprocess.PIPE).stdout
        self.assertEqual(found, b"".join(self.run_model("net.onnx")))
        for standard in ("c++98", "c++11", "c++20"):
            subprocess.run(["c++", "-x", "c++", f"-std={standard}", "-Wall", "-Wextra", "-Werror",
                            "-fsyntax-only", "-include", "cstddef", "libnet.h"],
                           check=True, cwd=self.folder)

    def test_example(self):
        program = build_c(self.folder, "example", ROOT / "examples" / "run_library.c", "-ldl")
        text = subprocess.run([program, "./libnet.so", "x.bin"], check=True, cwd=self.folder,
                              stdout=subprocess.PIPE, text=True).stdout
        expected = tensors.floats(self.run_model("net.onnx")[0])
        lines = text.splitlines()
        self.assertEqual(lines[0], "probabilities: " + " ".join("%g" % v for v in expected[:10]))
        self.assertEqual(lines[1], f"argmax {max(range(len(expected)), key=expected.__getitem__)}")
        for arguments in (["./none.so"], [], ["./libnet.so", "none.bin"], ["./x.bin"]):
            done = subprocess.run([program, *arguments], cwd=self.folder, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertEqual(done.stderr.count(b"\n"), 1, arguments)

    def test_object_file(self):
        self.kiln("compile", "net.onnx", "-o", "net.o", "--emit", "obj")
        source = self.write("object.c", b'#include "runtime/abi/kiln.h"\nint main(void) {'
                                        b' return kiln_library()->num_functions - 1; }\n')
        subprocess.run([build_c(self.folder, "object", source, "net.o", "-lm")], check=True)
        names = self.read("nm", "--defined-only", "--extern-only", "net.o").split()
        self.assertIn("kiln_library", names)


class TrainingLibraryTest(CommandTest):
    """A C program trains a library: the command makes its train_step."""

    def write_pictures(self, kind, count):
        """Ten classes of 28 x 28 pixels, each with its own bright rows."""
        def picture(label):
            return b"".join(bytes([200 if 2 * label <= y < 2 * label + 7 else 10]) * 28
                            for y in range(28))

        pictures = [picture(label) for label in range(10)]
        labels = random.Random(count).choices(range(10), k=count)
        self.write(f"{kind}-images-idx3-ubyte", bytes(16) + b"".join(pictures[k] for k in labels))
        self.write(f"{kind}-labels-idx1-ubyte", bytes(8) + bytes(labels))

    def test_example(self):
        numbers = random.Random(1)

        def weights(name, *shape):
            return floats(name, shape, [numbers.gauss(0, 0.05) for _ in range(shape[0] * shape[1])])

        net = model([node("Gemm", ["x", "w1"], ["h"]), node("Relu", ["h"], ["r"]),
                     node("Gemm", ["r", "w2"], ["s"]), node("Softmax", ["s"], ["y"])],
                    [("x", (32, 784))], [("y", (32, 10))],
                    [weights("w1", 784, 24), weights("w2", 24, 10)])
        self.write("net.onnx", net)
        self.kiln("compile", "net.onnx", "-o", "net.so", "--functions", "forward,train_step",
                  "--momentum", "0.9")
        self.write_pictures("train", 60000)
        self.write_pictures("t10k", 10000)
        program = build_c(self.folder, "train", ROOT / "examples" / "train_library.c", "-ldl")
        text = subprocess.run([program, "./net.so", ".", "301", "0.02"], check=True,
                              cwd=self.folder, stdout=subprocess.PIPE, text=True).stdout
        losses = [float(line.split()[-1]) for line in text.splitlines()[:-1]]
        self.assertEqual(len(losses), 4)
        self.assertGreater(losses[0], 1.5)
        self.assertLess(losses[-1], 0.1)
        self.assertGreater(float(text.split()[-1]), 0.99)
        for arguments in ([], ["./none.so", ".", "1", "1"], ["./net.so", "none", "1", "1"]):
            done = subprocess.run([program, *arguments], cwd=self.folder, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertEqual(done.stderr.count(b"\n"), 1, arguments)

    def test_functions_are_made_by_name(self):
        self.write("net.onnx", model([node("Gemm", ["x", "w"], ["y"])], [("x", (2, 3))],
                                     [("y", (2, 4))], [floats("w", (3, 4), [0.5] * 12)]))
        self.kiln("compile", "net.onnx", "-o", "net.so", "--functions", "loss,train_step", "--loss",
                  "mse", "--optimizer", "adam")
        self.assertIn("train_step", (self.folder / "net.h").read_text())
        self.fails("compile", "net.onnx", "-o", "net.so", "--functions", "backward")


class CacheTest(CommandTest):
    """The cache of compiled kernels, as the command uses it."""

    def setUp(self):
        self.write("net.onnx", branchy())
        self.write("x.npy", npy((1, 3, 33, 35), [0.25] * (3 * 33 * 35)))

    def run_with(self, cache, folder):
        environment = dict(os.environ, XDG_CACHE_HOME=str(cache))
        return subprocess.Popen([os.environ["KILN"], "run", "net.onnx", "--input", "x.npy", "--quiet",
                                 "--output-dir", folder], cwd=self.folder, env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def result_of(self, process, folder):
        _, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, errors)
        self.assertEqual(errors, b"")
        return (self.folder / folder / "probabilities.npy").read_bytes()

    def test_processes_share_it_and_damage_is_ignored(self):
        cache = self.folder / "shared"
        running = [(self.run_with(cache, f"o{i}"), f"o{i}") for i in range(3)]
        expected, *others = [self.result_of(*each) for each in running]
        self.assertEqual(others, [expected, expected])
        entries = sorted((cache / "kiln").rglob("*"))
        entries = [path for path in entries if path.is_file()]
        self.assertGreater(len(entries), 2)
        for i, path in enumerate(entries):
            data = bytearray(path.read_bytes())
            data[-1 - i % len(data)] ^= 0xff
            path.write_bytes(data[:len(data) // 2] if i % 2 else data)
        self.assertEqual(self.result_of(self.run_with(cache, "again"), "again"), expected)

    def test_places_where_there_can_be_none(self):
        self.write("file", b"")
        expected = self.result_of(self.run_with(self.folder / "fine", "o"), "o")
        for place in ("/dev/null", self.folder / "file"):
            self.assertEqual(self.result_of(self.run_with(place, "p"), "p"), expected)


if __name__ == "__main__":
    unittest.main()
