#include "runtime/npy.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/file.h"

namespace kiln {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 1 << 16;
constexpr size_t kMaxRank = 64;  // numpy's own limit

struct DescrRow {
  std::string_view descr;  // numpy's kind and size
  kiln_dtype dtype;
};

constexpr DescrRow kDescrs[] = {
    {"b1", KILN_BOOL}, {"i1", KILN_I8},  {"i2", KILN_I16}, {"i4", KILN_I32},
    {"i8", KILN_I64},  {"u1", KILN_U8},  {"u2", KILN_U16}, {"u4", KILN_U32},
    {"u8", KILN_U64},  {"f2", KILN_F16}, {"f4", KILN_F32}, {"f8", KILN_F64},
};

struct Header {
  kiln_dtype dtype = KILN_F32;
  bool fortran_order = false;
  std::vector<int64_t> shape;
  size_t data_offset = 0;  // Where the array begins in the file.
};

absl::Status Malformed(const char* reason) {
  return absl::InvalidArgumentError(absl::StrCat("malformed .npy header: ", reason));
}

// The header is a Python dict literal with exactly the keys 'descr', 'fortran_order' and 'shape':
//   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  absl::StatusOr<Header> Parse() {
    if (!Take('{')) return Malformed("no '{'");
    while (!Take('}')) {
      std::string_view key;
      if (!TakeString(&key) || !Take(':')) return Malformed("no key");
      if (absl::Status status = ParseEntry(key); !status.ok()) return status;
      if (Take(',')) continue;
      if (!Take('}')) return Malformed("no '}'");
      break;
    }
    SkipSpace();
    if (position_ != text_.size()) return Malformed("text after '}'");
    if (!has_descr_ || !has_order_ || !has_shape_) return Malformed("a key is missing");
    return header_;
  }

 private:
  absl::Status ParseEntry(std::string_view key) {
    if (key == "descr" && !std::exchange(has_descr_, true)) return ParseDescr();
    if (key == "fortran_order" && !std::exchange(has_order_, true)) return ParseOrder();
    if (key == "shape" && !std::exchange(has_shape_, true)) return ParseShape();
    return Malformed("a key is unknown or comes twice");
  }

  absl::Status ParseDescr() {
    if (Take('[')) return absl::UnimplementedError("structured dtypes are not supported");
    std::string_view descr;
    if (!TakeString(&descr) || descr.empty()) return Malformed("'descr' is not a string");
    const std::string name(descr.substr(0, 32));
    const char order = descr[0];
    if (order == '<' || order == '|' || order == '=' || order == '>') descr.remove_prefix(1);
    for (const DescrRow& row : kDescrs) {
      if (row.descr != descr) continue;
      if (order == '>' && DtypeSize(row.dtype) > 1) {
        return absl::UnimplementedError(
            absl::StrCat("big-endian dtype '", name, "' is not supported"));
      }
      header_.dtype = row.dtype;
      return absl::OkStatus();
    }
    return absl::UnimplementedError(absl::StrCat("dtype '", name, "' is not supported"));
  }

  absl::Status ParseOrder() {
    if (TakeWord("True")) {
      header_.fortran_order = true;
    } else if (!TakeWord("False")) {
      return Malformed("'fortran_order' is neither True nor False");
    }
    return absl::OkStatus();
  }

  absl::Status ParseShape() {
    if (!Take('(')) return Malformed("'shape' is not a tuple");
    while (!Take(')')) {
      int64_t extent = 0;
      if (!TakeExtent(&extent)) return Malformed("an extent is not a number below 2^63");
      if (header_.shape.size() == kMaxRank) return Malformed("more than 64 dimensions");
      header_.shape.push_back(extent);
      if (Take(',')) continue;
      if (!Take(')')) return Malformed("no ')'");
      break;
    }
    return absl::OkStatus();
  }

  void SkipSpace() {
    position_ = std::min(text_.find_first_not_of(" \t\r\n", position_), text_.size());
  }

  bool Take(char c) {
    SkipSpace();
    if (position_ == text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }

  bool TakeWord(std::string_view word) {
    SkipSpace();
    if (text_.substr(position_, word.size()) != word) return false;
    position_ += word.size();
    return true;
  }

  bool TakeString(std::string_view* value) {
    const char quote = Take('\'') ? '\'' : '"';
    if (quote == '"' && !Take('"')) return false;
    const size_t end = text_.find(quote, position_);
    if (end == std::string_view::npos) return false;
    *value = text_.substr(position_, end - position_);
    position_ = end + 1;
    return true;
  }

  bool TakeExtent(int64_t* value) {
    SkipSpace();
    const size_t start = position_;
    for (; position_ < text_.size(); ++position_) {
      const int digit = text_[position_] - '0';
      if (digit < 0 || digit > 9) break;
      if (*value > (std::numeric_limits<int64_t>::max() - digit) / 10) return false;
      *value = *value * 10 + digit;
    }
    const bool found = position_ > start;
    if (found) TakeWord("L");  // Python 2 wrote long integers so.
    return found;
  }

  std::string_view text_;
  size_t position_ = 0;
  Header header_;
  bool has_descr_ = false, has_order_ = false, has_shape_ = false;
};

