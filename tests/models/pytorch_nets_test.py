#!/usr/bin/env python3
"""Nets that PyTorch exports in all its ways, each run by `kiln` and compared with PyTorch itself.

    pytorch_nets_test.py KILN [TEST...]

A net is written as a program (.pt2) as it is and decomposed, and as ONNX by the exporter of
TorchScript and by that of dynamo. The Python that has PyTorch is this one, that of the variable
KILN_TORCH_PYTHON, or that of build/torch or build/bench/venv; where none has, status 77 says so. The
ways to ONNX need the packages onnx and onnxscript too; one that is not there is passed over.

    python3 -m venv build/torch && build/torch/bin/pip install torch onnx onnxscript numpy
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def enter_pytorch():
    """Goes on in a Python that has PyTorch."""
    given = os.environ.get("KILN_TORCH_PYTHON")
    places = [given] if given else [sys.executable, ROOT / "build/torch/bin/python",
                                    ROOT / "build/bench/venv/bin/python"]
    for python in places:
        ask = [python, "-c", "import numpy, torch.export"]
        if not os.access(python, os.X_OK) or subprocess.run(ask, capture_output=True).returncode:
            continue
        # By name: a virtual environment's is a link to this one, and yet another.
        if os.path.abspath(python) != os.path.abspath(sys.executable) or python == given:
            os.environ["KILN_TORCH_PYTHON"] = ""
            os.execv(python, [python, *sys.argv])
        return
    print("skipped: no Python here has PyTorch")
    sys.exit(77)


if os.environ.get("KILN_TORCH_PYTHON") != "":
    enter_pytorch()

import importlib.util
import json
import unittest
import warnings

import numpy
import torch
from torch import nn
import torch.nn.functional as F

from command import ModelTest

TOLERANCE = 1e-4  # of the largest output
warnings.simplefilter("ignore")


def conv_bn(inputs, outputs, kernel=3, stride=1, groups=1, activation=nn.ReLU):
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
              nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class Residual(nn.Module):
    def __init__(self, *layers, shortcut=None, after=None):
        super().__init__()
        self.layers, self.shortcut, self.after = nn.Sequential(*layers), shortcut, after

    def forward(self, x):
        y = self.layers(x)
        y += self.shortcut(x) if self.shortcut else x
        return self.after(y) if self.after else y


class Branches(nn.ModuleList):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self], 1)


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels, gate):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)
        self.gate = gate

    def forward(self, x):
        return x * self.gate(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


class Dense(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4, 3, padding=1)

    def forward(self, x):
        return torch.cat([x, self.conv(F.relu(self.norm(x), inplace=True))], 1)


class Shuffle(nn.Module):
    def __init__(self):
        super().__init__()
        self.right = nn.Sequential(conv_bn(4, 4, 1), conv_bn(4, 4, 3, groups=4, activation=None))

    def forward(self, x):
        left, right = x.chunk(2, 1)
        y = torch.cat([left, self.right(right)], 1)
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.inner = conv_bn(3, 8), conv_bn(8, 8, activation=nn.LeakyReLU)
        self.up, self.last = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(24, 1, 1)

    def forward(self, x):
        a = self.down(x)
        b = self.inner(F.max_pool2d(a, 2))
        c = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
        d = F.pad(self.up(b), [0, a.shape[3] - 2 * b.shape[3], 0, a.shape[2] - 2 * b.shape[2]])
        c = F.pad(c, [0, a.shape[3] - c.shape[3], 0, a.shape[2] - c.shape[2]], mode="replicate")
        return torch.sigmoid(self.last(torch.cat([a, c, d], 1)))


class Transformer(nn.Module):
    """A vision transformer of one block."""

    def __init__(self, width=16, heads=2):
        super().__init__()
        self.patch, self.heads = nn.Conv2d(3, width, 4, 4), heads
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.place = nn.Parameter(torch.randn(1, 17, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.attention_in, self.attention_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        n, length, width = x.shape
        qkv = self.attention_in(self.norms[0](x))
        q, k, v = qkv.reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, width)
        x = x + self.attention_out(y)
        x = x + self.narrow(F.gelu(self.wide(self.norms[1](x))))
        return self.head(self.norms[2](x)[:, 0])


class ConvNext(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.stem, self.depth = nn.Conv2d(3, width, 4, 4), nn.Conv2d(width, width, 7, 1, 3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.randn(width))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y), approximate="tanh"))
        return self.head((x + y.permute(0, 3, 1, 2)).mean([-2, -1]))


class TextConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(30, 8)
        self.convs = nn.ModuleList(nn.Conv1d(8, 6, size) for size in (2, 3, 4))
        self.head = nn.Linear(18, 5)

    def forward(self, x):
        x = self.words(x).transpose(1, 2)
        pooled = [F.relu(conv(x)).amax(2) for conv in self.convs]
        return F.log_softmax(self.head(torch.cat(pooled, 1)), dim=1)


class Normalised(nn.Module):
    """Several normalisations, and a picture of twice the size."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding="same"), nn.Conv2d(8, 12, 3)
        self.group, self.instance = nn.GroupNorm(2, 8), nn.InstanceNorm2d(12, affine=True)
        self.slope, self.shuffle = nn.PReLU(8), nn.PixelShuffle(2)

    def forward(self, x):
        x = self.slope(self.group(self.first(x)))
        x = self.instance(self.second(F.pad(x, [1, 1, 1, 1], mode="reflect")))
        x = F.normalize(self.shuffle(x), dim=1)
        return F.hardtanh(x.clamp(min=-0.9) * 2)


