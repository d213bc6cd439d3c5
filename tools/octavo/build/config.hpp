// SPDX-License-Identifier: Apache-2.0
// A domain as a person describes it in TOML; docs/configuration.md is the reference. What is here has been checked as far as
// the text alone allows; failures read "web.toml:7: memory 64M is above maximum_memory 32M".
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "domain/image.hpp"
#include "tools/octavo/build/outcome.hpp"

namespace octavo::build {

struct ModuleFile {
  std::filesystem::path path;
  std::string command_line;
};

struct DomainConfig {
  std::string file;                      ///< as the person named it
  std::map<std::string, u32> lines;      ///< key -> line, of the keys that are there

  std::string name;                      ///< default: the file's name without .toml
  u32 vcpus = 1;
  u64 memory = 0;                        ///< bytes
  u64 maximum_memory = 0;                ///< bytes
  bool leaf_1g = true, leaf_2m = true;
  std::filesystem::path kernel;          ///< this and the other paths: absolute, or relative to the working directory
  std::optional<std::filesystem::path> initrd;
  std::vector<ModuleFile> modules;
  std::string command_line;
  std::optional<domain::KernelKind> kind;  ///< nothing: find out
  domain::Console console = domain::Console::uart;
  domain::Policy on_poweroff = domain::Policy::destroy;
  domain::Policy on_reboot = domain::Policy::restart;
  domain::Policy on_crash = domain::Policy::destroy;

  /// "web.toml:7" for a key that is there, "web.toml" for one that is not.
  [[nodiscard]] std::string where(const std::string& key) const;
};

/// Reads `path`; paths inside are taken relative to it.
[[nodiscard]] Outcome<DomainConfig> read_config(const std::filesystem::path& path);

/// The same of a text; `file` is for messages and relative paths.
[[nodiscard]] Outcome<DomainConfig> parse_config(std::string_view text, const std::filesystem::path& file);
}  // namespace octavo::build
