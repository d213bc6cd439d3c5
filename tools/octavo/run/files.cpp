// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/run/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "tools/octavo/run/process.hpp"

namespace octavo::tool {
namespace fs = std::filesystem;

Outcome<TemporaryFolder> TemporaryFolder::make() {
  std::error_code error;
  fs::path parent = fs::temp_directory_path(error);
  if (error) parent = "/tmp";
  std::string pattern = (parent / "octavo-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) return complain(fmt::format("no temporary folder {}: {}", pattern, std::strerror(errno)));
  return TemporaryFolder{pattern};
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

PendingFile::PendingFile(fs::path target)
    : target_(std::move(target)), pending_(target_.string() + fmt::format(".{}.part", getpid())) {}

PendingFile::~PendingFile() {
  std::error_code ignored;
  fs::remove(pending_, ignored);
}

Outcome<> PendingFile::commit() {
  const Descriptor file{open(pending_.c_str(), O_RDWR | O_CLOEXEC)};
  if (!file.is_open() || fsync(file.get()) != 0) return complain(fmt::format("{}: {}", pending_.string(), std::strerror(errno)));
  if (rename(pending_.c_str(), target_.c_str()) != 0) return complain(fmt::format("{}: {}", target_.string(), std::strerror(errno)));
  return {};
}

Outcome<std::string> read_file(const fs::path& path, std::size_t at_most) {
  std::ifstream file{path, std::ios::binary};
  if (!file || fs::is_directory(path)) return complain(fmt::format("{}: cannot be read", path.string()));
  std::string content(at_most, '\0');
  file.read(content.data(), static_cast<std::streamsize>(at_most));
  content.resize(static_cast<std::size_t>(file.gcount()));
  return content;
}

Outcome<> write_file(const fs::path& path, const std::string& text) {
  std::ofstream file{path, std::ios::binary};
  file << text;
  file.close();
  if (!file) return complain(fmt::format("{}: cannot be written", path.string()));
  return {};
}

Outcome<fs::path> find_hypervisor() {
  if (const char* named = std::getenv("OCTAVO_ELF"); named != nullptr) {
    if (fs::exists(named)) return fs::path{named};
    return complain(fmt::format("OCTAVO_ELF names {}, which does not exist", named));
  }
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  for (const fs::path& candidate : {self.parent_path() / "../../octavo.elf", self.parent_path() / "../lib/octavo/octavo.elf"}) {
    if (fs::exists(candidate)) return fs::canonical(candidate);
  }
  return complain("octavo.elf was not found beside this command; name it with --hypervisor or OCTAVO_ELF");
}
}  // namespace octavo::tool
