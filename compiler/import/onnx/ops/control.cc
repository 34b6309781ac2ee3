// Control flow, unrolled: If, Loop and Scan, whose bodies are imported once per branch or step.
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/graph_importer.h"
#include "compiler/import/onnx/node.h"
#include "compiler/import/onnx/tensor.h"

namespace kiln::onnx_import {

namespace {

constexpr int64_t kMaxSteps = 1024;

bool AnyPoisoned(const std::vector<Value>& values) {
  return std::any_of(values.begin(), values.end(), [](const Value& v) { return v.poisoned(); });
}

Status CheckResults(const std::vector<Value>& values, int64_t expected) {
  if (static_cast<int64_t>(values.size()) == expected) return OkStatus();
  return InvalidInput("the subgraph gives ", static_cast<int64_t>(values.size()),
                      " results, expected ", expected);
}

StatusOr<std::vector<Value>> Branch(Node& n, const std::string& name) {
  const onnx::GraphProto& body = n.Subgraph(name);
  KILN_ASSIGN_OR_RETURN(Scope scope, n.importer().OpenBody(body, n.scope()));
  KILN_ASSIGN_OR_RETURN(auto values, n.importer().ImportBody(body, scope, {}));
  KILN_RETURN_IF_ERROR(CheckResults(values, n.num_results()));
  n.Rename();
  return values;
}

// condition ? a : b, elementwise where it is one bool; the types must be equal.
StatusOr<Op*> Select(Node& n, Op* condition, Value& a, Value& b) {
  KILN_ASSIGN_OR_RETURN(Op* const yes, n.importer().ToOp(&a));
  KILN_ASSIGN_OR_RETURN(Op* const no, n.importer().ToOp(&b));
  if (yes->type() != no->type()) {
    return Unsupported("the condition is not known when compiling, and a result is ",
                       yes->type().ToString(), " or ", no->type().ToString(), " by it");
  }
  return n.Make("where", {condition, yes, no});
}

// With a condition that is known, the branch stands in for the node. Otherwise both are computed
// (branches have no side effects) and each result is selected, which needs equal types.
Status If(Node& n) {
  KILN_ASSIGN_OR_RETURN(const TensorType type, n.OperandType(0));
  if (type.element != ElementType::kBool || type.count() != 1) {
    return InvalidInput("the condition must be one bool, found ", type.ToString());
  }
  if (const auto known = n.Known(0, "cond"); known.ok()) {
    KILN_ASSIGN_OR_RETURN(auto values,
                          Branch(n, known->GetInt(0) != 0 ? "then_branch" : "else_branch"));
    for (int i = 0; i < n.num_results(); ++i) n.Define(i, std::move(values[i]));
    return OkStatus();
  }
  KILN_ASSIGN_OR_RETURN(Op* const condition, n.builder().Reshape(n.operand(0), {}));
  KILN_ASSIGN_OR_RETURN(auto yes, Branch(n, "then_branch"));
  KILN_ASSIGN_OR_RETURN(auto no, Branch(n, "else_branch"));
  if (AnyPoisoned(yes) || AnyPoisoned(no)) {
    n.PoisonAll();
    return OkStatus();
  }
  for (int i = 0; i < n.num_results(); ++i) {
    KILN_RETURN_IF_ERROR(n.Result(i, Select(n, condition, yes[i], no[i])));
  }
  return OkStatus();
}

/// What a loop's steps gave, stacked along a new dimension. `declared` is the body's output, which
/// tells the type where there were no steps.
StatusOr<Op*> Stack(Node& n, const std::vector<Op*>& steps, int64_t axis,
                    const onnx::ValueInfoProto& declared) {
  if (steps.empty()) {
    const auto& tensor = declared.type().tensor_type();
    KILN_ASSIGN_OR_RETURN(const ElementType element, ToElementType(tensor.elem_type()));
    Shape shape;
    for (const auto& dim : tensor.shape().dim()) {
      if (!dim.has_dim_value()) return Unsupported("the shape of a result of no steps is open");
      shape.push_back(dim.dim_value());
    }
    KILN_ASSIGN_OR_RETURN(axis, NormalAxis(axis, static_cast<int64_t>(shape.size()) + 1));
    shape.insert(shape.begin() + axis, 0);
    return n.builder().Constant(Tensor::FromInts(element, std::move(shape), {}));
  }
  KILN_ASSIGN_OR_RETURN(axis, NormalAxis(axis, Rank(steps[0]) + 1));
  std::vector<StatusOr<Op*>> parts;
  for (Op* const step : steps) {
    if (step->type() != steps[0]->type()) {
      return InvalidInput("the steps give ", steps[0]->type().ToString(), " and ",
                          step->type().ToString());
    }
    Shape shape = step->shape();
    shape.insert(shape.begin() + axis, 1);
    parts.push_back(n.builder().Reshape(step, std::move(shape)));
  }
  return parts.size() == 1 ? parts[0] : n.Make("concat", parts, {{"axis", axis}});
}

/// A Loop being unrolled. Once its condition is not known when compiling, every step up to the
/// trip count is computed, and the state changes only while the loop is `alive_`.
class LoopUnroller {
 public:
  LoopUnroller(Node& n) : n_(n), body_(n.Subgraph("body")) {}

