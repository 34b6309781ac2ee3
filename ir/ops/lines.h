// Lines of a tensor along one or several axes: the common frame of ops that treat each line by
// itself (softmax, layer_norm, argmax, cumsum, top_k).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ir/graph/type.h"
#include "ir/loop/stmt.h"

namespace kiln {

/// A row-major tensor seen as [outer, extent, inner] around one axis.
struct AxisView {
  AxisView(const Shape& shape, int64_t axis);
  int64_t Offset(int64_t o, int64_t j, int64_t i) const { return (o * extent + j) * inner + i; }

  int64_t outer = 1;
  int64_t extent;
  int64_t inner = 1;
};

/// Lines handled together in a loop nest: neighbours along the last dimension, the *lanes*, so
/// that the innermost loop walks memory in order. Only one lane where the lines themselves run
/// along the last dimension.
class Lines {
 public:
  /// How many lanes there are; at most kMaxLanes.
  int64_t lanes() const { return lanes_; }
  /// The index of the tensor's element at `along` (one position per axis) in lane `lane`.
  std::vector<loop::Expr> At(const std::vector<loop::Expr>& along, const loop::Expr& lane) const;
  /// A local buffer with one element a lane.
  loop::Buffer Local(std::string name, ElementType element) const;
  /// `body` for every lane, without a loop when there is only one.
  loop::Stmt ForEachLane(const std::function<loop::Stmt(const loop::Expr& lane)>& body) const;

  static constexpr int64_t kMaxLanes = 64;

 private:
  friend loop::Stmt ForEachLine(const Shape& shape, const std::vector<int64_t>& axes,
                                const std::function<loop::Stmt(const Lines&)>& body);
  std::vector<int64_t> axes_;
  std::vector<loop::Expr> first_;  ///< the index of lane 0; undefined at the axes
  int64_t lanes_ = 1;
};

/// A nest that runs `body` for all lines of `shape` along `axes` (increasing, not empty); its
/// outermost loop is parallel. `body` is called once or twice: where the lanes do not divide the
/// last dimension, the rest is a section of its own.
loop::Stmt ForEachLine(const Shape& shape, const std::vector<int64_t>& axes,
                       const std::function<loop::Stmt(const Lines&)>& body);

/// One loop per variable around `body`, the first outermost.
loop::Stmt ForAll(const std::vector<loop::Var>& vars, loop::Stmt body);

}  // namespace kiln
