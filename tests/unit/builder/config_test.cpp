// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/config.hpp"

#include <catch2/catch.hpp>

#include "tools/octavo/build/toml_table.hpp"

using namespace octavo;
using namespace octavo::build;

namespace {

/// The sentence that a text earns, or "" if it is accepted.
std::string complaint(std::string_view text) {
  const auto config = parse_config(text, "web.toml");
  return config ? std::string{} : config.error().text;
}
}  // namespace

TEST_CASE("config: the least that works, and its defaults") {
  const auto config = parse_config("memory = \"512M\"\nkernel = \"vmlinuz\"\n", "conf/web.toml");
  REQUIRE(config);
  CHECK(config->name == "web");
  CHECK(config->vcpus == 1);
  CHECK(config->memory == 512ULL << 20);
  CHECK(config->maximum_memory == 512ULL << 20);
  CHECK(config->leaf_1g);
  CHECK(config->leaf_2m);
  CHECK(config->kernel == "conf/vmlinuz");
  CHECK_FALSE(config->initrd);
  CHECK(config->modules.empty());
  CHECK(config->command_line.empty());
  CHECK_FALSE(config->kind);
  CHECK(config->console == domain::Console::uart);
  CHECK(config->on_poweroff == domain::Policy::destroy);
  CHECK(config->on_reboot == domain::Policy::restart);
  CHECK(config->on_crash == domain::Policy::destroy);
  CHECK(config->where("kernel") == "conf/web.toml:2");
  CHECK(config->where("initrd") == "conf/web.toml");
}

TEST_CASE("config: every key") {
  const auto config = parse_config(R"(
name = "db-1"
vcpus = 1
memory = 1073741824
maximum_memory = "2G"
page_sizes = ["4K", "2M"]
kernel = "/boot/vmlinuz"
initrd = "initrd.img"
modules = ["a.bin one two", "b.bin"]
command_line = "quiet"
kind = "multiboot"
console = "none"
on_poweroff = "restart"
on_reboot = "destroy"
on_crash = "preserve"
)", "/etc/octavo/x.toml");
  REQUIRE(config);
  CHECK(config->name == "db-1");
  CHECK(config->memory == 1ULL << 30);
  CHECK(config->maximum_memory == 2ULL << 30);
  CHECK_FALSE(config->leaf_1g);
  CHECK(config->leaf_2m);
  CHECK(config->kernel == "/boot/vmlinuz");
  CHECK(*config->initrd == "/etc/octavo/initrd.img");
  REQUIRE(config->modules.size() == 2);
  CHECK(config->modules[0].path == "/etc/octavo/a.bin");
  CHECK(config->modules[0].command_line == "one two");
  CHECK(config->modules[1].command_line.empty());
  CHECK(config->command_line == "quiet");
  CHECK(config->kind == domain::KernelKind::multiboot);
  CHECK(config->console == domain::Console::none);
  CHECK(config->on_poweroff == domain::Policy::restart);
  CHECK(config->on_reboot == domain::Policy::destroy);
  CHECK(config->on_crash == domain::Policy::preserve);
}

