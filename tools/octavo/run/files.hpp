// SPDX-License-Identifier: Apache-2.0
// Files that appear whole or not at all, temporary folders that go away, and where this build keeps its parts.
#pragma once
#include <filesystem>
#include <string>

#include "tools/octavo/run/outcome.hpp"

namespace octavo::tool {

/// A folder under $TMPDIR (or /tmp) that is removed with all that is in it when the object goes.
class TemporaryFolder {
 public:
  static Outcome<TemporaryFolder> make();
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// Writes under a name of its own beside `target`; commit() puts it in place, otherwise the destructor removes it.
class PendingFile {
 public:
  explicit PendingFile(std::filesystem::path target);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return pending_; }
  Outcome<> commit();

 private:
  std::filesystem::path target_, pending_;
};

Outcome<std::string> read_file(const std::filesystem::path& path, std::size_t at_most);
Outcome<> write_file(const std::filesystem::path& path, const std::string& text);

/// octavo.elf: $OCTAVO_ELF, or that of the build tree in which this command stands, or the installed one.
Outcome<std::filesystem::path> find_hypervisor();
}  // namespace octavo::tool
