#!/usr/bin/env python3
"""Bad input of every kind gives the command's status 1 and one clear line a problem, never a crash."""

import re
import resource
import subprocess
import unittest

from cli import CommandTest, floats, ints, model, node, npy, varint

RELU = model([node("Relu", ["x"], ["y"])])


class ModelTest(CommandTest):
    def refuses(self, data, expected, name="bad.onnx", lines=1):
        """The model is refused, with the file's name and this text in the error."""
        path = self.write(name, data)
        errors = self.fails("run", path, "--input", "random", lines=lines)
        for line in errors.splitlines():
            self.assertRegex(line, rf"^kiln: error: {re.escape(str(path))}(:\d+:\d+)?: \S")
        self.assertRegex(errors, expected)
        return errors

    def test_no_model_at_all(self):
        relu = self.write("relu.onnx", RELU)
        self.refuses(b"", "empty")
        self.refuses(b"Dear model,\nhow are you?\n", "format|malformed|not ")
        self.refuses(bytes(range(256)) * 8, "format|malformed|not ")
        self.fails("run", "no-such-file.onnx", "--input", "random")
        (self.folder / "folder.onnx").mkdir(exist_ok=True)
        self.assertIn("directory", self.fails("run", "folder.onnx", "--input", "random"))
        self.fails("run", "/dev/zero", "--input", "random")
        long = "x" * 5000
        for command in (("run", long), ("run", relu, "--input", long), ("check", long),
                        ("train", relu, "--data", f"lmdb:{long}"),
                        ("train", relu, "--data", f"images:{long}")):
            self.fails(*command)
        for name in ("", ",", "relu.onnx,"):
            self.fails("run", name, "--input", "random", status=2)
        for command in (("dump",), ("compile", "-o", "x.so"), ("bench",), ("opt",)):
            self.fails(command[0], "no-such-file.onnx", *command[1:])

    def test_cut_at_every_kilobyte(self):
        whole = self.generate("lenet5", "--width", "0.5").read_bytes()
        for size in range(1024, len(whole), 1024):
            path = self.write("cut.onnx", whole[:size])
            self.fails("dump", path, "--stage", "import")

    def test_text_cut_at_many_places(self):
        whole = self.kiln("dump", self.generate("lenet5", "--width", "0.5"), "--stage",
                          "import").encode()
        for size in range(1, len(whole) - 4, max(1, len(whole) // 40)):
            self.fails("opt", self.write("cut.kir", whole[:size]))

    def test_graphs_that_are_none(self):
        relu = node("Relu", ["x"], ["y"])
        self.refuses(model([relu], opset=9999), "opset|9999")
        self.refuses(model([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"])],
                           outputs=[("b", (1, 4))]), "'?b'?|cycle")
        self.refuses(model([relu, node("Neg", ["x"], ["y"], name="again")]), "y")
        self.refuses(model([node("Add", ["x", "weight"], ["y"])]), "weight")
        self.refuses(model([relu], outputs=[("nowhere", (1, 4))]), "nowhere")

    def test_text_that_is_nested_without_end(self):
        deep = b"%f = fusion(%x) : f32[1] { (%x: f32[1]) " * 5000
        self.refuses(b'module "m" { func @f(%x: f32[1]) -> ("y": %x) {' + deep, "deep", name="deep.kir")
        self.refuses(b'format: "kiln.model" format_version: 1 functions {' + b"ops { body {" * 5000,
                     "deep", name="deep.kiln")
        graph = b""
        for _ in range(1000):  # a graph in an attribute of a node of a graph ...
            for field in (6, 5, 1):
                graph = bytes([field << 3 | 2]) + varint(len(graph)) + graph
        self.refuses(b"\x08\x07\x3a" + varint(len(graph)) + graph, "deep|malformed|nest")

    def test_a_long_chain(self):
        """Ten thousand nodes one after another: no recursion, no quadratic time."""
        count = 10000
        nodes = [node("MatMul" if i % 2 else "Relu", [f"v{i}", "w"] if i % 2 else [f"v{i}"],
                      [f"v{i + 1}"]) for i in range(count)]
        path = self.write("chain.onnx", model(nodes, [("v0", (1, 4))], [(f"v{count}", (1, 4))],
                                              [floats("w", (4, 4), [0.5] * 16)]))
        self.kiln("dump", path, "-o", "chain.kir")

    def test_shapes_that_are_none(self):
        relu = node("Relu", ["x"], ["y"])
        for shape in ((1, -4), (1 << 40, 1 << 40), (1 << 62, 4), (3, 1 << 63)):
            self.refuses(model([relu], inputs=[("x", shape)], outputs=[("y", shape)]), "x")
        self.refuses(model([node("Add", ["x", "w"], ["y"])],
                           initializers=[floats("w", (1, -4), [1, 2, 3, 4])]), "w")
        self.refuses(model([node("Add", ["x", "w"], ["y"])],
                           initializers=[floats("w", (1 << 31, 1 << 31), [1, 2, 3, 4])]), "w")
        self.refuses(model([node("Add", ["x", "w"], ["y"])],
                           initializers=[floats("w", (1, 4), [1, 2, 3])]), "w")

    def test_a_huge_tensor_from_a_small_file(self):
        shape = (1 << 20, 1 << 20)  # a TiB as i8, 4 TiB as f32
        errors = self.refuses(model([node("Relu", ["x"], ["y"])], inputs=[("x", shape)],
                                    outputs=[("y", shape)]), "memory|bytes|large")
        self.assertNotIn("\n", errors)

    def test_giant_constants_from_a_tiny_file(self):
        """256 GiB of constants that no pass may compute; what needs them at run time is refused."""
        side, count = 1 << 18, 1 << 36
        number = floats("one", (), [1])
        giants = {"Fill": ([node("ConstantOfShape", ["shape"], ["giant"])], [ints("shape", [side, side])]),
                  "Range": ([node("Range", ["zero", "end", "one"], ["giant"])],
                            [floats("zero", (), [0]), floats("end", (), [count]), number]),
                  "Tile": ([node("Tile", ["few", "times"], ["giant"])],
                           [ints("times", [count >> 2]), floats("few", (4,), [1, 2, 3, 4])]),
                  "Expand": ([node("Expand", ["one", "shape"], ["giant"])],
                             [ints("shape", [side, side]), number])}
        for name, (nodes, initializers) in giants.items():
            # A cumulative sum is no part of a fusion: it needs memory for its operand and its result.
            whole = nodes + [node("CumSum", ["giant", "axis"], ["sums"]),
                             node("ReduceMean", ["sums"], ["m"], keepdims=0),
                             node("Add", ["x", "m"], ["y"])]
            path = self.write(f"{name}.onnx", model(whole, initializers=initializers +
                                                    [ints("axis", [0])]))
            self.assertEqual(self.call("dump", path, timeout=60).returncode, 0, name)
            self.assertEqual(self.call("compile", path, "-o", "giant.so", timeout=60).returncode, 0, name)
            errors = self.fails("run", path, "--input", "random", timeout=60)
            self.assertRegex(errors, rf"{name}.onnx: inputs, outputs and workspace take [0-9.]+ GiB")

    def test_everything_unsupported_is_named_at_once(self):
        errors = self.refuses(model([node("Foo", ["x"], ["a"], name="first"),
                                     node("Bar", ["a"], ["b"], name="second"),
                                     node("Relu", ["b"], ["y"])]), "first", lines=2)
        self.assertRegex(errors, r"first.*Foo(.|\n)*second.*Bar")

    def test_control_characters_are_not_printed(self):
        errors = self.refuses(model([node("Foo", ["x"], ["y"], name="\x1b[31mred")]), r"\[31mred: operator Foo")
        self.assertNotIn("\x1b", errors)


class InputTest(CommandTest):
    def setUp(self):
        self.relu = self.write("relu.onnx", RELU)

    def refuses(self, expected, *inputs):
        arguments = [part for item in inputs for part in ("--input", item)]
        self.assertRegex(self.fails("run", self.relu, *arguments), expected)

    def test_names(self):
        self.refuses(r"'x', f32\[1,4\], has no value")
        self.refuses("there is no such input; there are 'x'", "z=random")
        self.refuses("value already", "x=random", "x=random:2")
        self.refuses('expected random:SEED with a whole number, found "random:one"', "x=random:one")
        two = self.write("two.onnx", model([node("Add", ["a", "b"], ["y"])],
                                           inputs=[("a", (1, 4)), ("b", (1, 4))]))
        self.assertRegex(self.fails("run", two, "--input", "some.npy"), "say which input")
        self.assertRegex(self.fails("run", two, "--input", "a=random"), "'b'")

    def test_files(self):
        self.refuses("No such file", "no-such-file.npy")
        self.refuses("directory", self.folder)
        self.refuses("none of .npy", self.write("x.bin", b"1234"))
        self.refuses("x.npy: ", self.write("x.npy", b""))
        self.refuses("x.pb: ", self.write("x.pb", b"\xff\xff\xff\xff"))
        self.refuses("x.png: ", self.write("x.png", b"\x89PNG\r\n\x1a\n1234"))
        whole = npy((1, 4), [1, 2, 3, 4])
        for size in range(0, len(whole), 7):
            self.refuses("cut.npy: ", self.write("cut.npy", whole[:size]))

    def test_types_and_shapes(self):
        expected = r"input 'x': expected f32\[1,4\], found "
        self.refuses(expected + r"f32\[4\]", self.write("s.npy", npy((4,), [1, 2, 3, 4])))
        self.refuses(expected + r"f64\[1,4\]",
                     self.write("t.npy", npy((1, 4), [1, 2, 3, 4], "<f8", "d")))
        self.refuses(expected + r"i32\[1,4\]",
                     self.write("i.npy", npy((1, 4), [1, 2, 3, 4], "<i4", "i")))
        self.refuses(expected + r"f32\[1,5\]",
                     self.write("p.pb", b"".join(floats("x", (1, 5), [1, 2, 3, 4, 5]).chunks)))

    def test_shape_options(self):
        self.assertIn("no input 'q'", self.fails("run", self.relu, "--shape", "q=1x4"))
        self.assertRegex(self.fails("run", self.relu, "--shape", "x=1x5"), "x")


class LibraryTest(CommandTest):
    def test_damaged_libraries(self):
        self.kiln("compile", self.write("relu.onnx", RELU), "-o", "lib.so")
        whole = (self.folder / "lib.so").read_bytes()
        for size in range(4, len(whole), max(1, len(whole) // 12)):
            self.fails("run", self.write("cut.so", whole[:size]), "--input", "random")
        self.fails("dump", "lib.so")
        self.fails("run", "lib.so", "--input", "random", "--reference")


class OutputTest(CommandTest):
    def setUp(self):
        self.model = self.generate("lenet5", "--width", "0.5")

    def test_places_that_cannot_be_written(self):
        self.write("plain", b"")
        for path in ("no/such/folder/out.so", "plain/out.so", self.folder):
            for form in ("lib", "ir", "asm"):
                self.fails("compile", self.model, "-o", path, "--emit", form)
        self.fails("compile", self.model, "-o", "x.so", "--header", "no/such/folder/x.h")
        self.assertFalse((self.folder / "x.so").exists())  # both or neither
        self.fails("compile", self.model, "-o", "plain/x.so", "--header", "x.h")
        self.assertFalse((self.folder / "x.h").exists())
        self.assertIn("--header", self.fails("compile", self.model, "-o", "net.h"))
        before = self.model.read_bytes()
        self.assertIn("would overwrite the model", self.fails("compile", self.model, "-o", self.model))
        self.assertEqual(self.model.read_bytes(), before)
        self.fails("run", self.model, "--input", "random", "--output-dir", "plain")
        self.fails("dump", self.model, "--dot", "no/such/folder/g.dot")
        self.fails("opt", self.model, "-o", "no/such/folder/g.kir")

    def test_a_tiny_disk(self):
        """A file system of 64 KiB that is full after the first file."""
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "kiln-test", disk],
                                 stderr=subprocess.DEVNULL).returncode == 0
        if not mounted:
            self.skipTest("no file system may be mounted here")
        try:
            (disk / "filler").write_bytes(bytes(60 << 10))
            for form in ("lib", "obj", "ir", "asm"):
                self.assertIn("No space", self.fails("compile", self.model, "-o", disk / "out",
                                                     "--emit", form))
            self.fails("run", self.write("copy.onnx", model(
                [node("Relu", ["x"], ["y"])], [("x", (100, 100))], [("y", (100, 100))])),
                "--input", "random", "--output-dir", disk)
            environment = dict(self.environment, TMPDIR=str(disk))
            self.fails("compile", self.model, "-o", "x.so", env=environment)
            self.assertFalse((self.folder / "x.so").exists())
            self.assertEqual([path.name for path in disk.iterdir()], ["filler"])
        finally:
            subprocess.run(["umount", disk], check=True)

    def test_full_disk(self):
        for form in ("lib", "obj", "ir", "asm", "llvm"):
            self.assertIn("No space", self.fails("compile", self.model, "-o", "/dev/full", "--emit",
                                                 form))
        with open("/dev/full", "wb") as full:
            for arguments in (("dump", self.model), ("ops",), ("dump", self.model, "--stage", "asm"),
                              ("run", self.model, "--input", "random")):
                self.assertIn("stdout", self.fails(*arguments, stdout=full))

    def test_nothing_is_left_half_written(self):
        """A limit on the size of files stands for a disk that fills up on the way."""
        place = self.folder / "out"
        place.mkdir()
        calls = {"lib.so": ("compile", self.model, "-o", "lib.so"),
                 "ir.kir": ("compile", self.model, "-o", "ir.kir", "--emit", "ir"),
                 "graph.kir": ("dump", self.model, "-o", "graph.kir"),
                 "text.s": ("dump", self.model, "--stage", "asm", "-o", "text.s")}
        for name, arguments in calls.items():
            (place / name).write_text("what was here before")
            self.fails(*arguments, cwd=place,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048)))
            self.assertEqual((place / name).read_text(), "what was here before")
            self.assertEqual([path.name for path in place.iterdir()], [name])
            (place / name).unlink()


if __name__ == "__main__":
    unittest.main()
