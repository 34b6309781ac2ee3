#!/usr/bin/env python3
"""Writes well-known networks as files, for benchmarks, tests, demos and the gallery examples/zoo.

    models.py resnet50 -o resnet50.onnx
    models.py resnet18 -o small.onnx --size 64 --width 0.25 --classes 10
    models.py googlenet -o googlenet.prototxt
    models.py --list

As ONNX they have random weights and are ready to be used; as Caffe's .prototxt they have fillers and
what learning needs: dropout, auxiliary heads, a loss.

The ONNX graphs are those that PyTorch's exporter writes in inference mode (Conv without bias followed by
BatchNormalization, Flatten, Gemm with transB=1, Clip for ReLU6); `alexnet_lrn` and `googlenet` follow
BVLC's Caffe prototxts (LRN, grouped convolutions, pools that round up, Softmax). Weights are He-normal
and BatchNormalization parameters lie around the identity, so that activations keep their range through
the deepest net. The same arguments give the same bytes.
"""

import argparse
import json
import os
import sys

from onnx_net import Net, ShapeError
from prototxt_net import PrototxtNet


def lenet5(net):
    """LeCun et al. 1998 with ReLU and max pooling, on 1 x 28 x 28 digits."""
    x = net.conv_relu("conv1", net.input, net.wide(6), 5, pad=2)
    x = net.max_pool("pool1", x, 2, 2)
    x = net.conv_relu("conv2", x, net.wide(16), 5)
    x = net.flatten("flatten", net.max_pool("pool2", x, 2, 2))
    x = net.linear_relu("fc1", x, net.wide(120))
    x = net.linear_relu("fc2", x, net.wide(84))
    return net.finish(net.linear("fc3", x, net.options.classes))


def lenet(net):
    """Caffe's examples/mnist, which examples/training/lenet.prototxt trains."""
    x = net.max_pool("pool1", net.conv_relu("conv1", net.input, net.wide(20), 5), 2, 2)
    x = net.max_pool("pool2", net.conv_relu("conv2", x, net.wide(50), 5), 2, 2)
    x = net.linear_relu("ip1", net.flatten("flatten", x), net.wide(500))
    return net.finish(net.linear("ip2", x, net.options.classes))


def alexnet(net):
    """Krizhevsky 2014 ("one weird trick"), torchvision's AlexNet."""
    x = net.conv_relu("features.0", net.input, net.wide(64), 11, stride=4, pad=2)
    x = net.max_pool("features.2", x, 3, 2)
    x = net.conv_relu("features.3", x, net.wide(192), 5, pad=2)
    x = net.max_pool("features.5", x, 3, 2)
    x = net.conv_relu("features.6", x, net.wide(384), 3, pad=1)
    x = net.conv_relu("features.8", x, net.wide(256), 3, pad=1)
    x = net.conv_relu("features.10", x, net.wide(256), 3, pad=1)
    x = net.max_pool("features.12", x, 3, 2)
    return net.finish(classifier(net, x))


def alexnet_lrn(net):
    """Krizhevsky et al. 2012, BVLC's prototxt: local response normalisation, two groups."""
    x = net.lrn("norm1", net.conv_relu("conv1", net.input, net.wide(96), 11, stride=4))
    x = net.max_pool("pool1", x, 3, 2, ceil=True)
    x = net.lrn("norm2", net.conv_relu("conv2", x, net.wide(256), 5, pad=2, group=2))
    x = net.max_pool("pool2", x, 3, 2, ceil=True)
    x = net.conv_relu("conv3", x, net.wide(384), 3, pad=1)
    x = net.conv_relu("conv4", x, net.wide(384), 3, pad=1, group=2)
    x = net.conv_relu("conv5", x, net.wide(256), 3, pad=1, group=2)
    x = net.flatten("flatten", net.max_pool("pool5", x, 3, 2, ceil=True))
    x = net.dropout("drop6", net.linear_relu("fc6", x, net.wide(4096)), 0.5)
    x = net.dropout("drop7", net.linear_relu("fc7", x, net.wide(4096)), 0.5)
    return net.finish(net.softmax("prob", net.linear("fc8", x, net.options.classes)))


def vgg(convolutions):
    """Simonyan and Zisserman 2014, configurations D and E without BatchNormalization."""

    def build(net):
        x, index = net.input, 0
        for count, channels in zip(convolutions, (64, 128, 256, 512, 512)):
            for _ in range(count):
                x = net.conv_relu(f"features.{index}", x, net.wide(channels), 3, pad=1)
                index += 2
            x = net.max_pool(f"features.{index}", x, 2, 2)
            index += 1
        return net.finish(classifier(net, x))

    return build


