#!/usr/bin/env python3
"""The gallery examples/zoo: every file of it compiles, runs and trains a step, at small pictures.

    zoo_test.py KILN [TEST...]
"""

import argparse
import math
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import unittest
from array import array

from command import ModelTest
import models
import onnx_net
import prototxt_net

ROOT = pathlib.Path(__file__).resolve().parents[2]
ZOO = ROOT / "examples" / "zoo"
TRAINING = ROOT / "examples" / "training"
sys.path.insert(0, str(ZOO))
import pictures

onnx_net.Weights.BLOCK = 65537  # a prime; only the structure of these nets is looked at

# What models.py calls each file of the gallery.
GENERATED = {"lenet5": "lenet5", "alexnet": "alexnet_lrn", "vgg16": "vgg16", "vgg19": "vgg19",
             "googlenet": "googlenet", "resnet18": "resnet18", "resnet50": "resnet50",
             "resnet101": "resnet101", "resnet152": "resnet152", "resnet20": "resnet20",
             "resnet110": "resnet110"}
# Side of the pictures: as small as all layers can do with.
SIZE = {"lenet5": 28, "alexnet": 67, "googlenet": 96, "resnet110": 16}  # 32 otherwise


def options_for(net, **changes):
    options = dict(size=models.DEFAULT_SIZE.get(net, 224), batch=1, seed=0, width=1.0, opset=13,
                   classes=models.DEFAULT_CLASSES.get(net, 1000))
    return argparse.Namespace(**{**options, **changes})


class ZooTest(ModelTest):
    def prints(self, *arguments):
        """The output of a call that must succeed."""
        status, output = self.kiln(*arguments)
        self.assertEqual(status, 0, f"{arguments}: {output}")
        return output

    def data(self, size, channels=3, count=4):
        """A small data set."""
        path = self.folder / "pictures.npz"
        pictures.write(path, size=size, count=count, classes=2, channels=channels)
        return f"npz:{path}"

    def trains_a_step(self, model, data, *options):
        """Prints a loss that is a number, and leaves weights that are not those of the start."""
        output = self.prints("train", model, "--data", data, "--max-steps", 1, "--hold-out", 0,
                             "--lr", 0.001, "--threads", 1, *options)
        loss = float(re.search(r"^step 1 .* loss=(\S+)", output, re.MULTILINE)[1])
        self.assertTrue(0 < loss < math.inf, output)
        return loss

    def agrees_with_the_interpreter(self, model, shape, *options):
        generator = random.Random(1)
        pixels = array("f", (generator.gauss(0, 1) for _ in range(math.prod(shape))))
        options = ["--shape", f"data={'x'.join(map(str, shape))}", "--param-seed", 1, *options]
        _, expected = self.run_model(model, "data", shape, pixels, "--reference", *options)
        _, found = self.run_model(model, "data", shape, pixels, *options)
        scale = max(map(abs, expected))
        self.assertTrue(0 < scale < math.inf)
        for a, b in zip(found, expected):
            self.assertLessEqual(abs(a - b), 1e-4 * scale)


