// One kernel class each, compiled as it would be inside a net and run on one thread: time, rate,
// and the share of what the machine can do.
//
//   build/bench/bench/kernels --benchmark_filter=conv
//
// The time is that of the kernels alone: relayouts of the input and the output, which inside a net
// are not there, are left out (ProfilingExecutor).
#include <benchmark/benchmark.h>

#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compiler/codegen/target_info.h"
#include "compiler/compile.h"
#include "ir/graph/builder.h"
#include "ir/graph/graph.h"
#include "runtime/limits.h"
#include "runtime/measure.h"
#include "runtime/profile.h"
#include "runtime/session.h"

namespace kiln {
namespace {

using Ints = std::vector<int64_t>;

struct MachineLimits {
  double gflops;
  double gbps;
};

const MachineLimits& Limits() {
  static const MachineLimits limits = [] {
    ThreadPool pool(1);
    return MachineLimits{MeasureFmaPeak(pool), MeasureReadBandwidth(pool)};
  }();
  return limits;
}

Tensor RandomValues(const Shape& shape) {
  std::minstd_rand random(1);
  std::uniform_real_distribution<double> uniform(-0.1, 0.1);
  std::vector<double> values(static_cast<size_t>(ElementCount(shape)));
  for (double& value : values) value = uniform(random);
  return Tensor::FromDoubles(ElementType::kF32, shape, values);
}

/// Builds the op under test; operands that are weights are constants.
using Build = std::function<StatusOr<Op*>(Builder& b, Op* x)>;

/// A compiled function of one op, and buffers for it.
class Subject {
 public:
  static StatusOr<std::unique_ptr<Subject>> Create(const Shape& input, const Build& build) {
    auto module = std::make_unique<Module>();
    Graph* const graph = module->AddFunction("forward");
    Builder b(graph);
    KILN_ASSIGN_OR_RETURN(Op* const x, b.Input("x", {ElementType::kF32, input, {}}));
    KILN_ASSIGN_OR_RETURN(Op* const y, build(b, x));
    graph->AddOutput("y", y);
    CompileOptions options;
    KILN_ASSIGN_OR_RETURN(options.target, HostTarget());
    KILN_ASSIGN_OR_RETURN(auto executable, CompileForHost(std::move(module), options));
    const kiln_function_info& function = executable->library().functions[0];
    KILN_ASSIGN_OR_RETURN(Session session,
                          Session::Create(&function, {.parameters = executable->parameters()}));
    const Tensor values = RandomValues(input);
    const HostTensor host{KILN_F32, input, {values.bytes().begin(), values.bytes().end()}};
    return std::unique_ptr<Subject>(
        new Subject(std::move(executable), BoundSession(std::move(session), {host})));
  }

  /// One call: the nanoseconds of all kernels but relayouts.
  StatusOr<double> Nanoseconds() {
    profile_.StartRun();
    KILN_RETURN_IF_ERROR(session_.Run());
    double total = 0;
    for (size_t i = 0; i < profile_.runs().back().size(); ++i) {
      if (Counts(function().steps[i])) {
        total += static_cast<double>(profile_.runs().back()[i]);
      }
    }
    profile_.Clear();
    return total;
  }

  double flops() const { return Sum(&kiln_step_info::flops); }
  double bytes() const { return Sum(&kiln_step_info::bytes); }

 private:
  Subject(std::unique_ptr<Executable> executable, BoundSession session)
      : executable_(std::move(executable)), session_(std::move(session)), profile_(nullptr) {
    session_.set_executor(profile_.executor());
    for (int32_t i = 0; i < function().num_steps; ++i) {
      const kiln_step_info& step = function().steps[i];
      if (step.flops > 0) computing_.insert(step.kernel);
    }
  }

  /// The kernel itself, and not what brings its operand and its result into another layout.
  bool Counts(const kiln_step_info& step) const {
    if (!computing_.empty()) return computing_.contains(step.kernel);
    return std::string(step.kernel).find("relayout") == std::string::npos;
  }
  const kiln_function_info& function() const { return executable_->library().functions[0]; }
  double Sum(double kiln_step_info::* field) const {
    double sum = 0;
    for (int32_t i = 0; i < function().num_steps; ++i) {
      if (Counts(function().steps[i])) sum += function().steps[i].*field;
    }
    return sum;
  }

  std::unique_ptr<Executable> executable_;
  BoundSession session_;
  ProfilingExecutor profile_;
  std::set<std::string> computing_;  ///< kernels that do arithmetic; a kernel may be several steps
};

void Run(benchmark::State& state, const Shape& input, const Build& build) {
  auto subject = Subject::Create(input, build);
  if (!subject.ok()) return state.SkipWithError(Message(subject.status()).c_str());
  double total = 0;
  for (auto iteration : state) {
    const StatusOr<double> ns = (*subject)->Nanoseconds();
    if (!ns.ok()) return state.SkipWithError(Message(ns.status()).c_str());
    state.SetIterationTime(*ns * 1e-9);
    total += *ns;
  }
  const double ns = total / static_cast<double>(state.iterations());
  const double gflops = (*subject)->flops() / ns, gbps = (*subject)->bytes() / ns;
  state.counters["GFLOP/s"] = gflops;
  state.counters["GB/s"] = gbps;
  state.counters["%fma"] = 100 * gflops / Limits().gflops;
  state.counters["%memory"] = 100 * gbps / Limits().gbps;
}

void Register(const std::string& name, Shape input, Build build) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [input = std::move(input), build = std::move(build)](
                                   benchmark::State& state) { Run(state, input, build); })
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond)
      ->MinTime(0.3);
}

