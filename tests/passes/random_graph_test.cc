// Random valid graphs through the pipeline, verified after every pass: invariants and numbers.
//
// The graphs are small, with boundary extents (1, primes), and full of the patterns that rules look
// for: neutral constants, transposes, scales behind contractions. KILN_RANDOM_GRAPHS sets how many
// (200 by default), KILN_RANDOM_SEED the first seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>

#include "ir/graph/builder.h"
#include "ir/graph/printer.h"
#include "passes/pass_manager.h"
#include "passes/pipeline.h"

namespace kiln {
namespace {

constexpr int64_t kMaxElements = 2500;  // 7^4 and a little more

class Generator {
 public:
  explicit Generator(uint64_t seed)
      : random_(seed), graph_(module_->AddFunction("f")), b_(graph_) {}

  StatusOr<std::unique_ptr<Module>> Make() {
    const int inputs = 1 + Below(2);
    for (int i = 0; i < inputs; ++i) {
      KILN_RETURN_IF_ERROR(Keep(b_.Input(StrCat("x", i), {ElementType::kF32, RandomShape(), {}})));
    }
    const int ops = 5 + Below(25);
    for (int i = 0; i < ops; ++i) {
      b_.SetSources({StrCat("node", i)});
      KILN_RETURN_IF_ERROR(Keep(RandomOp()));
    }
    graph_->AddOutput("last", values_.back());
    for (int i = Below(3); i > 0; --i) graph_->AddOutput(StrCat("extra", i), AnyValue());
    return std::move(module_);
  }

 private:
  using Maker = StatusOr<Op*> (Generator::*)(Op*);

  int Below(int bound) { return static_cast<int>(random_() % static_cast<uint32_t>(bound)); }
  template <typename T>
  T OneOf(std::initializer_list<T> choices) {
    return choices.begin()[Below(static_cast<int>(choices.size()))];
  }

  // Later values are likelier, so that graphs are deep.
  Op* AnyValue() {
    const int count = static_cast<int>(values_.size());
    return values_[static_cast<size_t>(std::max(Below(count), Below(count)))];
  }

  Shape RandomShape() {
    static constexpr int64_t kExtents[] = {1, 2, 3, 4, 5, 7};
    Shape shape(static_cast<size_t>(Below(5)));
    for (int64_t& extent : shape) extent = kExtents[Below(6)];
    return shape;
  }

  Status Keep(const StatusOr<Op*>& op) {
    if (!op.ok()) return op.status();
    // Bools and integers are used where they are made; large values end here.
    if ((*op)->element() == ElementType::kF32 && (*op)->type().count() <= kMaxElements) {
      values_.push_back(*op);
    }
    return OkStatus();
  }

  // A known constant or a parameter, with or without values.
  StatusOr<Op*> Weights(Shape shape) {
    if (Below(3) == 0) return b_.Constant(RandomTensor(std::move(shape)));
    const std::string name = StrCat("w", next_parameter_++);
    Tensor value = RandomTensor(std::move(shape));
    if (Below(4) == 0 && value.type().count() > 64) {
      // No known tensor may have its hash: the two would be told apart by their values.
      value = Tensor::Unknown(value.type(),
                              Tensor::FromInts(ElementType::kI64, {}, {next_parameter_}).hash());
    }
    module_->SetParameter({name, std::move(value)});
    return b_.Parameter(name);
  }

  // Either a splat of a value that rules look for, or values in 0.25 .. 1.25 of either sign.
  Tensor RandomTensor(Shape shape) {
    const TensorType type{ElementType::kF32, shape, {}};
    if (Below(2)) return Tensor::Splat(type, OneOf({0.0, 1.0, 2.0, -1.0, 0.5, 8.0, 3.0}));
    std::vector<double> values(static_cast<size_t>(type.count()));
    for (double& value : values) value = (0.25 + Below(1000) / 1000.0) * (Below(2) ? 1 : -1);
    return Tensor::FromDoubles(ElementType::kF32, std::move(shape), values);
  }

  // A shape that broadcasts to `shape`.
  Shape NarrowerShape(Shape shape) {
    for (int64_t& extent : shape) extent = Below(3) ? extent : 1;
    const auto dropped = static_cast<ptrdiff_t>(Below(static_cast<int>(shape.size()) + 1));
    return Below(2) ? shape : Shape(shape.begin() + dropped, shape.end());
  }

  StatusOr<Op*> RandomOp() {
    static constexpr Maker kMakers[] = {
        &Generator::Unary,     &Generator::Unary,   &Generator::WithConstant,
        &Generator::Binary,    &Generator::Binary,  &Generator::WithConstant,
        &Generator::Transpose, &Generator::Reshape, &Generator::Transpose,
        &Generator::Broadcast, &Generator::Slice,   &Generator::Pad,
        &Generator::Concat,    &Generator::Reduce,  &Generator::Softmax,
        &Generator::Matmul,    &Generator::Conv,    &Generator::Conv,
        &Generator::BatchNorm, &Generator::Pool,    &Generator::CastAndBack,
        &Generator::Where,
    };
    return (this->*kMakers[Below(std::size(kMakers))])(AnyValue());
  }

