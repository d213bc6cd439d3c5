// SPDX-License-Identifier: Apache-2.0
#include "tests/system/bochs.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "tools/octavo/run/process.hpp"

namespace octavo::system_test {
namespace {
/// Without the VBE extension: with it Debian's GRUB jumps into nothing before it starts a kernel. No display is needed, and this is the one that
/// needs nobody to look.
std::string configuration(const BochsMachine& machine) {
  return fmt::format(R"(plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1, iodebug=1
config_interface: textconfig
display_library: rfb, options="timeout=0"
memory: guest={0}, host={0}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
vga: extension=none
boot: cdrom
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="octavo.iso", status=inserted
cpu: model={1}, count={2}, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=1700000000
pci: enabled=1, chipset=i440fx
com1: enabled=1, mode=file, dev=console
log: bochs.log
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
)",
                     machine.memory_mib, machine.model, machine.cpus);
}

std::string contents(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  std::erase(text, '\r');
  return text;
}
}  // namespace

Ran run_in_bochs(const Bench& bench, const BochsMachine& machine, const Words& images, const std::vector<std::string>& until, std::chrono::seconds limit) {
  const std::filesystem::path& folder = bench.folder();
  Words iso{"iso", "-o", (folder / "octavo.iso").string(), "--options", machine.options};
  iso.insert(iso.end(), images.begin(), images.end());
  (void)bench.octavo(iso).expect_status(0);
  std::ofstream{folder / "bochsrc"} << configuration(machine);
  std::ofstream{folder / "commands"} << "c\n";  // the distribution's build is a debugger: continue
  // Its standard input stays open for as long as `process` lives: at its end the debugger would quit.
  auto process = tool::Process::start({"env", "-C", folder.string(), "bochs", "-q", "-f", "bochsrc", "-rc", "commands"}, tool::Input::pipe, tool::ErrorOutput::with_output);
  if (!process) fail_case(process.error());
  const auto end = std::chrono::steady_clock::now() + limit;
  Ran ran;
  std::string said;
  std::array<char, 4096> chunk{};
  for (;;) {
    pollfd output{.fd = process->output().get(), .events = POLLIN, .revents = 0};
    if (poll(&output, 1, 200) > 0) {
      const ssize_t count = read(output.fd, chunk.data(), chunk.size());
      if (count <= 0) fail_case(fmt::format("bochs ended by itself: {}; {}", said, (folder / "bochs.log").string()));
      said.append(chunk.data(), static_cast<std::size_t>(count));
    }
    ran.output = contents(folder / "console");
    if (std::ranges::all_of(until, [&](const std::string& text) { return ran.output.find(text) != std::string::npos; })) break;
    if (std::chrono::steady_clock::now() < end) continue;
    ran.timed_out = true;
    break;
  }
  (void)process->stop(std::chrono::seconds{5});
  for (const std::string& text : until) (void)ran.expect_text(text);
  return ran;
}
}  // namespace octavo::system_test