  Status Run() {
    KILN_RETURN_IF_ERROR(ReadOperands());
    KILN_ASSIGN_OR_RETURN(Scope scope, n_.importer().OpenBody(body_, n_.scope()));
    for (int64_t step = 0; !trips_ || step < *trips_; ++step) {
      KILN_ASSIGN_OR_RETURN(const bool ended, Ended());
      if (ended) break;
      if (step == kMaxSteps) return Unsupported("a loop of more than ", kMaxSteps, " steps");
      std::vector<Value> inputs = {
          Value::Constant("step", Tensor::FromInts(ElementType::kI64, {}, {step})), condition_};
      inputs.insert(inputs.end(), state_.begin(), state_.end());
      KILN_ASSIGN_OR_RETURN(auto values, n_.importer().ImportBody(body_, scope, inputs));
      n_.Rename();
      KILN_RETURN_IF_ERROR(CheckResults(values, 1 + NumStates() + NumScans()));
      if (AnyPoisoned(values)) {
        n_.PoisonAll();
        return OkStatus();
      }
      KILN_RETURN_IF_ERROR(Advance(values));
    }
    return Finish();
  }

 private:
  int64_t NumStates() const { return static_cast<int64_t>(state_.size()); }
  int64_t NumScans() const { return static_cast<int64_t>(scans_.size()); }

  Status ReadOperands() {
    if (n_.Has(0)) {
      KILN_ASSIGN_OR_RETURN(trips_, n_.KnownInt(0, "M"));
    }
    condition_ = Value::Constant("condition", Tensor::FromInts(ElementType::kBool, {}, {1}));
    if (n_.Has(1)) condition_ = *n_.value(1);
    for (int i = 2; i < n_.num_operands(); ++i) {
      if (!n_.Has(i)) return InvalidInput("operand ", i, " is missing");
      if (n_.value(i)->CheckTensor().ok()) KILN_RETURN_IF_ERROR(n_.operand(i).status());
      state_.push_back(*n_.value(i));
    }
    const int64_t scans = body_.output_size() - 1 - NumStates();
    if (scans < 0 || n_.num_results() > NumStates() + scans) {
      return InvalidInput("the subgraph has ", body_.output_size(), " outputs, the node ",
                          n_.num_operands(), " operands and ", n_.num_results(), " results");
    }
    scans_.resize(scans);
    return OkStatus();
  }

  StatusOr<bool> Ended() {
    if (alive_ != nullptr) return false;
    KILN_RETURN_IF_ERROR(condition_.CheckTensor());
    const TensorType& type = condition_.type();
    if (type.element != ElementType::kBool || type.count() != 1) {
      return InvalidInput("the condition must be one bool, found ", type.ToString());
    }
    const auto known = n_.importer().ValueOf(condition_, KnownValues::Inputs::kUse);
    if (known.ok()) return known->GetInt(0) == 0;
    if (!trips_) return Unsupported("neither the trip count nor the condition is known");
    KILN_ASSIGN_OR_RETURN(alive_, n_.builder().Reshape(n_.importer().ToOp(&condition_), {}));
    return false;
  }

  Status Advance(std::vector<Value>& values) {
    if (alive_ == nullptr) {
      condition_ = values[0];
      std::copy_n(values.begin() + 1, NumStates(), state_.begin());
      for (int64_t i = 0; i < NumScans(); ++i) {
        KILN_ASSIGN_OR_RETURN(Op* const op, n_.importer().ToOp(&values[1 + NumStates() + i]));
        scans_[i].push_back(op);
      }
      return OkStatus();
    }
    if (NumScans() > 0) {
      return Unsupported(
          "the loop's condition is not known when compiling, and the extent of a "
          "result depends on it");
    }
    for (int64_t i = 0; i < NumStates(); ++i) {
      KILN_ASSIGN_OR_RETURN(Op* const next, Select(n_, alive_, values[1 + i], state_[i]));
      state_[i] = Value::FromOp(next);
    }
    KILN_ASSIGN_OR_RETURN(
        alive_, n_.Make("and", {alive_, n_.builder().Reshape(n_.importer().ToOp(&values[0]), {})}));
    condition_ = Value::FromOp(alive_);
    return OkStatus();
  }

