// Elements chosen by indices: embedding, index, gather, scatter.
#include <algorithm>

#include "compiler/import/foreign/build.h"
#include "compiler/import/pytorch/node.h"

namespace kiln::pytorch_import {

namespace {

StatusOr<Op*> Indices(Node& n, const StatusOr<Op*>& indices) {
  return n.builder().Cast(indices, ElementType::kI64);
}

Status Embedding(Node& n) {
  return n.Output(n.Make("gather", {n.tensor("weight"), Indices(n, n.tensor("indices"))},
                         {{"axis", int64_t{0}}}));
}

Status IndexSelect(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim"), Rank(x)));
  return n.Output(n.Make("gather", {x, Indices(n, n.tensor("index"))}, {{"axis", axis}}));
}

// A dimension of num_classes behind all others, 1 where the index meets the position.
Status OneHot(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  const int64_t classes = n.Int("num_classes", -1);
  if (classes < 1) return Unsupported("num_classes must be given");
  Shape shape = x->shape();
  shape.push_back(classes);
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI64, shape).status());
  shape.back() = 1;
  const auto position = IotaAlong(b, Rank(x) + 1, Rank(x), classes, ElementType::kI64);
  return n.Output(
      b.Cast(n.Make("equal", {b.Reshape(Indices(n, x), shape), position}), ElementType::kI64));
}

// The first elements of x, as many as `shape` has, but for dimension `axis`.
StatusOr<Op*> Fit(Node& n, Op* x, const Shape& shape, int64_t axis) {
  if (shape.size() != x->shape().size()) {
    return InvalidInput("the index is ", FormatInts(shape), " for ", x->type().ToString());
  }
  for (int64_t d = 0; d < Rank(x); ++d) {
    if (d == axis) continue;
    if (shape[d] > x->shape()[d]) {
      return InvalidInput("the index is ", FormatInts(shape), " for ", x->type().ToString());
    }
    KILN_ASSIGN_OR_RETURN(x, SliceAxis(n.builder(), x, d, 0, shape[d]));
  }
  return x;
}

Status Gather(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(Op* const index, n.tensor("index"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim"), Rank(x)));
  return n.Output(n.Make("gather_elements", {Fit(n, x, index->shape(), axis), Indices(n, index)},
                         {{"axis", axis}}));
}

Status Scatter(Node& n) {
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(Op* const index, n.tensor("index"));
  KILN_ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(n.Int("dim"), Rank(x)));
  Builder& b = n.builder();
  StatusOr<Op*> updates = InvalidInput("argument 'src' is missing");
  if (n.IsTensor("src")) {
    KILN_ASSIGN_OR_RETURN(Op* const source, n.tensor("src"));
    updates = Fit(n, source, index->shape(), /*axis=*/-1);
  } else {
    KILN_ASSIGN_OR_RETURN(const Operand value, ReadOperand(n, "value"));
    updates = b.Broadcast(ToType(n, value, x->element()), index->shape());
  }
  return n.Output(n.Make("scatter_elements", {x, Indices(n, index), updates},
                         {{"axis", axis}, {"reduction", n.op().kind}}));
}

/// What index and index_put name: some dimensions, each by a tensor of positions.
struct Chosen {
  std::vector<int64_t> axes;           // the dimensions with indices
  StatusOr<Op*> coordinates{nullptr};  // [broadcast of the indices.., axes]
  Shape shape;                         // that broadcast
  bool adjacent = true;
};

StatusOr<Chosen> ReadChosen(Node& n, const Op* x) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> given, n.optional_tensors("indices"));
  if (static_cast<int64_t>(given.size()) > Rank(x)) {
    return InvalidInput("has ", static_cast<uint64_t>(given.size()), " indices for ",
                        x->type().ToString());
  }
  Chosen chosen;
  std::vector<Op*> indices;
  for (size_t d = 0; d < given.size(); ++d) {
    if (given[d] == nullptr) continue;
    if (!IsInteger(given[d]->element())) {
      return Unsupported("indices of ", given[d]->type().ToString(), " are not supported");
    }
    const auto axis = static_cast<int64_t>(d);
    chosen.adjacent &= chosen.axes.empty() || chosen.axes.back() == axis - 1;
    chosen.axes.push_back(axis);
    indices.push_back(given[d]);
    KILN_ASSIGN_OR_RETURN(chosen.shape, BroadcastShapes(chosen.shape, given[d]->shape()));
  }
  if (indices.empty()) return InvalidInput("has no indices");
  KILN_RETURN_IF_ERROR(CheckedByteSize(ElementType::kI64, chosen.shape).status());
  Shape column = chosen.shape;
  column.push_back(1);
  std::vector<StatusOr<Op*>> columns;
  for (Op* const index : indices) {
    columns.push_back(b.Reshape(b.Broadcast(Indices(n, index), chosen.shape), column));
  }
  chosen.coordinates = columns.size() == 1
                           ? columns[0]
                           : n.Make("concat", columns, {{"axis", Rank(*columns[0]) - 1}});
  return chosen;
}

