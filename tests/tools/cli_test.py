#!/usr/bin/env python3
"""The command `kiln` does what its help says: every subcommand on small nets."""

import html.parser
import json
import struct
import unittest
import zlib

from cli import CommandTest, floats, model, node, npy, tensors

SUBCOMMANDS = ("run", "compile", "convert", "diff", "dump", "opt", "check", "bench", "ops")
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


def grey_jpeg(level):
    """A baseline JPEG of 8x8 pixels, all of this grey, 192..255: one block that has a DC coefficient alone.

    With 8 as its quantiser a pixel is 128 + DC. The one DC code, 0, says that 7 bits follow; the one AC
    code, 0, ends the block."""
    def segment(marker, data):
        return bytes([0xff, marker]) + struct.pack(">H", len(data) + 2) + data
    one_code = bytes([1]) + bytes(15)
    return (b"\xff\xd8" + segment(0xdb, bytes([0]) + bytes([8] * 64)) +
            segment(0xc0, bytes([8, 0, 8, 0, 8, 1, 1, 0x11, 0])) +
            segment(0xc4, bytes([0x00]) + one_code + bytes([7])) +
            segment(0xc4, bytes([0x10]) + one_code + bytes([0])) +
            segment(0xda, bytes([1, 1, 0, 0, 63, 0])) + bytes([level - 128, 0x7f]) + b"\xff\xd9")


