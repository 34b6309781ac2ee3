// Types, copies, what passes its operand on, and assertions.
#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

Status Identity(Node& n) { return n.Output(n.tensor("self")); }

Status Nothing(Node&) { return OkStatus(); }

Status To(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  ElementType type = x->element();
  if (n.Has("other")) {
    KILN_ASSIGN_OR_RETURN(const Op* const other, n.tensor("other"));
    type = other->element();
  }
  return n.Output(n.builder().Cast(x, n.Type("dtype", type)));
}

// The source in the shape and type of self, whose values do not count.
Status Copy(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Op* const x, n.tensor("self"));
  Builder& b = n.builder();
  return n.Output(b.Broadcast(b.Cast(n.tensor("src"), x->element()), x->shape()));
}

// The identity until it is trained.
Status Dropout(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor(n.Has("self") ? "self" : "input"));
  if (n.Bool("train")) return Unsupported("training is not supported; call eval()");
  const double ratio = n.Float("p");
  const bool drops = n.op().kind == "dropout" && ratio > 0 && ratio < 1;
  KILN_RETURN_IF_ERROR(n.Output(drops ? n.Make("dropout", {x}, {{"ratio", ratio}}) : x));
  return n.Output(1, n.builder().Broadcast(n.builder().Scalar(ElementType::kBool, 1), x->shape()));
}

}  // namespace

std::vector<PytorchOp> CastOps() {
  std::vector<PytorchOp> ops;
  for (const char* const name : {"alias", "detach", "detach_", "contiguous", "lift", "lift_fresh",
                                 "positive", "resolve_conj", "resolve_neg"}) {
    ops.push_back({.name = StrCat("aten.", name, ".default"), .handler = Identity, .view = true});
  }
  for (const char* const name : {"clone", "lift_fresh_copy", "alias_copy", "detach_copy"}) {
    ops.push_back({.name = StrCat("aten.", name, ".default"), .handler = Identity});
  }
  for (const char* const name :
       {"to.dtype", "to.dtype_layout", "to.device", "to.other", "type_as.default"}) {
    ops.push_back({.name = StrCat("aten.", name),
                   .handler = To,
                   .arguments = "self dtype other copy",
                   .view = true});
  }
  ops.push_back({.name = "aten._to_copy.default", .handler = To, .arguments = "self dtype"});
  ops.push_back({.name = "aten.copy.default", .handler = Copy, .arguments = "self src"});
  for (const char* const name :
       {"dropout", "native_dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"}) {
    const bool plain = std::string_view(name).find('_') == std::string_view::npos ||
                       std::string_view(name) == "native_dropout";
    ops.push_back({.name = StrCat("aten.", name, ".default"),
                   .handler = Dropout,
                   .kind = plain ? "dropout" : "",
                   .arguments = "input self p train",  // self: in place
                   .view = true,
                   .limits = "after eval()"});
  }
  for (const char* const name :
       {"_assert_tensor_metadata.default", "_assert_scalar.default", "_assert_async.msg",
        "_assert_async.default", "sym_constrain_range_for_size.default",
        "sym_constrain_range.default"}) {
    ops.push_back({.name = StrCat("aten.", name),
                   .handler = Nothing,
                   .arguments = "self a size stride dtype assert_msg min max"});
  }
  return ops;
}

}  // namespace kiln::pytorch_import
