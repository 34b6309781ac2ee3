#include "ir/ops/lines.h"

#include <algorithm>

namespace kiln {

using loop::Expr;
using loop::Stmt;

AxisView::AxisView(const Shape& shape, int64_t axis) : extent(shape[axis]) {
  for (int64_t d = 0; d < static_cast<int64_t>(shape.size()); ++d) {
    if (d < axis) outer *= shape[d];
    if (d > axis) inner *= shape[d];
  }
}

std::vector<Expr> Lines::At(const std::vector<Expr>& along, const Expr& lane) const {
  std::vector<Expr> index = first_;
  for (size_t a = 0; a < axes_.size(); ++a) index[axes_[a]] = along[a];
  if (lanes_ > 1) index.back() = index.back() + lane;
  return index;
}

loop::Buffer Lines::Local(std::string name, ElementType element) const {
  return loop::MakeBuffer(std::move(name), element, {lanes_});
}

Stmt Lines::ForEachLane(const std::function<Stmt(const Expr& lane)>& body) const {
  if (lanes_ == 1) return body(0);
  const loop::Var lane = loop::MakeVar("lane", lanes_);
  return For(lane, body(lane));
}

namespace {

/// The multi-index of position `linear` in `shape`, in row-major order.
std::vector<Expr> Delinearize(const Expr& linear, const Shape& shape) {
  std::vector<Expr> index(shape.size());
  int64_t inner = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    const bool outermost = std::all_of(shape.begin(), shape.begin() + static_cast<int64_t>(d),
                                       [](int64_t extent) { return extent == 1; });
    const Expr position = FloorDiv(linear, inner);
    index[d] = shape[d] == 1 ? Expr(0)
               : outermost   ? position
                             : FloorMod(position, std::max<int64_t>(1, shape[d]));
    inner *= std::max<int64_t>(1, shape[d]);
  }
  return index;
}

}  // namespace

Stmt ForEachLine(const Shape& shape, const std::vector<int64_t>& axes,
                 const std::function<Stmt(const Lines&)>& body) {
  const auto last = static_cast<int64_t>(shape.size()) - 1;
  const bool has_lanes = axes.back() != last;
  const int64_t lanes = has_lanes ? std::min(shape.back(), Lines::kMaxLanes) : 1;
  Shape rows = shape;  // what the outer loop runs over: neither axes nor lanes
  for (const int64_t axis : axes) rows[axis] = 1;

  // Runs `blocks` blocks of `width` lanes, from position `begin` of the last dimension on.
  const auto section = [&](int64_t begin, int64_t blocks, int64_t width) {
    if (has_lanes) rows[last] = blocks;
    const loop::Var row = loop::MakeVar("row", ElementCount(rows));
    Lines lines;
    lines.axes_ = axes;
    lines.lanes_ = width;
    lines.first_ = Delinearize(row->extent == 1 ? Expr(0) : Expr(row), rows);
    if (has_lanes) lines.first_[last] = lines.first_[last] * width + begin;
    Stmt lines_body = body(lines);
    return row->extent == 1 ? lines_body : For(row, loop::LoopKind::kParallel, lines_body);
  };
  if (lanes == 0) return loop::Block({});
  const int64_t blocks = has_lanes ? shape.back() / lanes : 1;
  const int64_t rest = has_lanes ? shape.back() % lanes : 0;
  Stmt main = section(0, blocks, lanes);
  return rest == 0 ? main : loop::Block({main, section(blocks * lanes, 1, rest)});
}

Stmt ForAll(const std::vector<loop::Var>& vars, Stmt body) {
  for (size_t i = vars.size(); i-- > 0;) body = For(vars[i], std::move(body));
  return body;
}

}  // namespace kiln
