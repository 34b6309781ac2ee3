// RNN, GRU and LSTM, unrolled: the steps' products with the inputs are one matmul, what depends on
// the state is a few ops per step. The equations and the order of gates are ONNX's.
#include <algorithm>
#include <functional>

#include "compiler/import/foreign/build.h"
#include "compiler/import/onnx/node.h"

namespace kiln::onnx_import {

namespace {

constexpr int64_t kMaxSteps = 256;

/// The kind of network: how many gates the weights hold, and how many activations it has.
struct CellKind {
  int gates;
  std::vector<std::string> activations;  // by default
};

CellKind KindOf(const std::string& name) {
  if (name == "LSTM") return {4, {"Sigmoid", "Tanh", "Tanh"}};
  if (name == "GRU") return {3, {"Sigmoid", "Tanh"}};
  return {1, {"Tanh"}};
}

/// One direction of the network: operands without their leading dimension.
struct Direction {
  bool reverse;
  std::vector<std::string> activations;
  Op* recurrence;              // R [G*H, H]
  Op* input_bias = nullptr;    // [G*H]
  Op* state_bias = nullptr;    // [G*H]
  Op* peepholes = nullptr;     // [3*H]
  StatusOr<Op*> hidden, cell;  // the initial state, [batch, H]
  Op* inputs;                  // X W^T + input_bias, [steps, batch, G*H]
};

struct Sizes {
  int64_t steps, batch, input, hidden, directions;
  int gates;
};

/// The state after a step. `cell` is LSTM's.
struct State {
  StatusOr<Op*> hidden, cell;
};

StatusOr<Op*> Activate(Node& n, const std::string& name, const StatusOr<Op*>& x) {
  static const auto* const kinds =
      new std::map<std::string, std::string>{{"relu", "relu"},
                                             {"tanh", "tanh"},
                                             {"sigmoid", "sigmoid"},
                                             {"softsign", "softsign"},
                                             {"softplus", "softplus"},
                                             {"elu", "elu"},
                                             {"leakyrelu", "leaky_relu"},
                                             {"hardsigmoid", "hard_sigmoid"},
                                             {"thresholdedrelu", "thresholded_relu"}};
  std::string lower = name;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const auto it = kinds->find(lower);
  if (it == kinds->end()) return Unsupported("activation ", Quote(name), " is not supported");
  return n.Make(it->second, {x});
}

/// Builds the steps of one direction.
class Cell {
 public:
  Cell(Node& node, const Sizes& sizes, const Direction& direction)
      : n_(node), b_(node.builder()), sizes_(sizes), d_(direction) {}

  State Step(int64_t t, const State& before) {
    auto inputs = SelectAxis(b_, d_.inputs, 0, t);
    if (n_.op().name == "LSTM") return Lstm(inputs, before);
    if (n_.op().name == "GRU") return Gru(inputs, before);
    return {Act(0, b_.Add(inputs, Recurrent(before.hidden, 0, 1))), nullptr};
  }

 private:
  // Columns `gate` .. `gate`+count of a [..., G*H] value.
  StatusOr<Op*> Gate(const StatusOr<Op*>& x, int gate, int count = 1) {
    if (!x.ok()) return x;
    return SliceAxis(b_, *x, Rank(*x) - 1, gate * sizes_.hidden, count * sizes_.hidden);
  }

  // h R^T + the bias, for some of the gates.
  StatusOr<Op*> Recurrent(const StatusOr<Op*>& h, int gate, int count) {
    const StatusOr<Op*> rows =
        SliceAxis(b_, d_.recurrence, 0, gate * sizes_.hidden, count * sizes_.hidden);
    const StatusOr<Op*> product = b_.Make("matmul", {h, rows}, {{"transpose_b", true}});
    if (d_.state_bias == nullptr) return product;
    return b_.Add(product, Gate(d_.state_bias, gate, count));
  }

  StatusOr<Op*> Act(int which, StatusOr<Op*> x) {
    const double clip = n_.Float("clip", 0);
    if (clip > 0) x = b_.Make("clip", {x}, {{"min", -clip}, {"max", clip}});
    return Activate(n_, d_.activations[which], x);
  }

  StatusOr<Op*> Peep(StatusOr<Op*> sum, int gate, const StatusOr<Op*>& cell) {
    if (d_.peepholes == nullptr) return sum;
    return b_.Add(sum, b_.Mul(Gate(d_.peepholes, gate), cell));
  }

