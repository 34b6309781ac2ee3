#include "compiler/import/caffe/caffe_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/caffe.pb.h"
#include "tests/compiler/import/import_test_util.h"

namespace kiln {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

StatusOr<std::unique_ptr<Module>> Import(const std::string& net, const ImportOptions& options = {},
                                         const std::string& weights = "") {
  return ImportCaffe(Bytes(net), Bytes(weights), options);
}

std::string InputOf(const Shape& shape) {
  std::string text = "layer { name: 'in' type: 'Input' top: 'x' input_param { shape {";
  for (const int64_t extent : shape) text += StrCat(" dim: ", extent);
  return text + " } } }\n";
}

// A net of one layer with bottom x and top y.
std::string OneLayer(const Shape& shape, const std::string& type, const std::string& rest = "") {
  return InputOf(shape) + "layer { name: 'l' type: '" + type + "' bottom: 'x' top: 'y' " + rest +
         " }\n";
}

// A .caffemodel with the blobs of one layer.
std::string WeightsOf(const std::string& layer, const std::vector<Tensor>& blobs) {
  caffe::NetParameter net;
  auto* const proto = net.add_layer();
  proto->set_name(layer);
  proto->set_type("Convolution");
  for (const Tensor& blob : blobs) {
    auto* const to = proto->add_blobs();
    for (const int64_t extent : blob.shape()) to->mutable_shape()->add_dim(extent);
    for (const double value : blob.ToDoubles()) to->add_data(static_cast<float>(value));
  }
  return net.SerializeAsString();
}

auto Near(const std::vector<double>& expected) { return Pointwise(DoubleNear(1e-5), expected); }

TEST(CaffeImport, ElementwiseLayersComputeWhatCaffeDefines) {
  struct Case {
    const char* type;
    const char* parameters;
    std::vector<double> expected;  // of -1, 0.5, 2
  };
  const Case cases[] = {
      {"ReLU", "", {0, 0.5, 2}},
      {"ReLU", "relu_param { negative_slope: 0.5 }", {-0.5, 0.5, 2}},
      {"ReLU6", "", {0, 0.5, 2}},
      {"Sigmoid", "", {0.26894142, 0.62245933, 0.88079708}},
      {"TanH", "", {-0.76159416, 0.46211716, 0.96402758}},
      {"AbsVal", "", {1, 0.5, 2}},
      {"BNLL", "", {0.31326169, 0.97407698, 2.12692801}},
      {"ELU", "elu_param { alpha: 2 }", {-1.26424112, 0.5, 2}},
      {"Threshold", "threshold_param { threshold: 0.5 }", {0, 0, 1}},
      {"Power", "power_param { power: 2 scale: 3 shift: 1 }", {4, 6.25, 49}},
      {"Power", "power_param { power: 0 }", {1, 1, 1}},
      {"Exp", "exp_param { base: 2 scale: 2 shift: 1 }", {0.5, 4, 32}},
      {"Log", "log_param { base: 10 scale: 10 shift: 11 }", {0, 1.20411998, 1.49136169}},
      {"Swish", "", {-0.26894142, 0.31122967, 1.76159416}},
      {"Clip", "clip_param { min: -0.5 max: 1 }", {-0.5, 0.5, 1}},
      {"Dropout", "", {-1, 0.5, 2}},
      {"Dropout", "dropout_param { dropout_ratio: 0.25 scale_train: false }", {-0.75, 0.375, 1.5}},
      {"MVN", "mvn_param { across_channels: true }", {-1.22474487, 0, 1.22474487}},
      {"Reduction", "reduction_param { operation: SUMSQ coeff: 2 }", {10.5}},
      {"Reduction", "reduction_param { operation: ASUM axis: 1 }", {3.5}},
      {"Reduction", "reduction_param { operation: MEAN axis: 1 }", {0.5}},
      {"Softmax", "", {0.03911257, 0.17529039, 0.78559704}},
      {"ArgMax", "", {2}},
      {"ArgMax", "argmax_param { out_max_val: true top_k: 2 }", {2, 1, 2, 0.5}},
      {"Tile", "tile_param { tiles: 2 }", {-1, 0.5, 2, -1, 0.5, 2}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(StrCat(c.type, " ", c.parameters));
    const auto module = Import(OneLayer({1, 3}, c.type, c.parameters));
    EXPECT_THAT(Evaluate(module, {Floats({1, 3}, {-1, 0.5, 2})}), Near(c.expected));
  }
}

TEST(CaffeImport, PoolingRoundsUpAndCutsTheWindowThatLiesInPadding) {
  struct Case {
    int64_t extent;
    const char* parameters;
    Shape expected;
  };
  const Case cases[] = {
      {4, "kernel_size: 3 stride: 2", {1, 1, 2, 2}},
      {5, "kernel_size: 2 stride: 2", {1, 1, 3, 3}},
      {5, "kernel_size: 2 stride: 2 round_mode: FLOOR", {1, 1, 2, 2}},
      {5, "kernel_size: 2 stride: 2 ceil_mode: false", {1, 1, 2, 2}},
      {4, "kernel_size: 2 stride: 2 pad: 1", {1, 1, 3, 3}},
      {3, "kernel_size: 2 stride: 2 pad: 1", {1, 1, 2, 2}},  // a third one is cut
      {3, "kernel_size: 1 stride: 3", {1, 1, 2, 2}},         // without padding nothing is
      {4, "kernel_h: 2 kernel_w: 4 stride_h: 1 stride_w: 2", {1, 1, 3, 1}},
      {5, "global_pooling: true", {1, 1, 1, 1}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.parameters);
    const auto module = Import(OneLayer({1, 1, c.extent, c.extent}, "Pooling",
                                        StrCat("pooling_param { ", c.parameters, " }")));
    ASSERT_TRUE(module.ok()) << module.status();
    EXPECT_EQ(OutputShape(**module), c.expected);
  }
}

TEST(CaffeImport, AveragesCountPaddingButNotWhatRoundingAdds) {
  const auto module = Import(
      OneLayer({1, 1, 3, 3}, "Pooling", "pooling_param { pool: AVE kernel_size: 2 stride: 2 }"));
  EXPECT_THAT(Evaluate(module, {Ramp({1, 1, 3, 3}, 1, 1)}), Near({3, 4.5, 7.5, 9}));
  const auto padded = Import(OneLayer(
      {1, 1, 2, 2}, "Pooling", "pooling_param { pool: AVE kernel_size: 2 stride: 2 pad: 1 }"));
  EXPECT_THAT(Evaluate(padded, {Ramp({1, 1, 2, 2}, 1, 1)}), Near({0.25, 0.5, 0.75, 1}));
  const auto stochastic = Import(OneLayer(
      {1, 1, 2, 2}, "Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }"));
  EXPECT_THAT(Evaluate(stochastic, {Ramp({1, 1, 2, 2}, 1, 1)}), Near({3}));
}

TEST(CaffeImport, LrnAcrossAndWithinChannels) {
  const auto across =
      Import(OneLayer({1, 3, 1, 1}, "LRN", "lrn_param { local_size: 3 alpha: 3 beta: 1 k: 2 }"));
  EXPECT_THAT(Evaluate(across, {Floats({1, 3, 1, 1}, {1, 2, 3})}),
              Near({1 / 7.0, 2 / 16.0, 3 / 15.0}));
  const auto within =
      Import(OneLayer({1, 1, 1, 3}, "LRN",
                      "lrn_param { local_size: 3 alpha: 9 beta: 1 norm_region: WITHIN_CHANNEL }"));
  EXPECT_THAT(Evaluate(within, {Floats({1, 1, 1, 3}, {1, 2, 3})}),
              Near({1 / 6.0, 2 / 15.0, 3 / 14.0}));
}

TEST(CaffeImport, ConvolutionReadsItsBlobs) {
  const std::string net =
      OneLayer({1, 2, 2, 2}, "Convolution", "convolution_param { num_output: 2 kernel_size: 1 }");
  const std::string weights =
      WeightsOf("l", {Floats({2, 2, 1, 1}, {1, 0, 0, 2}), Floats({1, 1, 1, 2}, {10, 20})});
  const auto module = Import(net, {}, weights);
  EXPECT_THAT(Evaluate(module, {Ramp({1, 2, 2, 2})}), ElementsAre(10, 11, 12, 13, 28, 30, 32, 34));
  EXPECT_NE((*module)->FindParameter("l.weight"), nullptr);
  EXPECT_THAT(Message(Import(net, {}, WeightsOf("l", {Floats({3}, {1, 2, 3})})).status()),
              HasSubstr("l: blob 0 ('weight') of the weights is [3], expected [2,2,1,1]"));
}

TEST(CaffeImport, WeightsAreUnknownWithoutAFileAndFilledFromASeed) {
  const std::string net = OneLayer({1, 4}, "InnerProduct",
                                   "inner_product_param { num_output: 3 weight_filler { type: "
                                   "'xavier' } bias_filler { value: 0.5 } }");
  const auto bare = Import(net);
  ASSERT_TRUE(bare.ok()) << bare.status();
  EXPECT_FALSE((*bare)->FindParameter("l.weight")->value.known());
  ImportOptions options;
  options.param_seed = 7;
  const auto filled = Import(net, options), again = Import(net, options);
  ASSERT_TRUE(filled.ok() && again.ok());
  const Tensor& weight = (*filled)->FindParameter("l.weight")->value;
  EXPECT_TRUE(weight == (*again)->FindParameter("l.weight")->value);
  for (const double value : weight.ToDoubles()) {
    EXPECT_LE(std::abs(value), std::sqrt(3.0 / 4));
    EXPECT_NE(value, 0);
  }
  EXPECT_THAT((*filled)->FindParameter("l.bias")->value.ToDoubles(), ElementsAre(0.5, 0.5, 0.5));
}

TEST(CaffeImport, BatchNormDividesItsSumsByTheFactor) {
  const std::string net = OneLayer({1, 2, 1, 1}, "BatchNorm", "batch_norm_param { eps: 0 }");
  const std::string weights =
      WeightsOf("l", {Floats({2}, {2, 4}), Floats({2}, {8, 32}), Floats({1}, {2})});
  const auto module = Import(net, {}, weights);
  EXPECT_THAT(Evaluate(module, {Floats({1, 2, 1, 1}, {3, 6})}), Near({1, 1}));
  EXPECT_FALSE((*module)->FindParameter("l.mean")->trainable);
}

TEST(CaffeImport, LayersWorkInPlaceAndShareParametersByName) {
  const std::string net = InputOf({1, 1}) + R"(
    layer { name: 'a' type: 'InnerProduct' bottom: 'x' top: 'h' param { name: 'w' }
            inner_product_param { num_output: 1 bias_term: false weight_filler { value: -2 } } }
    layer { name: 'r' type: 'ReLU' bottom: 'h' top: 'h' }
    layer { name: 'b' type: 'InnerProduct' bottom: 'h' top: 'y' param { name: 'w' }
            inner_product_param { num_output: 1 bias_term: false } })";
  ImportOptions options;
  options.param_seed = 1;
  const auto module = Import(net, options);
  EXPECT_THAT(Evaluate(module, {Floats({1, 1}, {-3})}), ElementsAre(-12));
  EXPECT_EQ((*module)->parameters().size(), 1u);
  EXPECT_THAT(OutputNames(**module), ElementsAre("y"));
}

TEST(CaffeImport, PhasesChooseLayers) {
  const std::string net = InputOf({2, 3}) + R"(
    layer { name: 'label' type: 'Input' top: 'label' input_param { shape { dim: 2 } } }
    layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'x' bottom: 'label' top: 'loss' }
    layer { name: 'top1' type: 'Accuracy' bottom: 'x' bottom: 'label' top: 'top1'
            include { phase: TEST } }
    layer { name: 'train' type: 'Nonsense' bottom: 'x' top: 'z' include { phase: TRAIN } }
    layer { name: 'staged' type: 'Nonsense' bottom: 'x' top: 'z' include { stage: 'other' } }
    layer { name: 'left' type: 'Nonsense' bottom: 'x' top: 'z' exclude { phase: TEST } })";
  const auto module = Import(net);
  const auto outputs =
      RunOutputs(module, {Floats({2, 3}, {1, 2, 3, 3, 2, 1}), Floats({2}, {2, 2})});
  ASSERT_EQ(outputs.size(), 2u);
  EXPECT_THAT(OutputNames(**module), ElementsAre("loss", "top1"));
  EXPECT_NEAR(outputs[0].GetDouble(0), 1.40760596, 1e-5);
  EXPECT_THAT(outputs[1].ToDoubles(), ElementsAre(0.5));
  EXPECT_EQ((*module)->metadata.at("loss_weights"), "loss=1.0");
  ImportOptions training;
  training.training = true;
  EXPECT_THAT(Message(Import(net, training).status()),
              "train: layer type Nonsense is not supported\n"
              "left: layer type Nonsense is not supported");
}