AttributeMap Window(int64_t stride, int64_t pad) {
  return {{"strides", Ints{stride, stride}},
          {"dilations", Ints{1, 1}},
          {"pads_low", Ints{pad, pad}},
          {"pads_high", Ints{pad, pad}}};
}

/// A convolution with bias and ReLU, `size` x `size` pixels in.
void Conv(const std::string& name, int64_t size, int64_t channels, int64_t filters, int64_t kernel,
          int64_t stride, int64_t pad, int64_t groups = 1) {
  Register(name, {1, channels, size, size}, [=](Builder& b, Op* x) {
    AttributeMap attributes = Window(stride, pad);
    attributes.emplace("groups", groups);
    const auto w = b.Constant(RandomValues({filters, channels / groups, kernel, kernel}));
    const auto bias = b.Constant(RandomValues({filters, 1, 1}));
    return b.Make("relu", {b.Add(b.Make("conv", {x, w}, attributes), bias)});
  });
}

void Matmul(const std::string& name, int64_t m, int64_t k, int64_t n) {
  Register(name, {m, k}, [=](Builder& b, Op* x) {
    return b.Make("matmul", {x, b.Constant(RandomValues({k, n}))});
  });
}

void RegisterAll() {
  Conv("conv3x3/224x224x64", 224, 64, 64, 3, 1, 1);
  Conv("conv3x3/112x112x128", 112, 128, 128, 3, 1, 1);
  Conv("conv3x3/56x56x256", 56, 256, 256, 3, 1, 1);
  Conv("conv3x3/28x28x512", 28, 512, 512, 3, 1, 1);
  Conv("conv3x3/14x14x512", 14, 512, 512, 3, 1, 1);
  Conv("conv3x3/56x56x64", 56, 64, 64, 3, 1, 1);
  Conv("conv3x3/28x28x128", 28, 128, 128, 3, 1, 1);
  Conv("conv3x3/14x14x256", 14, 256, 256, 3, 1, 1);
  Conv("conv3x3/7x7x512", 7, 512, 512, 3, 1, 1);
  Conv("conv3x3/stride2/28x28x128", 28, 128, 128, 3, 2, 1);
  Conv("conv5x5/28x28x32", 28, 32, 96, 5, 1, 2);
  Conv("conv1x1/56x56x64-256", 56, 64, 256, 1, 1, 0);
  Conv("conv1x1/28x28x512-128", 28, 512, 128, 1, 1, 0);
  Conv("conv1x1/14x14x1024-256", 14, 1024, 256, 1, 1, 0);
  Conv("conv1x1/7x7x512-2048", 7, 512, 2048, 1, 1, 0);
  Conv("first/7x7s2/224x224x3-64", 224, 3, 64, 7, 2, 3);
  Conv("first/11x11s4/227x227x3-96", 227, 3, 96, 11, 4, 0);
  Conv("depthwise3x3/112x112x64", 112, 64, 64, 3, 1, 1, 64);
  Conv("depthwise3x3/14x14x512", 14, 512, 512, 3, 1, 1, 512);
  Conv("depthwise3x3/stride2/112x112x64", 112, 64, 64, 3, 2, 1, 64);
  Matmul("gemm/512", 512, 512, 512);
  Matmul("gemm/1024", 1024, 1024, 1024);
  Matmul("matvec/4096x4096", 1, 4096, 4096);
  Matmul("matvec/9216x4096", 1, 9216, 4096);
  Register("max_pool/3x3s2/112x112x64", {1, 64, 112, 112}, [](Builder& b, Op* x) {
    AttributeMap attributes = Window(2, 1);
    attributes.emplace("kernel", Ints{3, 3});
    return b.Make("max_pool", {x}, attributes);
  });
  Register("softmax/128x1000", {128, 1000},
           [](Builder& b, Op* x) { return b.Make("softmax", {x}, {{"axis", int64_t{1}}}); });
  Register("lrn/56x56x192", {1, 192, 56, 56},
           [](Builder& b, Op* x) { return b.Make("lrn", {x}, {{"size", int64_t{5}}}); });
  Register("elementwise/scale-add-relu/4M", {1 << 22}, [](Builder& b, Op* x) {
    return b.Make("relu", {b.AddScalar(b.MulScalar(x, 0.5), 0.1)});
  });
  Register("elementwise/sigmoid/1M", {1 << 20},
           [](Builder& b, Op* x) { return b.Make("sigmoid", {x}); });
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  kiln::RegisterAll();
  benchmark::AddCustomContext("FMA peak, GFLOP/s", std::to_string(kiln::Limits().gflops));
  benchmark::AddCustomContext("read bandwidth, GB/s", std::to_string(kiln::Limits().gbps));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
