"""Writes the nets of models.py as Caffe's .prototxt: without weights, but with all that learning needs.

Layers that are there to learn with only stand in phase TRAIN: the labels, the losses, auxiliary heads.
What a net answers with, a softmax, stands in both, so that accuracy is measured while it learns.
"""

import contextlib
import math

from onnx_net import Model, Net, Value


class Fillers:
    """In place of weights: what random numbers they begin as."""

    def normal(self, count, deviation):
        return deviation

    def uniform(self, count, low, high):
        return (low + high) / 2


class PrototxtNet(Net):
    """Each ONNX node that `Net` makes becomes a layer, or two; square kernels only."""

    learns = True

    def __init__(self, name, options, channels=3):
        super().__init__(name, options, channels)
        self.weights = Fillers()
        self.fillers = {}  # by the parameter's name: of weights the field, otherwise the mean
        self.layers = []
        self.phase = None
        self.logits = {}  # of softmax results
        batch = options.batch or 1
        self.input = Value("data", *self.input.shape)
        self.layer("Input", "data", [], f"input_param {{ {blob_shape(batch, *self.input.shape)} }}")
        with self.only_while_learning():
            self.layer("Input", "label", [], f"input_param {{ {blob_shape(batch)} }}")

    @contextlib.contextmanager
    def only_while_learning(self):
        self.phase = "TRAIN"
        yield
        self.phase = None

    def layer(self, kind, name, bottoms, *fields):
        parts = [f'name: "{name}"', f'type: "{kind}"', *(f'bottom: "{b}"' for b in bottoms),
                 f'top: "{name}"']
        if self.phase:
            parts.append(f"include {{ phase: {self.phase} }}")
        head = " ".join(parts)
        self.layers.append("\n  ".join([f"layer {{ {head}", *fields]) + " }")

    def parameter(self, name, shape, number):
        self.fillers[name] = filler(shape, number) if len(shape) > 1 else number
        return name

    def node(self, op_type, name, inputs, shape, **attributes):
        value = super().node(op_type, name, inputs, shape, **attributes)
        LAYERS[op_type](self, name, inputs, value.channels, attributes)
        return value

    def relu6(self, name, x):
        self.layer("Clip", name, [x.name], "clip_param { min: 0 max: 6 }")
        return Value(name, *x.shape)

    def average_pool(self, name, x, kernel, stride=1):
        if tuple(kernel) == x.shape[1:]:  # said so that it holds for pictures of any size
            return self.global_average_pool(name, x)
        return super().average_pool(name, x, kernel, stride)

    def dropout(self, name, x, ratio):
        self.layer("Dropout", name, [x.name], f"dropout_param {{ dropout_ratio: {ratio} }}")
        return Value(name, *x.shape)

    def softmax(self, name, x):
        value = super().softmax(name, x)
        self.logits[name] = x
        return value

    def loss(self, name, x, weight=1):
        self.layer("SoftmaxWithLoss", name, [x.name, "label"],
                   *([f"loss_weight: {weight}"] if weight != 1 else []))

    def finish(self, x):
        with self.only_while_learning():
            if x.name not in self.logits:
                x = self.softmax("prob", x)
            self.loss("loss", self.logits[x.name])
        text = "\n".join([f'name: "{self.name}"', *self.layers, ""])
        batch = self.options.batch or 1
        return Model([text.encode()], (batch, *self.input.shape), 2 * self.macs * batch)


def blob_shape(*extents):
    return "shape { " + " ".join(f"dim: {extent}" for extent in extents) + " }"


def filler(shape, deviation):
    """Numbers from N(0, 2 / fan_in) have a name in Caffe."""
    fan_in = math.prod(shape[1:])
    if math.isclose(deviation, math.sqrt(2 / fan_in)):
        return 'weight_filler { type: "msra" }'
    return f'weight_filler {{ type: "gaussian" std: {deviation:.4g} }}'


def window(kernel, stride, pad):
    """The fields of a square window, without those that are as they are if nothing is said."""
    fields = [f"kernel_size: {kernel[0]}"]
    if stride[0] != 1:
        fields.append(f"stride: {stride[0]}")
    if pad[0] != 0:
        fields.append(f"pad: {pad[0]}")
    return " ".join(fields)


# The layers of an ONNX node: (net, name, inputs, channels of the result, attributes). Biases begin
# as zero, statistics as those of what is standardised already.

def convolution(net, name, inputs, channels, a):
    fields = f"num_output: {channels} {window(a['kernel_shape'], a['strides'], a['pads'])}"
    if a["group"] != 1:
        fields += f" group: {a['group']}"
    if len(inputs) == 2:
        fields += " bias_term: false"
    net.layer("Convolution", name, inputs[:1],
              f"convolution_param {{ {fields} {net.fillers[inputs[1]]} }}")


def inner_product(net, name, inputs, channels, a):
    net.layer("InnerProduct", name, inputs[:1],
              f"inner_product_param {{ num_output: {channels} {net.fillers[inputs[1]]} }}")


def batch_norm(net, name, inputs, channels, a):
    scale = net.fillers[inputs[1]]
    start = "" if scale == 1 else f'filler {{ type: "constant" value: {scale:.4g} }} '
    net.layer("BatchNorm", f"{name}.normal", inputs[:1])
    net.layer("Scale", name, [f"{name}.normal"], f"scale_param {{ {start}bias_term: true }}")


def pool(method, kernel, stride, pad, ceil):
    rounding = "" if ceil else " round_mode: FLOOR"
    return f"pooling_param {{ pool: {method} {window(kernel, stride, pad)}{rounding} }}"


def max_pool(net, name, inputs, channels, a):
    net.layer("Pooling", name, inputs,
              pool("MAX", a["kernel_shape"], a["strides"], a["pads"], a["ceil_mode"]))


def average_pool(net, name, inputs, channels, a):
    net.layer("Pooling", name, inputs, pool("AVE", a["kernel_shape"], a["strides"], [0], False))


def plain(kind, *fields):
    return lambda net, name, inputs, channels, a: net.layer(kind, name, inputs, *fields)


LAYERS = {
    "Add": plain("Eltwise"),  # which sums, if nothing is said
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Concat": plain("Concat"),
    "Conv": convolution,
    "Flatten": plain("Flatten"),
    "Gemm": inner_product,
    "GlobalAveragePool": plain("Pooling", "pooling_param { pool: AVE global_pooling: true }"),
    "LRN": plain("LRN", "lrn_param { local_size: 5 alpha: 1e-4 beta: 0.75 }"),
    "MaxPool": max_pool,
    "Relu": plain("ReLU"),
    "Softmax": plain("Softmax"),
}