  Status Finish() {
    for (int64_t i = 0; i < NumStates(); ++i) n_.Define(static_cast<int>(i), state_[i]);
    for (int64_t i = 0; i < NumScans(); ++i) {
      const int64_t output = 1 + NumStates() + i;
      KILN_RETURN_IF_ERROR(
          n_.Result(static_cast<int>(NumStates() + i),
                    Stack(n_, scans_[i], 0, body_.output(static_cast<int>(output)))));
    }
    return OkStatus();
  }

  Node& n_;
  const onnx::GraphProto& body_;
  std::optional<int64_t> trips_;
  Value condition_;
  std::vector<Value> state_;
  std::vector<std::vector<Op*>> scans_;
  Op* alive_ = nullptr;
};

Status Loop(Node& n) { return LoopUnroller(n).Run(); }

/// A Scan as opset 9 has it, on operands without a batch.
class ScanUnroller {
 public:
  /// `operands`: the states, then the sequences.
  ScanUnroller(Node& n, std::vector<Op*> operands)
      : n_(n),
        body_(n.Subgraph("body")),
        operands_(std::move(operands)),
        num_scans_(n.Int("num_scan_inputs")),
        num_states_(static_cast<int64_t>(operands_.size()) - num_scans_),
        num_stacks_(body_.output_size() - num_states_) {}

  /// The last states, then the stacked outputs; nothing when a node of the body failed.
  StatusOr<std::vector<Op*>> Run() {
    if (num_scans_ < 1 || num_states_ < 0 || num_stacks_ < 0) {
      return InvalidInput("attribute 'num_scan_inputs' is ", num_scans_, " of ",
                          static_cast<int64_t>(operands_.size()), " operands");
    }
    KILN_RETURN_IF_ERROR(ReadAxes());
    KILN_ASSIGN_OR_RETURN(const bool poisoned, Unroll());
    if (poisoned) return std::vector<Op*>();
    std::vector<Op*> results(operands_.begin(), operands_.begin() + num_states_);
    KILN_ASSIGN_OR_RETURN(const auto axes, PerOutput("scan_output_axes"));
    for (int64_t i = 0; i < num_stacks_; ++i) {
      KILN_ASSIGN_OR_RETURN(
          Op* const stack,
          Stack(n_, stacks_[i], axes[i], body_.output(static_cast<int>(num_states_ + i))));
      results.push_back(stack);
    }
    return results;
  }

 private:
  StatusOr<std::vector<int64_t>> PerEntry(const std::string& name, int64_t count) {
    std::vector<int64_t> values = n_.Ints(name);
    if (values.empty()) values.assign(count, 0);
    if (static_cast<int64_t>(values.size()) == count) return values;
    return InvalidInput("attribute '", name, "' needs ", count, " numbers");
  }
  StatusOr<std::vector<int64_t>> PerOutput(const std::string& name) {
    return PerEntry(name, num_stacks_);
  }

  Status ReadAxes() {
    KILN_ASSIGN_OR_RETURN(axes_, PerEntry("scan_input_axes", num_scans_));
    KILN_ASSIGN_OR_RETURN(reversed_, PerEntry("scan_input_directions", num_scans_));
    KILN_ASSIGN_OR_RETURN(prepended_, PerOutput("scan_output_directions"));
    for (int64_t i = 0; i < num_scans_; ++i) {
      const Op* const scanned = operands_[num_states_ + i];
      KILN_ASSIGN_OR_RETURN(axes_[i], NormalAxis(axes_[i], Rank(scanned)));
      const int64_t steps = scanned->shape()[axes_[i]];
      if (i == 0) steps_ = steps;
      if (steps != steps_) return InvalidInput("sequences of ", steps_, " and ", steps, " steps");
    }
    if (steps_ > kMaxSteps) return Unsupported("a scan of more than ", kMaxSteps, " steps");
    return OkStatus();
  }