def classifier(net, x):
    """The three dense layers of AlexNet and VGG; the 1x1 pool is how AdaptiveAvgPool is exported."""
    x = net.flatten("flatten", net.average_pool("avgpool", x, (1, 1)))
    x = net.linear_relu("classifier.0", x, net.wide(4096))
    x = net.dropout("classifier.2", x, 0.5)
    x = net.linear_relu("classifier.3", x, net.wide(4096))
    x = net.dropout("classifier.5", x, 0.5)
    return net.linear("classifier.6", x, net.options.classes)


# Channels of each inception module: 1x1; 3x3 reduced, 3x3; 5x5 reduced, 5x5; after the pool.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}


def googlenet(net):
    """Szegedy et al. 2014, BVLC's prototxt; the auxiliary heads are there to learn with only."""
    x = net.conv_relu("conv1/7x7_s2", net.input, net.wide(64), 7, stride=2, pad=3)
    x = net.lrn("pool1/norm1", net.max_pool("pool1/3x3_s2", x, 3, 2, ceil=True))
    x = net.conv_relu("conv2/3x3_reduce", x, net.wide(64), 1)
    x = net.lrn("conv2/norm2", net.conv_relu("conv2/3x3", x, net.wide(192), 3, pad=1))
    x = net.max_pool("pool2/3x3_s2", x, 3, 2, ceil=True)
    for module in INCEPTIONS:
        if module in ("4a", "5a"):
            x = net.max_pool(f"pool{int(module[0]) - 1}/3x3_s2", x, 3, 2, ceil=True)
        if net.learns and module in ("4b", "4e"):
            auxiliary_head(net, "loss1" if module == "4b" else "loss2", x)
        x = inception(net, f"inception_{module}", x, *INCEPTIONS[module])
    x = net.flatten("flatten", net.average_pool("pool5/7x7_s1", x, x.shape[1:]))
    x = net.dropout("pool5/drop_7x7_s1", x, 0.4)
    return net.finish(net.softmax("prob", net.linear("loss3/classifier", x, net.options.classes)))