class PageReader(html.parser.HTMLParser):
    """What is open, defined, linked to and fetched in a web page."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.elsewhere = [], set(), set(), []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.add(value)
            elif name == "href" and value.startswith("#"):
                self.links.add(value[1:])
            elif name in ("href", "src", "action", "style") or name.startswith("on"):
                self.elsewhere.append(value)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if self.open and self.open[-1] == "style" and ("url(" in data or "@import" in data):
            self.elsewhere.append(data)


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
            self.assertRegex(self.fails(*arguments, status=2), r" \(see kiln( \w+)? --help\)$")

    def test_numbers_of_options(self):
        for option, value in (("--batch", "0"), ("--batch", "-1"), ("--batch", "1e3"),
                              ("--batch", "9" * 20), ("--threads", "1025"), ("--top", "0"),
                              ("--max-memory", "-5"), ("--scale", "nan"), ("--winograd", "3")):
            error = self.fails("run", "x.onnx", option, value, status=2)
            self.assertIn(f"{option}: ", error)
            self.assertLess(len(error), 200)
        for option, value in (("--seconds", "nan"), ("--runs", "9" * 20)):
            self.assertIn(value, self.fails("bench", "x.onnx", option, value, status=2))
        for option, value in (("--epochs", "nan"), ("--epochs", "1e300"), ("--prefetch", "9" * 9)):
            self.assertIn(value, self.fails("train", "x.onnx", "--data", "idx:.", option, value,
                                            status=2))

    def test_an_unknown_subcommand_is_named(self):
        self.assertIn('"fly"', self.fails("fly", status=2))
        self.assertIn('"--fly"', self.fails("--fly", status=2))

    def test_an_error_is_one_line_of_file_and_node(self):
        file = self.write("bad.onnx", model([node("Foo", ["x"], ["y"], name="layer7")]))
        done = self.call("run", file, "--input", "random", "--quiet")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, rf"^kiln: error: {file}: layer7: .*Foo.*\n$")

    def test_progress(self):
        file = self.write("neg.onnx", model([node("Neg", ["x"], ["y"])]))
        run = ("run", file, "--input", "random")
        self.assertRegex(self.call(*run).stderr, r"^(kiln: .+\n)+$")
        self.assertEqual(self.call(*run, "--quiet").stderr, "")
        self.assertEqual(self.call("-q", *run).stderr, "")  # global options stand anywhere
        loud = self.call("bench", file, "--runs", 1, "--seconds", 0, "--verbose")
        self.assertEqual(loud.returncode, 0)
        self.assertIn("code generation", loud.stderr)

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

    def test_format_is_told_from_the_content_unless_given(self):
        file = self.write("model.txt", model([node("Neg", ["x"], ["y"])]))
        for options in ((), ("--format", "onnx")):
            self.kiln("run", file, "--input", "random", *options)
        self.assertIn("model.txt", self.fails("run", file, "--input", "random", "--format", "kir"))

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
        self.kiln("run", file, "--input", self.write("p.jpg", grey_jpeg(200)), "--resize", 2, "--mean",
                  "100,150,200", "--std", 2, "--scale", 4)
        found = tensors.read(str(self.folder / "y.npy"))
        for value, expected in zip(found, [200] * 4 + [100] * 4 + [0] * 4, strict=True):
            self.assertAlmostEqual(value, expected, places=3)

    def test_pictures_are_resized_then_cropped(self):
        """Values by hand. 2 -> 4 pixels: output centres at 0.25, 0.75, 1.25, 1.75, input centres at 0.5 and
        1.5; with a triangle of half-width 1 the inner ones are 3/4 of the near and 1/4 of the far."""
        shape = (1, 3, 2, 2)
        file = self.write("pic.onnx", model([node("Identity", ["x"], ["y"])], [("x", shape)],
                                            [("y", shape)]))
        picture = self.write("p.png", png(2, 2, lambda x, y: (80 * x, 40 * y, 80 * x + 40 * y)))
        self.kiln("run", file, "--input", picture, "--resize", 4, "--crop", 2, "--order", "bgr")
        red, green = [20, 60, 20, 60], [10, 10, 30, 30]
        blue = [r + g for r, g in zip(red, green)]
        self.assertEqual((self.folder / "y.npy").read_bytes(), npy(shape, blue + green + red))

    def test_grey_pictures(self):
        shape = (1, 1, 8, 8)
        file = self.write("grey.onnx", model([node("Identity", ["x"], ["y"])], [("x", shape)],
                                             [("y", shape)]))
        self.kiln("run", file, "--input", self.write("g.jpg", grey_jpeg(255)), "--scale", "0.125")
        found = tensors.read(str(self.folder / "y.npy"))
        self.assertEqual(len(found), 64)
        for value in found:
            self.assertAlmostEqual(value, 255 / 8, places=4)


class CompileTest(CommandTest):
    def test_every_form(self):
        file = self.generate(*LENET)
        expected = {"obj": b"\x7fELF", "llvm": b"define ", "asm": b".text", "ir": b"module "}
        for form, text in expected.items():
            self.kiln("compile", file, "-o", f"out.{form}", "--emit", form)
            self.assertIn(text, (self.folder / f"out.{form}").read_bytes())
        result = json.loads(self.kiln("compile", file, "-o", "out.so", "--json"))
        self.assertEqual((result["file"], result["header"]), ("out.so", "out.h"))
        self.assertEqual(result["functions"][0]["name"], "forward")
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
        self.assertIn("two_other(", (self.folder / "libtwo.h").read_text())
        self.kiln("compile", file, "-o", "libone.so", "--functions", "forward")
        self.assertNotIn("one_other(", (self.folder / "libone.h").read_text())
        self.assertIn("'backward'", self.fails("compile", file, "-o", "x.so", "--functions",
                                               "forward,backward"))


class DumpTest(CommandTest):
    def test_the_functions_of_training(self):
        file = self.generate(*LENET)
        step = self.kiln("dump", file, "--stage", "import", "--function", "train_step")
        self.assertIn("func @train_step(", step)
        self.assertIn("conv_weight_gradient(", step)
        self.assertNotIn("@forward", step)
        self.assertIn("func @loss(", self.kiln("dump", file, "--function", "loss"))
        self.assertIn("there are forward", self.fails("dump", file, "--function", "fly"))

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

    def test_one_function(self):
        file = self.write("two.kir", (
            'module "two" {\n  func @forward(%x: f32[4]) -> ("y": %r) { %r = relu(%x) : f32[4] }\n'
            '  func @other(%x: f32[4]) -> ("y": %r) { %r = neg(%x) : f32[4] }\n}\n').encode())
        self.assertIn("relu(", self.kiln("dump", file))
        self.kiln("dump", file, "--dot", "two.dot")
        self.assertIn("cluster_f1", (self.folder / "two.dot").read_text())
        for stage in ("import", "graph", "loops", "memory"):
            text = self.kiln("dump", file, "--stage", stage, "--function", "other")
            self.assertIn("other", text, stage)
            self.assertNotIn("forward", text, stage)
        self.assertIn("forward, other", self.fails("dump", file, "--function", "backward"))
        results = []
        for function in ("forward", "other"):
            self.kiln("run", file, "--function", function, "--input", "random")
            results.append((self.folder / "y.npy").read_bytes())
        self.assertNotEqual(*results)

    def test_after_every_pass(self):
        text = self.kiln("dump", self.generate(*LENET), "--print-after", "all")
        for name in ("eliminate-dead-code", "fuse-conv-relu", "assign-layouts"):
            self.assertIn(f"// after {name}\n", text)
        self.assertRegex(self.kiln("dump", self.generate(*LENET), "--timing"), r" total\n$")
        both = self.kiln("dump", self.generate(*LENET), "--stage", "memory", "--remarks")
        self.assertIn("fuse-conv-relu: fired: ", both)
        self.assertIn("\narena ", both)

    def test_remarks_and_switching_a_rewrite_off(self):
        file = self.generate(*LENET)
        self.assertIn("fuse-conv-relu: fired: ", self.kiln("dump", file, "--remarks"))
        self.assertNotIn("fuse-conv-relu: fired: ",
                         self.kiln("dump", file, "--remarks", "--disable-rewrite", "fuse-conv-relu"))
        self.assertNotIn("fired", self.kiln("dump", file, "--remarks", "--rewrite-limit", "0"))

    def test_json(self):
        file = self.generate(*LENET)
        plain = json.loads(self.kiln("dump", file, "--json"))
        self.assertEqual(plain["text"], self.kiln("dump", file))
        self.assertIn("fuse-conv-relu", [one["name"] for one in plain["passes"]])
        self.assertNotIn("remarks", plain)
        remarks = json.loads(self.kiln("dump", file, "--remarks", "--json"))["remarks"]
        self.assertIn(("fuse-conv-relu", True), [(one["pass"], one["fired"]) for one in remarks])
        memory = json.loads(self.kiln("dump", file, "--stage", "memory", "--json"))
        self.assertEqual(memory, {"text": self.kiln("dump", file, "--stage", "memory")})
        self.kiln("dump", file, "--stage", "import", "-o", "net.kir")
        passes = ("--passes", "fold-constants")
        changed = json.loads(self.kiln("opt", "net.kir", *passes, "--print-after", "all", "--json"))
        self.assertEqual([one["name"] for one in changed["passes"]], ["fold-constants"])
        self.assertEqual(changed["printed"],
                         self.kiln("opt", "net.kir", *passes, "--print-after", "all"))

    def test_pictures_of_the_graph(self):
        file = self.generate(*LENET)
        self.assertEqual(self.kiln("dump", file, "--dot", "g.dot"), "")
        dot = (self.folder / "g.dot").read_text()
        self.assertTrue(dot.startswith("digraph ") and dot.endswith("}\n"))
        self.assertIn("conv1", dot)
        self.assertEqual(self.kiln("dump", file, "--stage", "import", "--dot", "i.dot").count("func @"),
                         1)
        self.assertNotEqual((self.folder / "i.dot").read_text(), dot)

    def test_web_page(self):
        file = self.generate(*LENET)
        self.assertEqual(self.kiln("dump", file, "--html", "g.html"), "")
        text = (self.folder / "g.html").read_text()
        page = PageReader()
        page.feed(text)
        page.close()
        self.assertEqual(page.open, [])
        self.assertEqual(page.links - page.ids, set())  # every use of a value finds its definition
        self.assertEqual(page.elsewhere, [])
        self.assertIn('<b id="s0.g1.input">', text)
        self.assertIn('<a href="#s0.g1.input">', text)
        self.assertRegex(text, "<h2[^>]*>fuse-conv-relu</h2> [1-9]")
        self.assertRegex(text, '<li class="fired">fuse-conv-relu: fired: ')
        self.assertRegex(text, '<span class="add">[+] .*fusion')
        self.assertRegex(text, '<span class="cut">- .*relu')
        self.assertRegex(text, "nothing changed")
        self.write("odd.kir", ('module "<script>" { func @forward(%x: f32[4] loc("a<b>&\\"c")) -> '
                               '("<y>": %r) { %r = relu(%x) : f32[4] } }').encode())
        self.kiln("dump", "odd.kir", "--html", "odd.html")
        self.assertNotIn("<script>", (self.folder / "odd.html").read_text())

    def test_text_goes_round(self):
        file = self.generate("resnet18", "--size", "32", "--width", "0.125")
        value = self.random_input(1, 3, 32, 32)
        for stage in ("import", "graph"):
            self.kiln("dump", file, "--stage", stage, "-o", f"{stage}.kir")
            self.kiln("dump", f"{stage}.kir", "--stage", "import", "-o", "again.kir")
            self.assertEqual((self.folder / "again.kir").read_bytes(),
                             (self.folder / f"{stage}.kir").read_bytes())
            self.kiln("run", f"{stage}.kir", "--input", value, "--output-dir", stage)
            self.kiln("opt", f"{stage}.kir", "--passes", "", "-o", f"{stage}.kiln")
            self.kiln("dump", f"{stage}.kiln", "--stage", "import", "-o", "native.kir")
            self.assertEqual((self.folder / "native.kir").read_bytes(),
                             (self.folder / f"{stage}.kir").read_bytes())
            self.kiln("run", f"{stage}.kiln", "--input", value, "--output-dir", "native")
            self.assertEqual((self.folder / "native/output.npy").read_bytes(),
                             (self.folder / f"{stage}/output.npy").read_bytes())
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


class ConvertTest(CommandTest):
    def test_native_forms(self):
        file = self.generate(*LENET)
        self.kiln("convert", file, "net.kir")
        self.kiln("convert", "net.kir", "net.kiln")
        for other in ("net.kir", "net.kiln"):
            self.assertRegex(self.kiln("diff", file, other), r"\nequal\n$")

    def test_weights_of_caffe(self):
        net = self.write("net.prototxt", b"""
            layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 } } }
            layer { name: 'fc' type: 'InnerProduct' bottom: 'x' top: 'y'
                    inner_product_param { num_output: 4 weight_filler { type: 'xavier' } } }""")
        self.assertIn("fc.weight: the parameter has no value",
                      self.fails("convert", net, "net.caffemodel", lines=2))
        self.kiln("convert", net, "net.caffemodel", "--param-seed", "3")
        self.kiln("convert", net, "seeded.kiln", "--param-seed", "3")
        self.assertIn("\nequal\n", self.kiln("diff", f"{net},net.caffemodel", "seeded.kiln"))
        self.assertIn("only a net that was read from Caffe's files",
                      self.fails("convert", self.generate(*LENET), "lenet.caffemodel"))


class DiffTest(CommandTest):
    def test_layers_that_differ_are_named(self):
        text = OptTest.TEXT
        a = self.write("a.kir", text.encode())
        b = self.write("b.kir", text.replace("relu(%a)", "tanh(%a)").encode())
        done = self.call("diff", a, b, "--quiet")
        self.assertEqual(done.returncode, 1)
        self.assertIn("- relu '%b': f32[4]\n", done.stdout)
        self.assertIn("+ tanh '%b': f32[4]\n", done.stdout)
        self.assertIn("is not the network in", done.stderr)
        self.assertTrue(json.loads(self.kiln("diff", a, a, "--json"))["equal"])

    def test_open_batch(self):
        file = self.generate(*LENET, "--batch", "0")
        self.assertIn("\nequal\n", self.kiln("diff", file, file, "--batch", "2"))
        other = self.generate(*LENET)
        self.assertIn("! input 0: is f32[2,", self.call("diff", file, other, "--batch", "2").stdout)


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
            self.assertRegex("\n".join(lines), r"(?m)^SKIP strange: unsupported \(y: .*NoSuchOperator.*\)$")
            self.assertEqual(lines[-1], "1 passed, 1 failed, 1 skipped")
        self.assertEqual(self.kiln("check", "cases/right", "cases/strange").splitlines()[-1],
                         "1 passed, 0 failed, 1 skipped")
        self.assertEqual(self.kiln("check", "cases/wrong", "--atol", "1").splitlines()[-1],
                         "1 passed, 0 failed, 0 skipped")
        self.fails("check", "no-such-folder")
        done = self.call("check", "cases", "--json", "--threads", 2)
        self.assertEqual(done.returncode, 1)
        result = json.loads(done.stdout)
        self.assertEqual([case["verdict"] for case in result["cases"]], ["pass", "skip", "fail"])
        self.assertEqual((result["passed"], result["failed"], result["skipped"]), (1, 1, 1))


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

    def test_a_step_of_training(self):
        file = self.generate(*LENET)
        measured = [json.loads(self.kiln("bench", file, "--json", "--batch", 2, "--runs", 3, *more))
                    for more in ((), ("--train",))]
        self.assertEqual([result["function"] for result in measured], ["forward", "train_step"])
        self.assertGreater(measured[1]["gflop"], 2 * measured[0]["gflop"])
        self.kiln("compile", file, "-o", "libstep.so", "--functions", "forward,train_step")
        text = self.kiln("bench", "libstep.so", "--train", "--runs", "3", "--profile",
                         "--seconds", "0.1")
        self.assertIn("conv1", text)
        self.fails("bench", file, "--train", "--function", "forward", status=2)

    def test_text_and_libraries(self):
        self.kiln("compile", self.generate(*LENET), "-o", "libnet.so")
        text = self.kiln("bench", "libnet.so", "--runs", "3", "--profile", "--seconds", "0.1")
        self.assertIn("(3 runs, ", text)
        self.assertIn("conv1", text)


if __name__ == "__main__":
    unittest.main()
