#include "ir/graph/recipe.h"

#include <algorithm>

namespace kiln {

RowReader::RowReader(const Tensor& tensor)
    : tensor_(tensor),
      row_bytes_(tensor.type().bytes() / std::max<int64_t>(tensor.shape()[0], 1)),
      recipe_(tensor.recipe()) {
  if (recipe_ != nullptr && recipe_->rows() != tensor.shape()[0]) recipe_ = nullptr;
}

const char* RowReader::Rows(int64_t begin, int64_t end) {
  if (recipe_ == nullptr) return tensor_.bytes().data() + begin * row_bytes_;
  rows_.resize(static_cast<size_t>((end - begin) * row_bytes_));
  recipe_->WriteRows(begin, end, rows_.data());
  return rows_.data();
}

}  // namespace kiln