// x with the chosen dimensions first.
std::vector<int64_t> ChosenFirst(const Chosen& chosen, int64_t rank) {
  std::vector<int64_t> order = chosen.axes;
  for (int64_t d = 0; d < rank; ++d) {
    if (std::ranges::count(chosen.axes, d) == 0) order.push_back(d);
  }
  return order;
}

// The dimensions of the indices stand where those that they choose from did, if these are adjacent;
// else in front.
Status Index(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> given, n.optional_tensors("indices"));
  if (std::ranges::count(given, nullptr) + 1 == static_cast<int64_t>(given.size()) &&
      static_cast<int64_t>(given.size()) <= Rank(x)) {
    const auto axis = std::ranges::find_if(given, [](Op* op) { return op != nullptr; });
    if (IsInteger((*axis)->element())) {
      return n.Output(n.Make("gather", {x, Indices(n, *axis)},
                             {{"axis", static_cast<int64_t>(axis - given.begin())}}));
    }
  }
  KILN_ASSIGN_OR_RETURN(const Chosen chosen, ReadChosen(n, x));
  const auto front = b.Transpose(x, ChosenFirst(chosen, Rank(x)));
  KILN_ASSIGN_OR_RETURN(Op* const y, n.Make("gather_nd", {front, chosen.coordinates}));
  if (!chosen.adjacent || chosen.axes[0] == 0) return n.Output(y);
  const auto width = static_cast<int64_t>(chosen.shape.size());
  std::vector<int64_t> order;
  for (int64_t d = 0; d < chosen.axes[0]; ++d) order.push_back(width + d);
  for (int64_t d = 0; d < width; ++d) order.push_back(d);
  for (int64_t d = width + chosen.axes[0]; d < Rank(y); ++d) order.push_back(d);
  return n.Output(b.Transpose(y, order));
}

// x with values put at the chosen places; a mask of truth chooses those of one value.
Status IndexPut(Node& n) {
  Builder& b = n.builder();
  KILN_ASSIGN_OR_RETURN(Op* const x, n.tensor("self"));
  KILN_ASSIGN_OR_RETURN(Op* const values, n.tensor("values"));
  const bool accumulate = n.Bool("accumulate");
  KILN_ASSIGN_OR_RETURN(const std::vector<Op*> given, n.optional_tensors("indices"));
  const auto source = b.Cast(values, x->element());
  if (given.size() == 1 && given[0] != nullptr && given[0]->element() == ElementType::kBool &&
      given[0]->shape() == x->shape() && values->type().count() == 1 && !accumulate) {
    return n.Output(n.Make("where", {given[0], b.Reshape(source, {}), x}));
  }
  KILN_ASSIGN_OR_RETURN(const Chosen chosen, ReadChosen(n, x));
  if (!chosen.adjacent || chosen.axes[0] != 0) {
    return Unsupported("indices behind a dimension without are not supported");
  }
  Shape shape = chosen.shape;
  shape.insert(shape.end(), x->shape().begin() + static_cast<int64_t>(chosen.axes.size()),
               x->shape().end());
  return n.Output(n.Make("scatter_nd", {x, chosen.coordinates, b.Broadcast(source, shape)},
                         {{"reduction", accumulate ? "add" : "none"}}));
}

}  // namespace

std::vector<PytorchOp> IndexOps() {
  std::vector<PytorchOp> ops;
  const auto add = [&ops](const char* name, Status (*handler)(Node&), const char* arguments,
                          const char* kind = "", const char* limits = "") {
    ops.push_back({.name = StrCat("aten.", name),
                   .handler = handler,
                   .kind = kind,
                   .arguments = arguments,
                   .limits = limits});
  };
  add("embedding.default", Embedding, "weight indices padding_idx scale_grad_by_freq sparse");
  add("one_hot.default", OneHot, "self num_classes");
  add("index_select.default", IndexSelect, "self dim index");
  add("gather.default", Gather, "self dim index sparse_grad");
  add("scatter.src", Scatter, "self dim index src", "none");
  add("scatter.value", Scatter, "self dim index value", "none");
  add("scatter_add.default", Scatter, "self dim index src", "add");
  add("index.Tensor", Index, "self indices", "", "indices are integers");
  add("index_put.default", IndexPut, "self indices values accumulate", "",
      "indices on the first dimensions, or a mask for one value");
  return ops;
}

}  // namespace kiln::pytorch_import
