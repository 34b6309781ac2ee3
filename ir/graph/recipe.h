// How the bytes of a deferred tensor are computed when somebody needs them.
//
// Weights go through several steps before code reads them: scaled, transformed, packed. Each step
// is a recipe on top of the one before. The last writes to where the weights will lie, and draws
// rows from the others as it goes, so that what is between them stays in the cache and takes no
// memory.
#pragma once

#include <memory>
#include <vector>

#include "ir/graph/tensor.h"

namespace kiln {

/// Immutable. May be asked from several threads at once, gives the same bytes each time, and does
/// not fail: whoever makes one has checked its arguments.
class TensorRecipe {
 public:
  virtual ~TensorRecipe() = default;

  /// Writes all bytes to `to`, on several threads where they are many.
  virtual void Write(char* to) const = 0;

  /// The number of positions in the outermost dimension for which WriteRows can be asked; 0 where
  /// the whole is made at once.
  virtual int64_t rows() const { return 0; }
  /// Writes rows [begin, end), on this thread.
  virtual void WriteRows(int64_t /*begin*/, int64_t /*end*/, char* /*to*/) const {}

  /// How the same values are computed as a tensor of `type`, in another layout, where that takes no
  /// second step; null where it does.
  virtual std::shared_ptr<const TensorRecipe> InLayoutOf(const TensorType& /*type*/) const {
    return nullptr;
  }
};

/// Reads a tensor row by row, on one thread. What has no bytes yet is computed, and kept until the
/// next rows are read.
class RowReader {
 public:
  /// `tensor` is known, row-major, of rank 1 at least, and outlives this.
  explicit RowReader(const Tensor& tensor);

  /// The bytes of rows [begin, end) of the outermost dimension, until the next call.
  const char* Rows(int64_t begin, int64_t end);

 private:
  const Tensor& tensor_;
  const int64_t row_bytes_;
  std::shared_ptr<const TensorRecipe> recipe_;  // null: the bytes are read
  std::vector<char> rows_;
};

}  // namespace kiln
