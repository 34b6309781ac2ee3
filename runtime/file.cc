#include "runtime/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kiln {
namespace {

absl::Status Failure(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, path);
}

absl::Status Invalid(const std::string& path, const char* reason) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", reason));
}

// Writes everything to `fd`; 0 or errno.
int WritePieces(int fd, const std::vector<std::span<const char>>& pieces) {
  for (std::span<const char> piece : pieces) {
    while (!piece.empty()) {
      const ssize_t written = write(fd, piece.data(), piece.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno;
      piece = piece.subspan(written);
    }
  }
  return 0;
}

// A name beside `target` that no other writer, here or in another process, uses.
std::string NameBeside(const std::string& target) {
  static std::atomic<uint64_t> counter{0};
  return absl::StrCat(target, ".", getpid(), ".", counter.fetch_add(1), ".tmp");
}

// Opens `path` with `flags`, writes, syncs and closes; 0 or errno. A device cannot be synced.
int WriteTo(const std::string& path, int flags, bool sync,
            const std::vector<std::span<const char>>& pieces) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0666);
  if (fd < 0) return errno;
  int error = WritePieces(fd, pieces);
  if (error == 0 && sync && fsync(fd) != 0) error = errno;
  if (close(fd) != 0 && error == 0) error = errno;
  return error;
}

}  // namespace

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  InputFile file(path, open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info;
  if (file.fd_ < 0 || fstat(file.fd_, &info) != 0) return Failure(path, errno);
  if (S_ISDIR(info.st_mode)) return Invalid(path, "is a directory");
  if (!S_ISREG(info.st_mode)) return Invalid(path, "is not a regular file");
  file.size_ = info.st_size;
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  return *this;
}

InputFile::~InputFile() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<std::vector<char>> InputFile::Read(uint64_t offset, uint64_t count) const {
  if (offset > size_ || count > size_ - offset) return Invalid(path_, "unexpected end of file");
  std::vector<char> bytes;
  try {
    bytes.resize(count);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(path_, ": no memory for ", count, " bytes"));
  }
  for (uint64_t filled = 0; filled < count;) {
    const ssize_t got = pread(fd_, bytes.data() + filled, count - filled, offset + filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failure(path_, errno);
    if (got == 0) return Invalid(path_, "unexpected end of file");
    filled += got;
  }
  return bytes;
}

absl::StatusOr<std::vector<char>> ReadFile(const std::string& path, uint64_t max_bytes) {
  absl::StatusOr<InputFile> file = InputFile::Open(path);
  if (!file.ok()) return file.status();
  if (file->size() > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": file of ", file->size(), " bytes, the limit is ", max_bytes));
  }
  return file->Read(0, file->size());
}

absl::Status WriteFile(const std::string& path, const std::vector<std::span<const char>>& pieces,
                       const std::function<absl::Status()>& first) {
  std::string target = path;
  struct stat info;
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return Invalid(path, "is a directory");
    // Moving into place would replace a file that is write-protected.
    if (access(path.c_str(), W_OK) != 0) return Failure(path, errno);
    if (!S_ISREG(info.st_mode)) {
      if (absl::Status status = first ? first() : absl::OkStatus(); !status.ok()) return status;
      const int error = WriteTo(path, 0, /*sync=*/false, pieces);
      return error == 0 ? absl::OkStatus() : Failure(path, error);
    }
    const std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), &free);
    if (real == nullptr) return Failure(path, errno);
    target = real.get();
  }
  const std::string aside = NameBeside(target);
  const int error = WriteTo(aside, O_CREAT | O_EXCL, /*sync=*/true, pieces);
  absl::Status status = error == 0 ? absl::OkStatus() : Failure(path, error);
  if (status.ok() && first) status = first();
  if (status.ok() && rename(aside.c_str(), target.c_str()) != 0) status = Failure(path, errno);
  if (!status.ok() && error != EEXIST) unlink(aside.c_str());
  return status;
}

absl::Status AppendToFile(const std::string& path, std::span<const char> bytes) {
  const int error = WriteTo(path, O_APPEND, /*sync=*/false, {bytes});
  return error == 0 ? absl::OkStatus() : Failure(path, error);
}

}  // namespace kiln