def inception(net, name, x, one, reduce3, three, reduce5, five, after_pool):
    def branch(suffix, x, channels, kernel):
        return net.conv_relu(f"{name}/{suffix}", x, net.wide(channels), kernel, pad=kernel // 2)

    return net.concat(
        f"{name}/output",
        branch("1x1", x, one, 1),
        branch("3x3", branch("3x3_reduce", x, reduce3, 1), three, 3),
        branch("5x5", branch("5x5_reduce", x, reduce5, 1), five, 5),
        branch("pool_proj", net.max_pool(f"{name}/pool", x, 3, 1, pad=1), after_pool, 1))


def auxiliary_head(net, name, x):
    """Brings gradients to the middle of the net; its loss counts 0.3."""
    with net.only_while_learning():
        x = net.average_pool(f"{name}/ave_pool", x, (5, 5), stride=3)
        x = net.flatten(f"{name}/flatten", net.conv_relu(f"{name}/conv", x, net.wide(128), 1))
        x = net.dropout(f"{name}/drop_fc", net.linear_relu(f"{name}/fc", x, net.wide(1024)), 0.7)
        net.loss(f"{name}/loss", net.linear(f"{name}/classifier", x, net.options.classes), 0.3)


# The residual branch of a deep net ends in a small scale, as it does after training: without
# normalisation at run time each block would otherwise double the variance.
BRANCH_SCALE = 0.25


def resnet(block, expansion, depths):
    """He et al. 2015 as in torchvision: a bottleneck's stride sits on its 3x3 convolution."""

    def build(net):
        x = net.conv_bn("conv1", "bn1", net.input, net.wide(64), 7, stride=2, pad=3)
        x = net.max_pool("maxpool", net.relu("relu", x), 3, 2, pad=1)
        for stage, depth in enumerate(depths):
            x = residual_stage(net, f"layer{stage + 1}", x, block, net.wide(64 << stage), expansion,
                               depth, 2 if stage else 1, BRANCH_SCALE)
        x = net.flatten("flatten", net.global_average_pool("avgpool", x))
        return net.finish(net.linear("fc", x, net.options.classes))

    return build


def cifar_resnet(depth):
    """He et al. 2015, section 4.2, for pictures of 32 x 32: three stages of (depth - 2) / 6 blocks.

    Where a stage begins, the shortcut is a 1x1 convolution (the paper's option B)."""
    blocks = (depth - 2) // 6
    scale = min(BRANCH_SCALE, (3 * blocks) ** -0.5)

    def build(net):
        x = net.relu("relu", net.conv_bn("conv1", "bn1", net.input, net.wide(16), 3, pad=1))
        for stage in range(3):
            x = residual_stage(net, f"layer{stage + 1}", x, basic_block, net.wide(16 << stage), 1,
                               blocks, 2 if stage else 1, scale)
        x = net.flatten("flatten", net.global_average_pool("avgpool", x))
        return net.finish(net.linear("fc", x, net.options.classes))

    return build


def residual_stage(net, name, x, block, width, expansion, depth, stride, scale):
    """`depth` blocks; the first has the stride, and a convolution on its shortcut if it needs one."""
    out = width * expansion
    for index in range(depth):
        where = f"{name}.{index}"
        y = block(net, where, x, width, out, stride, scale)
        if stride != 1 or x.channels != out:
            x = net.conv_bn(f"{where}.downsample.0", f"{where}.downsample.1", x, out, 1,
                            stride=stride, scale=0.7)
        x = net.relu(f"{where}.relu", net.add(f"{where}.add", y, x))
        stride = 1
    return x


def basic_block(net, where, x, width, out, stride, scale):
    x = net.conv_bn(f"{where}.conv1", f"{where}.bn1", x, width, 3, stride=stride, pad=1)
    x = net.relu(f"{where}.relu1", x)
    return net.conv_bn(f"{where}.conv2", f"{where}.bn2", x, out, 3, pad=1, scale=scale)


def bottleneck(net, where, x, width, out, stride, scale):
    x = net.relu(f"{where}.relu1", net.conv_bn(f"{where}.conv1", f"{where}.bn1", x, width, 1))
    x = net.conv_bn(f"{where}.conv2", f"{where}.bn2", x, width, 3, stride=stride, pad=1)
    x = net.relu(f"{where}.relu2", x)
    return net.conv_bn(f"{where}.conv3", f"{where}.bn3", x, out, 1, scale=scale)


def mobilenet_v1(net):
    """Howard et al. 2017: depthwise and pointwise convolutions in turn, ReLU."""
    x = net.conv_bn("conv1", "conv1.bn", net.input, net.wide(32), 3, stride=2, pad=1)
    x = net.relu("conv1.relu", x)
    layers = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5,
              (1024, 2), (1024, 1)]
    for index, (channels, stride) in enumerate(layers, start=2):
        for part, out, how in (("dw", x.channels, dict(stride=stride, pad=1, group=x.channels)),
                               ("pw", net.wide(channels), {})):
            where = f"conv{index}.{part}"
            kernel = 3 if part == "dw" else 1
            x = net.relu(f"{where}.relu",
                         net.conv_bn(where, f"{where}.bn", x, out, kernel, **how))
    x = net.flatten("flatten", net.global_average_pool("avgpool", x))
    return net.finish(net.linear("fc", x, net.options.classes))


def mobilenet_v2(net):
    """Sandler et al. 2018: inverted residuals with linear bottlenecks, ReLU6."""

    def conv_bn_relu6(where, x, channels, kernel, **how):
        return net.relu6(f"{where}.2", net.conv_bn(f"{where}.0", f"{where}.1", x, channels, kernel,
                                                   pad=kernel // 2, **how))

    x = conv_bn_relu6("features.0", net.input, net.wide(32), 3, stride=2)
    index = 1
    for expand, channels, repeats, first_stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2),
                                                    (6, 64, 4, 2), (6, 96, 3, 1),
                                                    (6, 160, 3, 2), (6, 320, 1, 1)):
        for repeat in range(repeats):
            where, stride = f"features.{index}.conv", 1 if repeat else first_stride
            index += 1
            y = x
            if expand != 1:
                y = conv_bn_relu6(f"{where}.expand", y, x.channels * expand, 1)
            y = conv_bn_relu6(f"{where}.depthwise", y, y.channels, 3, stride=stride,
                              group=y.channels)
            y = net.conv_bn(f"{where}.project", f"{where}.project_bn", y, net.wide(channels), 1,
                            scale=0.7)
            same_shape = stride == 1 and x.channels == y.channels
            x = net.add(f"{where}.add", x, y) if same_shape else y
    x = conv_bn_relu6(f"features.{index}", x, max(1280, net.wide(1280)), 1)
    x = net.flatten("flatten", net.global_average_pool("avgpool", x))
    return net.finish(net.linear("classifier.1", x, net.options.classes))


