#include "compiler/export/caffe/caffemodel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/import/caffe/caffe_import.h"
#include "ir/graph/equal.h"
#include "proto/caffe.pb.h"
#include "tests/compiler/import/import_test_util.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr char kNet[] = R"(
  name: 'small'
  layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }
  layer { name: 'conv.1' type: 'Convolution' bottom: 'x' top: 'c'
          convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: 'xavier' }
                              bias_filler { type: 'gaussian' } } }
  layer { name: 'bn' type: 'BatchNorm' bottom: 'c' top: 'c' }
  layer { name: 'scale' type: 'Scale' bottom: 'c' top: 'c'
          scale_param { bias_term: true filler { type: 'uniform' } } }
  layer { name: 'prelu' type: 'PReLU' bottom: 'c' top: 'c' }
  layer { name: 'fc' type: 'InnerProduct' bottom: 'c' top: 'y'
          inner_product_param { num_output: 5 bias_term: false
                                weight_filler { type: 'gaussian' } } }
)";

std::unique_ptr<Module> Import(const std::string& net, const std::string& weights,
                               std::optional<uint64_t> seed) {
  ImportOptions options;
  options.param_seed = seed;
  auto module = ImportCaffe(Bytes(net), Bytes(weights), options);
  EXPECT_TRUE(module.ok()) << module.status();
  return *std::move(module);
}

TEST(CaffeModel, WhatIsWrittenReadsBackTheSame) {
  const auto module = Import(kNet, "", 7);
  // Statistics as training leaves them.
  module->SetParameter({"bn.mean", Tensor::FromDoubles(ElementType::kF32, {3}, {1, -2, 3}), false});
  module->SetParameter(
      {"bn.variance", Tensor::FromDoubles(ElementType::kF32, {3}, {0.5, 2, 4}), false});
  const auto weights = SerializeCaffeModel(*module);
  ASSERT_TRUE(weights.ok()) << weights.status();
  std::string difference;
  EXPECT_TRUE(Equal(*module, *Import(kNet, *weights, std::nullopt), &difference)) << difference;
}

TEST(CaffeModel, BlobsStandInCaffesOrder) {
  const auto weights = SerializeCaffeModel(*Import(kNet, "", 7));
  ASSERT_TRUE(weights.ok()) << weights.status();
  caffe::NetParameter net;
  ASSERT_TRUE(net.ParseFromString(*weights));
  ASSERT_EQ(net.layer_size(), 5);
  EXPECT_EQ(net.layer(0).name(), "bn");
  EXPECT_EQ(net.layer(0).blobs_size(), 3);  // mean, variance, divisor
  EXPECT_EQ(net.layer(0).blobs(2).data(0), 1);
  EXPECT_EQ(net.layer(1).name(), "conv.1");
  ASSERT_EQ(net.layer(1).blobs_size(), 2);
  EXPECT_EQ(net.layer(1).blobs(0).shape().dim_size(), 4);
  EXPECT_EQ(net.layer(1).blobs(1).shape().dim_size(), 1);
}

TEST(CaffeModel, WhatCannotBeWrittenIsSaidByName) {
  const auto module = Import(kNet, "", std::nullopt);
  const std::string unknown = Message(SerializeCaffeModel(*module).status());
  EXPECT_THAT(unknown, HasSubstr("conv.1.weight: the parameter has no value"));
  EXPECT_THAT(unknown, HasSubstr("fc.weight: the parameter has no value"));
  const auto other = Import(kNet, "", 7);
  other->SetParameter({"momentum", Tensor::FromDoubles(ElementType::kF32, {1}, {0}), true});
  EXPECT_THAT(Message(SerializeCaffeModel(*other).status()),
              HasSubstr("momentum: the parameter is no blob of a Caffe layer"));
  other->metadata["format"] = "onnx";
  EXPECT_THAT(Message(SerializeCaffeModel(*other).status()),
              HasSubstr("only a net that was read from Caffe's files"));
}

}  // namespace
}  // namespace kiln
