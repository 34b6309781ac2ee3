// What ends a net that is trained: without the labels, only the prediction remains.
#include "compiler/import/foreign/build.h"
#include "compiler/import/mxnet/node.h"

namespace kiln::mxnet_import {

namespace {

Status SoftmaxOutput(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.input(0));
  if (Rank(x) < 2) return InvalidInput("needs a batch and classes: ", x->type().ToString());
  if (n.Bool("multi_output")) return n.Output(n.Make("softmax", {x}, {{"axis", 1}}));
  if (n.Bool("preserve_shape") || Rank(x) == 2) {
    return n.Output(n.Make("softmax", {x}, {{"axis", Rank(x) - 1}}));
  }
  const int64_t rest = ElementCount({x->shape().begin() + 1, x->shape().end()});
  const auto rows = b.Reshape(x, {x->shape()[0], rest});
  return n.Output(b.Reshape(n.Make("softmax", {rows}, {{"axis", 1}}), x->shape()));
}

Status Prediction(Node& n) {
  return n.Output(n.op().kind.empty() ? n.input(0) : n.Make(n.op().kind, {n.input(0)}));
}

}  // namespace

std::vector<MxnetOp> OutputOps() {
  std::vector<MxnetOp> ops;
  for (const char* const name : {"SoftmaxOutput", "Softmax"}) {
    ops.push_back({.name = name,
                   .handler = SoftmaxOutput,
                   .inputs = {1, 2},
                   .attributes = {"multi_output", "preserve_shape", "use_ignore", "ignore_label",
                                  "normalization", "out_grad", "smooth_alpha"},
                   .limits = "the prediction"});
  }
  struct Row {
    const char* name;
    const char* kind;
  };
  for (const Row& row : std::initializer_list<Row>{{"LinearRegressionOutput", ""},
                                                   {"MAERegressionOutput", ""},
                                                   {"LogisticRegressionOutput", "sigmoid"},
                                                   {"SVMOutput", ""}}) {
    ops.push_back({.name = row.name,
                   .handler = Prediction,
                   .kind = row.kind,
                   .inputs = {1, 2},
                   .attributes = {"margin", "regularization_coefficient", "use_linear"},
                   .limits = "the prediction"});
  }
  for (const char* const name : {"MakeLoss", "make_loss"}) {
    ops.push_back(
        {.name = name, .handler = Prediction, .attributes = {"valid_thresh", "normalization"}});
  }
  return ops;
}

}  // namespace kiln::mxnet_import
