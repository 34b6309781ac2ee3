// Models of several formats that lie beside the tree, against the outputs that their frameworks (or
// another reader of theirs) gave, and against each other.
#include "tests/compiler/import/shared_models.h"

#include "compiler/import/import.h"
#include "tests/compiler/import/import_test_util.h"
#include "tests/support/temporary_folder.h"

namespace kiln {
namespace {

using testing::HasSubstr;

std::unique_ptr<Module> Import(const std::vector<std::string>& names,
                               const ImportOptions& options = {}) {
  std::vector<std::string> paths;
  for (const std::string& name : names) paths.push_back(SharedModel(name));
  auto module = ImportModel(paths, options);
  EXPECT_TRUE(module.ok()) << module.status();
  if (!module.ok()) return nullptr;
  EXPECT_EQ(Verify(**module), OkStatus());
  return *std::move(module);
}

// Layers that OpenCV compares with what Caffe gave.
class CaffeLayerTest : public testing::TestWithParam<const char*> {};

TEST_P(CaffeLayerTest, GivesWhatCaffeGave) {
  const std::string base = std::string("caffe/opencv_dnn/layer_") + GetParam();
  KILN_NEED_SHARED(base + ".prototxt");
  std::vector<std::string> files = {base + ".prototxt"};
  const auto exists = [](const std::string& name) {
    return std::filesystem::exists(SharedModel(name));
  };
  if (exists(base + ".caffemodel")) files.push_back(base + ".caffemodel");
  const auto module = Import(files);
  ASSERT_NE(module, nullptr);
  const std::string input =
      exists(base + ".input.npy") ? base + ".input.npy" : "caffe/opencv_dnn/blob.npy";
  const auto outputs = RunCompiled(*module, {ReadNpyFloats(SharedModel(input))});
  ASSERT_EQ(outputs.size(), 1u);
  ExpectClose(outputs[0], ReadNpyFloats(SharedModel(base + ".npy")));
}

INSTANTIATE_TEST_SUITE_P(Layers, CaffeLayerTest,
                         testing::Values("batch_norm", "convolution", "deconvolution", "dropout",
                                         "eltwise", "interp", "lrn_channels", "lrn_spatial",
                                         "prelu", "relu", "softmax"),
                         [](const auto& info) { return std::string(info.param); });

// With the batch that `shape` has or, where the graph leaves more open, with all of it.
std::unique_ptr<Module> ImportGivingShape(const std::string& name, const Shape& shape) {
  ImportOptions options;
  options.batch = shape[0];
  auto module = ImportModel({SharedModel(name)}, options);
  if (module.ok()) return *std::move(module);
  // "PATH: INPUT: the input's shape is open; give it"
  const std::vector<std::string> parts = StrSplit(Message(module.status()), ':');
  EXPECT_THAT(parts.back(), HasSubstr("the input's shape is open"));
  if (parts.size() < 3) return nullptr;
  options.input_shapes[parts[parts.size() - 2].substr(1)] = shape;
  return Import({name}, options);
}

// Graphs that OpenCV compares with what TensorFlow gave. The files hold NCHW, the graphs NHWC.
class TensorflowGraphTest : public testing::TestWithParam<const char*> {};

TEST_P(TensorflowGraphTest, GivesWhatTensorflowGave) {
  const std::string name = GetParam();
  const std::string base = "tensorflow/opencv_dnn/" + name;
  KILN_NEED_SHARED(base + "_net.pb");
  Tensor input = ReadNpyFloats(SharedModel(base + "_in.npy"));
  if (input.shape().size() == 4) input = Permuted(input, {0, 2, 3, 1});
  const auto module = ImportGivingShape(base + "_net.pb", input.shape());
  ASSERT_NE(module, nullptr);
  const Graph& graph = *module->FindFunction("forward");
  ASSERT_EQ(graph.inputs().size(), 1u);
  ASSERT_EQ(graph.inputs()[0]->type().count(), input.type().count());
  const auto outputs = RunCompiled(*module, {input.Reshaped(graph.inputs()[0]->shape())});
  ASSERT_EQ(outputs.size(), 1u);
  const Tensor expected = ReadNpyFloats(SharedModel(base + "_out.npy"));
  Tensor found = outputs[0];
  if (found.shape().size() == 4) found = Permuted(found, {0, 3, 1, 2});
  // The expected values come from the graph before its weights were squeezed.
  const double tolerance = name.starts_with("fp16")    ? 2e-3
                           : name.starts_with("uint8") ? 1e-2
                                                       : 1e-4;
  ExpectClose(found, expected, tolerance);
}

INSTANTIATE_TEST_SUITE_P(
    Graphs, TensorflowGraphTest,
    testing::Values("atrous_conv2d_same", "atrous_conv2d_valid", "deconvolution_adj_pad_same",
                    "deconvolution_same", "deconvolution_stride_2_same", "flatten",
                    "fp16_deconvolution", "fp16_eltwise_add_mul", "fp16_max_pool_odd_valid",
                    "fp16_pad_and_concat", "fp16_padding_same", "fp16_padding_valid",
                    "fp16_single_conv", "keras_atrous_conv2d_same", "keras_deconv_same",
                    "keras_deconv_valid", "keras_mobilenet_head", "keras_relu6", "keras_softmax",
                    "leaky_relu_order1", "leaky_relu_order2", "matmul", "max_pool_even",
                    "max_pool_odd_valid", "mvn_batch_norm_1x1", "nhwc_reshape_matmul",
                    "nhwc_transpose_reshape_matmul", "padding_same", "padding_valid", "reduce_mean",
                    "reshape_as_shape", "resize_bilinear", "resize_nearest_neighbor",
                    "shift_reshape_no_reorder", "spatial_padding", "split_equals",
                    "uint8_single_conv", "unfused_batch_norm", "unfused_batch_norm_no_gamma",
                    "unfused_flatten", "unfused_flatten_unknown_batch"),
    [](const auto& info) { return std::string(info.param); });

TEST(SharedModels, MtcnnInCaffe) {
  KILN_NEED_SHARED("caffe/mtcnn/det1.prototxt");
  ImportOptions options;
  options.input_shapes["data"] = {1, 3, 64, 64};
  const auto module = Import({"caffe/mtcnn/det1.prototxt", "caffe/mtcnn/det1.caffemodel"}, options);
  ASSERT_NE(module, nullptr);
  const std::string reference = "reference_outputs/mtcnn_det1.";
  const auto outputs = RunCompiled(*module, {ReadNpyFloats(SharedModel(reference + "input.npy"))});
  ASSERT_EQ(outputs.size(), 2u);
  ExpectClose(outputs[0], ReadNpyFloats(SharedModel(reference + "conv4-2.npy")));
  ExpectClose(outputs[1], ReadNpyFloats(SharedModel(reference + "prob1.npy")));
}

// MXNet's form of the net takes pictures on their side, blue first.
Tensor OnItsSideBlueFirst(const Tensor& image) {
  const Tensor turned = Permuted(image, {0, 1, 3, 2});
  const std::vector<double> values = turned.ToDoubles();
  const size_t plane = values.size() / 3;
  std::vector<double> flipped(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    flipped[i] = values[(2 - i / plane) * plane + i % plane];
  }
  return Tensor::FromDoubles(ElementType::kF32, turned.shape(), flipped);
}

TEST(SharedModels, MtcnnInMxnetIsTheCaffeNet) {
  KILN_NEED_SHARED("mxnet/mtcnn/det1-symbol.json");
  ImportOptions options;
  options.input_shapes["data"] = {1, 3, 64, 64};
  const auto module =
      Import({"mxnet/mtcnn/det1-symbol.json", "mxnet/mtcnn/det1-0001.params"}, options);
  ASSERT_NE(module, nullptr);
  const std::string reference = "reference_outputs/mtcnn_det1.";
  const Tensor input = ReadNpyFloats(SharedModel(reference + "input.npy"));
  const auto outputs = RunCompiled(*module, {OnItsSideBlueFirst(input)});
  ASSERT_EQ(outputs.size(), 2u);
  ExpectClose(Permuted(outputs[1], {0, 1, 3, 2}),
              ReadNpyFloats(SharedModel(reference + "prob1.npy")));
}

TEST(SharedModels, UltrafaceInCaffe) {
  KILN_NEED_SHARED("caffe/ultraface/slim-320.prototxt");
  const auto module =
      Import({"caffe/ultraface/slim-320.prototxt", "caffe/ultraface/slim-320.caffemodel"});
  ASSERT_NE(module, nullptr);
  const std::string reference = "reference_outputs/ultraface_slim-320_caffe.";
  const auto outputs = RunCompiled(*module, {ReadNpyFloats(SharedModel(reference + "input.npy"))});
  const auto names = OutputNames(*module);
  ASSERT_EQ(outputs.size(), 2u);
  const size_t boxes = names[0] == "boxes" ? 0 : 1;
  ExpectClose(outputs[boxes], ReadNpyFloats(SharedModel(reference + "boxes.npy")));
  ExpectClose(outputs[1 - boxes], ReadNpyFloats(SharedModel(reference + "scores.npy")));
}

// OpenCV keeps the weights of these apart from any net: they are Caffe's layers.
TEST(SharedModels, RecurrentLayersOfCaffe) {
  const std::string folder = "caffe/opencv_dnn/";
  KILN_NEED_SHARED(folder + "lstm.prototxt.w_0.npy");
  const auto run = [&](const std::string& type, const std::string& prefix, int blobs,
                       const std::string& input_name) {
    const Tensor x = ReadNpyFloats(SharedModel(folder + input_name));
    const Tensor expected = ReadNpyFloats(SharedModel(folder + prefix + ".prototxt.h_1.npy"));
    std::string net = "layer { name: 'in' type: 'Input' top: 'x' top: 'cont' input_param { shape {";
    const int64_t steps = x.shape()[0], batch = x.shape()[1];
    for (const int64_t extent : x.shape()) net += StrCat(" dim: ", extent);
    net += StrCat(" } shape { dim: ", steps, " dim: ", batch, " } } } layer { name: 'r' type: '",
                  type, "' bottom: 'x' bottom: 'cont' top: 'h' recurrent_param { num_output: ",
                  expected.type().count() / steps / batch, " } ");
    for (int i = 0; i < blobs; ++i) {
      const Tensor blob =
          ReadNpyFloats(SharedModel(StrCat(folder, prefix, ".prototxt.w_", i, ".npy")));
      net += "blobs { shape {";
      for (const int64_t extent : blob.shape()) net += StrCat(" dim: ", extent);
      net += " } ";
      for (const double value : blob.ToDoubles()) net += "data: " + FormatDouble(value) + " ";
      net += "} ";
    }
    net += "}";
    const TemporaryFolder folder;
    const auto module = ImportModel({folder.Write("recurrent.prototxt", net)}, {});
    ASSERT_TRUE(module.ok()) << module.status();
    const auto outputs =
        RunCompiled(**module, {x, Tensor::Splat({ElementType::kF32, {steps, batch}, {}}, 1)});
    ASSERT_EQ(outputs.size(), 1u);
    ExpectClose(outputs[0], expected);
  };
  run("LSTM", "lstm", 3, "recurrent.input.npy");
}

TEST(SharedModels, SuperResolutionInCaffe2IsTheOnnxNet) {
  const std::string folder = "caffe2/super_resolution/";
  KILN_NEED_SHARED(folder + "predict_net.pb");
  const auto caffe2 = Import({folder + "predict_net.pb", folder + "init_net.pb"});
  const auto onnx = Import({folder + "super_resolution.onnx"});
  ASSERT_TRUE(caffe2 != nullptr && onnx != nullptr);
  const Tensor input = Ramp({1, 1, 224, 224}, 1.0 / (224 * 224));
  const auto a = RunCompiled(*caffe2, {input}), b = RunCompiled(*onnx, {input});
  ASSERT_FALSE(a.empty() || b.empty());
  ExpectClose(a[0], b[0], 1e-5);
}

TEST(SharedModels, MnistMlpInTensorflowIsItsOnnxTwin) {
  const std::string folder = "tensorflow/mnist_mlp_tf2/";
  KILN_NEED_SHARED(folder + "mnist.pb");
  ImportOptions options;
  options.batch = 2;
  const auto module = Import({folder + "mnist.pb"}, options);
  ASSERT_NE(module, nullptr);
  EXPECT_EQ(OutputShape(*module), Shape());
}

// Architectures without weights: filled, small, compiled against interpreted.
class ArchitectureTest : public testing::TestWithParam<std::pair<const char*, int>> {};

TEST_P(ArchitectureTest, CompiledAgreesWithInterpreted) {
  const auto& [name, size] = GetParam();
  KILN_NEED_SHARED(name);
  ImportOptions options;
  options.param_seed = 1;
  options.input_shapes["data"] = {1, 3, size, size};
  const auto module = Import({name}, options);
  ASSERT_NE(module, nullptr);
  std::vector<Tensor> inputs;
  for (const Op* const input : module->FindFunction("forward")->inputs()) {
    const auto count = static_cast<double>(std::max<int64_t>(input->type().count(), 1));
    inputs.push_back(Ramp(input->shape(), 2 / count, -1));
  }
  if (inputs.size() > 1) inputs[1] = Floats(inputs[1].shape(), {3});
  const auto compiled = RunCompiled(*module, inputs);
  std::vector<Array> arrays;
  for (const Tensor& input : inputs) arrays.push_back(Array::FromTensor(input));
  const auto interpreted = Interpret(*module->FindFunction("forward"), arrays);
  ASSERT_TRUE(interpreted.ok()) << interpreted.status();
  ASSERT_EQ(compiled.size(), interpreted->size());
  for (size_t i = 0; i < compiled.size(); ++i) {
    ExpectClose(compiled[i], (*interpreted)[i].ToTensor(), 1e-3);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Caffe, ArchitectureTest,
    testing::Values(std::pair("caffe/bvlc/models/bvlc_alexnet/deploy.prototxt", 67),
                    std::pair("caffe/bvlc/cifar10/cifar10_quick_train_test.prototxt", 32),
                    std::pair("caffe/squeezenet_v1.1/train_val.prototxt", 35)),
    [](const auto& info) { return StrCat("net", info.index); });

TEST(SharedModels, SolversAndForeignFilesAreRefusedByName) {
  KILN_NEED_SHARED("caffe/bvlc/mnist/lenet_solver.prototxt");
  const auto solver = ImportModel({SharedModel("caffe/bvlc/mnist/lenet_solver.prototxt")}, {});
  EXPECT_THAT(Message(solver.status()), HasSubstr("is a solver, not a net"));
  const auto bare = ImportModel({SharedModel("caffe2/zoo/bvlc_alexnet_predict_net.pbtxt")}, {});
  EXPECT_THAT(Message(bare.status()), HasSubstr("conv5_w: the input's shape is open"));
}

}  // namespace
}  // namespace kiln
