// Other shapes of the same elements: view, permute, expand, squeeze, ...
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/foreign/movement.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

Status View(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  Shape shape = n.Ints(n.Has("shape") ? "shape" : "size");
  KILN_RETURN_IF_ERROR(n.Problem());
  KILN_ASSIGN_OR_RETURN(shape, CompleteShape(shape, x->type().count()));
  return n.Output(n.builder().Reshape(x, shape));
}

Status ViewAs(Node& n) {
  KILN_ASSIGN_OR_RETURN(const Op* const other, n.tensor("other"));
  return n.Output(n.builder().Reshape(n.tensor("self"), other->shape()));
}

// Dimensions start_dim to end_dim become one.
Status Flatten(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  if (Rank(x) == 0) return n.Output(n.builder().Reshape(x, {1}));
  KILN_ASSIGN_OR_RETURN(const int64_t first, NormalAxis(n.Int("start_dim", 0), Rank(x)));
  KILN_ASSIGN_OR_RETURN(const int64_t last, NormalAxis(n.Int("end_dim", -1), Rank(x)));
  if (first > last) return InvalidInput("start_dim ", first, " is behind end_dim ", last);
  const auto begin = x->shape().begin();
  Shape shape(begin, begin + first);
  shape.push_back(ElementCount({begin + first, begin + last + 1}));
  shape.insert(shape.end(), begin + last + 1, x->shape().end());
  return n.Output(n.builder().Reshape(x, shape));
}

// A dimension becomes several.
Status Unflatten(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim"), Rank(x)));
  KILN_ASSIGN_OR_RETURN(const Shape parts, CompleteShape(n.Ints("sizes"), x->shape()[axis]));
  Shape shape = x->shape();
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, parts.begin(), parts.end());
  return n.Output(n.builder().Reshape(x, shape));
}

Status Permute(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  std::vector<int64_t> order = n.Ints("dims");
  if (static_cast<int64_t>(order.size()) != Rank(x)) {
    return InvalidInput("dims ", FormatInts(order), " do not fit ", x->type().ToString());
  }
  for (int64_t& axis : order) {
    KILN_ASSIGN_OR_RETURN(axis, NormalAxis(axis, Rank(x)));
  }
  return n.Output(n.builder().Transpose(x, order));
}

// Two dimensions change places: dim0 and dim1, or axis0 and axis1.
Status Swap(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  if (Rank(x) == 0) return n.Output(x);
  const bool axes = n.Has("axis0");
  KILN_ASSIGN_OR_RETURN(const int64_t a, NormalAxis(n.Int(axes ? "axis0" : "dim0"), Rank(x)));
  KILN_ASSIGN_OR_RETURN(const int64_t b, NormalAxis(n.Int(axes ? "axis1" : "dim1"), Rank(x)));
  std::vector<int64_t> order = AxesFrom(0, Rank(x));
  std::swap(order[a], order[b]);
  return n.Output(n.builder().Transpose(x, order));
}

// All dimensions the other way round: t and numpy_T; mT only the last two.
Status Reverse(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  std::vector<int64_t> order = AxesFrom(0, Rank(x));
  if (n.op().kind == "last two") {
    if (Rank(x) < 2) return InvalidInput("needs two dimensions: ", x->type().ToString());
    std::swap(order[Rank(x) - 1], order[Rank(x) - 2]);
  } else {
    std::ranges::reverse(order);
  }
  return n.Output(n.builder().Transpose(x, order));
}

// Dimensions at `source` go to `destination`; the others keep their order.
Status MoveDims(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const std::vector<int64_t> source = n.Ints("source"), destination = n.Ints("destination");
  if (source.size() != destination.size()) {
    return InvalidInput("source ", FormatInts(source), " and destination ", FormatInts(destination),
                        " differ in length");
  }
  std::vector<int64_t> order(x->shape().size(), -1);
  std::vector<int64_t> others = AxesFrom(0, Rank(x));
  for (size_t i = 0; i < source.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(const int64_t from, NormalAxis(source[i], Rank(x)));
    KILN_ASSIGN_OR_RETURN(const int64_t to, NormalAxis(destination[i], Rank(x)));
    if (order[to] >= 0 || std::erase(others, from) == 0) {
      return InvalidInput("source or destination names a dimension twice");
    }
    order[to] = from;
  }
  auto next = others.begin();
  for (int64_t& axis : order) axis = axis < 0 ? *next++ : axis;
  return n.Output(n.builder().Transpose(x, order));
}

