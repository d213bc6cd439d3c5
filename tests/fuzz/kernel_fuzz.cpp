// SPDX-License-Identifier: Apache-2.0
// The builder's kernel loaders against arbitrary bytes: refused with a sentence, or laid out in a way that the hypervisor's
// checker accepts.
#include <cstdio>
#include <cstdlib>

#include "tools/octavo/build/acpi_tables.hpp"
#include "tools/octavo/build/image_writer.hpp"
#include "tools/octavo/build/kernel.hpp"

namespace {

using namespace octavo;
using namespace octavo::build;

constexpr u64 k_memory = u64{64} << 20;

void try_loader(domain::KernelKind kind, Outcome<domain::BootRegisters> (*load)(GuestMemory&, const BootInput&), const BootInput& input) {
  GuestMemory memory{k_memory};
  if (!memory.place_firmware(acpi_tables(domain::Console::uart))) std::abort();
  const auto registers = load(memory, input);
  if (!registers) {
    if (registers.error().text.empty() || registers.error().key.empty()) std::abort();
    return;
  }
  DomainPlan plan;
  plan.config.name = "fuzz";
  plan.config.memory = plan.config.maximum_memory = k_memory;
  plan.kind = kind;
  plan.registers = *registers;
  plan.ranges = memory.ranges();
  plan.segments = memory.segments();
  const auto bytes = write_image(plan);
  if (!bytes) return;
  static domain::Image image;
  const auto checked = domain::check_image(*bytes, image);
  if (checked && domain::check_all_crcs(image)) return;
  std::fprintf(stderr, "an image that the hypervisor refuses: %s %s\n", checked.error().node, checked.error().cause);
  std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* const begin = reinterpret_cast<const std::byte*>(data);
  BootInput input;
  input.kernel = Bytes{begin, begin + size};
  input.command_line = "quiet";
  input.rsdp = k_acpi_base;
  (void)detect_kernel(input.kernel);
  try_loader(domain::KernelKind::linux_bzimage, load_linux, input);
  try_loader(domain::KernelKind::pvh, load_pvh, input);
  try_loader(domain::KernelKind::multiboot, load_multiboot, input);
  return 0;
}
