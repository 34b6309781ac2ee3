// RNN and LSTM, unrolled: the steps' products with the inputs are one matmul, what depends on the
// state is a few ops per step. The equations and the order of gates and blobs are Caffe's
// (caffe/layers/{rnn,lstm}_layer.cpp).
#include "compiler/import/caffe/layer.h"
#include "compiler/import/foreign/build.h"

namespace kiln::caffe_import {

namespace {

constexpr int64_t kMaxSteps = 1024;

struct Sequence {
  int64_t steps, batch, hidden;
  Op* x;                             // [steps, batch, features]
  std::vector<StatusOr<Op*>> on;     // by step: [batch, 1], 0 where a sequence begins, else 1
  std::vector<StatusOr<Op*>> state;  // initial, [batch, hidden] each
};

class Recurrent {
 public:
  Recurrent(Layer& layer, int states) : n_(layer), b_(layer.builder()), states_(states) {}

  // Bottoms: x, cont, then perhaps a static input, then the initial states if they are exposed.
  Status Read() {
    const caffe::RecurrentParameter& param = Param();
    KILN_ASSIGN_OR_RETURN(s_.x, n_.bottom(0));
    if (Rank(s_.x) < 2) return InvalidInput("needs steps and a batch: ", s_.x->type().ToString());
    s_.steps = s_.x->shape()[0];
    s_.batch = s_.x->shape()[1];
    s_.hidden = param.num_output();
    if (s_.hidden < 1) return InvalidInput("num_output must be at least 1");
    if (s_.steps < 1 || s_.steps > kMaxSteps) {
      return Unsupported(s_.steps, " steps are not supported, only 1 to ", kMaxSteps);
    }
    KILN_RETURN_IF_ERROR(ReadContinuation());
    const int exposed = param.expose_hidden() ? states_ : 0;
    const int extra = n_.num_bottoms() - 2 - exposed;
    if (extra < 0 || extra > 1 || n_.num_tops() != 1 + exposed) {
      return InvalidInput("has ", n_.num_bottoms(), " bottoms and ", n_.num_tops(), " tops");
    }
    has_static_ = extra == 1;
    for (int i = 0; i < states_; ++i) {
      const Shape shape = {s_.batch, s_.hidden};
      const auto zero = b_.Broadcast(n_.Scalar(0), shape);
      s_.state.push_back(exposed == 0 ? zero : b_.Reshape(n_.bottom(2 + extra + i), shape));
    }
    return OkStatus();
  }

  const Sequence& sequence() const { return s_; }
  bool has_static() const { return has_static_; }

  /// W x + b for all steps, [steps, batch, outputs]; with the static input's part in it.
  StatusOr<Op*> Inputs(int64_t outputs) {
    const int64_t features = ElementCount({s_.x->shape().begin() + 2, s_.x->shape().end()});
    const auto rows = b_.Reshape(s_.x, {s_.steps * s_.batch, features});
    const auto product = Product(rows, 0, "input_weight", {outputs, features});
    StatusOr<Op*> y = b_.Add(product, n_.Blob(1, "bias", {outputs}, Param().bias_filler()));
    y = b_.Reshape(y, {s_.steps, s_.batch, outputs});
    if (!has_static_) return y;
    KILN_ASSIGN_OR_RETURN(Op* const fixed, n_.bottom(2));
    const int64_t count = fixed->type().count() / std::max<int64_t>(s_.batch, 1);
    const auto part =
        Product(b_.Reshape(fixed, {s_.batch, count}), 2, "static_weight", {outputs, count});
    return b_.Add(y, part);
  }

  StatusOr<Op*> Product(const StatusOr<Op*>& x, int blob, const char* name, const Shape& shape) {
    return n_.Make("matmul", {x, n_.Blob(blob, name, shape, Param().weight_filler())},
                   {{"transpose_b", true}});
  }

  /// The steps' outputs in one, and the last states as further tops.
  Status Finish(const std::vector<StatusOr<Op*>>& outputs, const std::vector<StatusOr<Op*>>& last) {
    std::vector<StatusOr<Op*>> steps;
    for (const auto& output : outputs) {
      steps.push_back(b_.Reshape(output, {1, s_.batch, s_.hidden}));
    }
    KILN_RETURN_IF_ERROR(
        n_.Top(0, steps.size() == 1 ? steps[0] : n_.Make("concat", steps, {{"axis", 0}})));
    for (int i = 1; i < n_.num_tops(); ++i) {
      KILN_RETURN_IF_ERROR(n_.Top(i, b_.Reshape(last[i - 1], {1, s_.batch, s_.hidden})));
    }
    return OkStatus();
  }

