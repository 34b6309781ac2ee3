#include "passes/training/solver.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "ir/graph/builder.h"
#include "ir/graph/op_def.h"
#include "ir/ops/gradient.h"
#include "passes/training/training_mode.h"

namespace kiln {

namespace {

constexpr struct {
  SolverKind kind;
  std::string_view name;
} kSolvers[] = {
    {SolverKind::kSgd, "sgd"},           {SolverKind::kNesterov, "nesterov"},
    {SolverKind::kAdaGrad, "adagrad"},   {SolverKind::kRmsProp, "rmsprop"},
    {SolverKind::kAdaDelta, "adadelta"}, {SolverKind::kAdam, "adam"},
    {SolverKind::kAdamW, "adamw"},
};

Term Sqrt(const Term& x) { return x.Make("sqrt"); }

// decay x + (1 - decay) value
Term Mix(double decay, const Term& x, const Term& value) { return decay * x + (1 - decay) * value; }

/// The value of the parameter that goes with `parameter`, zero at first: "conv1.weight/momentum".
class State {
 public:
  State(Builder& b, const std::string& parameter, const char* what)
      : b_(b), name_(StrCat(parameter, "/", what)) {
    Module& module = *b.graph()->module();
    if (module.FindParameter(name_) != nullptr) return;
    const TensorType type = module.FindParameter(parameter)->value.type();
    module.SetParameter({name_, Tensor::Splat(type, 0), /*trainable=*/false});
  }

  Term old() const { return {b_, b_.Parameter(name_)}; }
  Status Set(const Term& value) const {
    if (!value.op().ok()) return value.op().status();
    b_.graph()->AddUpdate(name_, *value.op());
    return OkStatus();
  }

 private:
  Builder& b_;
  std::string name_;
};

/// Where the updates of a function can stand: the earlier, the sooner a gradient's memory is free.
class LastUses {
 public:
  explicit LastUses(const Graph& function) : ops_(function.Snapshot()) {
    for (size_t i = 0; i < ops_.size(); ++i) {
      position_[ops_[i]] = i;
      for (const Op* x : ops_[i]->operands()) {
        while (x->HasTrait(kView)) x = x->operand(0);
        if (x->Is("parameter")) last_read_[x->String("name")] = i;
      }
    }
  }

  /// The op behind `gradient` and the last read of `parameter`; nullptr at the end.
  Op* Behind(const std::string& parameter, const Op* gradient) const {
    size_t last = position_.at(gradient);
    const auto it = last_read_.find(parameter);
    if (it != last_read_.end()) last = std::max(last, it->second);
    return last + 1 < ops_.size() ? ops_[last + 1] : nullptr;
  }

 private:
  std::vector<Op*> ops_;
  std::map<const Op*, size_t> position_;
  std::map<std::string, size_t> last_read_;
};

class UpdateBuilder {
 public:
  UpdateBuilder(Graph& function, const SolverOptions& options)
      : function_(function), b_(&function), options_(options) {}

  Status Run(const std::vector<ParameterGradient>& gradients) {
    KILN_ASSIGN_OR_RETURN(rate_,
                          InputNamed(function_, "learning_rate", {ElementType::kF32, {}, {}}));
    if (IsAdam()) KILN_RETURN_IF_ERROR(MakeAdamCorrection());
    const LastUses last_uses(function_);
    std::vector<Term> sums;
    for (const auto& [parameter, gradient] : gradients) {
      if (options_.clip_norm == 0) b_.SetInsertionPoint(last_uses.Behind(parameter, gradient));
      KILN_ASSIGN_OR_RETURN(const Term sum, Sum(parameter, gradient));
      if (options_.clip_norm == 0) {
        KILN_RETURN_IF_ERROR(Annotate(Update(parameter, sum), parameter));
      }
      sums.push_back(sum);
    }
    if (options_.clip_norm == 0) return OkStatus();
    Clip(sums);
    for (size_t i = 0; i < gradients.size(); ++i) {
      KILN_RETURN_IF_ERROR(
          Annotate(Update(gradients[i].parameter, sums[i]), gradients[i].parameter));
    }
    return OkStatus();
  }