class Small(ZooTest):
    """What came before the deep nets."""

    def test_neurons_are_answered_by_the_compiler(self):
        graph = self.prints("dump", ZOO / "neuron.kir", "--stage", "graph")
        for name, answers in (("and", "0.0,0.0,0.0,1.0"), ("or", "0.0,1.0,1.0,1.0"),
                              ("xor", "0.0,1.0,1.0,0.0")):
            self.assertRegex(graph, rf'%{name}\w* = constant.*\[{answers}\]')
        self.prints("run", ZOO / "neuron.kir", "--output-dir", self.folder)

    def test_one_perceptron_fails_and_two_layers_do_not(self):
        output = subprocess.run([TRAINING / "xor.sh", self.KILN], check=True, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        perceptron, mlp = map(float, re.findall(r"^final test_accuracy=(\S+)", output,
                                                re.MULTILINE))
        self.assertLessEqual(perceptron, 0.75)
        self.assertEqual(mlp, 1.0)

    def test_gradients_vanish_behind_sigmoids(self):
        output = subprocess.run([ZOO / "vanishing.sh", self.KILN], check=True, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        rows = {name: (float(sigmoid), float(relu)) for name, sigmoid, relu in
                re.findall(r"^(\w+) +(\S+e\S+|[\d.]+) +(\S+)$", output, re.MULTILINE)}
        self.assertEqual(list(rows), [*(f"ip{i}" for i in range(1, 9)), "score"])
        self.assertLess(rows["ip1"][0], 1e-4 * rows["score"][0])
        self.assertGreater(rows["ip1"][1], 1e-2 * rows["score"][1])

    def test_a_deep_mlp_runs_and_trains(self):
        self.agrees_with_the_interpreter(ZOO / "deep_mlp.prototxt", (2, 1, 28, 28))
        self.trains_a_step(ZOO / "deep_mlp.prototxt", self.data(28, channels=1), "--batch", 2)


class Files(ZooTest):
    def test_they_are_what_the_generator_writes(self):
        for file, net in GENERATED.items():
            model = models.build(net, options_for(net), prototxt_net.PrototxtNet)
            self.assertEqual((ZOO / f"{file}.prototxt").read_bytes(), b"".join(model.chunks),
                             f"{file}: `make.sh` writes it anew")


class Nets(ZooTest):
    """One test a net, added below."""

    def check_net(self, file):
        net, size = GENERATED[file], SIZE.get(file, 32)
        model, channels = ZOO / f"{file}.prototxt", models.CHANNELS.get(net, 3)
        self.agrees_with_the_interpreter(model, (1, channels, size, size))
        self.trains_a_step(model, self.data(size, channels), "--batch", 2, "--shape",
                           f"data=2x{channels}x{size}x{size}")


class Forms(ZooTest):
    """The same net in all three forms is the same network, and each form trains a step."""

    def check_forms(self, file, train):
        net, size = GENERATED[file], SIZE.get(file, 32)
        channels = models.CHANNELS.get(net, 3)
        shape = ["--shape", f"data=2x{channels}x{size}x{size}", "--batch", 2]
        model = ZOO / f"{file}.prototxt"
        for ending in "onnx", "kiln", "kiln.txt":
            other = self.folder / f"{file}.{ending}"
            self.prints("convert", model, other, "--param-seed", 1, *shape)
            output = self.prints("diff", model, other, "--param-seed", 1, *shape)
            a, b = (line.split()[0] for line in output.splitlines()[:2])
            self.assertEqual((a, output.splitlines()[-1]), (b, "equal"))
            if train:
                self.trains_a_step(other, self.data(size, channels))

    def check_structure(self, file):
        """The .prototxt and the .onnx that the generator writes by itself: one network, but for its
        weights. (Biases of nothing would be left out.)"""
        net, size = GENERATED[file], SIZE.get(file, 32)
        options = options_for(net, size=size, width=0.25, classes=10)
        onnx = self.folder / "net.onnx"
        onnx.write_bytes(b"".join(models.build(net, options).chunks))
        text = b"".join(models.build(net, options, prototxt_net.PrototxtNet).chunks).decode()
        bias = 'bias_filler { type: "gaussian" std: 0.1 }'
        text = text.replace("weight_filler", f"{bias} weight_filler")
        text = text.replace("bias_term: true", f"bias_term: true {bias}")
        prototxt = self.folder / "net.prototxt"
        prototxt.write_text(text)
        status, output = self.kiln("diff", onnx, prototxt, "--param-seed", 1)
        last = output.splitlines()[-1]
        self.assertTrue(status == 1 and last.endswith("in the weights alone"), output)


class Deepest(ZooTest):
    """Nets so deep that what is kept for the gradients takes most of the memory."""

    def test_recomputation_changes_no_bit(self):
        arguments = [ZOO / "resnet110.prototxt", self.data(32, count=8), "--batch", 8]
        weights = []
        for limit in "4G", "40M":
            trained = self.folder / f"{limit}.kiln"
            self.trains_a_step(*arguments, "--max-memory", limit, "-o", trained)
            weights.append(trained.read_bytes())
        self.assertEqual(*weights)
        model, data, *options = arguments
        status, _ = self.kiln("train", model, "--data", data, *options, "--max-memory", "16M")
        self.assertEqual(status, 1)

    def test_resnet1202_trains_in_little_memory(self):
        """It would take 311 MiB. The file is too large to be kept."""
        options = options_for("resnet1202", size=16)
        model = self.folder / "resnet1202.prototxt"
        model.write_bytes(
            models.build("resnet1202", options, prototxt_net.PrototxtNet).chunks[0])
        self.trains_a_step(model, self.data(16), "--batch", 4, "--max-memory", "270M")


for net in GENERATED:
    setattr(Nets, f"test_{net}", lambda self, file=net: self.check_net(file))
for net in "lenet5", "googlenet", "resnet20":
    setattr(Forms, f"test_{net}", lambda self, file=net: self.check_forms(file, True))
for net in "alexnet", "vgg16", "resnet50":
    setattr(Forms, f"test_{net}", lambda self, file=net: self.check_forms(file, False))
for net in GENERATED:
    setattr(Forms, f"test_structure_{net}", lambda self, file=net: self.check_structure(file))

if __name__ == "__main__":
    ModelTest.KILN = sys.argv[1]
    cache = tempfile.TemporaryDirectory()
    os.environ["XDG_CACHE_HOME"] = cache.name
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
