#include "passes/training/training_mode.h"

#include <algorithm>

#include "ir/graph/builder.h"
#include "ir/ops/gradient.h"

namespace kiln {

namespace {

constexpr char kWeightName[] = "statistics_weight";

// Statistics over all dimensions but the channels.
std::vector<int64_t> BatchAxes(const Op& x) {
  std::vector<int64_t> axes;
  for (int64_t d = 0; d < x.type().rank(); ++d) {
    if (d != 1) axes.push_back(d);
  }
  return axes;
}

class TrainingMode {
 public:
  TrainingMode(Graph& function, const TrainingModeOptions& options)
      : function_(function), module_(*function.module()), options_(options) {}

  Status Run() {
    for (Op* const op : function_.Snapshot()) {
      if (op->Is("batch_norm") && op->operand(3)->Is("parameter") &&
          op->operand(4)->Is("parameter")) {
        KILN_RETURN_IF_ERROR(Annotate(NormalizeByBatch(*op), op->name()));
      } else if (op->Is("dropout")) {
        KILN_RETURN_IF_ERROR(Annotate(Drop(*op), op->name()));
      }
    }
    return OkStatus();
  }

 private:
  Builder At(Op& op) {
    Builder builder(&function_, &op);
    builder.SetSources(op.sources());
    return builder;
  }

  Status Replace(Op& op, const Term& value) {
    if (!value.op().ok()) return value.op().status();
    function_.ReplaceAllUses(&op, *value.op());
    function_.Erase(&op);
    return OkStatus();
  }

  Status NormalizeByBatch(Op& op) {
    Builder b = At(op);
    const Term x(b, op.operand(0));
    const std::vector<int64_t> axes = BatchAxes(*op.operand(0));
    const int64_t channels = op.shape()[1];
    Shape per_channel(op.shape().size() - 1, 1);
    per_channel[0] = channels;
    const Term normal = x.Make("standardize", {{"axes", axes}, {"epsilon", op.Double("epsilon")}});
    const Term scale = Term(b, op.operand(1)).Reshape(per_channel);
    const Term bias = Term(b, op.operand(2)).Reshape(per_channel);
    const Term result = normal * scale + bias;
    const Term mean = x.Mean(axes), centred = x - mean;
    const double count = static_cast<double>(op.type().count()) / static_cast<double>(channels);
    const double unbiased = count > 1 ? count / (count - 1) : 1;
    const Term variance = (centred * centred).Mean(axes) * unbiased;
    KILN_RETURN_IF_ERROR(Follow(b, *op.operand(3), mean.Reshape({channels})));
    KILN_RETURN_IF_ERROR(Follow(b, *op.operand(4), variance.Reshape({channels})));
    return Replace(op, result);
  }

  // The running statistic `parameter` takes a step towards that of the batch.
  Status Follow(Builder& b, const Op& parameter, const Term& batch) {
    const std::string& name = parameter.String("name");
    for (const Graph::Output& output : function_.outputs()) {
      if (!output.update || output.name != name) continue;
      return Unsupported("parameter '", name, "' holds the statistics of several layers");
    }
    const Term running(b, b.Parameter(name));
    Term weight = batch.Scalar(1 - options_.statistics_momentum);
    if (options_.weigh_by_steps) {
      KILN_ASSIGN_OR_RETURN(weight, StepWeight(b));
    }
    return Update(name, running + (batch - running) * weight);
  }

  Status Update(const std::string& parameter, const Term& value) {
    if (!value.op().ok()) return value.op().status();
    function_.AddUpdate(parameter, *value.op());
    return OkStatus();
  }

  // 1 / n, where n' = 1 + momentum n is kept as a parameter of the module.
  StatusOr<Term> StepWeight(Builder& b) {
    const bool known = module_.FindParameter(kWeightName) != nullptr;
    if (!known) {
      module_.SetParameter({kWeightName, Tensor::Splat({ElementType::kF32, {}, {}}, 0), false});
    }
    const Term total = Term(b, b.Parameter(kWeightName)) * options_.statistics_momentum + 1;
    const auto& outputs = function_.outputs();
    const bool updates = std::any_of(outputs.begin(), outputs.end(), [](const auto& output) {
      return output.update && output.name == kWeightName;
    });
    if (!updates) KILN_RETURN_IF_ERROR(Update(kWeightName, total));
    return 1 / total;
  }

  Status Drop(Op& op) {
    const double ratio = op.Double("ratio");
    Builder b = At(op);
    const Term x(b, op.operand(0));
    const Term drawn(
        b, b.Make("random_uniform", {Key(b)}, {{"shape", op.shape()}, {"stream", next_stream_++}}));
    const Term one = drawn.Scalar(1 / (1 - ratio)), zero = drawn.Scalar(0);
    const Term mask = Where(Less(drawn, ratio), zero, one);
    return Replace(op, x * Term(b, b.Cast(mask.op(), op.element())));
  }

  // i64[2]: the inputs `seed` and `step`.
  StatusOr<Op*> Key(Builder& b) {
    const TensorType scalar{ElementType::kI64, {}, {}};
    KILN_ASSIGN_OR_RETURN(Op* const seed, InputNamed(function_, "seed", scalar));
    KILN_ASSIGN_OR_RETURN(Op* const step, InputNamed(function_, "step", scalar));
    return b.Make("concat", {b.Reshape(seed, {1}), b.Reshape(step, {1})}, {{"axis", 0}});
  }

  Graph& function_;
  Module& module_;
  const TrainingModeOptions& options_;
  int64_t next_stream_ = 0;
};

}  // namespace

StatusOr<Op*> InputNamed(Graph& function, const std::string& name, const TensorType& type) {
  for (Op* const input : function.inputs()) {
    if (input->sources().empty() || input->sources()[0] != name) continue;
    if (input->type() == type) return input;
    return InvalidInput("input '", name, "' must be ", type.ToString(), ", found ",
                        input->type().ToString());
  }
  return Builder(&function).Input(name, type);
}

Status EnterTrainingMode(Graph& function, const TrainingModeOptions& options) {
  return TrainingMode(function, options).Run();
}

}  // namespace kiln
