"""An ONNX file of bench/models.py as a PyTorch module.

The graph becomes a torch.fx graph of torch.nn.functional calls, one a node, whose generated `forward` is
the Python code that one would write by hand. To be run, all weights are buffers of the module, so that
`.to()` reaches them and torch.compile's freezing may fold them; to be trained, all but the running
statistics are parameters.
"""

import onnx
import torch
import torch.fx
import torch.nn.functional as F
from onnx import numpy_helper


def symmetric(pads):
    """(top, left) of ONNX's (top, left, bottom, right)."""
    half = len(pads) // 2
    if list(pads[:half]) != list(pads[half:]):
        raise ValueError(f"pads {pads}: PyTorch pads both ends alike")
    return tuple(pads[:half])


def conv(x, weight, bias=None, *, strides, pads, dilations, group, kernel_shape):
    del kernel_shape  # the weight says it
    return F.conv2d, (x, weight, bias, tuple(strides), symmetric(pads), tuple(dilations), group)


def batch_norm(x, scale, bias, mean, variance, *, epsilon, momentum):
    del momentum  # of training
    return F.batch_norm, (x, mean, variance, scale, bias, False, 0.0, epsilon)


def training_batch_norm(x, scale, bias, mean, variance, *, epsilon, momentum):
    # ONNX says what the running statistics keep, PyTorch what they take.
    return F.batch_norm, (x, mean, variance, scale, bias, True, 1.0 - momentum, epsilon)


def training_relu(x):
    return F.relu, (x, True)  # in place, as torchvision's nets have it: it saves memory


def max_pool(x, *, kernel_shape, strides, pads, ceil_mode=0):
    return F.max_pool2d, (x, tuple(kernel_shape), tuple(strides), symmetric(pads), 1,
                          bool(ceil_mode))


def average_pool(x, *, kernel_shape, strides):
    return F.avg_pool2d, (x, tuple(kernel_shape), tuple(strides))


def gemm(x, weight, bias, *, alpha, beta, transB):
    if (alpha, beta, transB) != (1.0, 1.0, 1):
        raise ValueError("Gemm: only x times transposed weights plus bias")
    return F.linear, (x, weight, bias)


OPS = {
    "Add": lambda x, y: (torch.add, (x, y)),
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Clip": lambda x, low, high: (F.relu6, (x,)),  # the generator writes Clip for ReLU6 alone
    "Concat": lambda *parts, axis: (torch.cat, (list(parts), axis)),
    "Conv": conv,
    "Flatten": lambda x, *, axis: (torch.flatten, (x, axis)),
    "Gemm": gemm,
    "GlobalAveragePool": lambda x: (F.adaptive_avg_pool2d, (x, (1, 1))),
    "LRN": lambda x, *, size, alpha, beta, bias: (F.local_response_norm,
                                                  (x, size, alpha, beta, bias)),
    "MaxPool": max_pool,
    "Relu": lambda x: (F.relu, (x,)),
    "Softmax": lambda x, *, axis: (F.softmax, (x, axis)),
}
TRAINING_OPS = {"BatchNormalization": training_batch_norm, "Relu": training_relu}


def running_statistics(graph):
    """The names of the mean and variance of every BatchNormalization."""
    return {name for node in graph.node if node.op_type == "BatchNormalization"
            for name in node.input[3:5]}


def load(path, training=False):
    """The module of the file at `path`: one input, one output. Initializer i is called `p{i}`."""
    graph = onnx.load(path).graph
    root, fx_graph = torch.nn.Module(), torch.fx.Graph()
    values, constants = {}, running_statistics(graph)
    for index, initializer in enumerate(graph.initializer):
        tensor = torch.from_numpy(numpy_helper.to_array(initializer).copy())
        if training and initializer.name not in constants:
            root.register_parameter(f"p{index}", torch.nn.Parameter(tensor))
        else:
            root.register_buffer(f"p{index}", tensor)
        values[initializer.name] = fx_graph.get_attr(f"p{index}")
    (source,) = [value.name for value in graph.input if value.name not in values]
    values[source] = fx_graph.placeholder("x")
    ops = {**OPS, **TRAINING_OPS} if training else OPS
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        function, arguments = ops[node.op_type](*(values[name] for name in node.input), **attributes)
        values[node.output[0]] = fx_graph.call_function(function, arguments)
    fx_graph.output(values[graph.output[0].name])
    fx_graph.eliminate_dead_code()
    return torch.fx.GraphModule(root, fx_graph).train(training)
