#include "ir/graph/relayout.h"

#include <cstring>

#include "ir/graph/op_def.h"
#include "ir/support/bytes.h"
#include "ir/support/parallel.h"

namespace kiln {

namespace {

/// One physical dimension: a step along it moves by `stride` source elements along logical
/// dimension `dim`, `units` logical elements at a time. The first `low` steps lie before the
/// source.
struct Dimension {
  int64_t extent;
  int64_t stride;
  int dim;
  int64_t units;
  int64_t low;
};

std::vector<Dimension> PhysicalDimensions(const Shape& shape, const Layout& layout) {
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  const Shape physical = layout.PhysicalShape(shape);
  std::vector<int64_t> inner(shape.size(), 1);  // product of the blocks inside
  std::vector<Dimension> dimensions(physical.size());
  for (size_t b = layout.blocks.size(); b-- > 0;) {
    const int dim = layout.blocks[b].dim;
    dimensions[shape.size() + b] = {layout.blocks[b].size, strides[dim] * inner[dim], dim,
                                    inner[dim], 0};
    inner[dim] *= layout.blocks[b].size;
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    const int dim = layout.order.empty() ? static_cast<int>(i) : layout.order[i];
    dimensions[i] = {physical[i], strides[dim] * inner[dim], dim, inner[dim],
                     layout.PaddingOf(dim).low};
  }
  return dimensions;
}

template <typename Word>
class Mover {
 public:
  Mover(const Shape& shape, std::vector<Dimension> dimensions, const char* from, Word* to)
      : shape_(shape),
        dimensions_(std::move(dimensions)),
        from_(from),
        to_(to),
        logical_(shape.size(), 0),
        reach_(dimensions_.size() + 1, std::vector<int64_t>(shape.size(), 0)) {
    for (size_t level = dimensions_.size(); level-- > 0;) {
      const Dimension& dimension = dimensions_[level];
      reach_[level] = reach_[level + 1];
      reach_[level][dimension.dim] += (dimension.extent - 1) * dimension.units;
    }
  }

  /// What lies at positions [begin, end) of the outermost physical dimension.
  void Run(int64_t begin, int64_t end) {
    int64_t offset = 0;
    for (const Dimension& dimension : dimensions_) {
      logical_[dimension.dim] -= dimension.low;
      offset -= dimension.low * dimension.stride;
    }
    if (dimensions_.empty()) return Move(0, offset);
    const Dimension& outermost = dimensions_[0];
    logical_[outermost.dim] += begin * outermost.units;
    for (int64_t i = begin; i < end; ++i) {
      Move(1, offset + i * outermost.stride);
      logical_[outermost.dim] += outermost.units;
    }
  }

 private:
  void Move(size_t level, int64_t offset) {
    if (AllInside(level)) return MoveInside(level, offset);
    if (level == dimensions_.size()) {
      *to_++ = Word{};
      return;
    }
    const Dimension& dimension = dimensions_[level];
    for (int64_t i = 0; i < dimension.extent; ++i) {
      Move(level + 1, offset + i * dimension.stride);
      logical_[dimension.dim] += dimension.units;
    }
    logical_[dimension.dim] -= dimension.extent * dimension.units;
  }

  // Whether all that the dimensions from `level` on reach is inside the shape.
  bool AllInside(size_t level) const {
    for (size_t d = 0; d < shape_.size(); ++d) {
      if (logical_[d] < 0 || logical_[d] + reach_[level][d] >= shape_[d]) return false;
    }
    return true;
  }

  void MoveInside(size_t level, int64_t offset) {
    if (level == dimensions_.size()) {
      *to_++ = Load(offset);
      return;
    }
    const Dimension& dimension = dimensions_[level];
    if (level + 1 == dimensions_.size()) return MoveRow(dimension, offset);
    for (int64_t i = 0; i < dimension.extent; ++i) {
      MoveInside(level + 1, offset + i * dimension.stride);
    }
  }

  void MoveRow(const Dimension& row, int64_t offset) {
    Word* const to = to_;
    to_ += row.extent;
    if (row.stride == 1) {
      std::memcpy(to, from_ + offset * static_cast<int64_t>(sizeof(Word)),
                  static_cast<size_t>(row.extent) * sizeof(Word));
      return;
    }
    for (int64_t i = 0; i < row.extent; ++i) to[i] = Load(offset + i * row.stride);
  }

  Word Load(int64_t i) const {
    Word word;
    std::memcpy(&word, from_ + i * static_cast<int64_t>(sizeof(Word)), sizeof(Word));
    return word;
  }

  const Shape& shape_;
  std::vector<Dimension> dimensions_;
  const char* from_;  // not aligned
  Word* to_;
  std::vector<int64_t> logical_;
  std::vector<std::vector<int64_t>> reach_;  // by level: how far the rest goes in each dimension
};

template <typename Word>
void MoveWords(const Tensor& tensor, const TensorType& type, char* to) {
  const std::vector<Dimension> dimensions = PhysicalDimensions(tensor.shape(), type.layout);
  const int64_t extent = dimensions.empty() ? 1 : dimensions[0].extent;
  const int64_t step = extent == 0 ? 0 : type.bytes() / extent;
  ParallelFor(extent, type.bytes(), [&](int64_t begin, int64_t end) {
    auto* const words = reinterpret_cast<Word*>(to + begin * step);
    Mover<Word>(tensor.shape(), dimensions, tensor.bytes().data(), words).Run(begin, end);
  });
}

}  // namespace

bool IsSameBytes(const Op& op) {
  if (op.HasTrait(kView)) return true;
  return op.Is("transpose") &&
         op.type().layout == op.operand(0)->type().layout.Transposed(op.Ints("perm"));
}

Tensor ToLayout(const Tensor& tensor, const Layout& layout) {
  TensorType type = tensor.type();
  type.layout = layout;
  const auto size = static_cast<size_t>(type.bytes());
  const std::shared_ptr<char> bytes = AllocateBytes(size);
  switch (ByteSize(type.element)) {
    case 1: MoveWords<uint8_t>(tensor, type, bytes.get()); break;
    case 2: MoveWords<uint16_t>(tensor, type, bytes.get()); break;
    case 4: MoveWords<uint32_t>(tensor, type, bytes.get()); break;
    default: MoveWords<uint64_t>(tensor, type, bytes.get()); break;
  }
  return Tensor(std::move(type), bytes, {bytes.get(), size});
}

}  // namespace kiln