  StatusOr<bool> Unroll() {
    stacks_.resize(num_stacks_);
    KILN_ASSIGN_OR_RETURN(Scope scope, n_.importer().OpenBody(body_, n_.scope()));
    for (int64_t step = 0; step < steps_; ++step) {
      std::vector<Value> inputs;
      for (int64_t i = 0; i < num_states_; ++i) inputs.push_back(Value::FromOp(operands_[i]));
      for (int64_t i = 0; i < num_scans_; ++i) {
        const int64_t at = reversed_[i] != 0 ? steps_ - 1 - step : step;
        KILN_ASSIGN_OR_RETURN(Op* const part,
                              SelectAxis(n_.builder(), operands_[num_states_ + i], axes_[i], at));
        inputs.push_back(Value::FromOp(part));
      }
      KILN_ASSIGN_OR_RETURN(auto values, n_.importer().ImportBody(body_, scope, inputs));
      n_.Rename();
      if (AnyPoisoned(values)) return true;
      for (int64_t i = 0; i < num_states_ + num_stacks_; ++i) {
        KILN_ASSIGN_OR_RETURN(Op* const op, n_.importer().ToOp(&values[i]));
        if (i < num_states_) {
          operands_[i] = op;
        } else {
          std::vector<Op*>& stack = stacks_[i - num_states_];
          stack.insert(prepended_[i - num_states_] != 0 ? stack.begin() : stack.end(), op);
        }
      }
    }
    return false;
  }

  Node& n_;
  const onnx::GraphProto& body_;
  std::vector<Op*> operands_;
  int64_t num_scans_, num_states_, num_stacks_;
  int64_t steps_ = 0;
  std::vector<int64_t> axes_, reversed_, prepended_;
  std::vector<std::vector<Op*>> stacks_;
};

// Opset 8 has a batch in front of everything, and operand 0 gives lengths.
Status BatchedScan(Node& n) {
  if (n.Has(0)) return Unsupported("operand 'sequence_lens' is not supported");
  std::vector<std::vector<Op*>> results;
  int64_t batch = 1;
  for (int64_t item = 0; item < batch; ++item) {
    std::vector<Op*> operands;
    for (int i = 1; i < n.num_operands(); ++i) {
      KILN_ASSIGN_OR_RETURN(Op* const all, n.operand(i));
      if (Rank(all) < 1) return InvalidInput("operand ", i, " has no batch");
      if (i == 1) batch = all->shape()[0];
      if (all->shape()[0] != batch || batch < 1 || batch > kMaxSteps) {
        return InvalidInput("operand ", i, " is ", all->type().ToString(), ", the batch ", batch);
      }
      KILN_ASSIGN_OR_RETURN(operands.emplace_back(), SelectAxis(n.builder(), all, 0, item));
    }
    KILN_ASSIGN_OR_RETURN(results.emplace_back(), ScanUnroller(n, std::move(operands)).Run());
    if (results.back().empty()) {
      n.PoisonAll();
      return OkStatus();
    }
  }
  for (int i = 0; i < n.num_results() && i < static_cast<int>(results[0].size()); ++i) {
    std::vector<Op*> items;
    for (const auto& result : results) items.push_back(result[i]);
    KILN_RETURN_IF_ERROR(n.Result(i, Stack(n, items, 0, {})));
  }
  return OkStatus();
}

Status Scan(Node& n) {
  if (n.opset() < 9) return BatchedScan(n);
  KILN_ASSIGN_OR_RETURN(std::vector<Op*> operands, n.operands());
  KILN_ASSIGN_OR_RETURN(const auto results, ScanUnroller(n, std::move(operands)).Run());
  if (results.empty()) n.PoisonAll();
  for (int i = 0; i < n.num_results() && i < static_cast<int>(results.size()); ++i) {
    KILN_RETURN_IF_ERROR(n.Result(i, results[i]));
  }
  return OkStatus();
}

}  // namespace

std::vector<OnnxOp> ControlOps() {
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "If",
                 .handler = If,
                 .max_results = kAny,
                 .attributes = {Required(Body("then_branch")), Required(Body("else_branch"))},
                 .limits = "a condition that is not known when compiling needs branches of equal "
                           "types; both are computed"});
  ops.push_back({.name = "Loop",
                 .handler = Loop,
                 .operands = {2, kAny},
                 .max_results = kAny,
                 .attributes = {Required(Body("body"))},
                 .limits = StrCat("unrolled, up to ", kMaxSteps,
                                  " steps; a known trip count, or a "
                                  "condition known at each step")});
  ops.push_back(
      {.name = "Scan",
       .handler = Scan,
       .operands = {1, kAny},
       .max_results = kAny,
       .attributes = {Required(Body("body")), Required(Int("num_scan_inputs")),
                      Until(8, Ints("directions")), Since(9, Ints("scan_input_axes")),
                      Since(9, Ints("scan_input_directions")), Since(9, Ints("scan_output_axes")),
                      Since(9, Ints("scan_output_directions"))},
       .first = 8,
       .limits = StrCat("unrolled, up to ", kMaxSteps, " steps; no sequence_lens")});
  return ops;
}

}  // namespace kiln::onnx_import