TEST(CaffeImport, Losses) {
  struct Case {
    const char* type;
    const char* parameters;
    std::vector<double> label;
    double expected;  // of scores [[1, 2], [3, 0.5]]
  };
  const Case cases[] = {
      {"SoftmaxWithLoss", "", {1, 0}, (0.31326169 + 0.07888973) / 2},
      {"SoftmaxWithLoss", "loss_param { ignore_label: 0 }", {1, 0}, 0.31326169},
      {"SoftmaxWithLoss", "loss_param { normalization: NONE }", {1, 0}, 0.39215142},
      {"SoftmaxWithLoss", "loss_param { normalize: false }", {1, 0}, 0.39215142 / 2},
      {"HingeLoss", "", {1, 0}, (2 + 0 + 0 + 1.5) / 2},
      {"HingeLoss", "hinge_loss_param { norm: L2 }", {1, 0}, (4 + 0 + 0 + 2.25) / 2},
      {"EuclideanLoss", "", {0, 2, 1, 0.5}, (1 + 4) / 4.0},
      {"SigmoidCrossEntropyLoss",
       "",
       {1, 0, 1, 0},
       (0.31326169 + 2.12692801 + 0.04858735 + 0.97407698) / 2},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(StrCat(c.type, " ", c.parameters));
    const auto count = static_cast<int64_t>(c.label.size());
    const std::string net =
        InputOf({2, 2}) +
        StrCat("layer { name: 'n' type: 'Input' top: 't' input_param { shape { dim: ", count,
               " } } } layer { name: 'l' type: '", c.type, "' bottom: 'x' bottom: 't' top: 'y' ",
               c.parameters, " }");
    const auto values =
        Evaluate(Import(net), {Floats({2, 2}, {1, 2, 3, 0.5}), Floats({count}, c.label)});
    ASSERT_EQ(values.size(), 1u);
    EXPECT_NEAR(values[0], c.expected, 1e-5);
  }
}

