// Databases of Caffe's Datum messages (https://caffe.berkeleyvision.org), in LMDB: a picture and
// its label under each key, in the order of the keys.
#include <lmdb.h>

#include <algorithm>
#include <filesystem>

#include "ir/graph/type.h"
#include "ir/support/strings.h"
#include "proto/caffe.pb.h"
#include "tools/train_data.h"

namespace kiln {

namespace {

constexpr int64_t kMaxItemBytes = int64_t{1} << 28;

Status Failure(const std::string& path, int code) {
  return InvalidInput(path, ": ", mdb_strerror(code));
}

struct CloseEnvironment {
  void operator()(MDB_env* environment) const { mdb_env_close(environment); }
};
struct EndTransaction {
  void operator()(MDB_txn* transaction) const { mdb_txn_abort(transaction); }
};
struct CloseCursor {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Transaction = std::unique_ptr<MDB_txn, EndTransaction>;

std::string_view View(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

class Database {
 public:
  static StatusOr<std::shared_ptr<Database>> Open(const std::string& path) {
    auto database = std::make_shared<Database>();
    database->path_ = path;
    MDB_env* environment = nullptr;
    int code = mdb_env_create(&environment);
    if (code != 0) return Failure(path, code);
    database->environment_.reset(environment);
    const unsigned flags =
        MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS |
        (std::filesystem::is_directory(path) ? 0u : static_cast<unsigned>(MDB_NOSUBDIR));
    code = mdb_env_open(environment, path.c_str(), flags, 0);
    if (code != 0) return Failure(path, code);
    KILN_ASSIGN_OR_RETURN(const Transaction transaction, database->Begin());
    code = mdb_dbi_open(transaction.get(), nullptr, 0, &database->index_);
    if (code != 0) return Failure(path, code);
    return database;
  }

  /// Calls `visit(key, value)` for all entries in order, until it fails.
  template <typename Visit>
  Status ForEach(const Visit& visit) const {
    KILN_ASSIGN_OR_RETURN(const Transaction transaction, Begin());
    MDB_cursor* opened = nullptr;
    int code = mdb_cursor_open(transaction.get(), index_, &opened);
    if (code != 0) return Failure(path_, code);
    const std::unique_ptr<MDB_cursor, CloseCursor> cursor(opened);
    MDB_val key, value;
    while ((code = mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT)) == 0) {
      KILN_RETURN_IF_ERROR(visit(View(key), View(value)));
    }
    return code == MDB_NOTFOUND ? OkStatus() : Failure(path_, code);
  }

  /// Calls `use` with the value under `key`.
  template <typename Use>
  Status With(const std::string& key, const Use& use) const {
    KILN_ASSIGN_OR_RETURN(const Transaction transaction, Begin());
    MDB_val name{key.size(), const_cast<char*>(key.data())}, value;
    const int code = mdb_get(transaction.get(), index_, &name, &value);
    if (code != 0) return Failure(path_, code);
    return use(View(value));
  }

  const std::string& path() const { return path_; }

 private:
  StatusOr<Transaction> Begin() const {
    MDB_txn* transaction = nullptr;
    const int code = mdb_txn_begin(environment_.get(), nullptr, MDB_RDONLY, &transaction);
    if (code != 0) return Failure(path_, code);
    return Transaction(transaction);
  }

  std::string path_;
  std::unique_ptr<MDB_env, CloseEnvironment> environment_;
  MDB_dbi index_ = 0;
};

StatusOr<caffe::Datum> ParseDatum(const std::string& path, std::string_view value) {
  caffe::Datum datum;
  if (value.size() > kMaxItemBytes ||
      !datum.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return InvalidInput(path, ": holds an entry that is no Datum");
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
  LmdbItems(std::shared_ptr<Database> database, std::vector<std::string> keys,
            std::vector<int64_t> shape, const ImageOptions& options)
      : database_(std::move(database)),
        keys_(std::move(keys)),
        shape_(std::move(shape)),
        options_(options) {}

  Status Read(int64_t item, float* values) const override {
    const std::string& path = database_->path();
    return database_->With(keys_[static_cast<size_t>(item)], [&](std::string_view value) -> Status {
      KILN_ASSIGN_OR_RETURN(const caffe::Datum datum, ParseDatum(path, value));
      KILN_ASSIGN_OR_RETURN(const Picture picture, ToPicture(path, datum, options_));
      if (picture.shape != shape_) {
        return InvalidInput(path, ": item ", item, " is ", FormatInts(picture.shape),
                            ", the first one ", FormatInts(shape_));
      }
      std::copy(picture.values.begin(), picture.values.end(), values);
      return OkStatus();
    });
  }

 private:
  std::shared_ptr<Database> database_;
  std::vector<std::string> keys_;
  std::vector<int64_t> shape_;
  ImageOptions options_;
};

StatusOr<Dataset> ReadDatabase(const std::string& path, const DataOptions& options) {
  ImageOptions image;
  image.bgr = true;
  image.grey = options.grey;
  image.resize = image.crop = options.resize;
  KILN_ASSIGN_OR_RETURN(const std::shared_ptr<Database> database, Database::Open(path));
  Dataset dataset;
  std::vector<std::string> keys;
  KILN_RETURN_IF_ERROR(
      database->ForEach([&](std::string_view key, std::string_view value) -> Status {
        KILN_ASSIGN_OR_RETURN(const caffe::Datum datum, ParseDatum(path, value));
        if (datum.label() < 0) return InvalidInput(path, ": has a label ", datum.label());
        if (keys.empty()) {
          KILN_ASSIGN_OR_RETURN(Picture first, ToPicture(path, datum, image));
          dataset.item_shape = std::move(first.shape);
        }
        keys.emplace_back(key);
        dataset.labels.push_back(datum.label());
        dataset.classes = std::max<int64_t>(dataset.classes, int64_t{datum.label()} + 1);
        return OkStatus();
      }));
  if (keys.empty()) return InvalidInput(path, ": the database is empty");
  dataset.pixels = true;
  dataset.items = std::make_shared<LmdbItems>(database, std::move(keys), dataset.item_shape, image);
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