class Outputs(nn.Module):
    """Several inputs and outputs, buffers, masks, comparison."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.register_buffer("mean", torch.randn(8))

    def forward(self, x, y):
        a, b = torch.tanh(self.first(x - self.mean)), F.softplus(self.second(y))
        best, where = a.max(1)
        mask = a > b
        return {"sum": torch.where(mask, a, b * 2).sum(1), "best": best, "where": where,
                "cosine": F.cosine_similarity(a, b, dim=1), "var": a.var(1)}


def mobile(activation):
    return Residual(conv_bn(8, 24, 1, activation=activation),
                    conv_bn(24, 24, 3, groups=24, activation=activation), conv_bn(24, 8, 1, activation=None))


HEAD = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
PICTURE = (2, 3, 16, 16)
NETS = {
    "lenet": (lambda: nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Sigmoid(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 84), nn.ReLU(), nn.Linear(84, 10)),
        (1, 1, 28, 28)),
    "alexnet": (lambda: nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3), nn.ReLU(inplace=True), nn.LocalResponseNorm(5), nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 16, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((2, 3)),
        nn.Flatten(), nn.Dropout(), nn.Linear(96, 10), nn.Softmax(1)), (2, 3, 33, 33)),
    "vgg": (lambda: nn.Sequential(
        conv_bn(3, 8), conv_bn(8, 8), nn.MaxPool2d(3, 2, 1, ceil_mode=True), conv_bn(8, 16), *HEAD,
        nn.Linear(16, 10)), PICTURE),
    "resnet": (lambda: nn.Sequential(
        conv_bn(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1),
        Residual(conv_bn(8, 8), conv_bn(8, 8, activation=None), after=nn.ReLU(inplace=True)),
        Residual(conv_bn(8, 4, 1), conv_bn(4, 4, 3, 2), conv_bn(4, 16, 1, activation=None),
                 shortcut=conv_bn(8, 16, 1, 2, activation=None), after=nn.ReLU(inplace=True)),
        *HEAD, nn.Linear(16, 10)), (2, 3, 32, 32)),
    "mobilenet_v2": (lambda: nn.Sequential(
        conv_bn(3, 8, 3, 2, activation=nn.ReLU6), mobile(nn.ReLU6), *HEAD, nn.Linear(8, 10)), PICTURE),
    "mobilenet_v3": (lambda: nn.Sequential(
        conv_bn(3, 8, 3, 2, activation=nn.Hardswish), mobile(nn.Hardswish),
        Squeeze(8, nn.Hardsigmoid()), *HEAD, nn.Linear(8, 10)), PICTURE),
    "efficientnet": (lambda: nn.Sequential(
        conv_bn(3, 8, 3, 2, activation=nn.SiLU), mobile(nn.SiLU), Squeeze(8, nn.Sigmoid()), *HEAD,
        nn.Dropout(0.2), nn.Linear(8, 10)), PICTURE),
    "googlenet": (lambda: nn.Sequential(
        conv_bn(3, 8), nn.MaxPool2d(3, 2, ceil_mode=True),
        Branches([conv_bn(8, 4, 1), nn.Sequential(conv_bn(8, 4, 1), conv_bn(4, 6, 5)),
                  nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv_bn(8, 4, 1)),
                  nn.AvgPool2d(3, 1, 1, count_include_pad=False)]),
        *HEAD, nn.Linear(22, 10)), PICTURE),
    "densenet": (lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3), Dense(8), Dense(12), nn.BatchNorm2d(16), nn.ELU(), nn.AvgPool2d(2), *HEAD,
        nn.Linear(16, 10)), PICTURE),
    "shufflenet": (lambda: nn.Sequential(conv_bn(3, 8, 3, 2), Shuffle(), Shuffle(), *HEAD), PICTURE),
    "unet": (UNet, (1, 3, 17, 19)),
    "transformer": (Transformer, PICTURE),
    "convnext": (ConvNext, PICTURE),
    "normalised": (Normalised, (2, 3, 12, 12)),
    "text": (TextConv, "words"),
    "video": (lambda: nn.Sequential(
        nn.Conv3d(3, 6, 3, padding=1), nn.BatchNorm3d(6), nn.GELU(), nn.MaxPool3d(2),
        nn.ConvTranspose3d(6, 4, 3, 2), nn.AdaptiveAvgPool3d(2), nn.Flatten(), nn.Linear(32, 5)),
        (1, 3, 6, 8, 8)),
    "outputs": (Outputs, "two"),
}


def make_net(name):
    """The net, its statistics settled, and its inputs."""
    torch.manual_seed(len(name))
    make, shape = NETS[name]
    net = make()
    if shape == "words":
        inputs = (torch.randint(0, 30, (2, 9)),)
    elif shape == "two":
        inputs = (torch.randn(3, 8), torch.randn(3, 8))
    else:
        inputs = (torch.randn(shape),)
        for _ in range(20):
            net.train()(torch.randn(shape) + 0.1)
    return net.eval(), inputs


def program(decomposed):
    def write(net, inputs, path):
        exported = torch.export.export(net, inputs)
        torch.export.save(exported.run_decompositions() if decomposed else exported, path)
        return [spec.arg.name for spec in exported.graph_signature.input_specs
                if spec.kind == torch.export.graph_signature.InputKind.USER_INPUT]
    return write, ".pt2", ["torch"]


def onnx(dynamo, opset=None):
    def write(net, inputs, path):
        names = [f"input_{i}" for i in range(len(inputs))]
        more = {"opset_version": opset} if opset else {}
        torch.onnx.export(net, inputs, str(path), input_names=names, dynamo=dynamo, verbose=False,
                          **more)
        return names
    return write, ".onnx", ["onnx", "onnxscript"] if dynamo else ["onnx"]


WAYS = {"program": program(False), "decomposed": program(True), "torchscript": onnx(False, 17),
        "dynamo": onnx(True)}
WAYS |= {f"torchscript_{opset}": onnx(False, opset) for opset in range(9, 21)}
WAYS |= {f"dynamo_{opset}": onnx(True, opset) for opset in range(18, 24)}
# Nets that are written for each set of operators, from this one on. (Before 11 ONNX's Resize is not
# PyTorch's.)
ALL_OPSETS = {"lenet": 9, "mobilenet_v3": 9, "unet": 11}


class PytorchNets(ModelTest):
    """One test a net and way, added below."""

    largest = {}

    def export(self, name, way):
        """The file, the names of its inputs, these, and what PyTorch computes for them."""
        write, suffix, packages = WAYS[way]
        if not all(map(importlib.util.find_spec, packages)):
            self.skipTest(f"needs {' and '.join(packages)}")
        net, inputs = make_net(name)
        path = self.folder / f"{name}-{way}{suffix}"
        with torch.no_grad():
            expected = torch.utils._pytree.tree_flatten(net(*inputs))[0]
            try:
                names = write(net, inputs, path)
            except torch.onnx.OnnxExporterError as error:
                self.skipTest(f"PyTorch cannot: {str(error).splitlines()[0]}")
        return path, names, inputs, expected

    def check(self, name, way):
        path, names, inputs, expected = self.export(name, way)
        arguments = []
        for key, value in zip(names, inputs):
            numpy.save(self.folder / f"{key}.npy", value.numpy())
            arguments += ["--input", f"{key}={self.folder / key}.npy"]
        for mode in ([], ["--no-optimize", "--no-schedule"], ["--reference"]):
            outputs = self.folder / "-".join(["outputs", *mode])
            status, told = self.kiln("--json", "run", path, *arguments, "--no-cache", "--output-dir",
                                     outputs, *mode)
            self.assertEqual(status, 0)
            found = [numpy.load(output["file"]) for output in json.loads(told)["outputs"]]
            self.assertEqual(len(found), len(expected))
            for value, right in zip(found, expected):
                self.assertEqual(value.shape, tuple(right.shape))
                scale = max(right.abs().max().item(), 1e-6)
                error = float(numpy.abs(value - right.numpy()).max()) / scale
                self.assertLess(error, TOLERANCE, mode)
                self.largest[way] = max(self.largest.get(way, (0, "")), (error, name))


    def test_ways_are_one_net(self):
        for name in "lenet", "resnet", "googlenet", "densenet":
            whole, *_ = self.export(name, "program")
            for way in "decomposed", "dynamo":
                other, *_ = self.export(name, way)
                self.assertEqual(self.kiln("diff", whole, other)[0], 0, (name, way))


for net_name in NETS:
    for way_name in WAYS:
        opset = way_name.partition("_")[2]
        if opset and int(opset) < ALL_OPSETS.get(net_name, 100):
            continue
        setattr(PytorchNets, f"test_{net_name}_{way_name}",
                lambda self, net=net_name, way=way_name: self.check(net, way))


if __name__ == "__main__":
    ModelTest.KILN = sys.argv.pop(1)
    result = unittest.main(exit=False).result
    for way_name, (error, net_name) in PytorchNets.largest.items():
        print(f"{way_name}: largest difference {error:.2e} of the largest output ({net_name})")
    sys.exit(not result.wasSuccessful())
