#!/usr/bin/env python3
"""The nets of bench/models.py, narrow and small: compiled code agrees with the interpreter.

    bench_nets_test.py KILN [TEST...]
"""

import argparse
import math
import random
import sys
import unittest
from array import array

from command import ModelTest
import models
import onnx_net

onnx_net.Weights.BLOCK = 65537  # a prime; as many numbers as these nets need to be no pattern
SIZE = {"lenet": 28, "lenet5": 28, "alexnet": 99, "alexnet_lrn": 99, "resnet20": 16, "resnet110": 16,
        "resnet1202": 8}  # pixels; 64 otherwise


class Nets(ModelTest):
    """One test a net, added below."""

    def check_net(self, name):
        size = SIZE.get(name, 64)
        options = argparse.Namespace(size=size, batch=1, seed=1, classes=10, width=0.25, opset=13)
        model = self.folder / f"{name}.onnx"
        model.write_bytes(b"".join(models.build(name, options).chunks))
        shape = (1, 1 if name.startswith("lenet") else 3, size, size)
        generator = random.Random(1)
        pixels = array("f", (generator.gauss(0, 1) for _ in range(math.prod(shape))))
        _, expected = self.run_model(model, "input", shape, pixels, "--reference")
        scale = max(map(abs, expected))
        self.assertTrue(0 < scale < math.inf)
        for options in ([], ["--no-optimize", "--no-schedule"]):
            options.append("--no-cache")
            result_shape, found = self.run_model(model, "input", shape, pixels, *options)
            self.assertEqual(result_shape, (1, 10))
            for a, b in zip(found, expected):
                self.assertLessEqual(abs(a - b), 1e-4 * scale)


for net in models.NETS:
    setattr(Nets, f"test_{net}", lambda self, name=net: self.check_net(name))

if __name__ == "__main__":
    ModelTest.KILN = sys.argv[1]
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