TEST(CaffeImport, ShapesAreMovedAsAsked) {
  struct Case {
    const char* type;
    const char* parameters;
    Shape expected;  // of [2, 3, 4, 5]
  };
  const Case cases[] = {
      {"Flatten", "", {2, 60}},
      {"Flatten", "flatten_param { axis: 2 end_axis: 3 }", {2, 3, 20}},
      {"Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", {2, 60}},
      {"Reshape", "reshape_param { shape { dim: 2 dim: 2 } axis: 2 num_axes: 1 }", {2, 3, 2, 2, 5}},
      {"Reshape", "reshape_param { shape { dim: 1 } axis: 1 num_axes: 0 }", {2, 1, 3, 4, 5}},
      {"Reshape", "reshape_param { shape { dim: 10 dim: -1 } axis: -3 }", {2, 3, 10, 2}},
      {"Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }", {2, 4, 5, 3}},
      {"Interp", "interp_param { zoom_factor: 2 }", {2, 3, 7, 9}},
      {"Upsample", "upsample_param { scale: 2 }", {2, 3, 8, 10}},
      {"SPP", "spp_param { pyramid_height: 2 }", {2, 15}},
      {"Softmax", "softmax_param { axis: 2 }", {2, 3, 4, 5}},
      {"ArgMax", "argmax_param { axis: 1 }", {2, 1, 4, 5}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(StrCat(c.type, " ", c.parameters));
    const auto module = Import(OneLayer({2, 3, 4, 5}, c.type, c.parameters));
    ASSERT_TRUE(module.ok()) << module.status();
    EXPECT_EQ(OutputShape(**module), c.expected);
  }
}

TEST(CaffeImport, SliceConcatCropAndEltwise) {
  const auto module = Import(InputOf({1, 4}) + R"(
    layer { name: 's' type: 'Slice' bottom: 'x' top: 'a' top: 'b' slice_param { slice_point: 1 } }
    layer { name: 'c' type: 'Concat' bottom: 'b' bottom: 'a' top: 'c' }
    layer { name: 'e' type: 'Eltwise' bottom: 'x' bottom: 'c' top: 'e'
            eltwise_param { coeff: 1 coeff: -1 } }
    layer { name: 'k' type: 'Crop' bottom: 'e' bottom: 'b' top: 'y'
            crop_param { axis: 1 offset: 1 } })");
  EXPECT_THAT(Evaluate(module, {Floats({1, 4}, {1, 2, 4, 8})}), ElementsAre(-2, -4, 7));
}

TEST(CaffeImport, RecurrentLayersForgetWhereASequenceBegins) {
  const std::string net = R"(
    layer { name: 'in' type: 'Input' top: 'x' top: 'cont'
            input_param { shape { dim: 3 dim: 1 dim: 1 } shape { dim: 3 dim: 1 } } }
    layer { name: 'r' type: 'RNN' bottom: 'x' bottom: 'cont' top: 'y'
            recurrent_param { num_output: 1 } })";
  const std::string weights =
      WeightsOf("r", {Floats({1, 1}, {1}), Floats({1}, {0}), Floats({1, 1}, {1}),
                      Floats({1, 1}, {1}), Floats({1}, {0})});
  const auto module = Import(net, {}, weights);
  const double h1 = std::tanh(0.5), h2 = std::tanh(0.5 + h1), h3 = std::tanh(0.5);
  EXPECT_THAT(Evaluate(module, {Floats({3, 1, 1}, {0.5, 0.5, 0.5}), Floats({3, 1}, {0, 1, 0})}),
              Near({std::tanh(h1), std::tanh(h2), std::tanh(h3)}));
}

