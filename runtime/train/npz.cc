// NumPy's archives of arrays: zip files of .npy files.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "runtime/file.h"
#include "runtime/npy.h"
#include "runtime/train/dataset_files.h"
#include "runtime/zip_archive.h"

namespace kiln {

namespace {

constexpr uint64_t kMaxMemberBytes = uint64_t{1} << 36;
constexpr int64_t kMaxLabel = 1 << 20;
constexpr int64_t kMostChannels = 4;

absl::Status Bad(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

// The arrays of an archive.
class Archive {
 public:
  static absl::StatusOr<Archive> Open(const std::string& path) {
    // Says better than libzip why a file cannot be read.
    if (const auto file = InputFile::Open(path); !file.ok()) return file.status();
    absl::StatusOr<ZipArchive> zip = ZipArchive::Open(path);
    if (!zip.ok()) return Bad(path, std::string(zip.status().message()));
    return Archive(path, *std::move(zip));
  }

  bool Has(const std::string& array) const { return zip_.Has(array + ".npy"); }

  absl::StatusOr<HostTensor> Read(const std::string& array) const {
    if (!Has(array)) return Bad(path_, absl::StrCat("holds no array '", array, "'"));
    const std::string name = array + ".npy";
    absl::StatusOr<std::vector<char>> bytes = zip_.Read(name, kMaxMemberBytes);
    if (!bytes.ok()) return Bad(path_, std::string(bytes.status().message()));
    absl::StatusOr<HostTensor> tensor = ParseNpy(*std::move(bytes));
    if (tensor.ok()) return tensor;
    return Bad(path_, absl::StrCat(name, ": ", std::string(tensor.status().message())));
  }

 private:
  Archive(std::string path, ZipArchive zip) : path_(std::move(path)), zip_(std::move(zip)) {}
  std::string path_;
  ZipArchive zip_;
};

template <typename To>
std::optional<std::vector<To>> Converted(const HostTensor& tensor) {
  const auto as = [&](auto example) {
    const auto* const data = tensor.data<decltype(example)>();
    return std::vector<To>(data, data + CountOf(tensor.shape));
  };
  switch (tensor.dtype) {
    case KILN_BOOL:
    case KILN_U8: return as(uint8_t{});
    case KILN_I8: return as(int8_t{});
    case KILN_I16: return as(int16_t{});
    case KILN_U16: return as(uint16_t{});
    case KILN_I32: return as(int32_t{});
    case KILN_U32: return as(uint32_t{});
    case KILN_I64: return as(int64_t{});
    case KILN_F32: return as(float{});
    case KILN_F64: return as(double{});
    default: return std::nullopt;
  }
}

// [N, H, W, C] to [N, C, H, W].
template <typename T>
std::vector<T> ChannelsFirst(const std::vector<T>& values, int64_t count, int64_t area,
                             int64_t channels) {
  std::vector<T> out(values.size());
  for (int64_t n = 0; n < count; ++n) {
    for (int64_t i = 0; i < area; ++i) {
      for (int64_t c = 0; c < channels; ++c) {
        out[static_cast<size_t>((n * channels + c) * area + i)] =
            values[static_cast<size_t>((n * area + i) * channels + c)];
      }
    }
  }
  return out;
}

absl::Status SetItems(const std::string& name, const HostTensor& x, Dataset& dataset) {
  if (x.rank() < 2) return absl::InvalidArgumentError(name + " has no items: expected [N, ...]");
  std::vector<int64_t> shape(x.shape.begin() + 1, x.shape.end());
  if (CountOf(shape) == 0) return absl::InvalidArgumentError(name + " has empty items");
  const bool channels_last =
      shape.size() == 3 && shape[2] <= kMostChannels && shape[0] > kMostChannels;
  dataset.item_shape = shape;
  if (shape.size() == 2) dataset.item_shape = {1, shape[0], shape[1]};
  if (channels_last) dataset.item_shape = {shape[2], shape[0], shape[1]};
  const auto store = [&](auto values) {
    if (channels_last) {
      values = ChannelsFirst(values, x.shape[0], shape[0] * shape[1], shape[2]);
    }
    dataset.items = ItemsInMemory(std::move(values), CountOf(shape));
    return absl::OkStatus();
  };
  dataset.pixels = x.dtype == KILN_U8;
  if (dataset.pixels) return store(*Converted<uint8_t>(x));
  std::optional<std::vector<float>> values = Converted<float>(x);
  if (!values) return absl::InvalidArgumentError(absl::StrCat(name, " is of ", DtypeName(x.dtype)));
  return store(*std::move(values));
}

absl::Status SetExpected(const std::string& name, const HostTensor& y, int64_t count,
                         Dataset& dataset) {
  if (y.rank() < 1 || y.shape[0] != count) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is ", TypeText(y.dtype, y.shape),
                                                   ", expected an entry for each of ", count,
                                                   " items"));
  }
  const int64_t each = count == 0 ? 1 : CountOf(y.shape) / count;
  const bool floats = y.dtype == KILN_F32 || y.dtype == KILN_F64;
  if (floats) {
    dataset.targets = *Converted<float>(y);
    dataset.target_count = each;
    if (each == 0) return absl::InvalidArgumentError(name + " has empty targets");
    return absl::OkStatus();
  }
  const std::optional<std::vector<int64_t>> labels = Converted<int64_t>(y);
  if (!labels || each != 1) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is ", TypeText(y.dtype, y.shape),
                                                   ", expected labels [N] or targets of floats"));
  }
  for (const int64_t label : *labels) {
    if (label < 0 || label > kMaxLabel) {
      return absl::InvalidArgumentError(absl::StrCat(name, " has a label ", label));
    }
    dataset.labels.push_back(static_cast<int32_t>(label));
    dataset.classes = std::max<int64_t>(dataset.classes, label + 1);
  }
  return absl::OkStatus();
}

absl::StatusOr<Dataset> ReadArrays(const Archive& archive, const std::string& path,
                                   const std::string& x_name, const std::string& y_name) {
  absl::StatusOr<HostTensor> x = archive.Read(x_name);
  if (!x.ok()) return x.status();
  absl::StatusOr<HostTensor> y = archive.Read(y_name);
  if (!y.ok()) return y.status();
  Dataset dataset;
  absl::Status status = SetItems(x_name, *x, dataset);
  if (status.ok()) status = SetExpected(y_name, *y, x->shape[0], dataset);
  if (!status.ok()) return Bad(path, std::string(status.message()));
  return dataset;
}

}  // namespace

absl::StatusOr<DatasetSplit> ReadNpz(const std::string& path, const DatasetOptions& options) {
  const absl::StatusOr<Archive> archive = Archive::Open(path);
  if (!archive.ok()) return archive.status();
  if (!archive->Has("x_train")) {
    absl::StatusOr<Dataset> all = ReadArrays(*archive, path, "x", "y");
    if (!all.ok()) return all.status();
    return HoldOut(*std::move(all), options);
  }
  absl::StatusOr<Dataset> train = ReadArrays(*archive, path, "x_train", "y_train");
  if (!train.ok()) return train.status();
  absl::StatusOr<Dataset> test = ReadArrays(*archive, path, "x_test", "y_test");
  if (!test.ok()) return test.status();
  return DatasetSplit{*std::move(train), *std::move(test)};
}

}  // namespace kiln