// Where the header's text lies: after magic, version and a length of 2 or 4 bytes.
struct Preamble {
  size_t text_offset;
  size_t text_size;
};

absl::StatusOr<Preamble> ParsePreamble(std::string_view start) {
  if (start.substr(0, kMagic.size()) != kMagic || start.size() < 10) {
    return absl::InvalidArgumentError("not a .npy file");
  }
  const auto byte = [start](size_t i) {
    return static_cast<size_t>(static_cast<uint8_t>(start[i]));
  };
  const size_t version = byte(6);
  if (version < 1 || version > 3) {
    return absl::UnimplementedError(absl::StrCat(".npy version ", version, " is not supported"));
  }
  if (version == 1) return Preamble{10, byte(8) | byte(9) << 8};
  if (start.size() < 12) return Malformed("the file ends inside it");
  return Preamble{12, byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24};
}

// Copies an array in Fortran order (first index fastest) into row-major order.
std::vector<char> FromFortranOrder(const Header& header, const std::vector<char>& bytes) {
  const size_t size = DtypeSize(header.dtype);
  const size_t rank = header.shape.size();
  std::vector<size_t> strides(rank, size);
  for (size_t d = 1; d < rank; ++d) strides[d] = strides[d - 1] * header.shape[d - 1];
  std::vector<char> out(bytes.size());
  std::vector<int64_t> index(rank, 0);
  size_t source = 0;
  for (size_t target = 0; target < out.size(); target += size) {
    std::memcpy(out.data() + target, bytes.data() + source, size);
    for (size_t d = rank; d-- > 0;) {
      source += strides[d];
      if (++index[d] < header.shape[d]) break;
      source -= strides[d] * index[d];
      index[d] = 0;
    }
  }
  return out;
}

// The header at the start of a file of `file_size` bytes, which holds exactly the array it
// describes.
absl::StatusOr<Header> ParseStart(std::string_view start, uint64_t file_size) {
  const absl::StatusOr<Preamble> preamble = ParsePreamble(start);
  if (!preamble.ok()) return preamble.status();
  if (preamble->text_size > kMaxHeader) return Malformed("longer than 65536 bytes");
  const size_t end = preamble->text_offset + preamble->text_size;
  if (end > start.size()) return Malformed("the file ends inside it");
  absl::StatusOr<Header> header =
      HeaderParser(start.substr(preamble->text_offset, preamble->text_size)).Parse();
  if (!header.ok()) return header.status();
  const absl::StatusOr<int64_t> bytes = TensorBytes(header->dtype, header->shape);
  if (!bytes.ok()) return bytes.status();
  if (file_size - end != static_cast<uint64_t>(*bytes)) {
    return absl::InvalidArgumentError(absl::StrCat("array ", TypeText(header->dtype, header->shape),
                                                   " takes ", *bytes, " bytes, the file holds ",
                                                   file_size - end));
  }
  header->data_offset = end;
  return header;
}

