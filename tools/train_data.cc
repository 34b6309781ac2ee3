#include "tools/train_data.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "ir/support/strings.h"

namespace kiln {

namespace {

namespace fs = std::filesystem;

class Pictures : public ItemSource {
 public:
  Pictures(std::vector<std::string> paths, std::vector<int64_t> shape, const ImageOptions& options)
      : paths_(std::move(paths)), shape_(std::move(shape)), options_(options) {}

  Status Read(int64_t item, float* values) const override {
    const std::string& path = paths_[static_cast<size_t>(item)];
    KILN_ASSIGN_OR_RETURN(const HostTensor picture, LoadImage(path, options_));
    const std::vector<int64_t> shape(picture.shape.begin() + 1, picture.shape.end());
    if (shape != shape_) {
      return InvalidInput(path, ": is ", FormatInts(shape), ", the first picture ",
                          FormatInts(shape_), ": --resize makes them alike");
    }
    std::copy_n(picture.data<float>(), CountOf(shape), values);
    return OkStatus();
  }

 private:
  std::vector<std::string> paths_;
  std::vector<int64_t> shape_;
  ImageOptions options_;
};

ImageOptions OptionsOf(const DataOptions& options) {
  ImageOptions image;
  image.resize = image.crop = options.resize;
  image.grey = options.grey;
  return image;
}

bool IsPicture(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

std::vector<fs::path> Entries(const fs::path& folder, bool folders) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error) == folders) entries.push_back(it->path());
  }
  std::ranges::sort(entries);
  return entries;
}

StatusOr<Dataset> ReadClasses(const fs::path& folder, const DataOptions& options) {
  Dataset dataset;
  std::vector<std::string> paths;
  for (const fs::path& entry : Entries(folder, /*folders=*/true)) {
    for (const fs::path& file : Entries(entry, /*folders=*/false)) {
      if (!IsPicture(file)) continue;
      paths.push_back(file.string());
      dataset.labels.push_back(static_cast<int32_t>(dataset.classes));
    }
    dataset.class_names.push_back(entry.filename().string());
    ++dataset.classes;
  }
  if (paths.empty()) {
    return InvalidInput(folder.string(), ": expected a folder of PNG or JPEG files for each class");
  }
  const ImageOptions image = OptionsOf(options);
  KILN_ASSIGN_OR_RETURN(const HostTensor first, LoadImage(paths[0], image));
  dataset.item_shape.assign(first.shape.begin() + 1, first.shape.end());
  dataset.pixels = true;
  dataset.items = std::make_shared<Pictures>(std::move(paths), dataset.item_shape, image);
  return dataset;
}

// The kinds that the runtime has no library for.
constexpr struct {
  const char* name;
  StatusOr<DatasetSplit> (*load)(const std::string&, const DataOptions&);
} kPictureKinds[] = {{"images", LoadImageFolder}, {"lmdb", LoadLmdb}};

StatusOr<DatasetSplit> LoadOne(const std::string& specification, const DataOptions& options) {
  const size_t colon = specification.find(':');
  const std::string name = specification.substr(0, colon);
  const std::string path = colon == specification.npos ? "" : specification.substr(colon + 1);
  std::vector<std::string> names = DatasetKinds();
  for (const auto& kind : kPictureKinds) {
    if (name == kind.name && !path.empty()) return kind.load(path, options);
    names.emplace_back(kind.name);
  }
  if (!path.empty() && std::ranges::count(names, name) > 0) {
    return LoadDataset(specification, options.split);
  }
  return InvalidInput("data set ", Quote(specification),
                      ": expected KIND:PATH, where KIND is one of ", StrJoin(names, ", "));
}

}  // namespace

StatusOr<DatasetSplit> LoadImageFolder(const std::string& folder, const DataOptions& options) {
  const fs::path path(folder);
  std::error_code error;
  if (!fs::is_directory(path / "train", error)) {
    KILN_ASSIGN_OR_RETURN(Dataset all, ReadClasses(path, options));
    return HoldOut(std::move(all), options.split);
  }
  KILN_ASSIGN_OR_RETURN(Dataset train, ReadClasses(path / "train", options));
  const char* const test_name = fs::is_directory(path / "test", error) ? "test" : "val";
  KILN_ASSIGN_OR_RETURN(Dataset test, ReadClasses(path / test_name, options));
  if (train.class_names != test.class_names) {
    return InvalidInput(folder, ": the folders of train and ", test_name, " have other names");
  }
  return DatasetSplit{std::move(train), std::move(test)};
}

StatusOr<DatasetSplit> LoadData(const DataOptions& options) {
  DataOptions whole = options;
  if (!options.test.empty()) whole.split.held_out = 0;
  KILN_ASSIGN_OR_RETURN(DatasetSplit split, LoadOne(options.data, whole));
  if (!options.test.empty()) {
    KILN_ASSIGN_OR_RETURN(DatasetSplit other, LoadOne(options.test, whole));
    split.test = std::move(other.test);
  }
  KILN_RETURN_IF_ERROR(CheckSplit(options.data, split));
  return split;
}

}  // namespace kiln
