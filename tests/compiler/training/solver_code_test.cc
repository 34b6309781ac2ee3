// Compiled training steps against an independent model in double precision: linear regression,
// every solver under every rate policy and regularisation, 200 steps each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "ir/graph/builder.h"
#include "passes/training/train_step.h"
#include "runtime/train/rate_policy.h"
#include "tests/compiler/training/compiled.h"
#include "tests/support/random.h"

namespace kiln {
namespace {

constexpr int kBatch = 8, kInputs = 7, kOutputs = 3, kSteps = 200;
constexpr int kWeights = kInputs * kOutputs;

using Vector = std::vector<double>;

// Values that f32 holds exactly, so that both sides start from the same.
Vector RandomVector(Random& random, int count, double scale) {
  Vector values(static_cast<size_t>(count));
  for (double& value : values) value = static_cast<float>(random.Uniform(-scale, scale));
  return values;
}

struct Batch {
  Vector x, t;
};

Batch BatchOf(int step) {
  Random random(static_cast<uint64_t>(step), "batch");
  return {RandomVector(random, kBatch * kInputs, 1), RandomVector(random, kBatch * kOutputs, 2)};
}

Array ToArray(const Vector& values, Shape shape, ElementType element = ElementType::kF32) {
  Array array(element, std::move(shape));
  array.floats = values;
  return array;
}

// forward: y = x w + b.
std::unique_ptr<Module> LinearModule(const Vector& w, const Vector& b) {
  auto module = std::make_unique<Module>();
  module->SetParameter({"w", Tensor::FromDoubles(ElementType::kF32, {kInputs, kOutputs}, w)});
  module->SetParameter({"b", Tensor::FromDoubles(ElementType::kF32, {kOutputs}, b)});
  Graph* const graph = module->AddFunction(kForward);
  Builder builder(graph);
  const auto x = builder.Input("x", {ElementType::kF32, {kBatch, kInputs}, {}});
  const auto y =
      builder.Add(builder.Make("matmul", {x, builder.Parameter("w")}), builder.Parameter("b"));
  graph->AddOutput("y", *y);
  return module;
}

// ---- the model: one parameter vector (w, then b), everything in doubles

struct Model {
  SolverOptions options;
  Vector p, h, h2;  // parameters, and the two histories that a solver may have
  int updates = 0;

  explicit Model(SolverOptions o, Vector start)
      : options(std::move(o)), p(std::move(start)), h(p.size(), 0), h2(p.size(), 0) {}

  Multipliers MultipliersOf(size_t i) const {
    const auto it = options.multipliers.find(i < kWeights ? "w" : "b");
    return it == options.multipliers.end() ? Multipliers() : it->second;
  }

  // Of the mean squared error.
  Vector Gradient(const Batch& batch) const {
    Vector g(p.size(), 0);
    for (int n = 0; n < kBatch; ++n) {
      for (int o = 0; o < kOutputs; ++o) {
        double y = p[kWeights + o];
        for (int i = 0; i < kInputs; ++i) y += batch.x[n * kInputs + i] * p[i * kOutputs + o];
        const double d = 2 * (y - batch.t[n * kOutputs + o]) / (kBatch * kOutputs);
        for (int i = 0; i < kInputs; ++i) g[i * kOutputs + o] += d * batch.x[n * kInputs + i];
        g[kWeights + o] += d;
      }
    }
    return g;
  }

  // `g` is summed over the batches of the update.
  void Update(Vector g, double rate) {
    const double m = options.momentum, m2 = options.momentum2, delta = options.delta;
    double squares = 0;
    for (const double value : g) squares += value * value;
    const double norm = std::sqrt(squares);
    const double clip =
        options.clip_norm > 0 && norm > options.clip_norm ? options.clip_norm / norm : 1;
    const double t = ++updates;
    for (size_t i = 0; i < p.size(); ++i) {
      const double lr = rate * MultipliersOf(i).rate;
      const double decay = options.weight_decay * MultipliersOf(i).decay;
      double d = g[i] * clip / options.iter_size;
      const bool decoupled = options.kind == SolverKind::kAdamW;
      if (!decoupled && options.regularization == Regularization::kL2) d += decay * p[i];
      if (!decoupled && options.regularization == Regularization::kL1) {
        d += decay * (p[i] > 0 ? 1 : p[i] < 0 ? -1 : 0);
      }
      double step = 0;
      switch (options.kind) {
        case SolverKind::kSgd: step = h[i] = lr * d + m * h[i]; break;
        case SolverKind::kNesterov: {
          const double old = h[i];
          h[i] = lr * d + m * h[i];
          step = (1 + m) * h[i] - m * old;
          break;
        }
        case SolverKind::kAdaGrad:
          h[i] += d * d;
          step = lr * d / (std::sqrt(h[i]) + delta);
          break;
        case SolverKind::kRmsProp:
          h[i] = options.rms_decay * h[i] + (1 - options.rms_decay) * d * d;
          step = lr * d / (std::sqrt(h[i]) + delta);
          break;
        case SolverKind::kAdaDelta: {
          h[i] = m * h[i] + (1 - m) * d * d;
          const double u = d * std::sqrt((delta + h2[i]) / (delta + h[i]));
          h2[i] = m * h2[i] + (1 - m) * u * u;
          step = lr * u;
          break;
        }
        case SolverKind::kAdam:
        case SolverKind::kAdamW:
          h[i] = m * h[i] + (1 - m) * d;
          h2[i] = m2 * h2[i] + (1 - m2) * d * d;
          step = lr * std::sqrt(1 - std::pow(m2, t)) / (1 - std::pow(m, t)) * h[i] /
                 (std::sqrt(h2[i]) + delta);
          if (decoupled) step += lr * decay * p[i];
          break;
      }
      p[i] -= step;
    }
  }
};

// ---- both, side by side

class Race {
 public:
  explicit Race(const SolverOptions& options) : options_(options) {
    Random random(1, "start");
    start_ = RandomVector(random, kWeights + kOutputs, 1);
  }

