"""What the tests of `kiln train` share: a small net, a small data set, runs of a few seconds."""

import random
import struct

from cli import CommandTest, floats, model, node

BATCH = 8
SIDE = 6


def idx(shape, values):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(values)


def picture(generator, label):
    """Noise, with one of the four quadrants bright."""
    half = SIDE // 2
    return [generator.randrange(150, 256) if (y >= half, x >= half) == (label >= 2, label % 2 == 1)
            else generator.randrange(0, 120) for y in range(SIDE) for x in range(SIDE)]


def weights(generator, *shape):
    count = 1
    for extent in shape:
        count *= extent
    scale = (2 / shape[-1]) ** 0.5
    return [generator.gauss(0, scale) for _ in range(count)]


def mlp(classes=4, hidden=16, inputs=SIDE * SIDE, batch=BATCH, last=(), shape=None):
    """Two layers, as ONNX; `last` are operators behind the scores."""
    generator = random.Random(3)
    nodes = []
    value = "x"
    if shape is not None:
        nodes.append(node("Flatten", ["x"], ["flat"]))
        value = "flat"
    nodes += [node("Gemm", [value, "w1", "b1"], ["hidden"], transB=1),
              node("Relu", ["hidden"], ["relu"]),
              node("Gemm", ["relu", "w2", "b2"], ["scores"], transB=1)]
    value = "scores"
    for number, operator in enumerate(last):
        nodes.append(node(operator, [value], [f"last{number}"]))
        value = f"last{number}"
    initializers = [floats("w1", (hidden, inputs), weights(generator, hidden, inputs)),
                    floats("b1", (hidden,), [0.0] * hidden),
                    floats("w2", (classes, hidden), weights(generator, classes, hidden)),
                    floats("b2", (classes,), [0.0] * classes)]
    return model(nodes, inputs=[("x", (batch, *(shape or (inputs,))))],
                 outputs=[(value, (batch, classes))], initializers=initializers)


class TrainTest(CommandTest):
    """`kiln train` on quadrants.onnx and the pictures in the folder quadrants."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.net = cls.folder / "net.onnx"
        cls.net.write_bytes(mlp(shape=(1, SIDE, SIDE)))
        cls.data = cls.folder / "quadrants"
        cls.data.mkdir()
        generator = random.Random(1)
        for part, count in (("train", 403), ("t10k", 101)):
            labels = [generator.randrange(4) for _ in range(count)]
            pictures = [pixel for label in labels for pixel in picture(generator, label)]
            (cls.data / f"{part}-images-idx3-ubyte").write_bytes(
                idx((count, SIDE, SIDE), pictures))
            (cls.data / f"{part}-labels-idx1-ubyte").write_bytes(idx((count,), labels))

    def arguments(self, *more, epochs=4, rate=0.05):
        return ["train", self.net, "--data", f"idx:{self.data}", "--epochs", epochs, "--lr", rate,
                *more]

    def train(self, *more, **how):
        return self.kiln(*self.arguments(*more, **how))

    def final(self, output):
        """The numbers of the last line."""
        line = output.splitlines()[-1]
        self.assertTrue(line.startswith("final test_"), line)
        return {key: float(value) for key, value in
                (part.split("=") for part in line.split()[1:])}