TEST(CaffeImport, TheOlderSchemaIsUpgraded) {
  const auto module =
      Import(R"(
    input: 'x' input_dim: 1 input_dim: 1 input_dim: 2 input_dim: 2
    layers { name: 'p' type: POOLING bottom: 'x' top: 'p'
             pooling_param { pool: MAX kernel_size: 2 } }
    layers { name: 'ip' type: INNER_PRODUCT bottom: 'p' top: 'y' blobs_lr: 1 blobs_lr: 2
             weight_decay: 1 weight_decay: 0
             inner_product_param { num_output: 2 } })",
             {}, WeightsOf("ip", {Floats({1, 1, 2, 1}, {1, 2}), Floats({1, 1, 1, 2}, {0, 1})}));
  EXPECT_THAT(Evaluate(module, {Ramp({1, 1, 2, 2})}), ElementsAre(3, 7));
  EXPECT_EQ((*module)->metadata.at("rate_multipliers"), "ip.bias=2.0");
  EXPECT_EQ((*module)->metadata.at("decay_multipliers"), "ip.bias=0.0");
}

TEST(CaffeImport, DataLayersAreInputs) {
  const std::string net = R"(
    layer { name: 'd' type: 'Data' top: 'data' top: 'label' data_param { batch_size: 4 }
            transform_param { crop_size: 2 mean_value: 1 mean_value: 2 mean_value: 3 } }
    layer { name: 's' type: 'Silence' bottom: 'label' }
    layer { name: 'r' type: 'ReLU' bottom: 'data' top: 'y' })";
  const auto module = Import(net);
  ASSERT_TRUE(module.ok()) << module.status();
  EXPECT_EQ(OutputShape(**module), (Shape{4, 3, 2, 2}));
  ImportOptions options;
  options.input_shapes["data"] = {2, 1, 5, 5};
  const auto given = Import(net, options);
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_EQ(OutputShape(**given), (Shape{2, 1, 5, 5}));
  EXPECT_EQ((*given)->FindFunction("forward")->inputs()[1]->shape(), (Shape{2}));
  options.input_shapes = {{"nothing", {1}}};
  EXPECT_THAT(Message(Import(net, options).status()), HasSubstr("no input 'nothing'"));
  EXPECT_THAT(Message(Import("layer { name: 'h' type: 'HDF5Data' top: 'a' }").status()),
              HasSubstr("h: the input's shape is open; give it"));
}

