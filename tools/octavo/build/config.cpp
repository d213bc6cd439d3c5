// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/config.hpp"

#include <algorithm>

#include "tools/octavo/build/files.hpp"
#include "tools/octavo/build/size.hpp"
#include "tools/octavo/build/toml_table.hpp"

namespace octavo::build {
namespace {

using domain::Console;
using domain::KernelKind;
using domain::Policy;

constexpr std::string_view k_keys[] = {"name",   "vcpus",        "memory",  "maximum_memory", "page_sizes",
                                       "kernel", "initrd",       "modules", "command_line",   "kind",
                                       "console", "on_poweroff", "on_reboot", "on_crash"};

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<u8>(c) < 0x20 || c == 0x7f; });
}

/// One method for each group of keys.
class ConfigReader {
 public:
  ConfigReader(const TomlTable& table, const std::filesystem::path& file) : table_(table), folder_(file.parent_path()) {
    config_.file = file.string();
    config_.lines = table.lines();
    config_.name = file.stem().string();
  }

  Outcome<DomainConfig> read() {
    OCTAVO_TRY(read_name());
    OCTAVO_TRY(read_vcpus());
    OCTAVO_TRY(read_memory());
    OCTAVO_TRY(read_page_sizes());
    OCTAVO_TRY(read_kernel());
    OCTAVO_TRY(read_choices());
    return std::move(config_);
  }

 private:
  Outcome<> read_name() {
    if (table_.has("name")) config_.name = OCTAVO_TRY(table_.text("name"));
    const auto legal = [](char c) { return std::isalnum(static_cast<u8>(c)) != 0 || c == '.' || c == '_' || c == '-'; };
    if (!config_.name.empty() && config_.name.size() <= OCTAVO_IMAGE_MAX_NAME && std::ranges::all_of(config_.name, legal)) return {};
    return failure("{}: name \"{}\" is not 1 to {} of a-z A-Z 0-9 . _ -", table_.where("name"), config_.name, OCTAVO_IMAGE_MAX_NAME);
  }

  Outcome<> read_vcpus() {
    if (!table_.has("vcpus")) return {};
    const u64 vcpus = OCTAVO_TRY(table_.number("vcpus"));
    if (vcpus == 0) return failure("{}: vcpus 0: a domain has at least 1", table_.where("vcpus"));
    if (vcpus > OCTAVO_IMAGE_MAX_VCPUS) {
      return failure("{}: vcpus {}: this version of Octavo runs domains of {} only", table_.where("vcpus"), vcpus, OCTAVO_IMAGE_MAX_VCPUS);
    }
    config_.vcpus = static_cast<u32>(vcpus);
    return {};
  }

  Outcome<u64> read_memory_size(std::string_view key) {
    const u64 size = OCTAVO_TRY(table_.size(key));
    const std::string shown = exact_size(size);
    if (size % k_page_size != 0) return failure("{}: {} {} is not a multiple of 4K", table_.where(key), key, shown);
    if (size < OCTAVO_IMAGE_MIN_MEMORY) {
      return failure("{}: {} {} is less than {}", table_.where(key), key, shown, exact_size(OCTAVO_IMAGE_MIN_MEMORY));
    }
    if (size > OCTAVO_IMAGE_ADDRESS_LIMIT / 2) {
      return failure("{}: {} {} is more than {}", table_.where(key), key, shown, exact_size(OCTAVO_IMAGE_ADDRESS_LIMIT / 2));
    }
    return size;
  }

  Outcome<> read_memory() {
    config_.memory = OCTAVO_TRY(read_memory_size("memory"));
    config_.maximum_memory = config_.memory;
    if (!table_.has("maximum_memory")) return {};
    config_.maximum_memory = OCTAVO_TRY(read_memory_size("maximum_memory"));
    const std::string memory = exact_size(config_.memory);
    const std::string maximum = exact_size(config_.maximum_memory);
    if (config_.memory > config_.maximum_memory) {
      return failure("{}: memory {} is above maximum_memory {}", table_.where("memory"), memory, maximum);
    }
    return {};
  }