// -1 keeps an extent.
Status Expand(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  Shape shape = n.Ints("size");
  if (n.Has("other")) {
    KILN_ASSIGN_OR_RETURN(const Op* const other, n.tensor("other"));
    shape = other->shape();
  }
  KILN_RETURN_IF_ERROR(n.Problem());
  const int64_t added = static_cast<int64_t>(shape.size()) - Rank(x);
  for (int64_t d = std::max<int64_t>(added, 0); d < static_cast<int64_t>(shape.size()); ++d) {
    if (shape[d] == -1) shape[d] = x->shape()[d - added];
  }
  return n.Output(n.builder().Broadcast(x, shape));
}

// Extents of 1 go: all, or those named; others that are named stay.
Status Squeeze(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  if (Rank(x) == 0) return n.Output(x);
  KILN_ASSIGN_OR_RETURN(const auto axes, NormalAxes(n.Ints("dim"), Rank(x)));
  // Named dimensions of another extent than 1 stay.
  std::vector<int64_t> dropped = UnitAxes(x->shape());
  if (n.Has("dim")) std::erase_if(dropped, [&](int64_t d) { return !std::ranges::count(axes, d); });
  return n.Output(foreign::Squeeze(n.builder(), x, dropped));
}

Status Unsqueeze(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim"), Rank(x) + 1));
  return n.Output(foreign::Unsqueeze(n.builder(), x, axis));
}

}  // namespace

std::vector<PytorchOp> ShapeOps() {
  std::vector<PytorchOp> ops;
  struct Row {
    const char* name;
    Status (*handler)(Node&);
    const char* arguments;
    const char* kind;
  };
  for (const Row& row :
       std::initializer_list<Row>{{"view.default", View, "self size", ""},
                                  {"_unsafe_view.default", View, "self size", ""},
                                  {"view_copy.default", View, "self size", ""},
                                  {"reshape.default", View, "self shape", ""},
                                  {"_reshape_copy.default", View, "self size", ""},
                                  {"view_as.default", ViewAs, "self other", ""},
                                  {"reshape_as.default", ViewAs, "self other", ""},
                                  {"ravel.default", Flatten, "self", ""},
                                  {"flatten.using_ints", Flatten, "self start_dim end_dim", ""},
                                  {"unflatten.int", Unflatten, "self dim sizes", ""},
                                  {"permute.default", Permute, "self dims", ""},
                                  {"permute_copy.default", Permute, "self dims", ""},
                                  {"transpose.int", Swap, "self dim0 dim1", ""},
                                  {"swapaxes.default", Swap, "self axis0 axis1", ""},
                                  {"swapdims.default", Swap, "self dim0 dim1", ""},
                                  {"t.default", Reverse, "self", ""},
                                  {"numpy_T.default", Reverse, "self", ""},
                                  {"mT.default", Reverse, "self", "last two"},
                                  {"movedim.int", MoveDims, "self source destination", ""},
                                  {"movedim.intlist", MoveDims, "self source destination", ""},
                                  {"expand.default", Expand, "self size implicit", ""},
                                  {"expand_copy.default", Expand, "self size implicit", ""},
                                  {"expand_as.default", Expand, "self other", ""},
                                  {"broadcast_to.default", Expand, "self size", ""},
                                  {"squeeze.default", Squeeze, "self", ""},
                                  {"squeeze.dim", Squeeze, "self dim", ""},
                                  {"squeeze.dims", Squeeze, "self dim", ""},
                                  {"unsqueeze.default", Unsqueeze, "self dim", ""}}) {
    ops.push_back({.name = StrCat("aten.", row.name),
                   .handler = row.handler,
                   .kind = row.kind,
                   .arguments = row.arguments,
                   .view = true});
  }
  return ops;
}

}  // namespace kiln::pytorch_import