  // Bounded and continuous functions only: numbers stay well-conditioned.
  StatusOr<Op*> Unary(Op* x) {
    return b_.Make(OneOf({"relu", "neg", "abs", "tanh", "sigmoid", "sin", "erf"}), {x});
  }
  StatusOr<Op*> WithConstant(Op* x) {
    const char* const kind = OneOf({"add", "sub", "mul", "max", "min", "div", "pow"});
    const std::string_view name = kind;
    if (name == "pow") return b_.Make(kind, {x, b_.Scalar(ElementType::kF32, 1 + Below(2))});
    if (name == "div") return b_.Div(x, b_.Scalar(ElementType::kF32, OneOf({1.0, 4.0, 3.0})));
    const StatusOr<Op*> c = Weights(NarrowerShape(x->shape()));
    return Below(3) ? b_.Make(kind, {x, c}) : b_.Make(kind, {c, x});
  }
  StatusOr<Op*> Binary(Op* x) {
    std::vector<Op*> partners;
    for (Op* const other : values_) {
      const auto shape = BroadcastShapes(x->shape(), other->shape());
      if (shape.ok() && ElementCount(*shape) <= kMaxElements) partners.push_back(other);
    }
    Op* const other = partners[static_cast<size_t>(Below(static_cast<int>(partners.size())))];
    return b_.Make(OneOf({"add", "sub", "mul", "max", "min"}), {x, other});
  }
  StatusOr<Op*> Where(Op* x) {
    const auto zero = b_.Scalar(ElementType::kF32, 0.1);
    return b_.Make("where", {b_.Make("less", {x, zero}), x, b_.Make("neg", {x})});
  }
  StatusOr<Op*> Transpose(Op* x) {
    std::vector<int64_t> permutation(x->shape().size());
    std::iota(permutation.begin(), permutation.end(), int64_t{0});
    std::shuffle(permutation.begin(), permutation.end(), random_);
    return b_.Transpose(x, std::move(permutation));
  }
  StatusOr<Op*> Reshape(Op* x) {
    Shape shape = x->shape();
    if (Below(2) && !shape.empty()) {
      const auto at = static_cast<size_t>(Below(static_cast<int>(shape.size())));
      if (at + 1 < shape.size()) {
        shape[at] *= shape[at + 1];
        shape.erase(shape.begin() + static_cast<ptrdiff_t>(at) + 1);
      }
    } else if (shape.size() < 5) {
      shape.insert(shape.begin() + Below(static_cast<int>(shape.size()) + 1), 1);
    }
    return b_.Make("reshape", {x}, {{"shape", shape}});
  }
  StatusOr<Op*> Broadcast(Op* x) {
    Shape shape = x->shape();
    for (int64_t& extent : shape) extent = extent == 1 ? 1 + Below(3) : extent;
    if (shape.size() < 4 && Below(2)) shape.insert(shape.begin(), 1 + Below(3));
    return b_.Make("broadcast", {x}, {{"shape", shape}});
  }
  StatusOr<Op*> Slice(Op* x) {
    std::vector<int64_t> starts, sizes, strides;
    for (const int64_t extent : x->shape()) {
      const int64_t start = Below(static_cast<int>(extent));
      const int64_t size = 1 + Below(static_cast<int>(extent - start));
      const bool whole = Below(2), reverse = Below(4) == 0;
      sizes.push_back(whole ? extent : size);
      strides.push_back(reverse ? -1 : 1);
      starts.push_back((whole ? 0 : start) + (reverse ? sizes.back() - 1 : 0));
    }
    return b_.Make("slice", {x}, {{"starts", starts}, {"sizes", sizes}, {"strides", strides}});
  }
  StatusOr<Op*> Pad(Op* x) {
    std::vector<int64_t> low, high;
    for (size_t d = 0; d < x->shape().size(); ++d) {
      low.push_back(Below(3) ? 0 : 1);
      high.push_back(Below(3) ? 0 : 2);
    }
    return b_.Make("pad", {x}, {{"low", low}, {"high", high}, {"value", 0.5 * Below(2)}});
  }
  StatusOr<Op*> Concat(Op* x) {
    if (x->shape().empty()) return Unary(x);
    const auto axis = int64_t{Below(static_cast<int>(x->shape().size()))};
    const StatusOr<Op*> other = Below(2) ? Unary(x) : StatusOr<Op*>(x);
    if (Below(4) == 0) return b_.Make("concat", {x}, {{"axis", axis}});
    return b_.Make("concat", {x, other}, {{"axis", axis}});
  }
  StatusOr<Op*> Reduce(Op* x) {
    std::vector<int64_t> axes;
    for (size_t d = 0; d < x->shape().size(); ++d) {
      if (Below(2)) axes.push_back(static_cast<int64_t>(d));
    }
    return b_.Make(OneOf({"reduce_sum", "reduce_mean", "reduce_max", "reduce_min"}), {x},
                   {{"axes", axes}, {"keep_dims", Below(2) == 0}});
  }
  StatusOr<Op*> Softmax(Op* x) {
    if (x->shape().empty()) return Unary(x);
    return b_.Make("softmax", {x}, {{"axis", int64_t{Below(static_cast<int>(x->shape().size()))}}});
  }
  StatusOr<Op*> Matmul(Op* x) {
    if (x->shape().size() < 2) return Reshape(x);
    const bool transpose_a = Below(2), transpose_b = Below(2);
    const int64_t k = x->shape()[x->shape().size() - (transpose_a ? 2 : 1)];
    const int64_t n = 1 + Below(17);
    const StatusOr<Op*> w = Weights(transpose_b ? Shape{n, k} : Shape{k, n});
    return b_.Make("matmul", {x, w}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
  }
  StatusOr<Op*> Conv(Op* x) {
    if (x->shape().size() < 3) return Matmul(x);
    const size_t spatial = x->shape().size() - 2;
    const int64_t channels = x->shape()[1];
    const int64_t groups = Below(3) ? 1 : channels;
    const int64_t outputs = groups * (1 + Below(16));
    std::vector<int64_t> kernel, strides, ones(spatial, 1), low, high;
    for (size_t d = 0; d < spatial; ++d) {
      kernel.push_back(1 + Below(static_cast<int>(std::min<int64_t>(3, x->shape()[d + 2]))));
      strides.push_back(1 + Below(2));
      low.push_back(Below(2));
      high.push_back(Below(3));
    }
    Shape shape = {outputs, channels / groups};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    const StatusOr<Op*> conv = b_.Make("conv", {x, Weights(shape)},
                                       {{"strides", strides},
                                        {"dilations", ones},
                                        {"pads_low", low},
                                        {"pads_high", high},
                                        {"groups", groups}});
    if (Below(2) || !conv.ok()) return conv;
    Shape bias(1 + spatial, 1);
    bias[0] = outputs;
    return b_.Make(OneOf({"add", "mul"}), {conv, Weights(bias)});
  }
  StatusOr<Op*> BatchNorm(Op* x) {
    if (x->shape().size() < 2) return Unary(x);
    const Shape channels = {x->shape()[1]};
    const auto variance = b_.Constant(Tensor::Splat({ElementType::kF32, channels, {}}, 0.75));
    return b_.Make("batch_norm",
                   {x, Weights(channels), Weights(channels), Weights(channels), variance});
  }
  StatusOr<Op*> Pool(Op* x) {
    if (x->shape().size() < 3) return Reduce(x);
    std::vector<int64_t> kernel, strides, zeros(x->shape().size() - 2, 0);
    for (size_t d = 2; d < x->shape().size(); ++d) {
      kernel.push_back(1 + Below(static_cast<int>(std::min<int64_t>(3, x->shape()[d]))));
      strides.push_back(1 + Below(2));
    }
    const std::vector<int64_t> ones(zeros.size(), 1);
    return b_.Make(OneOf({"max_pool", "avg_pool"}), {x},
                   {{"kernel", kernel},
                    {"strides", strides},
                    {"dilations", ones},
                    {"pads_low", zeros},
                    {"pads_high", zeros}});
  }
  StatusOr<Op*> CastAndBack(Op* x) {
    return b_.Cast(b_.Cast(x, OneOf({ElementType::kF64, ElementType::kF32})), ElementType::kF32);
  }

  std::mt19937_64 random_;
  std::unique_ptr<Module> module_ = std::make_unique<Module>();
  Graph* graph_;
  Builder b_;
  std::vector<Op*> values_;
  int next_parameter_ = 0;
};

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  int64_t value = otherwise;
  const char* const text = std::getenv(name);
  return text != nullptr && ParseInt(text, &value) ? value : otherwise;
}

TEST(RandomGraphs, KeepTheirNumbersThroughThePipeline) {
  const int64_t first = FromEnvironment("KILN_RANDOM_SEED", 1);
  const int64_t count = FromEnvironment("KILN_RANDOM_GRAPHS", 200);
  for (int64_t seed = first; seed < first + count; ++seed) {
    auto module = Generator(static_cast<uint64_t>(seed)).Make();
    ASSERT_TRUE(module.ok()) << "seed " << seed << ": " << Message(module.status());
    const std::string text = Print(**module);
    PassManager manager(InferencePipeline(), {.verify_ir = true, .verify_numbers = true});
    const Status status = manager.Run(**module);
    ASSERT_TRUE(status.ok()) << "seed " << seed << ": " << Message(status) << "\n" << text;
  }
}

// A second run of the pipeline finds nothing that the passes before fusion left undone.
TEST(RandomGraphs, SimplificationReachesAFixedPoint) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    auto module = Generator(seed).Make();
    ASSERT_TRUE(module.ok()) << Message(module.status());
    for (const Pass& pass : AllPasses()) {
      PassManager once({pass}), again({pass});
      const Status status = once.Run(**module);
      ASSERT_TRUE(status.ok()) << Message(status) << ", seed " << seed;
      const std::string text = Print(**module);
      ASSERT_TRUE(again.Run(**module).ok());
      EXPECT_FALSE(again.reports()[0].changed) << pass.name << ", seed " << seed << "\n" << text;
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace kiln