 private:
  const caffe::RecurrentParameter& Param() { return n_.proto().recurrent_param(); }

  Status ReadContinuation() {
    KILN_ASSIGN_OR_RETURN(Op* const on, n_.bottom(1));
    if (on->type().count() != s_.steps * s_.batch) {
      return InvalidInput("the continuation must be [", s_.steps, ",", s_.batch, "], found ",
                          on->type().ToString());
    }
    KILN_ASSIGN_OR_RETURN(Op* const columns, b_.Reshape(on, {s_.steps, s_.batch, 1}));
    for (int64_t t = 0; t < s_.steps; ++t) s_.on.push_back(SelectAxis(b_, columns, 0, t));
    return OkStatus();
  }

  Layer& n_;
  Builder& b_;
  int states_;
  bool has_static_ = false;
  Sequence s_;
};

// h' = tanh(Wx x + bx + Wh (on h)), o = tanh(Wo h' + bo)
Status Rnn(Layer& n) {
  Recurrent rnn(n, 1);
  KILN_RETURN_IF_ERROR(rnn.Read());
  const Sequence& s = rnn.sequence();
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const inputs, rnn.Inputs(s.hidden));
  const int next = rnn.has_static() ? 3 : 2;
  const auto& param = n.proto().recurrent_param();
  const Shape square = {s.hidden, s.hidden};
  const auto recurrent = n.Blob(next, "hidden_weight", square, param.weight_filler());
  const auto output = n.Blob(next + 1, "output_weight", square, param.weight_filler());
  const auto bias = n.Blob(next + 2, "output_bias", {s.hidden}, param.bias_filler());
  const auto times = [&](const StatusOr<Op*>& x, const StatusOr<Op*>& w) {
    return n.Make("matmul", {x, w}, {{"transpose_b", true}});
  };
  StatusOr<Op*> h = s.state[0];
  std::vector<StatusOr<Op*>> outputs;
  for (int64_t t = 0; t < s.steps; ++t) {
    const auto before = times(b.Mul(h, s.on[t]), recurrent);
    h = n.Make("tanh", {b.Add(SelectAxis(b, inputs, 0, t), before)});
    outputs.push_back(n.Make("tanh", {b.Add(times(h, output), bias)}));
  }
  return rnn.Finish(outputs, {h});
}

// Gates i, f, o (sigmoid) and g (tanh) of Wx x + b + Wh (on h);
// c' = (on f) c + i g, h' = o tanh(c')
Status Lstm(Layer& n) {
  Recurrent lstm(n, 2);
  KILN_RETURN_IF_ERROR(lstm.Read());
  const Sequence& s = lstm.sequence();
  Builder& b = n.builder();
  const int64_t gates = 4 * s.hidden;
  KILN_ASSIGN_OR_RETURN(Op* const inputs, lstm.Inputs(gates));
  const auto recurrent = n.Blob(lstm.has_static() ? 3 : 2, "hidden_weight", {gates, s.hidden},
                                n.proto().recurrent_param().weight_filler());
  StatusOr<Op*> h = s.state[0], c = s.state[1];
  std::vector<StatusOr<Op*>> outputs;
  for (int64_t t = 0; t < s.steps; ++t) {
    const auto before = n.Make("matmul", {b.Mul(h, s.on[t]), recurrent}, {{"transpose_b", true}});
    KILN_ASSIGN_OR_RETURN(Op* const all, b.Add(SelectAxis(b, inputs, 0, t), before));
    const auto gate = [&](int64_t i, const char* kind) {
      return n.Make(kind, {SliceAxis(b, all, 1, i * s.hidden, s.hidden)});
    };
    const auto kept = b.Mul(b.Mul(gate(1, "sigmoid"), s.on[t]), c);
    c = b.Add(kept, b.Mul(gate(0, "sigmoid"), gate(3, "tanh")));
    h = b.Mul(gate(2, "sigmoid"), n.Make("tanh", {c}));
    outputs.push_back(h);
  }
  return lstm.Finish(outputs, {h, c});
}

}  // namespace

std::vector<CaffeLayer> RecurrentLayers() {
  std::vector<CaffeLayer> layers;
  const std::string limits = StrCat("at most ", kMaxSteps, " steps");
  layers.push_back(
      {.name = "RNN", .handler = Rnn, .bottoms = {2, 4}, .tops = {1, 2}, .limits = limits});
  layers.push_back(
      {.name = "LSTM", .handler = Lstm, .bottoms = {2, 5}, .tops = {1, 3}, .limits = limits});
  return layers;
}

}  // namespace kiln::caffe_import
