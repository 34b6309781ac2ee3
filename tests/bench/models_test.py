#!/usr/bin/env python3
"""The generator of benchmark nets: its files are well-formed, and the same arguments give the same bytes."""

import argparse
import collections
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import models
import onnx_net

onnx_net.Weights.BLOCK = 1009  # small and prime: the tests care for structure, not for statistics

# Convolutions in each net, counted in the papers' tables (downsampling included).
CONVOLUTIONS = {"lenet": 2, "lenet5": 2, "alexnet": 5, "alexnet_lrn": 5, "vgg16": 13, "vgg19": 16,
                "googlenet": 57, "resnet18": 20, "resnet50": 53, "resnet101": 104,
                "resnet152": 155, "resnet20": 21, "resnet110": 111, "resnet1202": 1203,
                "mobilenet_v1": 27, "mobilenet_v2": 52, "squeezenet1_1": 26}


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """The fields of a protobuf message: number -> list of integers or bytes."""
    found, at = collections.defaultdict(list), 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        else:
            size, at = (4, at) if key & 7 == 5 else read_varint(data, at)
            value, at = data[at:at + size], at + size
            assert len(value) == size
        found[key >> 3].append(value)
    return found


def build(net, **changes):
    options = dict(size=models.DEFAULT_SIZE.get(net, 224), batch=1, seed=0, classes=10, width=0.25,
                   opset=13)
    options.update(changes)
    return models.build(net, argparse.Namespace(**options))


def file_of(model):
    return b"".join(model.chunks)


class ModelsTest(unittest.TestCase):
    def test_every_net_is_a_well_formed_graph(self):
        for net in models.NETS:
            for opset in (7, 10, 13, 22):
                with self.subTest(net=net, opset=opset):
                    self.check_graph(net, fields(fields(file_of(build(net, opset=opset)))[7][0]))

    def check_graph(self, net, graph):
        defined = {fields(value)[1][0] for value in graph[11]}
        for initializer in map(fields, graph[5]):
            count = 1
            for extent in initializer[1]:
                count *= extent
            self.assertEqual(len(initializer[9][0]), 4 * count, initializer[8])
            defined.add(initializer[8][0])
        ops = collections.Counter()
        for node in map(fields, graph[1]):
            self.assertLessEqual(set(node[1]), defined, node[3])
            self.assertTrue(defined.isdisjoint(node[2]), node[3])
            defined.update(node[2])
            ops[node[4][0].decode()] += 1
        self.assertIn(b"output", defined)
        self.assertEqual(ops["Conv"], CONVOLUTIONS[net])

    def test_same_arguments_same_bytes(self):
        for net in models.NETS:
            self.assertEqual(file_of(build(net)), file_of(build(net)), net)
        self.assertNotEqual(file_of(build("lenet5")), file_of(build("lenet5", seed=1)))

    def test_work_is_what_the_papers_say(self):
        gflop = {"alexnet": 1.43, "vgg16": 30.9, "vgg19": 39.3, "googlenet": 3.17,
                 "resnet18": 3.63, "resnet50": 8.18, "resnet101": 15.6, "resnet152": 23.0,
                 "resnet20": 0.082, "resnet110": 0.506, "mobilenet_v1": 1.14, "mobilenet_v2": 0.60,
                 "squeezenet1_1": 0.70}
        for net, expected in gflop.items():
            flops = build(net, width=1.0, classes=1000).flops * 1e-9
            self.assertAlmostEqual(flops / expected, 1.0, delta=0.02, msg=f"{net}: {flops}")
        self.assertEqual(build("resnet18", batch=8).flops, 8 * build("resnet18").flops)

    def test_rows_of_weights_do_not_repeat(self):
        weights = b"".join(onnx_net.Weights(0).normal(64 * 256, 1.0))
        rows = {weights[at:at + 256] for at in range(0, len(weights), 256)}
        self.assertEqual(len(rows), 256)

    def test_a_size_that_leaves_nothing_is_refused_by_layer(self):
        with self.assertRaisesRegex(onnx_net.ShapeError, "size 8 .* 'features.23'"):
            build("vgg16", size=8)


if __name__ == "__main__":
    unittest.main()
