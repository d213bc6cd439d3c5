// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/run/iso.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <set>

#include "lib/int.hpp"
#include "tools/octavo/run/files.hpp"
#include "tools/octavo/run/process.hpp"

namespace octavo::tool {
namespace {
namespace fs = std::filesystem;

constexpr u32 k_multiboot2_magic = 0xE85250D6;     // Multiboot2 specification 3.1.1
constexpr std::size_t k_multiboot2_window = 32768;  // the header stands, 8-aligned, within the first 32768 bytes
constexpr u32 k_fdt_magic = 0xD00DFEED;            // DTSpec v0.3, 5.2
constexpr auto k_iso_limit = std::chrono::minutes{10};

u32 little32(const std::string& bytes, std::size_t offset) {
  u32 value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

u32 big32(const std::string& bytes, std::size_t offset) { return __builtin_bswap32(little32(bytes, offset)); }

bool has_multiboot2_header(const std::string& head) {
  for (std::size_t at = 0; at + 16 <= head.size(); at += 8) {
    const u32 magic = little32(head, at), architecture = little32(head, at + 4), length = little32(head, at + 8);
    if (magic == k_multiboot2_magic && architecture == 0 && magic + architecture + length + little32(head, at + 12) == 0) return true;
  }
  return false;
}

struct Need {
  const char* what;
  const char* package;
  bool present;
};

/// All that grub-mkrescue will want, so that the person hears of every missing package at once and before it starts.
Outcome<> check_tools() {
  std::error_code ignored;
  const Need needs[] = {
      {"grub-mkrescue", "grub-common", find_program("grub-mkrescue").has_value()},
      {"xorriso", "xorriso", find_program("xorriso").has_value()},
      {"mformat", "mtools", find_program("mformat").has_value()},
      {"GRUB for BIOS", "grub-pc-bin", fs::exists("/usr/lib/grub/i386-pc", ignored)},
      {"GRUB for UEFI", "grub-efi-amd64-bin", fs::exists("/usr/lib/grub/x86_64-efi", ignored)},
  };
  std::string missing, packages;
  for (const Need& need : needs) {
    if (need.present) continue;
    missing += missing.empty() ? need.what : fmt::format(", {}", need.what);
    packages += fmt::format(" {}", need.package);
  }
  if (missing.empty()) return {};
  return complain(fmt::format("missing: {}; Debian has it: apt-get install{}", missing, packages));
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == std::string::npos;
}

/// The serial line is GRUB's terminal too if there is one. Under UEFI only the firmware can set a graphics mode, so GRUB
/// does and hands the framebuffer over; on BIOS it is asked for text, and the hypervisor takes what comes.
std::string grub_configuration(const IsoRequest& request) {
  std::string text = fmt::format(R"(set timeout=0
if serial --unit=0 --speed=115200; then
  terminal_input console serial
  terminal_output console serial
fi
insmod all_video
insmod smbios
insmod regexp
set oem=
set run_options=
if smbios --type 11 --get-string 4 --set oem; then
  regexp --set=1:run_options '^{}(.*)$' "$oem"
fi
if [ "$grub_platform" = efi ]; then
  set gfxmode=auto
  set gfxpayload=auto
else
  set gfxpayload=text
fi
menuentry Octavo {{
  multiboot2 /boot/octavo.elf {} $run_options
)",
                                 k_oem_prefix, request.options);
  for (const fs::path& image : request.images) {
    const std::string name = image.filename().string();
    text += fmt::format("  module2 /boot/{0} {0}\n", name);
  }
  return text + "}\n";
}

/// xorriso's graft points: NAME_IN_ISO=FILE, where `=` and `\` in names are escaped.
std::string graft(const std::string& inside, const fs::path& file) {
  std::string escaped;
  for (const char character : file.string()) {
    if (character == '=' || character == '\\') escaped += '\\';
    escaped += character;
  }
  return inside + '=' + escaped;
}

/// The lines of a failed tool that a person needs: the last few.
std::string last_lines(const std::string& output, int lines) {
  std::size_t at = output.size();
  while (lines-- >= 0 && at != 0 && at != std::string::npos) at = at == 0 ? 0 : output.rfind('\n', at - 1);
  return output.substr(at == std::string::npos ? 0 : at);
}
}  // namespace

Outcome<> check_hypervisor(const fs::path& path) {
  const std::string head = OCTAVO_TRY(read_file(path, k_multiboot2_window));
  if (head.size() < sizeof(Elf64_Ehdr) || head.compare(0, SELFMAG, ELFMAG) != 0 || head[EI_CLASS] != ELFCLASS64) {
    return complain(fmt::format("{}: not an ELF64 file, so not the hypervisor", path.string()));
  }
  Elf64_Ehdr header;
  std::memcpy(&header, head.data(), sizeof header);
  if (header.e_machine != EM_X86_64) return complain(fmt::format("{}: an ELF file, but not for x86-64", path.string()));
  if (!has_multiboot2_header(head)) return complain(fmt::format("{}: no multiboot2 header in its first 32 KiB, GRUB cannot boot it", path.string()));
  return {};
}

Outcome<> check_domain_image(const fs::path& path) {
  const std::string head = OCTAVO_TRY(read_file(path, 40));
  if (head.size() < 40 || big32(head, 0) != k_fdt_magic) {
    return complain(fmt::format("{}: not a domain image (no flattened device tree at its start); octavo build makes one", path.string()));
  }
  if (!is_plain_name(path.filename().string())) {
    return complain(fmt::format("{}: a domain image's file name may have only letters, digits, '.', '_' and '-'", path.string()));
  }
  return {};
}

Outcome<> check_options(const std::string& options) {
  constexpr const char* k_allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-=,:+/@%";
  if (const auto at = options.find_first_not_of(k_allowed); at != std::string::npos) {
    return complain(fmt::format("hypervisor options \"{}\": the character '{}' cannot be passed through the boot loader", options, options[at]));
  }
  if (options.size() > k_max_options) return complain(fmt::format("hypervisor options are longer than {} characters", k_max_options));
  return {};
}

Outcome<> make_iso(const IsoRequest& request) {
  OCTAVO_TRY(check_tools());
  OCTAVO_TRY(check_options(request.options));
  OCTAVO_TRY(check_hypervisor(request.hypervisor));
  std::set<std::string> names{"octavo.elf"};
  for (const fs::path& image : request.images) {
    OCTAVO_TRY(check_domain_image(image));
    if (!names.insert(image.filename().string()).second) {
      return complain(fmt::format("{}: two files of that name cannot be on one boot image", image.filename().string()));
    }
  }

  const TemporaryFolder work = OCTAVO_TRY(TemporaryFolder::make());
  const fs::path configuration = work.path() / "grub.cfg";
  OCTAVO_TRY(write_file(configuration, grub_configuration(request)));

  PendingFile pending{request.output};
  std::vector<std::string> argv{"grub-mkrescue", "-o", pending.path().string(), "--locales=", "--fonts=", "--themes=",
                                graft("/boot/octavo.elf", request.hypervisor), graft("/boot/grub/grub.cfg", configuration)};
  for (const fs::path& image : request.images) argv.push_back(graft("/boot/" + image.filename().string(), image));
  argv.insert(argv.end(), {"--", "-volid", "OCTAVO"});
  const auto show = [&](std::string_view) {
    std::error_code none_yet;
    const auto written = fs::file_size(pending.path(), none_yet);
    if (request.progress && !none_yet) request.progress(fmt::format("{}: {} MiB written", request.output.string(), written >> 20));
  };
  const Captured made = OCTAVO_TRY(capture(argv, k_iso_limit, show));
  if (!made.status.is_success() || !fs::exists(pending.path())) {
    return complain(fmt::format("{}: grub-mkrescue could not make it ({}):{}", request.output.string(), made.status.describe(), last_lines(made.output, 5)));
  }
  return pending.commit();
}

Outcome<> make_iso_for_person(IsoRequest request) {
  if (isatty(STDERR_FILENO) != 0) {
    request.progress = [](std::string_view line) { fmt::print(stderr, "\r\033[K{}", line); };
  }
  const Outcome<> made = make_iso(request);
  if (request.progress) fmt::print(stderr, "\r\033[K");
  return made;
}
}  // namespace octavo::tool
