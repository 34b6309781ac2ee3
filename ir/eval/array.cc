#include "ir/eval/array.h"

#include <cstring>

namespace kiln {

namespace {

// Calls visit(logical offset, physical offset) for every element of `type`.
template <typename Visitor>
void ForEachElement(const TensorType& type, const Visitor& visit) {
  if (type.layout.IsRowMajor()) {
    for (int64_t i = 0, n = type.count(); i < n; ++i) visit(i, i);
    return;
  }
  const Layout& layout = type.layout;
  const Shape physical_shape = layout.PhysicalShape(type.shape);
  const std::vector<int64_t> strides = RowMajorStrides(physical_shape);
  const size_t rank = type.shape.size();
  for (Index index(type.shape); index.valid(); index.Next()) {
    std::vector<int64_t> outer = index.values();
    int64_t offset = 0;
    for (const Layout::Padding& around : layout.padding) outer[around.dim] += around.low;
    for (size_t b = layout.blocks.size(); b-- > 0;) {
      const Layout::Block& block = layout.blocks[b];
      offset += outer[block.dim] % block.size * strides[rank + b];
      outer[block.dim] /= block.size;
    }
    for (size_t d = 0; d < rank; ++d) {
      offset += outer[layout.order.empty() ? d : static_cast<size_t>(layout.order[d])] * strides[d];
    }
    visit(index.linear(), offset);
  }
}

}  // namespace

Array::Array(ElementType element_type, Shape array_shape)
    : element(element_type), shape(std::move(array_shape)) {
  const auto count = static_cast<size_t>(ElementCount(shape));
  if (is_float()) {
    floats.resize(count);
  } else {
    ints.resize(count);
  }
}

Array Array::FromTensor(const Tensor& tensor) {
  Array array(tensor.type().element, tensor.shape());
  ForEachElement(tensor.type(), [&](int64_t logical, int64_t physical) {
    if (array.is_float()) {
      array.floats[logical] = tensor.GetDouble(physical);
    } else {
      array.ints[logical] = tensor.GetInt(physical);
    }
  });
  return array;
}

Tensor Array::ToTensor(const Layout& layout) const {
  TensorType type{element, shape, layout};
  std::vector<char> bytes(static_cast<size_t>(type.bytes()));
  const int64_t size = ByteSize(element);
  ForEachElement(type, [&](int64_t logical, int64_t physical) {
    char* const address = bytes.data() + physical * size;
    if (is_float()) {
      StoreDouble(element, address, floats[logical]);
    } else {
      StoreInt(element, address, ints[logical]);
    }
  });
  return Tensor(std::move(type), std::move(bytes));
}

int64_t WrapInt(ElementType element, int64_t value) {
  if (element == ElementType::kBool) return value != 0;
  char bytes[8] = {};
  StoreInt(element, bytes, value);
  return LoadInt(element, bytes);
}

Index::Index(const Shape& shape)
    : shape_(shape), index_(shape.size(), 0), count_(ElementCount(shape)) {}

void Index::Next() {
  ++linear_;
  for (size_t d = shape_.size(); d-- > 0;) {
    if (++index_[d] < shape_[d]) return;
    index_[d] = 0;
  }
}

int64_t BroadcastOffset(const Shape& shape, const std::vector<int64_t>& index) {
  const size_t skip = index.size() - shape.size();
  int64_t offset = 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    offset = offset * shape[d] + (shape[d] == 1 ? 0 : index[skip + d]);
  }
  return offset;
}

int64_t Offset(const Shape& shape, const std::vector<int64_t>& index) {
  int64_t offset = 0;
  for (size_t d = 0; d < shape.size(); ++d) offset = offset * shape[d] + index[d];
  return offset;
}

}  // namespace kiln