// The whole start of a version 1 file, byte for byte as NumPy writes it: a tuple of one keeps its
// comma, and spaces take the data to a multiple of 64.
std::string FormatHeader(std::string_view descr, const std::vector<int64_t>& shape) {
  std::string text =
      absl::StrCat("{'descr': '", std::string(descr), "', 'fortran_order': False, 'shape': (",
                   absl::StrJoin(shape, ", "), shape.size() == 1 ? ",)" : ")", ", }");
  const size_t fixed = kMagic.size() + 4;
  text.append(63 - (fixed + text.size()) % 64, ' ');
  text += '\n';
  std::string header(kMagic);
  header +=
      {'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

HostTensor WidenBFloat16(const HostTensor& tensor) {
  HostTensor wide{KILN_F32, tensor.shape, std::vector<char>(tensor.bytes.size() * 2, 0)};
  for (size_t i = 0; i < tensor.bytes.size(); i += 2) {
    // Little-endian: the upper half of the float is the bfloat16.
    std::memcpy(wide.bytes.data() + 2 * i + 2, tensor.bytes.data() + i, 2);
  }
  return wide;
}

}  // namespace

namespace {

HostTensor ToTensor(const Header& header, std::vector<char> bytes) {
  if (header.fortran_order) bytes = FromFortranOrder(header, bytes);
  if (header.dtype == KILN_BOOL) {
    for (char& value : bytes) value = value != 0;
  }
  return HostTensor{header.dtype, header.shape, std::move(bytes)};
}

}  // namespace

absl::StatusOr<HostTensor> ReadNpy(const std::string& path) {
  const absl::StatusOr<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  const absl::StatusOr<std::vector<char>> start =
      file->Read(0, std::min<uint64_t>(file->size(), kMaxHeader + 12));
  if (!start.ok()) return start.status();
  const absl::StatusOr<Header> header =
      ParseStart(std::string_view(start->data(), start->size()), file->size());
  if (!header.ok()) {
    const absl::Status& status = header.status();
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  }
  absl::StatusOr<std::vector<char>> bytes =
      file->Read(header->data_offset, file->size() - header->data_offset);
  if (!bytes.ok()) return bytes.status();
  return ToTensor(*header, *std::move(bytes));
}

absl::StatusOr<HostTensor> ParseNpy(std::vector<char> file) {
  const absl::StatusOr<Header> header = ParseStart(
      std::string_view(file.data(), std::min(file.size(), kMaxHeader + 12)), file.size());
  if (!header.ok()) return header.status();
  file.erase(file.begin(), file.begin() + static_cast<ptrdiff_t>(header->data_offset));
  return ToTensor(*header, std::move(file));
}

absl::Status WriteNpy(const std::string& path, const HostTensor& tensor) {
  const absl::StatusOr<int64_t> bytes = TensorBytes(tensor.dtype, tensor.shape);
  if (!bytes.ok()) return bytes.status();
  if (static_cast<size_t>(*bytes) != tensor.bytes.size() || tensor.shape.size() > kMaxRank) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a tensor ", TypeText(tensor.dtype, tensor.shape), " of ",
                     tensor.bytes.size(), " bytes cannot be written"));
  }
  if (tensor.dtype == KILN_BF16) return WriteNpy(path, WidenBFloat16(tensor));
  const DescrRow* row = std::find_if(std::begin(kDescrs), std::end(kDescrs),
                                     [&](const DescrRow& r) { return r.dtype == tensor.dtype; });
  const std::string order = DtypeSize(tensor.dtype) == 1 ? "|" : "<";
  const std::string header = FormatHeader(order + std::string(row->descr), tensor.shape);
  return WriteFile(path, {std::span(header), std::span(tensor.bytes)});
}

}  // namespace kiln
