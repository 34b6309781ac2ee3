#include "ir/graph/relayout.h"

namespace kiln {

namespace {

/// One physical dimension: a step along it moves by `stride` source elements along logical
/// dimension `dim`, `units` logical elements at a time.
struct Dimension {
  int64_t extent;
  int64_t stride;
  int dim;
  int64_t units;
};

std::vector<Dimension> PhysicalDimensions(const Shape& shape, const Layout& layout) {
  const std::vector<int64_t> strides = RowMajorStrides(shape);
  const Shape physical = layout.PhysicalShape(shape);
  std::vector<int64_t> inner(shape.size(), 1);  // product of the blocks inside
  std::vector<Dimension> dimensions(physical.size());
  for (size_t b = layout.blocks.size(); b-- > 0;) {
    const int dim = layout.blocks[b].dim;
    dimensions[shape.size() + b] = {layout.blocks[b].size, strides[dim] * inner[dim], dim,
                                    inner[dim]};
    inner[dim] *= layout.blocks[b].size;
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    const int dim = layout.order.empty() ? static_cast<int>(i) : layout.order[i];
    dimensions[i] = {physical[i], strides[dim] * inner[dim], dim, inner[dim]};
  }
  return dimensions;
}

template <typename Word>
class Mover {
 public:
  Mover(const Shape& shape, std::vector<Dimension> dimensions, const Word* from, Word* to)
      : shape_(shape),
        dimensions_(std::move(dimensions)),
        from_(from),
        to_(to),
        logical_(shape.size(), 0) {}

  void Run() { Move(0, 0); }

 private:
  void Move(size_t level, int64_t offset) {
    if (level == dimensions_.size()) {
      bool inside = true;
      for (size_t d = 0; d < shape_.size(); ++d) inside &= logical_[d] < shape_[d];
      *to_++ = inside ? from_[offset] : Word{};
      return;
    }
    const Dimension& dimension = dimensions_[level];
    if (level + 1 == dimensions_.size() && WholeRowInside(dimension)) {
      for (int64_t i = 0; i < dimension.extent; ++i) *to_++ = from_[offset + i * dimension.stride];
      return;
    }
    for (int64_t i = 0; i < dimension.extent; ++i) {
      Move(level + 1, offset + i * dimension.stride);
      logical_[dimension.dim] += dimension.units;
    }
    logical_[dimension.dim] -= dimension.extent * dimension.units;
  }

  bool WholeRowInside(const Dimension& row) const {
    for (size_t d = 0; d < shape_.size(); ++d) {
      const bool along = static_cast<int>(d) == row.dim;
      const int64_t last = logical_[d] + (along ? (row.extent - 1) * row.units : 0);
      if (last >= shape_[d]) return false;
    }
    return true;
  }

  const Shape& shape_;
  std::vector<Dimension> dimensions_;
  const Word* from_;
  Word* to_;
  std::vector<int64_t> logical_;
};

template <typename Word>
void MoveWords(const Tensor& tensor, const Layout& layout, char* to) {
  Mover<Word>(tensor.shape(), PhysicalDimensions(tensor.shape(), layout), tensor.data<Word>(),
              reinterpret_cast<Word*>(to))
      .Run();
}

}  // namespace

Tensor ToLayout(const Tensor& tensor, const Layout& layout) {
  TensorType type = tensor.type();
  type.layout = layout;
  std::vector<char> bytes(static_cast<size_t>(type.bytes()));
  switch (ByteSize(type.element)) {
    case 1: MoveWords<uint8_t>(tensor, layout, bytes.data()); break;
    case 2: MoveWords<uint16_t>(tensor, layout, bytes.data()); break;
    case 4: MoveWords<uint32_t>(tensor, layout, bytes.data()); break;
    default: MoveWords<uint64_t>(tensor, layout, bytes.data()); break;
  }
  return Tensor(std::move(type), std::move(bytes));
}

}  // namespace kiln
