"""Builds ONNX models of convolutional nets node by node, with random weights.

Needs nothing but Python's standard library: the file is written field by field (`Message`), weights
are slices of one block of normal numbers (`Weights`), and `Net` has one method per layer.
"""

import math
import random
import sys
from array import array

# ---- Protobuf's wire format. A message is a list of byte chunks: large weights are never copied. ----


def varint(value):
    """Base-128 encoding of a non-negative integer below 2**64."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Message:
    """A message under construction; fields are appended in the order of the calls."""

    def __init__(self):
        self.chunks = []
        self.size = 0

    def _append(self, *chunks):
        self.chunks.extend(chunks)
        self.size += sum(len(chunk) for chunk in chunks)

    def integer(self, field, value):
        self._append(varint(field << 3), varint(value & 0xFFFFFFFFFFFFFFFF))
        return self

    def float32(self, field, value):
        self._append(varint(field << 3 | 5), little_endian(array("f", [value])))
        return self

    def data(self, field, *chunks):
        self._append(varint(field << 3 | 2), varint(sum(len(chunk) for chunk in chunks)), *chunks)
        return self

    def string(self, field, text):
        return self.data(field, text.encode())

    def message(self, field, child):
        self._append(varint(field << 3 | 2), varint(child.size))
        self.chunks.extend(child.chunks)
        self.size += child.size
        return self


def little_endian(floats):
    """Bytes of an array('f') in the order that ONNX's raw_data wants."""
    if sys.byteorder == "big":
        floats = array("f", floats)
        floats.byteswap()
    return floats.tobytes()


# ---- Random weights ----


class Weights:
    """Normal numbers by the million: one block is drawn, layers take scaled, rotated slices of it.

    A layer reads on around the block, whose length is a prime: no row of a matrix repeats another.
    """

    BLOCK = 1048573

    def __init__(self, seed):
        self.random = random.Random(seed)
        gauss = self.random.gauss
        self.block = [gauss(0.0, 1.0) for _ in range(self.BLOCK)]
        self.scaled = {}  # standard deviation -> the block's bytes, scaled

    def normal(self, count, deviation):
        """`count` float32 numbers from N(0, deviation**2), as a list of byte chunks."""
        key = f"{deviation:.9g}"
        if key not in self.scaled:
            self.scaled[key] = memoryview(
                little_endian(array("f", [x * deviation for x in self.block])))
        source, chunks = self.scaled[key], []
        start = self.random.randrange(self.BLOCK)
        while count > 0:
            taken = min(count, self.BLOCK - start)
            chunks.append(source[4 * start:4 * (start + taken)])
            count, start = count - taken, 0
        return chunks

    def uniform(self, count, low, high):
        """`count` float32 numbers from U(low, high), as a list of one byte chunk."""
        return [little_endian(array("f", [self.random.uniform(low, high) for _ in range(count)]))]


# ---- ONNX ----

FLOAT = 1
FLOAT_ATTRIBUTE, INT_ATTRIBUTE, INTS_ATTRIBUTE = 1, 2, 7


def attribute(name, value):
    """AttributeProto of a float, an int or a list of ints."""
    message = Message().string(1, name)
    if isinstance(value, float):
        return message.float32(2, value).integer(20, FLOAT_ATTRIBUTE)
    if isinstance(value, int):
        return message.integer(3, value).integer(20, INT_ATTRIBUTE)
    for item in value:
        message.integer(8, item)
    return message.integer(20, INTS_ATTRIBUTE)


def tensor(name, shape, chunks):
    """TensorProto of float32 raw data."""
    message = Message()
    for extent in shape:
        message.integer(1, extent)
    return message.integer(2, FLOAT).string(8, name).data(9, *chunks)


def value_info(name, shape):
    """ValueInfoProto of a float tensor; an extent that is a string is left open under that name."""
    dims = Message()
    for extent in shape:
        is_open = isinstance(extent, str)
        dims.message(1, Message().string(2, extent) if is_open else Message().integer(1, extent))
    tensor_type = Message().integer(1, FLOAT).message(2, dims)
    return Message().string(1, name).message(2, Message().message(1, tensor_type))


