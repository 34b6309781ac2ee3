#include "compiler/import/external_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace kiln {

namespace {

/// Closes a file descriptor at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Status OpenError() { return InvalidInput("cannot open: ", std::strerror(errno)); }

StatusOr<std::shared_ptr<const MappedFile>> Map(const Descriptor& file) {
  struct stat info;
  if (fstat(file.get(), &info) != 0) return OpenError();
  if (!S_ISREG(info.st_mode)) return InvalidInput("is not a regular file");
  if (info.st_nlink != 1) return InvalidInput("the file has more than one hard link");
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return std::make_shared<const MappedFile>(nullptr, 0);
  void* const data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) return InvalidInput("cannot map: ", std::strerror(errno));
  return std::make_shared<const MappedFile>(static_cast<const char*>(data), size);
}

// The components of `location`; an error when it could lead out of its folder.
StatusOr<std::vector<std::string>> SafeComponents(const std::string& location) {
  if (location.empty()) return InvalidInput("the path is empty");
  if (location.front() == '/') return InvalidInput("the path is absolute");
  if (location.find('\0') != std::string::npos) return InvalidInput("the path holds a NUL byte");
  std::vector<std::string> components;
  for (std::string& component : StrSplit(location, '/')) {
    if (component == "..") return InvalidInput("the path holds '..'");
    if (!component.empty() && component != ".") components.push_back(std::move(component));
  }
  if (components.empty()) return InvalidInput("the path names no file");
  return components;
}

}  // namespace

StatusOr<std::shared_ptr<const MappedFile>> MapFileInside(const std::string& folder,
                                                          const std::string& location) {
  KILN_ASSIGN_OR_RETURN(const std::vector<std::string> components, SafeComponents(location));
  Descriptor at(open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  if (!at.ok()) return OpenError();
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  for (size_t i = 0; i < components.size(); ++i) {
    const bool last = i + 1 == components.size();
    Descriptor next(openat(at.get(), components[i].c_str(), last ? kFlags : kFlags | O_DIRECTORY));
    if (!next.ok()) {
      if (errno == ELOOP) return InvalidInput("the path goes through a symbolic link");
      return OpenError();
    }
    at = std::move(next);
  }
  return Map(at);
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace kiln