  void Compile() {
    auto module = LinearModule({start_.begin(), start_.begin() + kWeights},
                               {start_.begin() + kWeights, start_.end()});
    Status status = AddLoss(*module, {{.kind = "mean_squared_error"}});
    ASSERT_TRUE(status.ok()) << status;
    status = AddTrainStep(*module, {.solver = options_, .mode = {}});
    ASSERT_TRUE(status.ok()) << status;
    auto compiled = CompiledModule::Make(*module);
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    compiled_ = *std::move(compiled);
  }

  void Run(const RatePolicy& policy) {
    compiled_->Reset();
    Model model(options_, start_);
    for (int step = 0; step < kSteps; ++step) {
      const double rate = Rate(policy, step);
      Vector sum(start_.size(), 0);
      for (int part = 0; part < options_.iter_size; ++part) {
        const Batch batch = BatchOf(step * options_.iter_size + part);
        const Vector g = model.Gradient(batch);
        for (size_t i = 0; i < g.size(); ++i) sum[i] += g[i];
        Step(part + 1 < options_.iter_size ? kAccumulate : kTrainStep, batch, step, rate);
        if (testing::Test::HasFatalFailure()) return;
      }
      model.Update(sum, rate);
    }
    Compare(model.p);
  }

 private:
  void Step(const char* function, const Batch& batch, int step, double rate) {
    const kiln_function_info* const info = compiled_->Find(function);
    ASSERT_NE(info, nullptr);
    std::vector<Array> inputs;
    for (int i = 0; i < info->num_inputs; ++i) {
      const std::string name = info->inputs[i].name;
      if (name == "x") inputs.push_back(ToArray(batch.x, {kBatch, kInputs}));
      if (name == "targets") inputs.push_back(ToArray(batch.t, {kBatch, kOutputs}));
      if (name == "learning_rate") inputs.push_back(ToArray({rate}, {}));
      if (name == "step") {
        inputs.emplace_back(ElementType::kI64, Shape{});
        inputs.back().ints = {step};
      }
    }
    const auto outputs = compiled_->Run(function, inputs);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    ASSERT_EQ(outputs->size(), 1u);  // the loss; all else is updates
  }

  void Compare(const Vector& expected) const {
    const std::span<const float> w = compiled_->Parameter("w"), b = compiled_->Parameter("b");
    ASSERT_EQ(w.size() + b.size(), expected.size());
    double largest = 0, moved = 0, difference = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double found = i < w.size() ? w[i] : b[i - w.size()];
      largest = std::max(largest, std::abs(expected[i]));
      moved = std::max(moved, std::abs(expected[i] - start_[i]));
      difference = std::max(difference, std::abs(expected[i] - found));
    }
    EXPECT_GT(moved, 1e-3);
    EXPECT_LE(difference, 1e-5 * largest);
  }