 private:
  bool IsAdam() const {
    return options_.kind == SolverKind::kAdam || options_.kind == SolverKind::kAdamW;
  }

  // Over the batches of the update.
  StatusOr<Term> Sum(const std::string& parameter, Op* gradient) {
    const Term g(b_, gradient);
    if (options_.iter_size == 1) return g;
    const State earlier(b_, parameter, "gradient");
    KILN_RETURN_IF_ERROR(earlier.Set(Zeros(g, gradient->shape())));
    return earlier.old() + g;
  }

  // sqrt(1 - b2^t) / (1 - b1^t), t = step + 1, in double precision: 1 - b2^t cancels in f32.
  Status MakeAdamCorrection() {
    KILN_ASSIGN_OR_RETURN(Op* const step,
                          InputNamed(function_, "step", {ElementType::kI64, {}, {}}));
    b_.SetInsertionPoint(FirstBehindInputs());
    const Term t = Term(b_, b_.Cast(step, ElementType::kF64)) + 1;
    const auto rest = [&](double decay) {
      return 1 - Term(b_, b_.Make("pow", {t.Scalar(decay).op(), t.op()}));
    };
    const Term correction = Sqrt(rest(options_.momentum2)) / rest(options_.momentum);
    KILN_ASSIGN_OR_RETURN(correction_, b_.Cast(correction.op(), ElementType::kF32));
    b_.SetInsertionPoint(nullptr);
    return OkStatus();
  }

  Op* FirstBehindInputs() const {
    for (const auto& op : function_.ops()) {
      if (!op->Is("input")) return op.get();
    }
    return nullptr;
  }

  // Scales all gradients alike so that their joint norm is at most clip_norm.
  void Clip(std::vector<Term>& gradients) {
    Term squares = Term::Zero(b_);
    for (const Term& g : gradients) {
      const Term square = (g * g).Sum(AllAxes(g.has_value() ? g.shape().size() : 0)).Reshape({});
      squares = squares + Term(b_, b_.Cast(square.op(), ElementType::kF32));
    }
    if (!squares.has_value()) return;
    const Term norm = Sqrt(squares);
    const Term scale = Where(Greater(norm, options_.clip_norm), options_.clip_norm / norm, 1);
    for (Term& g : gradients) {
      if (g.has_value()) g = g * Term(b_, b_.Cast(scale.op(), g.element()));
    }
  }

  Status Update(const std::string& name, Term g) {
    const auto it = options_.multipliers.find(name);
    const Multipliers multipliers = it == options_.multipliers.end() ? Multipliers() : it->second;
    if (multipliers.rate == 0) return OkStatus();
    const Term w(b_, b_.Parameter(name));
    const double decay = options_.weight_decay * multipliers.decay;
    if (options_.iter_size > 1) g = g * (1.0 / options_.iter_size);
    if (decay != 0 && options_.kind != SolverKind::kAdamW) {
      g = g + decay * (options_.regularization == Regularization::kL1 ? w.Make("sign") : w);
    }
    const Term rate = Term(b_, b_.Cast(rate_, w.element())) * multipliers.rate;
    KILN_ASSIGN_OR_RETURN(Term step, Step(name, g, rate));
    if (decay != 0 && options_.kind == SolverKind::kAdamW) step = step + rate * (decay * w);
    KILN_ASSIGN_OR_RETURN(Op* const updated, (w - step).op());
    function_.AddUpdate(name, updated);
    return OkStatus();
  }