TEST_CASE("config: each mistake has its sentence, with file, line and key") {
  const std::pair<const char*, const char*> table[] = {
      {"", "web.toml: memory is missing"},
      {"memory = \"1G\"", "web.toml: kernel is missing"},
      {"memory = \"1G\"\nkernel = 7", "web.toml:2: kernel is not a text in quotes"},
      {"memory = \"1G\"\nkernel = \"\"", "web.toml:2: kernel is empty"},
      {"memory = \"64M\"\nmaximum_memory = \"32M\"\nkernel = \"k\"", "web.toml:1: memory 64M is above maximum_memory 32M"},
      {"memory = \"much\"", "web.toml:1: memory is not a size: \"512M\", \"2G\" or a number of bytes"},
      {"memory = 1.5", "web.toml:1: memory is not a size: \"512M\", \"2G\" or a number of bytes"},
      {"memory = -4096", "web.toml:1: memory is not a size: \"512M\", \"2G\" or a number of bytes"},
      {"memory = 1048577", "web.toml:1: memory 1048577 is not a multiple of 4K"},
      {"memory = \"512K\"", "web.toml:1: memory 512K is less than 1M"},
      {"memory = \"256T\"", "web.toml:1: memory 256T is more than 128T"},
      {"memory = \"1G\"\nmaximum_memory = 1073741825", "web.toml:2: maximum_memory 1073741825 is not a multiple of 4K"},
      {"\n\nmemroy = \"1G\"", "web.toml:3: unknown key memroy; did you mean memory?"},
      {"cmdline = \"x\"", "web.toml:1: unknown key cmdline; did you mean command_line?"},
      {"z = 1\nmemory = \"1G\"", "web.toml:1: unknown key z; the keys are name, vcpus, memory, maximum_memory, page_sizes, kernel, "
       "initrd, modules, command_line, kind, console, on_poweroff, on_reboot, on_crash"},
      {"zzzz = 1\naaaa = 2", "web.toml:1: unknown key zzzz; the keys are name, vcpus, memory, maximum_memory, page_sizes, kernel, "
       "initrd, modules, command_line, kind, console, on_poweroff, on_reboot, on_crash"},
      {"max_memory = 1", "web.toml:1: unknown key max_memory; did you mean maximum_memory?"},
      {"name = \"a b\"", "web.toml:1: name \"a b\" is not 1 to 31 of a-z A-Z 0-9 . _ -"},
      {"name = \"\"", "web.toml:1: name \"\" is not 1 to 31 of a-z A-Z 0-9 . _ -"},
      {"name = \"abcdefghijklmnopqrstuvwxyzabcdef\"",
       "web.toml:1: name \"abcdefghijklmnopqrstuvwxyzabcdef\" is not 1 to 31 of a-z A-Z 0-9 . _ -"},
      {"vcpus = 0", "web.toml:1: vcpus 0: a domain has at least 1"},
      {"vcpus = 4", "web.toml:1: vcpus 4: this version of Octavo runs domains of 1 only"},
      {"vcpus = \"1\"", "web.toml:1: vcpus is not a number"},
      {"memory = \"1G\"\npage_sizes = \"4K\"", "web.toml:2: page_sizes is not a list of texts: [\"...\", ...]"},
      {"memory = \"1G\"\npage_sizes = [4096]", "web.toml:2: page_sizes is not a list of texts: [\"...\", ...]"},
      {"memory = \"1G\"\npage_sizes = [\"2M\"]", "web.toml:2: page_sizes lacks \"4K\", which every domain needs"},
      {"memory = \"1G\"\npage_sizes = [\"1G\", \"4K\"]", "web.toml:2: page_sizes has \"1G\" without \"2M\", into which a 1G page is cut"},
      {"memory = \"1G\"\npage_sizes = [\"16K\"]", "web.toml:2: page_sizes \"16K\" is not \"1G\", \"2M\" or \"4K\""},
      {"memory = \"1G\"\nkernel = \"k\"\nkind = \"zImage\"", "web.toml:3: kind \"zImage\" is not \"auto\", \"linux\", \"pvh\" or \"multiboot\""},
      {"memory = \"1G\"\nkernel = \"k\"\nconsole = \"vga\"", "web.toml:3: console \"vga\" is not \"uart\" or \"none\""},
      {"memory = \"1G\"\nkernel = \"k\"\non_poweroff = \"preserve\"", "web.toml:3: on_poweroff \"preserve\" is not \"destroy\" or \"restart\""},
      {"memory = \"1G\"\nkernel = \"k\"\non_crash = true", "web.toml:3: on_crash is not a text in quotes"},
      {"memory = \"1G\"\nkernel = \"k\"\ncommand_line = \"a\\nb\"", "web.toml:3: command_line holds a control character"},
      {"memory = \"1G\"\nkernel = \"k\"\ninitrd = []", "web.toml:3: initrd is not a text in quotes"},
      {"memory = \"1G\"\nkernel = \"k\"\nmodules = [\" x\"]", "web.toml:3: modules is empty"},
  };
  for (const auto& [text, expected] : table) {
    INFO(text);
    CHECK(complaint(text) == expected);
  }
}

TEST_CASE("config: a syntax error names its line") {
  CHECK(complaint("memory = \"1G\"\nkernel = \n").starts_with("web.toml:2: "));
  CHECK(complaint("memory = 1\nmemory = 2\n").starts_with("web.toml:2: "));
}

TEST_CASE("config: a file that is not there") {
  const auto config = read_config("/nonexistent/web.toml");
  REQUIRE_FALSE(config);
  CHECK(config.error().text == "/nonexistent/web.toml: No such file or directory");
}

TEST_CASE("config: the nearest word") {
  constexpr std::string_view k_words[] = {"memory", "maximum_memory", "kernel"};
  CHECK(nearest_word("memory", k_words) == "memory");
  CHECK(nearest_word("kernle", k_words) == "kernel");
  CHECK(nearest_word("mem", k_words) == "memory");
  CHECK(nearest_word("max_memory", k_words) == "maximum_memory");
  CHECK(nearest_word("yromem", k_words) == "");
  CHECK(nearest_word("maxmum_memroy", k_words) == "maximum_memory");
  CHECK(nearest_word("", k_words) == "");
}
