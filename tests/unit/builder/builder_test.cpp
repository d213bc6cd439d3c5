// SPDX-License-Identifier: Apache-2.0
// From files to files: octavo_builder as a whole, and the command's exit status.
#include "tools/octavo/build/builder.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "tests/unit/builder/sample_kernels.hpp"
#include "tools/octavo/build/inspect.hpp"

using namespace octavo;
using namespace octavo::build;
using namespace octavo::test;
namespace fs = std::filesystem;

namespace {

/// A directory of its own for each test, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "octavo-builder-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error{"no temporary directory"};
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }
  [[nodiscard]] fs::path operator/(const char* name) const { return path_ / name; }
  void write(const char* name, ByteView content) const { REQUIRE(write_file_atomically(path_ / name, content)); }
  void write(const char* name, std::string_view content) const { write(name, as_bytes(content)); }
  [[nodiscard]] usize files() const { return static_cast<usize>(std::distance(fs::directory_iterator{path_}, {})); }

 private:
  fs::path path_;
};

struct Ended {
  int status;
  std::string output;  // both streams
};

Ended run(const std::string& arguments) {
  Ended ended{-1, {}};
  FILE* const pipe = ::popen((std::string{OCTAVO_COMMAND} + " " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return ended;
  char buffer[4096];
  while (const usize n = std::fread(buffer, 1, sizeof buffer, pipe)) ended.output.append(buffer, n);
  const int status = ::pclose(pipe);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

std::string complaint(const Folder& folder, std::string_view toml) {
  folder.write("web.toml", toml);
  const auto built = build_file(folder / "web.toml", folder / "web.dom");
  if (built) return {};
  std::string text = built.error().text;
  const std::string prefix = (folder / "").string();  // make messages independent of where the test runs
  for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) text.erase(at, prefix.size());
  return text;
}

constexpr std::string_view k_toml = "memory = \"64M\"\nkernel = \"vmlinuz\"\ninitrd = \"initrd\"\ncommand_line = \"quiet\"\n";

Folder& prepared(Folder& folder) {
  folder.write("vmlinuz", sample_bzimage());
  folder.write("initrd", Bytes(5000, std::byte{3}));
  folder.write("web.toml", k_toml);
  return folder;
}
}  // namespace

TEST_CASE("builder: an image that the hypervisor's checker accepts, CRCs included") {
  Folder folder;
  prepared(folder);
  REQUIRE(build_file(folder / "web.toml", folder / "web.dom"));
  const auto bytes = read_file(folder / "web.dom");
  REQUIRE(bytes);
  domain::Image image;
  REQUIRE(inspect_image(*bytes, image));
  CHECK(image.config.name == "web");
  CHECK(image.config.command_line == "quiet");
  CHECK(image.config.memory == u64{64} << 20);
  CHECK(image.registers.rip == k_bzimage_load + 0x200);
  const auto initrd = std::ranges::find(image.segments(), "initrd", &domain::ImageSegment::label);
  REQUIRE(initrd != image.segments().end());
  CHECK(initrd->data.size() == 5000);
  CHECK(initrd->data[4999] == std::byte{3});
}

TEST_CASE("builder: each kind of kernel, and memory beyond 4 GiB") {
  Folder folder;
  folder.write("pvh", sample_pvh());
  folder.write("multiboot", sample_multiboot());
  folder.write("vmlinuz", sample_bzimage());
  for (const char* const kernel : {"pvh", "multiboot", "vmlinuz"}) {
    for (const char* const memory : {"17M", "64M", "3G", "8G"}) {
      INFO(kernel << " " << memory);
      CHECK(complaint(folder, fmt::format("memory = \"{}\"\nkernel = \"{}\"\n", memory, kernel)) ==
            (std::string_view{memory} == "17M" && std::string_view{kernel} == "vmlinuz"
                 ? "web.toml:1: memory 17M: kernel needs 2M at 0x1000000, which is not all RAM in a domain of 17M"
                 : ""));
    }
  }
}

TEST_CASE("builder: the same inputs give the same bytes") {
  Folder folder;
  prepared(folder);
  REQUIRE(build_file(folder / "web.toml", folder / "a.dom"));
  REQUIRE(build_file(folder / "web.toml", folder / "b.dom"));
  CHECK(*read_file(folder / "a.dom") == *read_file(folder / "b.dom"));
}

TEST_CASE("builder: failures name file, line, key and what they are about") {
  Folder folder;
  prepared(folder);
  CHECK(complaint(folder, "memory = \"64M\"\nkernel = \"nothing\"\n") == "web.toml:2: kernel: nothing: No such file or directory");
  CHECK(complaint(folder, "memory = \"64M\"\nkernel = \"initrd\"\n") == "web.toml:2: kernel initrd: is no kernel: neither a Linux bzImage nor an ELF file");
  CHECK(complaint(folder, "memory = \"64M\"\nkernel = \"vmlinuz\"\nkind = \"pvh\"\n") == "web.toml:2: kernel vmlinuz: is no ELF file");
  CHECK(complaint(folder, "memory = \"17M\"\nkernel = \"vmlinuz\"\n") ==
        "web.toml:1: memory 17M: kernel needs 2M at 0x1000000, which is not all RAM in a domain of 17M");
  CHECK(complaint(folder, "memory = \"64M\"\nkernel = \"vmlinuz\"\nmodules = [\"initrd\"]\n") ==
        "web.toml:3: modules: a Linux bzImage takes an initrd, no modules");
  folder.write("initrd", Bytes(50 << 20));
  CHECK(complaint(folder, "memory = \"64M\"\nkernel = \"vmlinuz\"\n\ninitrd = \"initrd\"\n") ==
        "web.toml:4: initrd initrd: initrd of 50M does not fit into the free memory between 0x100000 and 0x4000000");
  CHECK(complaint(folder, fmt::format("memory = \"64M\"\nkernel = \"vmlinuz\"\ncommand_line = \"{}\"\n", std::string(3000, 'x'))) ==
        "web.toml:3: command_line: has 3000 characters; the kernel takes 2047");
  folder.write("multiboot", sample_multiboot());
  CHECK(complaint(folder, fmt::format("memory = \"64M\"\nkernel = \"multiboot\"\ncommand_line = \"{}\"\n", std::string(70000, 'x'))) ==
        "web.toml:3: command_line: does not fit into the image's header, which has 64 KiB");
}

TEST_CASE("builder: a failed write leaves the old image and no litter") {
  Folder folder;
  prepared(folder);
  REQUIRE(build_file(folder / "web.toml", folder / "web.dom"));
  const Bytes before = *read_file(folder / "web.dom");
  const usize files = folder.files();
  CHECK_FALSE(complaint(folder, "memory = \"64M\"\nkernel = \"nothing\"\n").empty());
  CHECK(*read_file(folder / "web.dom") == before);

  fs::create_directory(folder / "taken.dom");
  fs::create_directory(folder / "taken.dom" / "x");
  folder.write("web.toml", k_toml);
  CHECK_FALSE(build_file(folder / "web.toml", folder / "taken.dom"));
  CHECK_FALSE(build_file(folder / "web.toml", folder / "no-such-folder" / "web.dom"));
  CHECK(folder.files() == files + 1);
}

TEST_CASE("builder: zeros at the end of a segment are not carried") {
  Folder folder;
  prepared(folder);
  Bytes initrd(9000);
  initrd[4095] = std::byte{1};
  folder.write("initrd", initrd);
  REQUIRE(build_file(folder / "web.toml", folder / "web.dom"));
  const Bytes bytes = *read_file(folder / "web.dom");
  domain::Image image;
  REQUIRE(inspect_image(bytes, image));
  const auto read = std::ranges::find(image.segments(), "initrd", &domain::ImageSegment::label);
  REQUIRE(read != image.segments().end());
  CHECK(read->memory_size == 9000);
  CHECK(read->data.size() == 4096);
  CHECK(read->data.back() == std::byte{1});
}

TEST_CASE("builder: no input is overwritten") {
  Folder folder;
  prepared(folder);
  for (const char* const name : {"web.toml", "vmlinuz", "initrd"}) {
    const Bytes before = *read_file(folder / name);
    const auto built = build_file(folder / "web.toml", folder / name);
    REQUIRE_FALSE(built);
    CHECK(built.error().text == (folder / name).string() + ": is an input; choose another name with -o");
    CHECK(*read_file(folder / name) == before);
  }
}

TEST_CASE("builder: progress goes from something to all") {
  Folder folder;
  prepared(folder);
  u64 last = 0, total = 0;
  REQUIRE(build_file(folder / "web.toml", folder / "web.dom", [&](u64 done, u64 all) {
    CHECK(done > last);
    last = done;
    total = all;
  }));
  CHECK(last == total);
  CHECK(total == fs::file_size(folder / "web.dom"));
}

TEST_CASE("inspect: JSON says what the image says") {
  Folder folder;
  prepared(folder);
  REQUIRE(build_file(folder / "web.toml", folder / "web.dom"));
  const Ended ended = run("inspect --json " + (folder / "web.dom").string());
  REQUIRE(ended.status == 0);
  const auto json = nlohmann::json::parse(ended.output);
  CHECK(json["config"]["name"] == "web");
  CHECK(json["config"]["memory"] == u64{64} << 20);
  CHECK(json["config"]["page_sizes"] == nlohmann::json{"1G", "2M", "4K"});
  CHECK(json["config"]["kind"] == "linux");
  CHECK(json["memory_map"][0]["size"] == u64{64} << 20);
  CHECK(json["vcpu"]["mode"] == "long64");
  CHECK(json["vcpu"]["rip"] == k_bzimage_load + 0x200);
  const auto& segments = json["segments"];
  CHECK(std::ranges::any_of(segments, [](const auto& s) { return s["label"] == "kernel" && s["gpa"] == k_bzimage_load; }));
}

TEST_CASE("inspect: the table for people") {
  Folder folder;
  prepared(folder);
  REQUIRE(build_file(folder / "web.toml", folder / "web.dom"));
  const Ended ended = run("inspect " + (folder / "web.dom").string());
  REQUIRE(ended.status == 0);
  for (const char* const part : {"domain web, 1 vCPU, 64M of memory (at most 64M) in pages of 1G, 2M, 4K", "kernel linux, console uart",
                                 "command line: quiet", "0x000000000000-0x000004000000      64M  ram",
                                 "0x000001000000  kernel               2M       4K", "vcpu 0 begins in long64", "rip       0x1000200"}) {
    INFO(part << "\n" << ended.output);
    CHECK(ended.output.find(part) != std::string::npos);
  }
}

TEST_CASE("inspect: names what is wrong, exit status 1") {
  Folder folder;
  prepared(folder);
  REQUIRE(build_file(folder / "web.toml", folder / "web.dom"));
  Bytes bytes = *read_file(folder / "web.dom");
  bytes[0x1000] ^= std::byte{1};
  folder.write("changed.dom", bytes);
  bytes.resize(0x3000);
  folder.write("truncated.dom", bytes);
  const std::string changed = (folder / "changed.dom").string();
  const Ended ended = run("inspect " + changed);
  CHECK(ended.status == 1);
  CHECK(ended.output == changed + ": segments/segment@0: data-crc32: the data has another CRC: it was changed after the image was built\n");
  const std::string truncated = (folder / "truncated.dom").string();
  CHECK(run("inspect " + truncated).output == truncated + ": image-size: the image is truncated\n");
  CHECK(run("inspect " + (folder / "missing").string()).status == 1);
}

TEST_CASE("command: exit status 0, 1, 2") {
  Folder folder;
  prepared(folder);
  const std::string toml = (folder / "web.toml").string();
  CHECK(run("build " + toml).status == 0);
  CHECK(fs::exists(folder / "web.dom"));
  CHECK(run("build " + toml + " -o " + (folder / "other.dom").string()).status == 0);
  CHECK(fs::exists(folder / "other.dom"));
  CHECK(run("build " + (folder / "missing.toml").string()).status == 1);
  CHECK(run("build").status == 2);
  CHECK(run("build --colour " + toml).status == 2);
  CHECK(run("").status == 2);
  CHECK(run("unbuild").status == 2);
  CHECK(run("--help").status == 0);
  CHECK(run("--version").output == "octavo " OCTAVO_VERSION "\n");
  const Ended quiet = run("build " + toml);
  CHECK(quiet.output.empty());  // no progress, no colours, where there is no terminal
}
