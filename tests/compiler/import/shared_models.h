// Models and data that lie beside the tree, in ../shared/models, and are not needed to build. Tests
// that want them are skipped where they are not.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "compiler/codegen/target_info.h"
#include "compiler/compile.h"
#include "ir/graph/tensor.h"
#include "runtime/npy.h"
#include "runtime/session.h"

namespace kiln {

/// The path of a file in ../shared/models.
inline std::string SharedModel(const std::string& name) {
  return (std::filesystem::path(KILN_SOURCE_DIR) / ".." / "shared" / "models" / name).string();
}

/// Skips the test when the file is not there.
#define KILN_NEED_SHARED(name)                                      \
  if (!std::filesystem::exists(SharedModel(name))) {                \
    GTEST_SKIP() << "../shared/models/" << (name) << " is missing"; \
  }

/// An .npy file as floats.
inline Tensor ReadNpyFloats(const std::string& path) {
  const auto host = ReadNpy(path);
  EXPECT_TRUE(host.ok()) << host.status();
  if (!host.ok()) return {};
  const bool doubles = host->dtype == KILN_F64;
  const TensorType type{doubles ? ElementType::kF64 : ElementType::kF32, host->shape, {}};
  const Tensor tensor(type, host->bytes);
  return Tensor::FromDoubles(ElementType::kF32, host->shape, tensor.ToDoubles());
}

/// `tensor` with its dimensions permuted.
inline Tensor Permuted(const Tensor& tensor, const std::vector<int64_t>& permutation) {
  Shape shape;
  for (const int64_t d : permutation) shape.push_back(tensor.shape()[d]);
  const std::vector<int64_t> from = RowMajorStrides(tensor.shape()), to = RowMajorStrides(shape);
  const std::vector<double> values = tensor.ToDoubles();
  std::vector<double> result(values.size());
  for (int64_t i = 0; i < static_cast<int64_t>(result.size()); ++i) {
    int64_t rest = i, at = 0;
    for (size_t d = 0; d < shape.size(); ++d) {
      at += rest / to[d] * from[permutation[d]];
      rest %= to[d];
    }
    result[i] = values[at];
  }
  return Tensor::FromDoubles(ElementType::kF32, shape, result);
}

/// `forward`, compiled for this machine. Inputs are floats.
class CompiledModule {
 public:
  explicit CompiledModule(const Module& module) {
    CompileOptions options;
    const auto target = HostTarget();
    EXPECT_TRUE(target.ok()) << target.status();
    if (!target.ok()) return;
    options.target = *target;
    auto executable = CompileForHost(module.Clone(), options);
    EXPECT_TRUE(executable.ok()) << executable.status();
    if (!executable.ok()) return;
    executable_ = *std::move(executable);
    auto session = Session::Create(&executable_->library().functions[0],
                                   {.parameters = executable_->parameters()});
    EXPECT_TRUE(session.ok()) << session.status();
    if (session.ok()) session_.emplace(*std::move(session));
  }

  /// Those of the outputs that are floats.
  std::vector<Tensor> Run(const std::vector<Tensor>& inputs) {
    if (!session_) return {};
    std::vector<HostTensor> given;
    for (const Tensor& input : inputs) {
      given.push_back({KILN_F32, input.shape(), {input.bytes().begin(), input.bytes().end()}});
    }
    const auto results = session_->Run(given);
    EXPECT_TRUE(results.ok()) << results.status();
    std::vector<Tensor> outputs;
    if (!results.ok()) return outputs;
    for (const HostTensor& result : *results) {
      if (result.dtype != KILN_F32) continue;
      outputs.emplace_back(TensorType{ElementType::kF32, result.shape, {}}, result.bytes);
    }
    return outputs;
  }

 private:
  std::unique_ptr<Executable> executable_;
  std::optional<Session> session_;
};

inline std::vector<Tensor> RunCompiled(const Module& module, const std::vector<Tensor>& inputs) {
  return CompiledModule(module).Run(inputs);
}

/// Largest difference at most `tolerance` times the larger of 1 and the largest value expected.
inline void ExpectClose(const Tensor& found, const Tensor& expected, double tolerance = 1e-4) {
  ASSERT_EQ(found.type().count(), expected.type().count())
      << FormatInts(found.shape()) << " and " << FormatInts(expected.shape());
  double difference = 0, largest = 1;
  for (int64_t i = 0; i < expected.type().count(); ++i) {
    difference = std::max(difference, std::abs(found.GetDouble(i) - expected.GetDouble(i)));
    largest = std::max(largest, std::abs(expected.GetDouble(i)));
  }
  EXPECT_LE(difference, tolerance * largest);
}

}  // namespace kiln