  SolverOptions options_;
  Vector start_;
  std::unique_ptr<CompiledModule> compiled_;
};

std::vector<RatePolicy> Policies(double base) {
  return {
      {.kind = RateKind::kFixed, .base = base},
      {.kind = RateKind::kStep, .base = base, .gamma = 0.5, .step_size = 60},
      {.kind = RateKind::kExp, .base = base, .gamma = 0.99},
      {.kind = RateKind::kInv, .base = base, .gamma = 0.01, .power = 0.75},
      {.kind = RateKind::kMultistep, .base = base, .gamma = 0.1, .step_values = {50, 120}},
      {.kind = RateKind::kPoly, .base = base, .power = 2, .max_iterations = kSteps},
      {.kind = RateKind::kSigmoid, .base = base, .gamma = -0.05, .step_size = 100},
      {.kind = RateKind::kCosine, .base = base, .max_iterations = kSteps},
      {.kind = RateKind::kFixed, .base = base, .warmup = 30},
  };
}

// A rate at which the solver moves the weights in 200 steps, and does not diverge.
double BaseRate(SolverKind kind) {
  switch (kind) {
    case SolverKind::kSgd:
    case SolverKind::kNesterov: return 0.05;
    case SolverKind::kAdaGrad: return 0.1;
    case SolverKind::kAdaDelta: return 1;
    default: return 0.01;
  }
}

SolverOptions Options(SolverKind kind) {
  SolverOptions options{.kind = kind};
  if (kind == SolverKind::kAdaDelta) {
    options.momentum = 0.95;
    options.delta = 1e-6;
  }
  return options;
}

class Solvers : public testing::TestWithParam<SolverKind> {};

TEST_P(Solvers, FollowTheModel) {
  for (const auto& [decay, regularization] :
       {std::pair(0.0, Regularization::kL2), std::pair(0.01, Regularization::kL2),
        std::pair(0.01, Regularization::kL1)}) {
    SolverOptions options = Options(GetParam());
    options.weight_decay = decay;
    options.regularization = regularization;
    options.multipliers = {{"b", {.rate = 2, .decay = 0}}};
    Race race(options);
    race.Compile();
    for (const RatePolicy& policy : Policies(BaseRate(GetParam()))) {
      SCOPED_TRACE(StrCat(std::string(Name(policy.kind)), ", decay ", decay,
                          regularization == Regularization::kL1 ? " (L1)" : " (L2)"));
      race.Run(policy);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(Solvers, ClipAndAccumulate) {
  SolverOptions options = Options(GetParam());
  options.weight_decay = 0.001;
  options.clip_norm = 0.9;  // of the sum over three batches: some are clipped, some are not
  options.iter_size = 3;
  Race race(options);
  race.Compile();
  race.Run({.kind = RateKind::kFixed, .base = BaseRate(GetParam())});
}

INSTANTIATE_TEST_SUITE_P(All, Solvers,
                         testing::Values(SolverKind::kSgd, SolverKind::kNesterov,
                                         SolverKind::kAdaGrad, SolverKind::kRmsProp,
                                         SolverKind::kAdaDelta, SolverKind::kAdam,
                                         SolverKind::kAdamW),
                         [](const auto& info) { return std::string(Name(info.param)); });

TEST(TrainStep, LeavesFrozenAndMultipliedOutParametersAlone) {
  Random random(1, "start");
  const Vector w = RandomVector(random, kWeights, 1), b = RandomVector(random, kOutputs, 1);
  auto module = LinearModule(w, b);
  ASSERT_TRUE(AddLoss(*module, {{.kind = "euclidean_loss"}}).ok());
  SolverOptions options;
  options.multipliers = {{"b", {.rate = 0, .decay = 0}}};
  ASSERT_TRUE(AddTrainStep(*module, {.solver = options, .mode = {}}).ok());
  std::vector<std::string> updated;
  for (const Graph::Output& output : module->FindFunction(kTrainStep)->outputs()) {
    if (output.update) updated.push_back(output.name);
  }
  EXPECT_THAT(updated, testing::UnorderedElementsAre("w/momentum", "w"));
}

TEST(TrainStep, NeedsABlockOfTheCallersOwn) {
  auto module = LinearModule(Vector(kWeights, 0.5), Vector(kOutputs, 0));
  ASSERT_TRUE(AddLoss(*module, {{.kind = "l1_loss"}}).ok());
  ASSERT_TRUE(AddTrainStep(*module, {}).ok());
  auto compiled = CompiledModule::Make(*module);
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  auto session = Session::Create((*compiled)->Find(kTrainStep));
  ASSERT_TRUE(session.ok());
  const Batch batch = BatchOf(0);
  std::vector<HostTensor> inputs;
  for (const auto& [values, shape] :
       {std::pair(batch.x, Shape{kBatch, kInputs}), std::pair(batch.t, Shape{kBatch, kOutputs}),
        std::pair(Vector{0.1}, Shape{})}) {
    const Tensor tensor = ToArray(values, shape).ToTensor();
    inputs.push_back({KILN_F32, shape, {tensor.bytes().begin(), tensor.bytes().end()}});
  }
  const auto result = session->Run(inputs);
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(std::string(result.status().message()), testing::HasSubstr("parameter block"));
}

}  // namespace
}  // namespace kiln
