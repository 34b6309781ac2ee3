// NumPy's archives of arrays: zip files of .npy files.
#include <zip.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "runtime/npy.h"
#include "runtime/train/dataset_files.h"

namespace kiln {

namespace {

constexpr uint64_t kMaxMemberBytes = uint64_t{1} << 36;
constexpr int64_t kMaxLabel = 1 << 20;
constexpr int64_t kMostChannels = 4;

absl::Status Bad(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

class Archive {
 public:
  static absl::StatusOr<Archive> Open(const std::string& path) {
    int error = 0;
    zip_t* const zip = zip_open(path.c_str(), ZIP_RDONLY, &error);
    if (zip != nullptr) return Archive(path, zip);
    zip_error_t text;
    zip_error_init_with_code(&text, error);
    absl::Status status = Bad(path, zip_error_strerror(&text));
    zip_error_fini(&text);
    return status;
  }

  bool Has(const std::string& array) const {
    return zip_name_locate(zip_.get(), (array + ".npy").c_str(), 0) >= 0;
  }

  absl::StatusOr<HostTensor> Read(const std::string& array) const {
    const std::string name = array + ".npy";
    zip_stat_t info;
    if (zip_stat(zip_.get(), name.c_str(), 0, &info) != 0 || (info.valid & ZIP_STAT_SIZE) == 0) {
      return Bad(path_, absl::StrCat("holds no array '", array, "'"));
    }
    if (info.size > kMaxMemberBytes) return Bad(path_, absl::StrCat(name, ": is too large"));
    const std::unique_ptr<zip_file_t, decltype(&zip_fclose)> file(
        zip_fopen(zip_.get(), name.c_str(), 0), &zip_fclose);
    if (file == nullptr) return Bad(path_, absl::StrCat(name, ": cannot be opened"));
    // What the archive says of the size is not believed before there are as many bytes.
    std::vector<char> bytes;
    while (bytes.size() < info.size) {
      constexpr uint64_t kChunk = uint64_t{1} << 24;
      const size_t start = bytes.size();
      bytes.resize(start + std::min(kChunk, info.size - start));
      const zip_int64_t got = zip_fread(file.get(), bytes.data() + start, bytes.size() - start);
      if (got <= 0) return Bad(path_, absl::StrCat(name, ": is damaged"));
      bytes.resize(start + static_cast<size_t>(got));
    }
    absl::StatusOr<HostTensor> tensor = ParseNpy(std::move(bytes));
    if (tensor.ok()) return tensor;
    return Bad(path_, absl::StrCat(name, ": ", std::string(tensor.status().message())));
  }

 private:
  Archive(std::string path, zip_t* zip) : path_(std::move(path)), zip_(zip, &zip_discard) {}
  std::string path_;
  std::unique_ptr<zip_t, decltype(&zip_discard)> zip_;
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
