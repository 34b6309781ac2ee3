#!/usr/bin/env python3
"""Kiln learns as PyTorch does: the same weights and batches give the same losses, step by step.

    loss_curve_test.py KILN [--install] [TEST...]

Needs PyTorch, that of bench/compare's virtual environment if need be; --install makes the environment.
Takes Fashion-MNIST from Debian's dataset-fashion-mnist, or numbers from a seed where that is not installed.

Rates are such that training is no chaos. At a rate of 0.01 LeNet's losses in single precision part from
those in double precision by 1 % within the 100 steps, in PyTorch as in Kiln: sooner or later two elements
of a pooling window differ by less than rounding, and what grows from that is not the arithmetic's fault.
"""

import argparse
import csv
import gzip
import pathlib
import sys

from command import ModelTest, unittest
import environment
import models
import onnx_net

FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
BATCH, STEPS, MOMENTUM = 64, 100, 0.9
TOLERANCE = 1e-3  # of each loss
PARAMETER_TOLERANCE = 5e-3  # of a tensor's largest element, after the last step
SKIPPED = 77


def pictures():
    """(STEPS * BATCH pictures in 0 .. 1, their labels)."""
    import numpy
    count = STEPS * BATCH
    try:
        pixels, labels = (
            numpy.frombuffer(gzip.decompress((FASHION / f"train-{name}-ubyte.gz").read_bytes()),
                             "u1", offset=offset)
            for name, offset in (("images-idx3", 16), ("labels-idx1", 8)))
        pixels, labels = pixels.reshape(-1, 1, 28, 28)[:count], labels[:count]
        return (pixels / 255).astype("f4"), labels.astype("i8")
    except FileNotFoundError:
        generator = numpy.random.default_rng(1)
        labels = generator.integers(0, 10, count)
        patterns = generator.random((10, 1, 28, 28), "f4")
        noise = generator.random((count, 1, 28, 28), "f4")
        return (patterns[labels] + noise) / 2, labels


def normalized_net(options):
    """Convolutions with BatchNormalization, one of them with a stride, and a shortcut."""
    net = onnx_net.Net("normalized", options, channels=1)
    x = net.relu("relu1", net.conv_bn("conv1", "bn1", net.input, 16, 3, pad=1))
    x = net.max_pool("pool1", x, 2, 2)
    y = net.relu("relu2", net.conv_bn("conv2", "bn2", x, 32, 3, stride=2, pad=1))
    y = net.conv_bn("conv3", "bn3", y, 32, 3, pad=1)
    x = net.add("add", y, net.conv_bn("shortcut", "bn4", x, 32, 1, stride=2))
    x = net.global_average_pool("pool2", net.relu("relu3", x))
    return net.finish(net.linear("fc", net.flatten("flatten", x), options.classes))


class PyTorch:
    """The file's net in eager PyTorch, with the plain optimizer."""

    def __init__(self, path, rate):
        import onnx
        import torch
        import torch_net
        self.torch = torch
        self.net = torch_net.load(path, training=True)
        self.names = [initializer.name for initializer in onnx.load(path).graph.initializer]
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=rate, momentum=MOMENTUM)

    def step(self, x, labels):
        self.optimizer.zero_grad()
        loss = self.torch.nn.functional.cross_entropy(self.net(self.torch.from_numpy(x)),
                                                      self.torch.from_numpy(labels))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def parameters(self):
        """Name -> value, running statistics among them."""
        state = self.net.state_dict()
        return {name: state[f"p{index}"].numpy() for index, name in enumerate(self.names)}


class LossCurve(ModelTest):
    @classmethod
    def setUpClass(cls):
        cls.x, cls.labels = pictures()

    def check(self, build, rate):
        options = argparse.Namespace(size=28, batch=BATCH, seed=1, classes=10, width=1.0, opset=13)
        model = self.folder / "net.onnx"
        model.write_bytes(b"".join(build(options).chunks))
        peer = PyTorch(model, rate)
        expected = [peer.step(self.x[at:at + BATCH], self.labels[at:at + BATCH])
                    for at in range(0, STEPS * BATCH, BATCH)]
        self.assertLess(sum(expected[-10:]), 0.8 * sum(expected[:10]), "the net learns something")
        self.check_library(model, rate, expected, peer.parameters())
        self.check_command(model, rate, expected)

    def check_losses(self, found, expected):
        self.assertEqual(len(found), len(expected))
        for step, (ours, theirs) in enumerate(zip(found, expected)):
            self.assertLessEqual(abs(ours - theirs), TOLERANCE * abs(theirs), f"step {step}")

    def check_library(self, model, rate, expected, parameters):
        """A library's train_step, called for every batch; and where it ends."""
        import numpy
        from kiln_library import TrainStep
        library = self.folder / "libnet.so"
        status, _ = self.kiln("compile", model, "-o", library, "--functions", "train_step",
                              "--momentum", MOMENTUM, "--no-cache")
        self.assertEqual(status, 0)
        train = TrainStep(library)
        losses = []
        for step in range(STEPS):
            batch = slice(step * BATCH, (step + 1) * BATCH)
            losses.append(train.step(input=self.x[batch], labels=self.labels[batch],
                                     learning_rate=rate, step=step, seed=0))
        self.check_losses(losses, expected)
        for name, theirs in parameters.items():
            error = numpy.abs(train.parameter(name) - theirs).max() / numpy.abs(theirs).max()
            self.assertLessEqual(error, PARAMETER_TOLERANCE, name)

    def check_command(self, model, rate, expected):
        """`kiln train` on the same pictures in their order."""
        import numpy
        data, run = self.folder / "data.npz", self.folder / "run"
        numpy.savez(data, x=self.x, y=self.labels)
        status, _ = self.kiln("train", model, "--data", f"npz:{data}", "--no-shuffle", "--hold-out",
                              0, "--max-steps", STEPS, "--log-every", 1, "--lr", rate, "--momentum",
                              MOMENTUM, "--snapshot-dir", run, "--no-cache")
        self.assertEqual(status, 0)
        with open(run / "metrics.csv", newline="") as file:
            losses = [float(row["loss"]) for row in csv.DictReader(file) if row["loss"]]
        self.check_losses(losses, expected)

    def test_lenet(self):
        self.check(lambda options: models.build("lenet", options), rate=0.001)

    def test_batch_normalization(self):
        self.check(normalized_net, rate=0.01)


def main():
    install = "--install" in sys.argv
    try:
        import numpy, onnx, torch  # noqa: all three are needed
    except ImportError:
        if not install and not environment.READY.exists():
            print("skipped: no PyTorch here; --install fetches it", file=sys.stderr)
            sys.exit(SKIPPED)
        environment.enter()
    if install:
        sys.argv.remove("--install")
    ModelTest.KILN = sys.argv[1]
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])


if __name__ == "__main__":
    main()