def ir_version(opset):
    """The ONNX IR version that was current when `opset` came out."""
    first_opset = {3: 1, 4: 9, 5: 10, 6: 11, 7: 12, 8: 15, 9: 19, 10: 21}
    return max(version for version, first in first_opset.items() if first <= opset)


class ShapeError(ValueError):
    """The net cannot be built at the size asked for."""


class Value:
    """A tensor of the net: its name and logical shape without the batch."""

    def __init__(self, name, *shape):
        self.name = name
        self.shape = shape

    @property
    def channels(self):
        return self.shape[0]


class Model:
    """A finished net: the file's bytes, in chunks, the input's shape, and the work of one run."""

    def __init__(self, chunks, input_shape, flops):
        self.chunks = chunks
        self.input_shape = input_shape
        self.flops = flops  # 2 x multiply-adds of convolutions and dense layers, padding counted


class Net:
    """Builds a net node by node. Every method takes the node's name and returns the node's result."""

    learns = False  # what only learning needs is left out

    def __init__(self, name, options, channels=3):
        self.name = name
        self.options = options
        self.weights = Weights(options.seed)
        self.nodes, self.parameters = [], []
        self.macs = 0  # multiply-adds of one sample
        self.batch = options.batch or "batch"
        self.input = Value("input", channels, options.size, options.size)

    def wide(self, channels):
        """A layer's channels times --width, rounded to a multiple of 8 as MobileNet does."""
        if self.options.width == 1.0:
            return channels
        return max(8, int(channels * self.options.width + 4) // 8 * 8)

    def node(self, op_type, name, inputs, shape, **attributes):
        if min(shape, default=1) < 1:
            raise ShapeError(f"size {self.options.size} is too small: nothing is left at '{name}'")
        self.nodes.append((op_type, name, inputs, attributes))
        return Value(name, *shape)

    def parameter(self, name, shape, chunks):
        self.parameters.append((name, shape, chunks))
        return name

    def conv(self, name, x, channels, kernel, stride=1, pad=0, group=1, bias=True):
        """A convolution with He-normal weights. `kernel` is square; input and output are C, H, W."""
        fan_in = x.channels // group * kernel * kernel
        weight = self.parameter(
            f"{name}.weight", (channels, x.channels // group, kernel, kernel),
            self.weights.normal(channels * fan_in, math.sqrt(2.0 / fan_in)))
        inputs = [x.name, weight]
        if bias:
            inputs.append(self.parameter(f"{name}.bias", (channels,),
                                         self.weights.normal(channels, 0.1)))
        height, width = ((extent + 2 * pad - kernel) // stride + 1 for extent in x.shape[1:])
        self.macs += channels * height * width * fan_in
        return self.node("Conv", name, inputs, (channels, height, width), dilations=[1, 1],
                         group=group, kernel_shape=[kernel, kernel], pads=[pad] * 4,
                         strides=[stride, stride])

    def batch_norm(self, name, x, scale=1.0):
        """BatchNormalization whose scale lies around `scale` and whose variance around 1."""
        count = x.channels
        inputs = [x.name,
                  self.parameter(f"{name}.weight", (count,),
                                 self.weights.uniform(count, 0.8 * scale, 1.2 * scale)),
                  self.parameter(f"{name}.bias", (count,), self.weights.normal(count, 0.1)),
                  self.parameter(f"{name}.running_mean", (count,),
                                 self.weights.normal(count, 0.1)),
                  self.parameter(f"{name}.running_var", (count,),
                                 self.weights.uniform(count, 0.8, 1.25))]
        return self.node("BatchNormalization", name, inputs, x.shape, epsilon=1e-5, momentum=0.9)

    def relu(self, name, x):
        return self.node("Relu", name, [x.name], x.shape)

    def relu6(self, name, x):
        if self.options.opset < 11:  # bounds were attributes before
            return self.node("Clip", name, [x.name], x.shape, min=0.0, max=6.0)
        bounds = [self.parameter(f"{name}.{bound}", (), [little_endian(array("f", [number]))])
                  for bound, number in (("min", 0.0), ("max", 6.0))]
        return self.node("Clip", name, [x.name, *bounds], x.shape)

    def max_pool(self, name, x, kernel, stride, pad=0, ceil=False):
        attributes = {"kernel_shape": [kernel, kernel], "strides": [stride, stride]}
        outs, tails = [], []
        for extent in x.shape[1:]:
            span = extent + 2 * pad - kernel
            outs.append((span + (stride - 1 if ceil else 0)) // stride + 1)
            tails.append(pad + max(0, (outs[-1] - 1) * stride - span))
        if ceil and self.options.opset < 10:  # no ceil_mode yet: pad the far ends instead
            attributes["pads"] = [pad, pad, *tails]
        else:
            attributes["pads"] = [pad] * 4
            if self.options.opset >= 10:
                attributes["ceil_mode"] = int(ceil)
        return self.node("MaxPool", name, [x.name], (x.channels, *outs), **attributes)

    def average_pool(self, name, x, kernel, stride=1):
        """Average over windows of `kernel` (a pair), no padding."""
        shape = [(extent - k) // stride + 1 for extent, k in zip(x.shape[1:], kernel)]
        return self.node("AveragePool", name, [x.name], (x.channels, *shape),
                         kernel_shape=list(kernel), strides=[stride, stride])

    def global_average_pool(self, name, x):
        return self.node("GlobalAveragePool", name, [x.name], (x.channels, 1, 1))

    def lrn(self, name, x):
        """Local response normalisation across channels with AlexNet's constants."""
        return self.node("LRN", name, [x.name], x.shape, size=5, alpha=1e-4, beta=0.75, bias=1.0)

    def add(self, name, x, y):
        return self.node("Add", name, [x.name, y.name], x.shape)

    def concat(self, name, *parts):
        channels = sum(part.channels for part in parts)
        return self.node("Concat", name, [part.name for part in parts],
                         (channels, *parts[0].shape[1:]), axis=1)

    def flatten(self, name, x):
        return self.node("Flatten", name, [x.name], (math.prod(x.shape),), axis=1)

    def linear(self, name, x, units, gain=1.0):
        """Fully connected layer; weights from N(0, gain / fan_in): gain 2 where a ReLU follows."""
        weight = self.parameter(f"{name}.weight", (units, x.channels),
                                self.weights.normal(units * x.channels,
                                                    math.sqrt(gain / x.channels)))
        bias = self.parameter(f"{name}.bias", (units,), self.weights.normal(units, 0.1))
        self.macs += units * x.channels
        return self.node("Gemm", name, [x.name, weight, bias], (units,), alpha=1.0, beta=1.0,
                         transB=1)

    def dropout(self, name, x, ratio):
        """Does nothing once a net has learned."""
        return x

    def softmax(self, name, x):
        return self.node("Softmax", name, [x.name], x.shape, axis=1)

    # The phrases that nets are made of.

    def conv_relu(self, name, x, channels, kernel, **how):
        return self.relu(f"{name}.relu", self.conv(name, x, channels, kernel, **how))

    def conv_bn(self, conv_name, bn_name, x, channels, kernel, scale=1.0, **how):
        x = self.conv(conv_name, x, channels, kernel, bias=False, **how)
        return self.batch_norm(bn_name, x, scale)

    def linear_relu(self, name, x, units):
        return self.relu(f"{name}.relu", self.linear(name, x, units, gain=2.0))

    def finish(self, x):
        """The Model. `x`, the last node's result, becomes the output."""
        graph = Message()
        for op_type, name, inputs, attributes in self.nodes:
            node = Message()
            for operand in inputs:
                node.string(1, operand)
            node.string(2, "output" if name == x.name else name).string(3, name).string(4, op_type)
            for key, value in attributes.items():
                node.message(5, attribute(key, value))
            graph.message(1, node)
        graph.string(2, self.name)
        for parameter in self.parameters:
            graph.message(5, tensor(*parameter))
        graph.message(11, value_info(self.input.name, (self.batch, *self.input.shape)))
        version = ir_version(self.options.opset)
        if version < 4:  # every initializer had to be an input too
            for name, shape, _ in self.parameters:
                graph.message(11, value_info(name, shape))
        graph.message(12, value_info("output", (self.batch, *x.shape)))
        opset = Message().string(1, "").integer(2, self.options.opset)
        model = Message().integer(1, version).string(2, "kiln-models")
        chunks = model.message(7, graph).message(8, opset).chunks
        return Model(chunks, (self.batch, *self.input.shape),
                     2 * self.macs * (self.options.batch or 1))
