#include "ir/support/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace kiln {

namespace {

// A file descriptor that is closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  /// Closes now, to learn of write errors that come only then.
  bool Close() { return close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

Status SystemError(const std::string& path, const std::string& action) {
  const int error = errno;
  const std::string message = StrCat(path, ": ", action, ": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(message) : absl::InvalidArgumentError(message);
}

Status WriteAll(int fd, std::span<const char> bytes, const std::string& path) {
  while (!bytes.empty()) {
    constexpr size_t kMaxWrite = size_t{1} << 30;
    const ssize_t written = write(fd, bytes.data(), std::min(bytes.size(), kMaxWrite));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return SystemError(path, "cannot write");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return OkStatus();
}

// Creates a new file whose name starts with `path`; its name is put into `name`.
int CreateBeside(const std::string& path, std::string& name) {
  static std::atomic<int> counter{0};
  while (true) {
    name = StrCat(path, ".", static_cast<int64_t>(getpid()), "-", counter++, ".tmp");
    const int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
}

}  // namespace

StatusOr<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  // Non-blocking, so that opening a pipe does not hang; it is refused below.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return SystemError(path, "cannot open");
  struct stat info;
  if (fstat(file.get(), &info) != 0) return SystemError(path, "cannot stat");
  if (S_ISDIR(info.st_mode)) return InvalidInput(path, ": is a directory");
  if (!S_ISREG(info.st_mode)) return InvalidInput(path, ": is not a regular file");
  const auto size = static_cast<size_t>(info.st_size);
  const char* data = nullptr;
  if (size > 0) {
    void* const mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (mapped == MAP_FAILED) return SystemError(path, "cannot map");
    data = static_cast<const char*>(mapped);
  }
  return std::make_shared<const MappedFile>(data, size);
}

MappedFile::~MappedFile() {
  if (size_ > 0) munmap(const_cast<char*>(data_), size_);
}

Status WriteFileAtomically(const std::string& path,
                           const std::vector<std::span<const char>>& pieces) {
  std::string temporary;
  Descriptor file(CreateBeside(path, temporary));
  if (file.get() < 0) return SystemError(path, "cannot create a file beside it");
  const Status status = [&]() -> Status {
    for (const auto& piece : pieces) KILN_RETURN_IF_ERROR(WriteAll(file.get(), piece, path));
    if (fsync(file.get()) != 0 || !file.Close()) {
      return SystemError(path, "cannot write");
    }
    if (rename(temporary.c_str(), path.c_str()) != 0) return SystemError(path, "cannot replace");
    return OkStatus();
  }();
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace kiln
