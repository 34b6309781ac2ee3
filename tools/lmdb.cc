// Databases of Caffe's Datum messages (https://caffe.berkeleyvision.org), in LMDB: a picture and
// its label under each key, in the order of the keys.
#include <algorithm>

#include "ir/graph/type.h"
#include "ir/support/strings.h"
#include "proto/caffe.pb.h"
#include "tools/lmdb_file.h"
#include "tools/train_data.h"

namespace kiln {

namespace {

constexpr int64_t kMaxItemBytes = int64_t{1} << 28;

StatusOr<caffe::Datum> ReadDatum(const LmdbFile& database, int64_t entry) {
  KILN_ASSIGN_OR_RETURN(const std::vector<char> value, database.Value(entry));
  caffe::Datum datum;
  if (value.size() > kMaxItemBytes ||
      !datum.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return InvalidInput(database.path(), ": holds an entry that is no Datum");
  }
  return datum;
}

/// A Datum's picture as [C, H, W]; encoded pictures become BGR, as Caffe has them.
struct Picture {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

StatusOr<Picture> ToPicture(const std::string& path, const caffe::Datum& datum,
                            const ImageOptions& options) {
  if (datum.encoded()) {
    const auto decoded = DecodeToTensor({datum.data().data(), datum.data().size()}, options);
    KILN_RETURN_IF_ERROR(Annotate(decoded.status(), path));
    const auto* const values = decoded->data<float>();
    return Picture{{decoded->shape.begin() + 1, decoded->shape.end()},
                   {values, values + CountOf(decoded->shape)}};
  }
  Picture picture;
  picture.shape = {datum.channels(), datum.height(), datum.width()};
  KILN_ASSIGN_OR_RETURN(const int64_t bytes, CheckedByteSize(ElementType::kU8, picture.shape));
  const bool floats = datum.float_data_size() > 0;
  const int64_t found =
      floats ? datum.float_data_size() : static_cast<int64_t>(datum.data().size());
  if (bytes == 0 || found != bytes) {
    return InvalidInput(path, ": a Datum of ", FormatInts(picture.shape), " holds ", found,
                        " numbers");
  }
  if (floats) {
    picture.values.assign(datum.float_data().begin(), datum.float_data().end());
  } else {
    for (const char byte : datum.data()) picture.values.push_back(static_cast<uint8_t>(byte));
  }
  return picture;
}

class LmdbItems : public ItemSource {
 public:
  LmdbItems(LmdbFile database, std::vector<int64_t> shape, const ImageOptions& options)
      : database_(std::move(database)), shape_(std::move(shape)), options_(options) {}

  Status Read(int64_t item, float* values) const override {
    KILN_ASSIGN_OR_RETURN(const caffe::Datum datum, ReadDatum(database_, item));
    KILN_ASSIGN_OR_RETURN(const Picture picture, ToPicture(database_.path(), datum, options_));
    if (picture.shape != shape_) {
      return InvalidInput(database_.path(), ": item ", item, " is ", FormatInts(picture.shape),
                          ", the first one ", FormatInts(shape_));
    }
    std::copy(picture.values.begin(), picture.values.end(), values);
    return OkStatus();
  }

 private:
  LmdbFile database_;
  std::vector<int64_t> shape_;
  ImageOptions options_;
};

StatusOr<Dataset> ReadDatabase(const std::string& path, const DataOptions& options) {
  ImageOptions image;
  image.bgr = true;
  image.grey = options.grey;
  image.resize = image.crop = options.resize;
  KILN_ASSIGN_OR_RETURN(LmdbFile database, LmdbFile::Open(path));
  if (database.size() == 0) return InvalidInput(path, ": the database is empty");
  Dataset dataset;
  for (int64_t i = 0; i < database.size(); ++i) {
    KILN_ASSIGN_OR_RETURN(const caffe::Datum datum, ReadDatum(database, i));
    if (datum.label() < 0) return InvalidInput(path, ": has a label ", datum.label());
    if (i == 0) {
      KILN_ASSIGN_OR_RETURN(Picture first, ToPicture(path, datum, image));
      dataset.item_shape = std::move(first.shape);
    }
    dataset.labels.push_back(datum.label());
    dataset.classes = std::max<int64_t>(dataset.classes, int64_t{datum.label()} + 1);
  }
  dataset.pixels = true;
  dataset.items = std::make_shared<LmdbItems>(std::move(database), dataset.item_shape, image);
  return dataset;
}

}  // namespace

StatusOr<DatasetSplit> LoadLmdb(const std::string& paths, const DataOptions& options) {
  const std::vector<std::string> parts = StrSplit(paths, ',');
  KILN_ASSIGN_OR_RETURN(Dataset train, ReadDatabase(parts[0], options));
  if (parts.size() == 1) return HoldOut(std::move(train), options.split);
  if (parts.size() > 2) return InvalidInput("lmdb:", paths, ": expected one folder or two");
  KILN_ASSIGN_OR_RETURN(Dataset test, ReadDatabase(parts[1], options));
  return DatasetSplit{std::move(train), std::move(test)};
}

}  // namespace kiln