TEST(CaffeImport, EverythingUnsupportedIsSaidAtOnce) {
  const auto module = Import(InputOf({1, 3, 4, 4}) + R"(
    layer { name: 'prior' type: 'PriorBox' bottom: 'x' top: 'p' }
    layer { name: 'script' type: 'Python' bottom: 'x' top: 'q' }
    layer { name: 'pick' type: 'Filter' bottom: 'x' bottom: 'x' top: 'r' }
    layer { name: 'relu' type: 'ReLU' bottom: 'x' top: 'y' relu_param { strange: 1 } }
    layer { name: 'cat' type: 'Eltwise' bottom: 'x' top: 'z' })");
  EXPECT_THAT(Message(module.status()),
              "prior: layer type PriorBox is not supported\n"
              "script: layer type Python is not supported: it runs a program\n"
              "pick: layer type Filter is not supported: the shape of its result depends on data\n"
              "cat: has 1 bottoms, expected 2 or more\n"
              "line 6: message ReLUParameter has no field 'strange'");
}

TEST(CaffeImport, FailuresOfBuildingAreSaidTogetherOnceEach) {
  const auto module = Import(InputOf({1, 3}) + R"(
    layer { name: 'pool' type: 'Pooling' bottom: 'x' top: 'a' pooling_param { kernel_size: 2 } }
    layer { name: 'relu' type: 'ReLU' bottom: 'a' top: 'b' }
    layer { name: 'lost' type: 'ReLU' bottom: 'nowhere' top: 'c' }
    layer { name: 'conv' type: 'Convolution' bottom: 'x' top: 'd'
            convolution_param { num_output: 1 } })");
  const std::string message = Message(module.status());
  EXPECT_THAT(message, HasSubstr("pool: needs [N, C, H, W]"));
  EXPECT_THAT(message, HasSubstr("\nlost: bottom 'nowhere' is not defined"));
  EXPECT_THAT(message, HasSubstr("\nconv: needs a batch"));
  EXPECT_EQ(StrSplit(message, '\n').size(), 3u);
}

