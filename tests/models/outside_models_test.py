#!/usr/bin/env python3
"""`kiln` on ONNX models that others wrote, against the outputs that came with them.

    outside_models_test.py KILN MODELS [TEST...]

MODELS is the folder of the models, ../shared/models beside the tree, which not everybody has. A pair
of .npy files becomes a case for `kiln check`, which is the judge.
"""

import math
import pathlib
import sys
import unittest
import zipfile
from array import array

from command import ModelTest, little_endian, read_npy
from onnx_net import FLOAT, Message

MODELS = pathlib.Path()


def write_tensor(path, shape, floats):
    """A float32 TensorProto."""
    message = Message()
    for extent in shape:
        message.integer(1, extent)
    message.integer(2, FLOAT).data(9, little_endian(floats))
    path.write_bytes(b"".join(message.chunks))


class OutsideModelTest(ModelTest):
    def make_case(self, name, model, inputs, outputs):
        """A folder for `kiln check`; tensors are (shape, floats), or the path of a TensorProto."""
        data = self.folder / name / "test_data_set_0"
        data.mkdir(parents=True)
        (data.parent / "model.onnx").symlink_to(model.resolve())
        for prefix, tensors in ("input", inputs), ("output", outputs):
            for index, tensor in enumerate(tensors):
                file = data / f"{prefix}_{index}.pb"
                if isinstance(tensor, pathlib.Path):
                    file.symlink_to(tensor.resolve())
                else:
                    write_tensor(file, *tensor)

    def check(self, folder, passed, *options):
        status, output = self.kiln("check", folder, "--no-cache", *options)
        self.assertEqual((status, output.splitlines()[-1:]),
                         (0, [f"{passed} passed, 0 failed, 0 skipped"]), output)


class Mnist(OutsideModelTest):
    """The CNN of CNTK, as opset 8 and as the opset 1 that it was born with."""

    def test_mnist_8(self):
        for options in ([], ["--reference"], ["--library"]):
            self.check(MODELS / "onnx/mnist-8", 1, *options)

    def test_cntk(self):
        for index in range(3):
            pair = zipfile.ZipFile(MODELS / f"onnx/mnist_cntk/test_data_{index}.npz")
            _, pixels = read_npy(pair.read("inputs.npy"))
            _, one_hot = read_npy(pair.read("outputs.npy"))
            for options in ([], ["--reference"]):
                shape, scores = self.run_model(MODELS / "onnx/mnist_cntk/model.onnx", "Input3",
                                               (1, 1, 28, 28), array("f", pixels), *options)
                self.assertEqual(shape, (1, 10))
                self.assertEqual(scores.index(max(scores)), one_hot.index(1))


class OpenCv(OutsideModelTest):
    def test_layers(self):
        folder = MODELS / "onnx/opencv_dnn"
        models = sorted((folder / "models").glob("*.onnx"))
        self.assertGreaterEqual(len(models), 11)
        for model in models:
            tensors = [read_npy((folder / f"data/{kind}_{model.stem}.npy").read_bytes())
                       for kind in ("input", "output")]
            self.make_case(model.stem, model, tensors[:1], tensors[1:])
        for options in ([], ["--reference"], ["--library"]):
            self.check(self.folder, len(models), *options)


class Ultraface(OutsideModelTest):
    """The face detector slim-320, against OpenCV's answers for a photo."""

    def reference(self, name):
        path = MODELS / f"reference_outputs/ultraface_slim-320_onnx.{name}.npy"
        return read_npy(path.read_bytes())

    def check_model(self, model, boxes):
        self.make_case("case", MODELS / "onnx/ultraface" / model, [self.reference("input")],
                       [self.reference("scores"), boxes])
        for options in ([], ["--no-optimize", "--no-schedule"]):
            self.check(self.folder / "case", 1, "--atol", "1e-4", *options)

    def test_without_postprocessing(self):
        self.check_model("version-slim-320_without_postprocessing.onnx", self.reference("boxes"))

    def test_with_postprocessing(self):
        shape, offsets = self.reference("boxes")
        self.check_model("version-slim-320.onnx", (shape, self.corners(offsets)))

    @staticmethod
    def corners(offsets):
        """What the postprocessing gives: SSD's boxes (Liu et al. 2016, section 2.2) for the offsets
        to the prior boxes that Ultraface defines, as corners. Variances 0.1 and 0.2."""
        layers = {8: (10, 16, 24), 16: (32, 48), 32: (64, 96), 64: (128, 192, 256)}
        result, at = array("f"), 0
        for stride, sizes in layers.items():
            columns, rows = math.ceil(320 / stride), math.ceil(240 / stride)
            for row in range(rows):
                for column in range(columns):
                    for size in sizes:
                        x, y, log_w, log_h = offsets[at:at + 4]
                        w, h = min(size / 320, 1), min(size / 240, 1)
                        x = (column + 0.5) / columns + 0.1 * x * w
                        y = (row + 0.5) / rows + 0.1 * y * h
                        w, h = w * math.exp(0.2 * log_w), h * math.exp(0.2 * log_h)
                        result.extend((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
                        at += 4
        assert at == len(offsets)
        return result


class SuperResolution(OutsideModelTest):
    """PyTorch's tutorial net in IR version 1, without an opset. No answer came with it."""

    def test_agrees_with_the_interpreter(self):
        pixels = array("f", (0.5 + 0.5 * math.sin(0.37 * i) for i in range(224 * 224)))
        model = MODELS / "onnx/super_resolution.onnx"
        shape, found = self.run_model(model, "1", (1, 1, 224, 224), pixels)
        self.assertEqual(shape, (1, 1, 672, 672))
        _, expected = self.run_model(model, "1", (1, 1, 224, 224), pixels, "--reference")
        worst = max(abs(a - b) for a, b in zip(found, expected))
        self.assertLessEqual(worst, 1e-5 * max(map(abs, expected)))


class Light(OutsideModelTest):
    """Full-size nets with constant weights; the input is what ONNX's own test runner makes up."""

    def check_net(self, name):
        shape = (1, 3, 224, 224)
        count = math.prod(shape)
        pixels = array("f", (i / count for i in range(count)))
        folder = MODELS / "onnx/light"
        self.make_case(name, folder / f"{name}.onnx", [(shape, pixels)],
                       [folder / f"{name}_output_0.pb"])
        self.check(self.folder, 1)

    def test_alexnet(self):
        self.check_net("light_bvlc_alexnet")

    def test_densenet121(self):
        self.check_net("light_densenet121")

    def test_inception_v1(self):
        self.check_net("light_inception_v1")

    def test_resnet50(self):
        self.check_net("light_resnet50")

    def test_squeezenet(self):
        self.check_net("light_squeezenet")

    def test_vgg19(self):
        self.check_net("light_vgg19")


if __name__ == "__main__":
    ModelTest.KILN, MODELS = sys.argv[1], pathlib.Path(sys.argv[2])
    if not MODELS.is_dir():
        print(f"{MODELS} is not there")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
