// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace octavo::build {
namespace {

constexpr usize k_chunk = usize{4} << 20;

/// Closes what it holds; released by taking `fd` away.
struct Descriptor {
  int fd;
  explicit Descriptor(int number) : fd(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

/// Writes all of `content`; false with errno set where that fails.
bool write_all(int fd, ByteView content, const Progress& progress) {
  for (usize done = 0; done < content.size();) {
    const ssize_t n = ::write(fd, content.data() + done, std::min(k_chunk, content.size() - done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    done += static_cast<usize>(n);
    if (progress) progress(done, content.size());
  }
  return true;
}

std::string reason() { return std::strerror(errno); }
}  // namespace

Outcome<Bytes> read_file(const std::filesystem::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0) return failure("{}: {}", path.string(), reason());
  if (S_ISDIR(status.st_mode)) return failure("{}: is a directory", path.string());
  Bytes bytes(static_cast<usize>(status.st_size) + 1);  // one more, so that the end is seen without growing
  usize used = 0;
  for (;;) {  // to the end, wherever that is by now; pipes have no size
    if (used == bytes.size()) bytes.resize(used + k_chunk);
    const ssize_t n = ::read(file.fd, bytes.data() + used, bytes.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure("{}: {}", path.string(), reason());
    if (n == 0) break;
    used += static_cast<usize>(n);
  }
  bytes.resize(used);
  return bytes;
}

Outcome<> write_file_atomically(const std::filesystem::path& path, ByteView content, const Progress& progress) {
  std::string temporary = path.string() + ".XXXXXX";
  Descriptor file{::mkostemp(temporary.data(), O_CLOEXEC)};
  if (file.fd < 0) return failure("{}: {}", path.string(), reason());
  const mode_t mask = ::umask(0);
  ::umask(mask);
  bool good = write_all(file.fd, content, progress) && ::fchmod(file.fd, 0666 & ~mask) == 0;
  good = good && ::close(std::exchange(file.fd, -1)) == 0;
  if (good && ::rename(temporary.c_str(), path.c_str()) == 0) return {};
  const std::string why = reason();
  ::unlink(temporary.c_str());
  return failure("{}: {}", path.string(), why);
}
}  // namespace octavo::build