TEST(CaffeImport, HostileNumbersAreRefused) {
  const char* const bad[] = {
      "type: 'Pooling' pooling_param { kernel_size: 0 }",
      "type: 'Pooling' pooling_param { kernel_size: 2 stride: 0 }",
      "type: 'Pooling' pooling_param { kernel_size: 2 pad: 2 }",
      "type: 'Pooling' pooling_param { kernel_size: 4294967295 }",
      "type: 'Convolution' convolution_param { num_output: 4294967295 kernel_size: 4294967295 }",
      "type: 'Convolution' convolution_param { num_output: 2 kernel_size: 1 group: 0 }",
      "type: 'Convolution' convolution_param { num_output: 2 kernel_size: 1 group: 2 }",
      "type: 'Convolution' convolution_param { num_output: 1 kernel_size: 1 kernel_size: 1 "
      "kernel_size: 1 }",
      "type: 'Reshape' reshape_param { shape { dim: 9223372036854775807 dim: 16 } }",
      "type: 'Reshape' reshape_param { shape { dim: -1 dim: 0 dim: -1 } }",
      "type: 'Reshape' reshape_param { shape { dim: -5 } }",
      "type: 'Tile' tile_param { tiles: -1 }",
      "type: 'LRN' lrn_param { local_size: 4 }",
      "type: 'Concat' concat_param { axis: 9 }",
      "type: 'Slice' slice_param { slice_point: 7 }",
      "type: 'SPP' spp_param { pyramid_height: 4000000000 }",
      "type: 'Upsample' upsample_param { scale: 2147483647 }",
      "type: 'Interp' interp_param { zoom_factor: 2147483647 }",
      "type: 'Interp' interp_param { pad_beg: -2147483648 }",
      "type: 'Scale' scale_param { num_axes: 2147483647 }",
      "type: 'ArgMax' argmax_param { top_k: 4294967295 }",
      "type: 'Exp' exp_param { base: -3 }",
  };
  for (const char* const layer : bad) {
    SCOPED_TRACE(layer);
    const auto module =
        Import(InputOf({1, 3, 4, 4}) + "layer { name: 'l' bottom: 'x' top: 'y' " + layer + " }");
    EXPECT_FALSE(module.ok());
    EXPECT_THAT(Message(module.status()), HasSubstr("l: "));
  }
}

