// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/run/qemu.hpp"

#include <fmt/format.h>

#include <charconv>

#include "tools/octavo/run/iso.hpp"
#include "tools/octavo/run/process.hpp"

namespace octavo::tool {
namespace fs = std::filesystem;
namespace {
/// QEMU splits option values at commas; a doubled one stands for itself.
std::string without_commas(const std::string& value) {
  std::string doubled;
  for (const char character : value) doubled += character == ',' ? std::string{",,"} : std::string{character};
  return doubled;
}
}  // namespace

std::string QemuVersion::to_string() const { return fmt::format("{}.{}.{}", major, minor, micro); }

Outcome<QemuVersion> parse_qemu_version(std::string_view banner) {
  constexpr std::string_view k_before = "QEMU emulator version ";
  QemuVersion version;
  const auto at = banner.find(k_before);
  if (at == std::string_view::npos) return complain("this is not QEMU: its --version does not say \"QEMU emulator version\"");
  const char* next = banner.data() + at + k_before.size();
  const char* const end = banner.data() + banner.size();
  for (int* const number : {&version.major, &version.minor, &version.micro}) {
    const auto [stop, error] = std::from_chars(next, end, *number);
    if (error != std::errc{}) return complain("QEMU's --version has no version number");
    next = stop != end && *stop == '.' ? stop + 1 : stop;
  }
  return version;
}

Outcome<QemuVersion> probe_qemu(const std::string& program) {
  if (!find_program(program)) return complain(fmt::format("{} is not installed; Debian has it: apt-get install qemu-system-x86", program));
  const Captured answer = OCTAVO_TRY(capture({program, "--version"}, std::chrono::seconds{20}));
  return parse_qemu_version(answer.output);
}

std::vector<std::string> qemu_notes(const QemuVersion& version, Accelerator accelerator) {
  std::vector<std::string> notes;
  if (version < k_oldest_tested_qemu) {
    notes.push_back(fmt::format("QEMU {} is older than the oldest tested version, {}", version.to_string(), k_oldest_tested_qemu.to_string()));
  }
  if (accelerator == Accelerator::kvm) return notes;
  if (version.major == 8 && version.minor == 2) {
    notes.push_back(fmt::format("QEMU {}: guests with paging off under NPT end in a triple fault in 8.2.x; use another version if a guest starts in protected mode", version.to_string()));
  }
  return notes;
}

std::string cpu_model(const std::string& wish, Accelerator accelerator) {
  const std::string all = accelerator == Accelerator::kvm ? "host" : "max";
  if (wish == "npt") return all;
  if (wish == "shadow") return all + ",-npt";
  if (wish == "none") return all + ",-svm" + (accelerator == Accelerator::kvm ? ",-vmx" : "");
  return wish;
}

Outcome<fs::path> find_uefi_firmware() {
  for (const char* candidate : {"/usr/share/ovmf/OVMF.fd", "/usr/share/qemu/OVMF.fd", "/usr/share/edk2/x64/OVMF.4m.fd", "/usr/share/edk2/ovmf/OVMF.fd"}) {
    if (fs::exists(candidate)) return fs::path{candidate};
  }
  return complain("no UEFI firmware found; Debian has it: apt-get install ovmf");
}

Outcome<std::vector<std::string>> qemu_command(const MachineRequest& request) {
  const bool kvm = request.accelerator == Accelerator::kvm;
  if (kvm && request.icount) return complain("--icount counts instructions, which only the emulator (--accel tcg) can");
  if (kvm && !request.qemu_log.empty()) return complain("--log wants the emulator (--accel tcg)");
  if (request.cpus == 0) return complain("--smp wants at least 1");

  std::vector<std::string> argv{request.program, "-machine", "pc", "-accel", kvm ? "kvm" : "tcg",
                                "-cpu", cpu_model(request.cpu, request.accelerator), "-smp", std::to_string(request.cpus),
                                "-m", request.memory, "-nodefaults", "-vga", "std", "-no-reboot",
                                "-device", "isa-debug-exit,iobase=0xf4,iosize=4"};
  const auto add = [&argv](std::initializer_list<std::string> words) { argv.insert(argv.end(), words); };
  add({"-display", request.display.empty() ? "none" : request.display});
  if (request.uefi) {
    const fs::path firmware = request.firmware.empty() ? OCTAVO_TRY(find_uefi_firmware()) : request.firmware;
    add({"-bios", firmware.string()});
  }
  add({"-drive", fmt::format("if=ide,media=cdrom,readonly=on,format=raw,file={}", without_commas(request.iso.string()))});
  if (request.console_keys) {
    add({"-chardev", "stdio,id=console,mux=on,signal=off", "-mon", "chardev=console,mode=readline"});
  } else {
    add({"-chardev", "stdio,id=console,signal=off"});
  }
  add({"-serial", "chardev:console"});
  if (!request.channel.empty()) {
    add({"-chardev", fmt::format("socket,id=channel,path={},server=on,wait=off", without_commas(request.channel.string())), "-serial", "chardev:channel"});
  }
  if (!request.options.empty()) add({"-smbios", fmt::format("type=11,value={}{}", k_oem_prefix, without_commas(request.options))});
  if (request.icount) add({"-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"});
  if (!request.gdb_port.empty()) add({"-gdb", fmt::format("tcp:localhost:{}", request.gdb_port), "-S"});
  if (!request.qemu_log.empty()) add({"-d", "int,cpu_reset,guest_errors", "-D", request.qemu_log.string()});
  argv.insert(argv.end(), request.extra.begin(), request.extra.end());
  return argv;
}
}  // namespace octavo::tool