  // 1 - x
  StatusOr<Op*> Complement(const StatusOr<Op*>& x) {
    if (!x.ok()) return x;
    return b_.Sub(b_.Scalar((*x)->element(), 1), x);
  }

  // Gates i, o, f, c.
  State Lstm(const StatusOr<Op*>& inputs, const State& before) {
    const StatusOr<Op*> sums = b_.Add(inputs, Recurrent(before.hidden, 0, 4));
    const StatusOr<Op*> in = Act(0, Peep(Gate(sums, 0), 0, before.cell));
    const StatusOr<Op*> forget =
        n_.Int("input_forget") != 0 ? Complement(in) : Act(0, Peep(Gate(sums, 2), 2, before.cell));
    const StatusOr<Op*> candidate = Act(1, Gate(sums, 3));
    const StatusOr<Op*> cell = b_.Add(b_.Mul(forget, before.cell), b_.Mul(in, candidate));
    const StatusOr<Op*> out = Act(0, Peep(Gate(sums, 1), 1, cell));
    return {b_.Mul(out, Activate(n_, d_.activations[2], cell)), cell};
  }

  // Gates z, r, h.
  State Gru(const StatusOr<Op*>& inputs, const State& before) {
    const StatusOr<Op*> sums = b_.Add(Gate(inputs, 0, 2), Recurrent(before.hidden, 0, 2));
    const StatusOr<Op*> update = Act(0, Gate(sums, 0));
    const StatusOr<Op*> reset = Act(0, Gate(sums, 1));
    const StatusOr<Op*> from_state = n_.Int("linear_before_reset") != 0
                                         ? b_.Mul(reset, Recurrent(before.hidden, 2, 1))
                                         : Recurrent(b_.Mul(reset, before.hidden), 2, 1);
    const StatusOr<Op*> candidate = Act(1, b_.Add(Gate(inputs, 2), from_state));
    return {b_.Add(b_.Mul(Complement(update), candidate), b_.Mul(update, before.hidden)), nullptr};
  }

