#include "runtime/host_tensor.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kiln {
namespace {

struct DtypeRow {
  const char* name;
  int64_t size;
};

// In the order of kiln_dtype.
constexpr std::array<DtypeRow, 13> kDtypes = {{
    {"bool", 1},
    {"i8", 1},
    {"i16", 2},
    {"i32", 4},
    {"i64", 8},
    {"u8", 1},
    {"u16", 2},
    {"u32", 4},
    {"u64", 8},
    {"f16", 2},
    {"bf16", 2},
    {"f32", 4},
    {"f64", 8},
}};

constexpr int64_t kMaxTensorBytes = int64_t{1} << 48;

}  // namespace

bool IsDtype(int32_t dtype) { return dtype >= 0 && dtype < static_cast<int>(kDtypes.size()); }

std::string DtypeName(int32_t dtype) {
  return IsDtype(dtype) ? kDtypes[dtype].name : absl::StrCat("dtype ", dtype);
}

int64_t DtypeSize(int32_t dtype) { return IsDtype(dtype) ? kDtypes[dtype].size : 0; }

absl::StatusOr<int64_t> TensorBytes(int32_t dtype, const std::vector<int64_t>& shape) {
  if (!IsDtype(dtype)) return absl::InvalidArgumentError(absl::StrCat("no such dtype: ", dtype));
  if (std::any_of(shape.begin(), shape.end(), [](int64_t extent) { return extent < 0; })) {
    return absl::InvalidArgumentError(absl::StrCat("negative extent in ", TypeText(dtype, shape)));
  }
  // An extent of 0 makes the size 0, however large the others are.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  int64_t bytes = DtypeSize(dtype);
  for (const int64_t extent : shape) {
    if (extent > kMaxTensorBytes / bytes) {
      return absl::InvalidArgumentError(absl::StrCat("tensor too large: ", TypeText(dtype, shape)));
    }
    bytes *= extent;
  }
  return bytes;
}

std::string TypeText(int32_t dtype, const std::vector<int64_t>& shape) {
  return absl::StrCat(DtypeName(dtype), "[", absl::StrJoin(shape, ","), "]");
}

}  // namespace kiln