  Outcome<> read_page_sizes() {
    if (!table_.has("page_sizes")) return {};
    config_.leaf_1g = config_.leaf_2m = false;
    bool has_4k = false;
    for (const std::string& size : OCTAVO_TRY(table_.texts("page_sizes"))) {
      if (size == "1G") config_.leaf_1g = true;
      else if (size == "2M") config_.leaf_2m = true;
      else if (size == "4K") has_4k = true;
      else return failure("{}: page_sizes \"{}\" is not \"1G\", \"2M\" or \"4K\"", table_.where("page_sizes"), size);
    }
    if (config_.leaf_1g && !config_.leaf_2m) return failure("{}: page_sizes has \"1G\" without \"2M\", into which a 1G page is cut", table_.where("page_sizes"));
    if (!has_4k) return failure("{}: page_sizes lacks \"4K\", which every domain needs", table_.where("page_sizes"));
    return {};
  }

  Outcome<std::filesystem::path> path(std::string_view key, const std::string& text) const {
    if (text.empty()) return failure("{}: {} is empty", table_.where(key), key);
    return folder_ / text;  // an absolute text replaces the folder
  }

  Outcome<> read_kernel() {
    const std::string kernel = OCTAVO_TRY(table_.text("kernel"));
    config_.kernel = OCTAVO_TRY(path("kernel", kernel));
    if (table_.has("initrd")) {
      const std::string initrd = OCTAVO_TRY(table_.text("initrd"));
      config_.initrd = OCTAVO_TRY(path("initrd", initrd));
    }
    if (table_.has("modules")) OCTAVO_TRY(read_modules());
    if (!table_.has("command_line")) return {};
    config_.command_line = OCTAVO_TRY(table_.text("command_line"));
    if (!has_control_character(config_.command_line)) return {};
    return failure("{}: command_line holds a control character", table_.where("command_line"));
  }

  Outcome<> read_modules() {
    for (const std::string& text : OCTAVO_TRY(table_.texts("modules"))) {
      const auto space = text.find(' ');
      ModuleFile module{.path = OCTAVO_TRY(path("modules", text.substr(0, space))), .command_line = {}};
      if (space != std::string::npos) module.command_line = text.substr(space + 1);
      config_.modules.push_back(std::move(module));
    }
    return {};
  }

  /// A key whose words stand in the order of the values they mean.
  template <class Enum>
  Outcome<> read_choice(std::string_view key, std::span<const std::string_view> words, std::span<const Enum> values, Enum& value) {
    if (table_.has(key)) value = values[OCTAVO_TRY(table_.choice(key, words))];
    return {};
  }

  Outcome<> read_choices() {
    static constexpr std::string_view k_kinds[] = {"auto", "linux", "pvh", "multiboot"};
    static constexpr std::optional<KernelKind> k_kind_values[] = {std::nullopt, KernelKind::linux_bzimage, KernelKind::pvh,
                                                                  KernelKind::multiboot};
    OCTAVO_TRY(read_choice<std::optional<KernelKind>>("kind", k_kinds, k_kind_values, config_.kind));
    static constexpr std::string_view k_consoles[] = {"uart", "none"};
    static constexpr Console k_console_values[] = {Console::uart, Console::none};
    OCTAVO_TRY(read_choice<Console>("console", k_consoles, k_console_values, config_.console));
    static constexpr std::string_view k_policies[] = {"destroy", "restart", "preserve"};
    static constexpr Policy k_policy_values[] = {Policy::destroy, Policy::restart, Policy::preserve};
    const auto two = std::span{k_policies}.first(2);
    OCTAVO_TRY(read_choice<Policy>("on_poweroff", two, k_policy_values, config_.on_poweroff));
    OCTAVO_TRY(read_choice<Policy>("on_reboot", two, k_policy_values, config_.on_reboot));
    return read_choice<Policy>("on_crash", k_policies, k_policy_values, config_.on_crash);
  }

  const TomlTable& table_;
  std::filesystem::path folder_;
  DomainConfig config_;
};
}  // namespace

std::string DomainConfig::where(const std::string& key) const {
  const auto line = lines.find(key);
  return line == lines.end() ? file : fmt::format("{}:{}", file, line->second);
}

Outcome<DomainConfig> parse_config(std::string_view text, const std::filesystem::path& file) {
  const TomlTable table = OCTAVO_TRY(TomlTable::parse(text, file.string(), k_keys));
  return ConfigReader{table, file}.read();
}

Outcome<DomainConfig> read_config(const std::filesystem::path& path) {
  const Bytes bytes = OCTAVO_TRY(read_file(path));
  return parse_config({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}
}  // namespace octavo::build