  Node& n_;
  Builder& b_;
  const Sizes& sizes_;
  const Direction& d_;
};

// Operand `i` checked to be `shape`.
StatusOr<Op*> Shaped(Node& n, int i, const Shape& shape) {
  KILN_ASSIGN_OR_RETURN(Op* const value, n.operand(i));
  if (value->shape() == shape) return value;
  return InvalidInput("operand ", i, " must be ", FormatInts(shape), ", found ",
                      value->type().ToString());
}

StatusOr<Sizes> ReadSizes(Node& n, bool batch_first) {
  KILN_ASSIGN_OR_RETURN(const TensorType x, n.OperandType(0));
  KILN_ASSIGN_OR_RETURN(const TensorType r, n.OperandType(2));
  if (x.rank() != 3 || r.rank() != 3) {
    return InvalidInput("X and R need 3 dimensions, found ", x.ToString(), " and ", r.ToString());
  }
  Sizes sizes{x.shape[batch_first],     x.shape[!batch_first], x.shape[2], r.shape[2], 1,
              KindOf(n.op().name).gates};
  const std::string direction = n.String("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    return InvalidInput("attribute 'direction' is ", Quote(direction));
  }
  if (direction == "bidirectional") sizes.directions = 2;
  if (n.Int("hidden_size", sizes.hidden) != sizes.hidden) {
    return InvalidInput("attribute 'hidden_size' is ", n.Int("hidden_size"), ", R has ",
                        sizes.hidden);
  }
  if (sizes.steps < 1 || sizes.steps > kMaxSteps) {
    return Unsupported("sequences of ", sizes.steps, " steps are not supported, only 1 to ",
                       kMaxSteps);
  }
  return sizes;
}

// The initial state [directions, batch, H] (batch first: [batch, directions, H]) of a direction.
StatusOr<Op*> InitialState(Node& n, int operand, const Sizes& s, bool batch_first, int64_t d,
                           ElementType element) {
  Builder& b = n.builder();
  if (!n.Has(operand)) return b.Broadcast(b.Scalar(element, 0), {s.batch, s.hidden});
  const Shape shape =
      batch_first ? Shape{s.batch, s.directions, s.hidden} : Shape{s.directions, s.batch, s.hidden};
  KILN_ASSIGN_OR_RETURN(Op* const all, Shaped(n, operand, shape));
  return SelectAxis(b, all, batch_first ? 1 : 0, d);
}

Status ReadBias(Node& n, const Sizes& s, int64_t d, Direction& direction) {
  if (!n.Has(3)) return OkStatus();
  Builder& b = n.builder();
  const int64_t width = s.gates * s.hidden;
  KILN_ASSIGN_OR_RETURN(Op* const all, Shaped(n, 3, {s.directions, 2 * width}));
  KILN_ASSIGN_OR_RETURN(Op* const both, SelectAxis(b, all, 0, d));
  KILN_ASSIGN_OR_RETURN(direction.input_bias, SliceAxis(b, both, 0, 0, width));
  KILN_ASSIGN_OR_RETURN(direction.state_bias, SliceAxis(b, both, 0, width, width));
  return OkStatus();
}

StatusOr<Direction> ReadDirection(Node& n, const Sizes& s, bool batch_first, int64_t d, Op* x) {
  Builder& b = n.builder();
  const CellKind kind = KindOf(n.op().name);
  Direction direction;
  direction.reverse = d == 1 || n.String("direction") == "reverse";
  const size_t count = kind.activations.size();
  const std::vector<std::string> names = n.Strings("activations");
  direction.activations = kind.activations;
  if (names.size() >= (d + 1) * count) {
    direction.activations.assign(names.begin() + static_cast<int64_t>(d * count),
                                 names.begin() + static_cast<int64_t>((d + 1) * count));
  } else if (!names.empty()) {
    return InvalidInput("attribute 'activations' has ", static_cast<int64_t>(names.size()),
                        " names");
  }
  const int64_t width = s.gates * s.hidden;
  KILN_ASSIGN_OR_RETURN(Op* const w, Shaped(n, 1, {s.directions, width, s.input}));
  KILN_ASSIGN_OR_RETURN(Op* const r, Shaped(n, 2, {s.directions, width, s.hidden}));
  KILN_ASSIGN_OR_RETURN(direction.recurrence, SelectAxis(b, r, 0, d));
  KILN_RETURN_IF_ERROR(ReadBias(n, s, d, direction));
  if (n.Has(7)) {
    KILN_ASSIGN_OR_RETURN(Op* const p, Shaped(n, 7, {s.directions, 3 * s.hidden}));
    KILN_ASSIGN_OR_RETURN(direction.peepholes, SelectAxis(b, p, 0, d));
  }
  direction.hidden = InitialState(n, 5, s, batch_first, d, x->element());
  direction.cell = nullptr;
  if (n.op().name == "LSTM") {
    direction.cell = InitialState(n, 6, s, batch_first, d, x->element());
  }
  const StatusOr<Op*> rows = b.Reshape(x, {s.steps * s.batch, s.input});
  StatusOr<Op*> products =
      n.Make("matmul", {rows, SelectAxis(b, w, 0, d)}, {{"transpose_b", true}});
  if (direction.input_bias != nullptr) products = b.Add(products, direction.input_bias);
  KILN_ASSIGN_OR_RETURN(direction.inputs, b.Reshape(products, {s.steps, s.batch, width}));
  return direction;
}

struct DirectionResult {
  std::vector<StatusOr<Op*>> outputs;  // by step, [1, 1, batch, H]
  State last;
};

// Past the end of a sequence the state stays and the output is 0. `lengths` [batch, 1] may be null.
StatusOr<DirectionResult> RunDirection(Node& n, const Sizes& s, const Direction& d, Op* lengths) {
  Builder& b = n.builder();
  Cell cell(n, s, d);
  DirectionResult result{std::vector<StatusOr<Op*>>(s.steps), {d.hidden, d.cell}};
  State& state = result.last;
  for (int64_t i = 0; i < s.steps; ++i) {
    const int64_t t = d.reverse ? s.steps - 1 - i : i;
    State next = cell.Step(t, state);
    KILN_RETURN_IF_ERROR(next.hidden.status());
    KILN_RETURN_IF_ERROR(next.cell.status());
    StatusOr<Op*> output = next.hidden;
    if (lengths != nullptr) {
      const StatusOr<Op*> alive =
          n.Make("greater", {lengths, b.Constant(Tensor::FromInts(ElementType::kI32, {}, {t}))});
      output = n.Make("where", {alive, next.hidden, b.Scalar((*next.hidden)->element(), 0)});
      next.hidden = n.Make("where", {alive, next.hidden, state.hidden});
      if (*next.cell != nullptr) next.cell = n.Make("where", {alive, next.cell, state.cell});
    }
    result.outputs[t] = b.Reshape(output, {1, 1, s.batch, s.hidden});
    state = std::move(next);
  }
  return result;
}

StatusOr<Op*> Join(Node& n, const std::vector<StatusOr<Op*>>& parts, int64_t axis) {
  if (parts.size() == 1) return parts[0];
  return n.Make("concat", parts, {{"axis", axis}});
}

StatusOr<Op*> Lengths(Node& n, const Sizes& s) {
  if (!n.Has(4)) return nullptr;
  const std::optional<Tensor> known = n.IfConstant(4);
  if (known) {
    const std::vector<int64_t> lengths = known->ToInts();
    if (std::all_of(lengths.begin(), lengths.end(), [&](int64_t l) { return l == s.steps; })) {
      return nullptr;
    }
  }
  KILN_ASSIGN_OR_RETURN(Op* const lengths, Shaped(n, 4, {s.batch}));
  return n.builder().Cast(n.builder().Reshape(lengths, {s.batch, 1}), ElementType::kI32);
}

Status Recurrent(Node& n) {
  Builder& b = n.builder();
  const bool batch_first = n.Int("layout") != 0;
  KILN_ASSIGN_OR_RETURN(Op * x, n.operand(0));
  KILN_ASSIGN_OR_RETURN(const Sizes s, ReadSizes(n, batch_first));
  if (batch_first) {
    KILN_ASSIGN_OR_RETURN(x, b.Transpose(x, {1, 0, 2}));
  }
  KILN_ASSIGN_OR_RETURN(Op* const lengths, Lengths(n, s));
  std::vector<StatusOr<Op*>> outputs, hidden, cells;
  for (int64_t d = 0; d < s.directions; ++d) {
    KILN_ASSIGN_OR_RETURN(const Direction direction, ReadDirection(n, s, batch_first, d, x));
    KILN_ASSIGN_OR_RETURN(const DirectionResult result, RunDirection(n, s, direction, lengths));
    outputs.push_back(Join(n, result.outputs, 0));
    hidden.push_back(b.Reshape(result.last.hidden, {1, s.batch, s.hidden}));
    if (n.Wants(2)) cells.push_back(b.Reshape(result.last.cell, {1, s.batch, s.hidden}));
  }
  const auto arranged = [&](const StatusOr<Op*>& y, std::vector<int64_t> permutation) {
    return batch_first ? b.Transpose(y, std::move(permutation)) : y;
  };
  KILN_RETURN_IF_ERROR(n.Result(0, arranged(Join(n, outputs, 1), {2, 0, 1, 3})));
  KILN_RETURN_IF_ERROR(n.Result(1, arranged(Join(n, hidden, 0), {1, 0, 2})));
  if (!n.Wants(2)) return OkStatus();
  return n.Result(2, arranged(Join(n, cells, 0), {1, 0, 2}));
}

}  // namespace

std::vector<OnnxOp> RecurrentOps() {
  const std::vector<AttributeSpec> common = {Int("hidden_size"), String("direction"),
                                             Strings("activations"), Float("clip"),
                                             Since(14, Int("layout"))};
  const std::string limits =
      StrCat("up to ", kMaxSteps, " steps; activations without parameters of their own");
  std::vector<OnnxOp> ops;
  ops.push_back({.name = "RNN", .handler = Recurrent, .operands = {3, 6}, .max_results = 2});
  ops.push_back({.name = "GRU", .handler = Recurrent, .operands = {3, 6}, .max_results = 2});
  ops.push_back({.name = "LSTM", .handler = Recurrent, .operands = {3, 8}, .max_results = 3});
  for (OnnxOp& op : ops) {
    op.attributes = common;
    op.first = 7;
    op.limits = limits;
  }
  ops[1].attributes.push_back(Int("linear_before_reset"));
  ops[2].attributes.push_back(Int("input_forget"));
  return ops;
}

}  // namespace kiln::onnx_import
