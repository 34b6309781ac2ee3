#include "ir/graph/relayout.h"

#include <algorithm>
#include <cstring>

#include "ir/graph/op_def.h"
#include "ir/graph/recipe.h"
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
  Mover(const Shape& shape, std::vector<Dimension> dimensions)
      : shape_(shape),
        dimensions_(std::move(dimensions)),
        logical_(shape.size(), 0),
        reach_(dimensions_.size() + 1, std::vector<int64_t>(shape.size(), 0)) {
    for (size_t level = dimensions_.size(); level-- > 0;) {
      const Dimension& dimension = dimensions_[level];
      reach_[level] = reach_[level + 1];
      reach_[level][dimension.dim] += (dimension.extent - 1) * dimension.units;
    }
  }

  /// Writes what lies at positions [begin, end) of the outermost physical dimension to `to`. `from`
  /// holds the source's elements from number `first` on.
  void Run(int64_t begin, int64_t end, const char* from, int64_t first, char* to) {
    from_ = from;
    to_ = reinterpret_cast<Word*>(to);
    std::fill(logical_.begin(), logical_.end(), 0);
    int64_t offset = -first;
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
    if (level + 2 == dimensions_.size() && dimension.stride == 1) {
      return MoveTransposed(dimension, dimensions_[level + 1], offset);
    }
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

  // Rows of which each is read along the other dimension: a cache line of the source at a time,
  // since the next rows' elements are often in lines that push it out of the cache.
  void MoveTransposed(const Dimension& rows, const Dimension& row, int64_t offset) {
    constexpr int64_t kLine = 64 / sizeof(Word);
    Word* const to = to_;
    to_ += rows.extent * row.extent;
    for (int64_t i = 0; i < rows.extent; i += kLine) {
      const int64_t count = std::min(kLine, rows.extent - i);
      for (int64_t j = 0; j < row.extent; ++j) {
        const int64_t from = offset + i + j * row.stride;
        for (int64_t k = 0; k < count; ++k) to[(i + k) * row.extent + j] = Load(from + k);
      }
    }
  }

  Word Load(int64_t i) const {
    Word word;
    std::memcpy(&word, from_ + i * static_cast<int64_t>(sizeof(Word)), sizeof(Word));
    return word;
  }

  const Shape& shape_;
  std::vector<Dimension> dimensions_;
  const char* from_ = nullptr;  // not aligned
  Word* to_ = nullptr;
  std::vector<int64_t> logical_;
  std::vector<std::vector<int64_t>> reach_;  // by level: how far the rest goes in each dimension
};

/// A row-major tensor's elements, moved into a layout.
template <typename Word>
class RelayoutRecipe : public TensorRecipe {
 public:
  RelayoutRecipe(Tensor source, TensorType type)
      : source_(std::move(source)),
        type_(std::move(type)),
        dimensions_(PhysicalDimensions(source_.shape(), type_.layout)),
        step_(type_.bytes() / std::max<int64_t>(positions(), 1)) {}

  void Write(char* to) const override {
    ParallelFor(positions(), type_.bytes(),
                [&](int64_t begin, int64_t end) { Move(begin, end, to + begin * step_); });
  }

  int64_t rows() const override { return dimensions_.empty() ? 0 : dimensions_[0].extent; }
  void WriteRows(int64_t begin, int64_t end, char* to) const override { Move(begin, end, to); }

 private:
  int64_t positions() const { return dimensions_.empty() ? 1 : dimensions_[0].extent; }

  void Move(int64_t begin, int64_t end, char* to) const {
    Mover<Word> mover(source_.shape(), dimensions_);
    if (!KeepsRows()) return mover.Run(begin, end, source_.bytes().data(), 0, to);
    RowReader reader(source_);
    const int64_t row = source_.type().count() / std::max<int64_t>(source_.shape()[0], 1);
    const int64_t units = dimensions_[0].units;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i * units;
      const char* const from = reader.Rows(first, std::min(first + units, source_.shape()[0]));
      mover.Run(i, i + 1, from, first * row, to + (i - begin) * step_);
    }
  }

  /// Whether a position of the outermost dimension holds whole rows of the source, one after the
  /// other.
  bool KeepsRows() const {
    return !dimensions_.empty() && dimensions_[0].dim == 0 && type_.layout.padding.empty();
  }

  const Tensor source_;
  const TensorType type_;
  const std::vector<Dimension> dimensions_;
  const int64_t step_;
};

std::shared_ptr<const TensorRecipe> MakeRecipe(const Tensor& tensor, const TensorType& type) {
  switch (ByteSize(type.element)) {
    case 1: return std::make_shared<RelayoutRecipe<uint8_t>>(tensor, type);
    case 2: return std::make_shared<RelayoutRecipe<uint16_t>>(tensor, type);
    case 4: return std::make_shared<RelayoutRecipe<uint32_t>>(tensor, type);
    default: return std::make_shared<RelayoutRecipe<uint64_t>>(tensor, type);
  }
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
  const auto source = tensor.recipe();
  std::shared_ptr<const TensorRecipe> recipe = source ? source->InLayoutOf(type) : nullptr;
  if (recipe == nullptr) recipe = MakeRecipe(tensor, type);
  return Tensor::Deferred(std::move(type), std::move(recipe));
}

}  // namespace kiln