TEST(CaffeImport, MalformedFilesGiveOneLine) {
  EXPECT_THAT(Message(Import("layer { name: 'x' ").status()), HasSubstr("line 1:"));
  EXPECT_THAT(Message(Import("layer { type: 3.5.5 }").status()), HasSubstr("line 1:"));
  std::string deep = "layer ";
  for (int i = 0; i < 5000; ++i) deep += "{ a ";
  EXPECT_THAT(Message(Import(deep).status()), HasSubstr("nested more than"));
  EXPECT_THAT(Message(Import("net: 'a.prototxt' base_lr: 0.1 max_iter: 5").status()),
              HasSubstr("is a solver, not a net"));
  EXPECT_THAT(Message(Import("layers { layer { name: 'old' type: 'conv' } }").status()),
              HasSubstr("V0 schema"));
  EXPECT_THAT(Message(Import(InputOf({1}), {}, "\x89HDF\r\n").status()), HasSubstr("HDF5"));
  EXPECT_FALSE(Import(InputOf({1}), {}, "\xff\xff\xff").ok());
}

TEST(CaffeImport, TheFormatIsToldFromItsContent) {
  EXPECT_TRUE(DetectCaffe(Bytes("# a comment\nname: 'x'\nlayer { type: 'ReLU' }")));
  EXPECT_TRUE(DetectCaffe(Bytes("layers { type: RELU }")));
  EXPECT_TRUE(DetectCaffe(Bytes("net: 'a' base_lr: 0.1")));
  EXPECT_TRUE(DetectCaffe(Bytes(WeightsOf("l", {Floats({1}, {1})}))));
  EXPECT_FALSE(DetectCaffe(Bytes("node { op: 'Const' }")));
  EXPECT_FALSE(DetectCaffe(Bytes("op { type: 'Relu' } external_input: 'x'")));
  EXPECT_FALSE(DetectCaffe(Bytes("hello, world\n")));
}

TEST(CaffeImport, EveryLayerOfTheTableIsListed) {
  const auto layers = ImportableOps("caffe");
  ASSERT_TRUE(layers.ok()) << layers.status();
  EXPECT_GT(layers->size(), 60u);
}

}  // namespace
}  // namespace kiln