def squeezenet1_1(net):
    """Iandola et al. 2016, version 1.1: fire modules, a convolution as the classifier."""
    x = net.conv_relu("features.0", net.input, net.wide(64), 3, stride=2)
    fires = [None, (16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192),
             (64, 256), (64, 256)]
    for index, fire in enumerate(fires, start=2):
        where = f"features.{index}"
        if fire is None:
            x = net.max_pool(where, x, 3, 2, ceil=True)
            continue
        squeeze, expand = map(net.wide, fire)
        x = net.conv_relu(f"{where}.squeeze", x, squeeze, 1)
        x = net.concat(f"{where}.concat", net.conv_relu(f"{where}.expand1x1", x, expand, 1),
                       net.conv_relu(f"{where}.expand3x3", x, expand, 3, pad=1))
    x = net.conv_relu("classifier.1", x, net.options.classes, 1)
    return net.finish(net.flatten("flatten", net.global_average_pool("classifier.3", x)))


NETS = {
    "lenet": lenet,
    "lenet5": lenet5,
    "alexnet": alexnet,
    "alexnet_lrn": alexnet_lrn,
    "vgg16": vgg((2, 2, 3, 3, 3)),
    "vgg19": vgg((2, 2, 4, 4, 4)),
    "googlenet": googlenet,
    "resnet18": resnet(basic_block, 1, (2, 2, 2, 2)),
    "resnet50": resnet(bottleneck, 4, (3, 4, 6, 3)),
    "resnet101": resnet(bottleneck, 4, (3, 4, 23, 3)),
    "resnet152": resnet(bottleneck, 4, (3, 8, 36, 3)),
    "resnet20": cifar_resnet(20),
    "resnet110": cifar_resnet(110),
    "resnet1202": cifar_resnet(1202),
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "squeezenet1_1": squeezenet1_1,
}
CIFAR_NETS = ("resnet20", "resnet110", "resnet1202")
DEFAULT_SIZE = {"lenet": 28, "lenet5": 28, "alexnet_lrn": 227, **dict.fromkeys(CIFAR_NETS, 32)}  # 224 otherwise
DEFAULT_CLASSES = {"lenet": 10, "lenet5": 10, **dict.fromkeys(CIFAR_NETS, 10)}  # 1000 otherwise
CHANNELS = {"lenet": 1, "lenet5": 1}  # of the input; 3 otherwise


def build(name, options, builder=Net):
    """The Model: as ONNX, or by another builder than onnx_net's."""
    return NETS[name](builder(name, options, CHANNELS.get(name, 3)))


def number_from(low, high, kind=int):
    """An argparse type: a number in [low, high]."""

    def parse(text):
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not in {low} .. {high}")
        return value

    parse.__name__ = kind.__name__
    return parse


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", nargs="?", choices=NETS, metavar="NAME", help=", ".join(NETS))
    parser.add_argument("-o", "--output", metavar="FILE", help="default NAME.onnx; a name that ends in .prototxt makes it Caffe's form")
    parser.add_argument("--size", type=number_from(1, 4096), metavar="PIXELS",
                        help="height and width of the input (224; lenet and lenet5 28, alexnet_lrn 227, CIFAR's "
                        "resnet20, 110 and 1202 32)")
    parser.add_argument("--batch", type=number_from(0, 65536), default=1, metavar="N",
                        help="leading dimension; 0 leaves it open under the name 'batch'")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    parser.add_argument("--classes", type=number_from(1, 1 << 20), metavar="N",
                        help="results (1000; lenet, lenet5 and CIFAR's nets 10)")
    parser.add_argument("--width", type=number_from(0.01, 16, float), default=1.0, metavar="X",
                        help="factor on all channels, which become multiples of 8")
    parser.add_argument("--opset", type=number_from(7, 22), default=13, metavar="N")
    parser.add_argument("--describe", action="store_true",
                        help="print a line of JSON: the input's shape, the work of a run in FLOP")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    options = parser.parse_args(arguments)
    if not options.list and options.net is None:
        parser.error("which net? --list shows them")
    return options


def main():
    options = parse_arguments(sys.argv[1:])
    if options.list:
        print("\n".join(NETS))
        return
    options.size = options.size or DEFAULT_SIZE.get(options.net, 224)
    options.classes = options.classes or DEFAULT_CLASSES.get(options.net, 1000)
    path = options.output or f"{options.net}.onnx"
    try:
        builder = PrototxtNet if path.endswith(".prototxt") else Net
        model = build(options.net, options, builder)
        with open(f"{path}.part", "wb") as out:
            out.writelines(model.chunks)
        os.replace(f"{path}.part", path)  # never half a file under the final name
    except (ShapeError, OSError) as error:
        sys.exit(f"models.py: {options.net}: {error}")
    if options.describe:
        print(json.dumps({"input_shape": model.input_shape, "flops": model.flops}))


if __name__ == "__main__":
    main()