  StatusOr<Term> Step(const std::string& name, const Term& g, const Term& rate) {
    const double m = options_.momentum;
    switch (options_.kind) {
      case SolverKind::kSgd: {
        if (m == 0) return rate * g;
        const State history(b_, name, "momentum");
        const Term h = rate * g + m * history.old();
        KILN_RETURN_IF_ERROR(history.Set(h));
        return h;
      }
      case SolverKind::kNesterov: {
        const State history(b_, name, "momentum");
        const Term h = rate * g + m * history.old();
        KILN_RETURN_IF_ERROR(history.Set(h));
        return (1 + m) * h - m * history.old();
      }
      case SolverKind::kAdaGrad: {
        const State history(b_, name, "square");
        const Term h = history.old() + g * g;
        KILN_RETURN_IF_ERROR(history.Set(h));
        return rate * g / (Sqrt(h) + options_.delta);
      }
      case SolverKind::kRmsProp: {
        const State history(b_, name, "square");
        const Term h = Mix(options_.rms_decay, history.old(), g * g);
        KILN_RETURN_IF_ERROR(history.Set(h));
        return rate * g / (Sqrt(h) + options_.delta);
      }
      case SolverKind::kAdaDelta: {
        const State square(b_, name, "square"), steps(b_, name, "step_square");
        const Term h = Mix(m, square.old(), g * g);
        const Term u = g * Sqrt((steps.old() + options_.delta) / (h + options_.delta));
        KILN_RETURN_IF_ERROR(square.Set(h));
        KILN_RETURN_IF_ERROR(steps.Set(Mix(m, steps.old(), u * u)));
        return rate * u;
      }
      case SolverKind::kAdam:
      case SolverKind::kAdamW: {
        const State mean(b_, name, "mean"), square(b_, name, "square");
        const Term a = Mix(m, mean.old(), g), v = Mix(options_.momentum2, square.old(), g * g);
        KILN_RETURN_IF_ERROR(mean.Set(a));
        KILN_RETURN_IF_ERROR(square.Set(v));
        const Term correction(b_, b_.Cast(correction_, g.element()));
        return rate * correction * (a / (Sqrt(v) + options_.delta));
      }
    }
    return InternalError("no such solver");
  }

  Graph& function_;
  Builder b_;
  const SolverOptions& options_;
  Op* rate_ = nullptr;
  Op* correction_ = nullptr;  ///< of Adam
};

Status CheckUnit(const char* name, double value) {
  if (value >= 0 && value < 1) return OkStatus();
  return InvalidInput(name, " must be from 0 to below 1, found ", value);
}

Status CheckAtLeastZero(const char* name, double value) {
  if (value >= 0 && std::isfinite(value)) return OkStatus();
  return InvalidInput(name, " must be at least 0, found ", value);
}

}  // namespace

std::string_view Name(SolverKind kind) {
  const auto* const it = std::find_if(std::begin(kSolvers), std::end(kSolvers),
                                      [&](const auto& solver) { return solver.kind == kind; });
  return it->name;
}

std::optional<SolverKind> ParseSolverKind(std::string_view name) {
  for (const auto& solver : kSolvers) {
    if (solver.name == name) return solver.kind;
  }
  return std::nullopt;
}

Status Check(const SolverOptions& options) {
  KILN_RETURN_IF_ERROR(CheckUnit("momentum", options.momentum));
  KILN_RETURN_IF_ERROR(CheckUnit("momentum2", options.momentum2));
  KILN_RETURN_IF_ERROR(CheckUnit("rms_decay", options.rms_decay));
  KILN_RETURN_IF_ERROR(CheckAtLeastZero("delta", options.delta));
  KILN_RETURN_IF_ERROR(CheckAtLeastZero("weight_decay", options.weight_decay));
  KILN_RETURN_IF_ERROR(CheckAtLeastZero("clip_norm", options.clip_norm));
  if (options.iter_size < 1) {
    return InvalidInput("iter_size must be at least 1, found ", int64_t{options.iter_size});
  }
  return OkStatus();
}

Status AppendUpdates(Graph& function, const std::vector<ParameterGradient>& gradients,
                     const SolverOptions& options) {
  KILN_RETURN_IF_ERROR(Check(options));
  return UpdateBuilder(function, options).Run(gradients);
}

Status AppendAccumulation(Graph& function, const std::vector<ParameterGradient>& gradients) {
  Builder b(&function);
  for (const ParameterGradient& gradient : gradients) {
    const State sum(b, gradient.parameter, "gradient");
    KILN_RETURN_IF_ERROR(sum.Set(sum.old() + Term(b, gradient.gradient)));
  }
  return OkStatus();
}

}  // namespace kiln
