#!/usr/bin/env python3
"""The command `kiln` does what its help says: every subcommand on small nets."""

import json
import shutil
import struct
import subprocess
import unittest
import zlib

from cli import CommandTest, floats, model, node, npy

SUBCOMMANDS = ("run", "compile", "dump", "opt", "check", "bench", "ops")
LENET = ("lenet5", "--size", "28", "--width", "0.5")


def png(width, height, pixel):
    """A PNG of 8-bit RGB; pixel(x, y) gives three bytes."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    rows = b"".join(b"\0" + bytes(b for x in range(width) for b in pixel(x, y))
                    for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class HelpTest(CommandTest):
    def test_help_names_every_subcommand(self):
        text = self.kiln("--help")
        for name in SUBCOMMANDS:
            self.assertIn(name, text)
            self.assertIn("--help", self.kiln(name, "--help"))

    def test_version_names_llvm_and_the_cpu(self):
        lines = self.kiln("--version").splitlines()
        self.assertRegex(lines[0], r"^kiln \d+\.\d+\.\d+$")
        self.assertRegex(lines[1], r"^LLVM 19\.1")
        self.assertRegex(lines[2], r"^host CPU \S+ \(")

    def test_wrong_usage_is_status_2(self):
        for arguments in ([], ["fly"], ["run"], ["run", "x.onnx", "--fly"], ["ops", "--threads", "0"],
                          ["run", "x", "--shape", "a=1xq"], ["run", "x", "--mean", "1,2"],
                          ["run", "x", "--labels", "l.txt"], ["compile", "x.onnx"],
                          ["opt", "x.kir", "--passes", "fly"], ["dump", "x", "--stage", "fly"],
                          ["dump", "x", "--print-after", "fly"],
                          ["run", "x", "--disable-rewrite", "fly"]):
            self.fails(*arguments, status=2)

    def test_ops(self):
        self.assertIn("\nconv(", self.kiln("ops"))
        self.assertRegex(self.kiln("ops", "--format", "onnx"), r"(?m)^ConvTranspose +\d+ to \d+")
        for arguments in ((), ("--format", "onnx")):
            self.assertGreater(len(json.loads(self.kiln("ops", "--json", *arguments))), 30)


class RunTest(CommandTest):
    def outputs(self, folder, *arguments):
        self.kiln("run", *arguments, "--output-dir", folder, "--quiet")
        return self.folder / folder / "output.npy"

    def test_just_in_time_interpreter_and_library_agree(self):
        for net, *options in (LENET, ("resnet18", "--size", "32", "--width", "0.125"),
                              ("mobilenet_v2", "--size", "32", "--width", "0.25"),
                              ("squeezenet1_1", "--size", "48", "--width", "0.25")):
            with self.subTest(net=net):
                file = self.generate(net, *options, "--classes", "10")
                channels = 1 if net == "lenet5" else 3
                value = self.random_input(1, channels, int(options[1]), int(options[1]))
                compiled = self.outputs("jit", file, "--input", f"input={value}")
                reference = self.outputs("reference", file, "--input", value, "--reference")
                self.assert_close(reference, compiled)
                self.kiln("compile", file, "-o", "libnet.so")
                library = self.outputs("library", "libnet.so", "--input", f"input={value}")
                self.assertEqual(library.read_bytes(), compiled.read_bytes())
                plain = self.outputs("plain", file, "--input", value, "--no-optimize",
                                     "--no-schedule")
                self.assert_close(reference, plain)

    def test_the_same_bits_for_any_number_of_threads_and_from_the_cache(self):
        file = self.generate("resnet18", "--size", "32", "--width", "0.125")
        results = {self.outputs(f"threads{n}", file, "--input", "random:3", "--threads", n,
                                *cache).read_bytes()
                   for n in (1, 2, 4) for cache in ((), ("--no-cache",))}
        self.assertEqual(len(results), 1)

    def test_open_batch(self):
        file = self.generate(*LENET, "--batch", "0")
        one = json.loads(self.kiln("run", file, "--batch", "3", "--input", "random", "--json"))
        self.assertEqual(one["outputs"][0]["type"], "f32[3,10]")
        two = json.loads(self.kiln("run", file, "--shape", "input=2x1x28x28", "--input", "random",
                                   "--json"))
        self.assertEqual(two["outputs"][0]["type"], "f32[2,10]")

    def test_best_classes_with_labels(self):
        file = self.write("id.onnx", model([node("Neg", ["x"], ["y"])]))
        value = self.write("x.npy", npy((1, 4), [3, -7, 5, -6.5]))
        labels = self.write("labels.txt", b"ant\nbee\ncat\ndog\n")
        text = self.kiln("run", file, "--input", value, "--top", 2, "--labels", labels)
        self.assertIn("y: f32[1,4], min -5, max 7, mean 1.375", text)
        self.assertRegex(text, r"(?s) 7  class 1  bee\n +6\.5  class 3  dog\n$")
        result = json.loads(self.kiln("run", file, "--input", value, "--top", 9, "--json"))
        self.assertEqual([c["class"] for c in result["outputs"][0]["top"][0]], [1, 3, 0, 2])

    def test_outputs_are_named_safely(self):
        names = ["../up", "a/b", "a:b", ""]
        nodes = [node("Neg", ["x"], [f"v{i}"]) for i in range(4)]
        for item, name in zip(nodes, names[:3]):
            item.chunks = node("Neg", ["x"], [name]).chunks
            item.size = sum(map(len, item.chunks))
        file = self.write("names.onnx", model(nodes[:3], outputs=[(n, (1, 4)) for n in names[:3]]))
        self.kiln("run", file, "--input", "random", "--output-dir", "safe/deep")
        found = sorted(path.name for path in (self.folder / "safe" / "deep").iterdir())
        self.assertEqual(found, ["_.._up.npy", "a_b.npy", "a_b_2.npy"])

    def test_inputs_by_name_and_kind(self):
        file = self.write("add.onnx", model([node("Sub", ["a", "b"], ["y"])],
                                            inputs=[("a", (1, 4)), ("b", (1, 4))]))
        a = self.write("a.npy", npy((1, 4), [5, 6, 7, 8]))
        b = self.write("b.pb", b"".join(floats("b", (1, 4), [1, 2, 3, 4]).chunks))
        self.kiln("run", file, "--input", f"a={a}", "--input", f"b={b}")
        self.assertEqual((self.folder / "y.npy").read_bytes(), npy((1, 4), [4, 4, 4, 4]))
        self.kiln("run", file, "--input", f"a={a}", "--input", "b=random:1")
        first = (self.folder / "y.npy").read_bytes()
        self.kiln("run", file, "--input", f"a={a}", "--input", "random:1")
        self.assertEqual((self.folder / "y.npy").read_bytes(), first)
        self.kiln("run", file, "--input", f"a={a}", "--input", "random:2")
        self.assertNotEqual((self.folder / "y.npy").read_bytes(), first)

    def test_pictures(self):
        shape = (1, 3, 2, 2)
        file = self.write("pic.onnx", model([node("Identity", ["x"], ["y"])], [("x", shape)],
                                            [("y", shape)]))
        picture = self.write("p.png", png(2, 2, lambda x, y: (x + 2 * y, 10, 20)))
        self.kiln("run", file, "--input", picture)
        self.assertEqual((self.folder / "y.npy").read_bytes(),
                         npy(shape, [0, 1, 2, 3] + [10] * 4 + [20] * 4))
        self.kiln("run", file, "--input", f"x={picture}", "--order", "bgr", "--mean", "1,2,4",
                  "--scale", "0.5", "--std", "1,2,4")
        self.assertEqual((self.folder / "y.npy").read_bytes(),
                         npy(shape, [2] * 4 + [2] * 4 + [-0.5, 0, 0.5, 1]))
        wide = self.write("wide.png", png(8, 4, lambda x, y: (9, 9, 9)))
        self.kiln("run", file, "--input", wide, "--resize", 3, "--crop", 2)
        self.assertEqual((self.folder / "y.npy").read_bytes(), npy(shape, [9] * 12))
        self.assertIn("expected f32[1,3,2,2], found f32[1,3,4,8]",
                      self.fails("run", file, "--input", wide))


class CompileTest(CommandTest):
    def test_the_same_bytes_in_any_folder_and_only_libc_and_libm(self):
        original = self.generate("resnet18", "--size", "32", "--width", "0.125")
        made = []
        for folder in ("a", "b/c"):
            where = self.folder / folder
            where.mkdir(parents=True)
            shutil.copy(original, where / "m.onnx")
            arguments = ["--no-cache", "--threads", "1"] if folder == "a" else []
            done = self.call("compile", where / "m.onnx" if folder == "a" else "m.onnx", "-o",
                             "libm1.so", *arguments, cwd=where)
            self.assertEqual(done.returncode, 0, done.stderr)
            made.append([(where / name).read_bytes() for name in ("libm1.so", "libm1.h")])
        self.assertEqual(made[0], made[1])
        self.assertNotIn(str(self.folder).encode(), made[0][0])
        self.assertIn(b"libm1.so\0", made[0][0])  # the SONAME
        ldd = subprocess.run(["ldd", self.folder / "a" / "libm1.so"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        names = [line.split()[0].rpartition("/")[2] for line in ldd.splitlines()]
        for name in names:
            self.assertRegex(name, r"^(linux-vdso|libc|libm|ld-linux.*)\.so|^statically")

    def test_header_is_c99_and_cpp(self):
        file = self.generate(*LENET)
        self.kiln("compile", file, "-o", "liblenet.so", "--header", "net.h")
        source = self.write("use.c", b'#include "net.h"\nint main(void) {'
                                     b' return kiln_library == 0 && lenet_forward == 0; }\n')
        for compiler, *flags in (("cc", "-std=c99"), ("c++", "-x", "c++", "-std=c++11")):
            if shutil.which(compiler):
                subprocess.run([compiler, *flags, "-Wall", "-Wextra", "-Werror", "-pedantic",
                                "-fsyntax-only", source], check=True)

    def test_every_form(self):
        file = self.generate(*LENET)
        expected = {"obj": b"\x7fELF", "llvm": b"define ", "asm": b".text", "ir": b"module "}
        for form, text in expected.items():
            self.kiln("compile", file, "-o", f"out.{form}", "--emit", form)
            self.assertIn(text, (self.folder / f"out.{form}").read_bytes())
        value = self.random_input(1, 1, 28, 28)
        self.kiln("run", file, "--input", value, "--output-dir", "direct")
        self.kiln("run", "out.ir", "--input", value, "--output-dir", "optimised")
        self.assert_close(self.folder / "direct/output.npy", self.folder / "optimised/output.npy")

    def test_other_targets(self):
        file = self.generate(*LENET)
        self.kiln("compile", file, "-o", "libarm.so", "--target", "aarch64-linux-gnu")
        self.assertEqual((self.folder / "libarm.so").read_bytes()[18], 183)  # EM_AARCH64
        self.fails("run", "libarm.so", "--input", "random")
        self.kiln("compile", file, "-o", "avx2.s", "--emit", "asm", "--cpu", "x86-64-v3", "--target",
                  "x86_64-linux-gnu")
        assembly = (self.folder / "avx2.s").read_text()
        self.assertIn("ymm", assembly)
        self.assertNotIn("zmm", assembly)
        self.fails("compile", file, "-o", "x.so", "--target", "nonsense-none")
        self.fails("compile", file, "-o", "x.so", "--cpu", "nonsense")

    def test_chosen_functions(self):
        text = ('module "two" { func @forward(%x: f32[4]) -> ("y": %r) {\n'
                ' %r = relu(%x) : f32[4] }\n func @other(%x: f32[4]) -> ("y": %r) {\n'
                ' %r = neg(%x) : f32[4] } }\n')
        file = self.write("two.kir", text.encode())
        self.kiln("compile", file, "-o", "libtwo.so")
        self.assertIn("other", (self.folder / "libtwo.h").read_text())
        self.kiln("compile", file, "-o", "libone.so", "--functions", "forward")
        self.assertNotIn("other", (self.folder / "libone.h").read_text())
        self.assertIn("'backward'", self.fails("compile", file, "-o", "x.so", "--functions",
                                               "forward,backward"))


class DumpTest(CommandTest):
    def test_stages(self):
        file = self.generate(*LENET)
        marks = {"import": "conv(", "graph": "fusion(", "loops": "// kernel 0", "llvm": "define ",
                 "asm": ".text", "memory": "\narena "}
        for stage, mark in marks.items():
            self.assertIn(mark, self.kiln("dump", file, "--stage", stage), stage)

    def test_the_fusion_as_a_difference(self):
        text = self.kiln("dump", self.generate(*LENET), "--print-after", "fuse-conv-relu", "--diff")
        self.assertRegex(text, r"(?m)^-.*relu\(")
        self.assertRegex(text, r"(?m)^\+.*fusion\(")

    def test_remarks_and_switching_a_rewrite_off(self):
        file = self.generate(*LENET)
        self.assertIn("fuse-conv-relu: fired: ", self.kiln("dump", file, "--remarks"))
        self.assertNotIn("fuse-conv-relu: fired: ",
                         self.kiln("dump", file, "--remarks", "--disable-rewrite", "fuse-conv-relu"))
        self.assertNotIn("fired", self.kiln("dump", file, "--remarks", "--rewrite-limit", "0"))

    def test_pictures_of_the_graph(self):
        file = self.generate(*LENET)
        self.assertEqual(self.kiln("dump", file, "--dot", "g.dot", "--html", "g.html"), "")
        dot = (self.folder / "g.dot").read_text()
        self.assertTrue(dot.startswith("digraph ") and dot.endswith("}\n"))
        self.assertIn("conv1", dot)
        html = (self.folder / "g.html").read_text()
        self.assertIn('<b id="g1.input">', html)
        self.assertIn('<a href="#g1.input">', html)

    def test_text_goes_round(self):
        file = self.generate("resnet18", "--size", "32", "--width", "0.125")
        value = self.random_input(1, 3, 32, 32)
        for stage in ("import", "graph"):
            self.kiln("dump", file, "--stage", stage, "-o", f"{stage}.kir")
            self.kiln("dump", f"{stage}.kir", "--stage", "import", "-o", "again.kir")
            self.assertEqual((self.folder / "again.kir").read_bytes(),
                             (self.folder / f"{stage}.kir").read_bytes())
            self.kiln("run", f"{stage}.kir", "--input", value, "--output-dir", stage)
        self.assert_close(self.folder / "import/output.npy", self.folder / "graph/output.npy")

    def test_text_without_values_compiles_and_cannot_run_unless_filled(self):
        file = self.generate(*LENET)
        self.write("bare.kir", self.kiln("dump", file, "--stage", "import").encode())
        self.assertIn("fusion(", self.kiln("opt", "bare.kir"))
        self.kiln("dump", "bare.kir", "--stage", "asm")
        self.fails("run", "bare.kir", "--input", "random")
        results = [self.kiln("run", "bare.kir", "--input", "random", "--param-seed", seed)
                   for seed in (1, 1, 2)]
        self.assertEqual(results[0], results[1])
        self.assertNotEqual(results[0], results[2])


class OptTest(CommandTest):
    TEXT = ('module "m" { func @forward(%x: f32[4]) -> ("y": %b) {\n'
            '  %z = constant() {value=f32[4] dense([0.0,0.0,0.0,0.0])} : f32[4]\n'
            '  %a = add(%x, %z) : f32[4]\n  %b = relu(%a) : f32[4]\n  %d = neg(%a) : f32[4]\n} }\n')

    def test_text_in_passes_text_out(self):
        file = self.write("m.kir", self.TEXT.encode())
        dead = self.kiln("opt", file, "--passes", "eliminate-dead-code")
        self.assertIn("add(", dead)
        self.assertNotIn("neg(", dead)
        simple = self.kiln("opt", file, "--passes", "simplify-algebra,eliminate-dead-code",
                           "--verify-passes")
        self.assertNotIn("add(", simple)
        self.assertIn("relu(%x)", simple)
        self.assertIn("neg(", self.kiln("opt", file, "--passes", "eliminate-dead-code",
                                        "--rewrite-limit", "0"))

    def test_output_file_and_reports(self):
        file = self.write("m.kir", self.TEXT.encode())
        self.kiln("opt", file, "-o", "once.kir")
        self.kiln("opt", "once.kir", "-o", "twice.kir")
        self.assertEqual((self.folder / "once.kir").read_text(),
                         (self.folder / "twice.kir").read_text())
        self.assertRegex(self.kiln("opt", file, "--timing"), r"rewrites  pass\n(.*\n)+.* total\n$")
        self.assertIn("fired", self.kiln("opt", file, "--remarks"))
        self.assertIn("// after eliminate-dead-code",
                      self.kiln("opt", file, "--print-after", "eliminate-dead-code"))

    def test_list_of_passes(self):
        for name in ("fuse-conv-relu", "fold-constants", "simplify-algebra"):
            self.assertRegex(self.kiln("opt", "--list-passes"), rf"(?m)^{name} +\S")


class CheckTest(CommandTest):
    def case(self, name, op_type, expected):
        self.write(f"{name}/model.onnx", model([node(op_type, ["x"], ["y"])]))
        self.write(f"{name}/test_data_set_0/input_0.pb",
                   b"".join(floats("x", (1, 4), [-1, 0, 1, 2]).chunks))
        self.write(f"{name}/test_data_set_0/output_0.pb",
                   b"".join(floats("y", (1, 4), expected).chunks))

    def test_verdicts(self):
        self.case("cases/right", "Relu", [0, 0, 1, 2])
        self.case("cases/wrong", "Relu", [0, 0, 1, 2.5])
        self.case("cases/strange", "NoSuchOperator", [0, 0, 1, 2])
        for engine in ((), ("--reference",), ("--library",)):
            done = self.call("check", "cases", *engine)
            lines = done.stdout.splitlines()
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("PASS right", lines)
            self.assertRegex("\n".join(lines), "(?m)^FAIL wrong: .")
            self.assertRegex("\n".join(lines), "(?m)^SKIP strange: unsupported .*NoSuchOperator")
            self.assertEqual(lines[-1], "1 passed, 1 failed, 1 skipped")
        self.assertEqual(self.kiln("check", "cases/right", "cases/strange").splitlines()[-1],
                         "1 passed, 0 failed, 1 skipped")
        self.assertEqual(self.kiln("check", "cases/wrong", "--atol", "1").splitlines()[-1],
                         "1 passed, 0 failed, 0 skipped")
        self.fails("check", "no-such-folder")


class BenchTest(CommandTest):
    def test_numbers(self):
        file = self.generate(*LENET)
        result = json.loads(self.kiln("bench", file, "--json", "--threads", 2, "--quiet",
                                      "--seconds", "0.1", "--profile"))
        self.assertLessEqual(result["p10_ms"], result["median_ms"])
        self.assertLessEqual(result["median_ms"], result["p90_ms"])
        self.assertGreater(result["p10_ms"], 0)
        self.assertGreaterEqual(result["runs"], 10)
        self.assertEqual(result["threads"], 2)
        for key in ("compile_ms", "arena_bytes", "cpu_ms", "wall_ms", "gflops",
                    "peak_memory_bytes", "parameter_bytes"):
            self.assertGreater(result[key], 0, key)
        # The two convolutions and three dense layers of half a LeNet, multiplications and additions.
        self.assertGreater(result["gflop"], 2e-4)
        self.assertIn("conv1", "".join(step["nodes"] for step in result["profile"]))
        self.assertAlmostEqual(sum(step["share"] for step in result["profile"]), 1, places=3)

    def test_text_and_libraries(self):
        self.kiln("compile", self.generate(*LENET), "-o", "libnet.so")
        text = self.kiln("bench", "libnet.so", "--runs", "3", "--profile", "--seconds", "0.1")
        self.assertIn("(3 runs, ", text)
        self.assertIn("conv1", text)


if __name__ == "__main__":
    unittest.main()
