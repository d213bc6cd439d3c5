// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/builder.hpp"

#include "tools/octavo/build/acpi_tables.hpp"
#include "tools/octavo/build/kernel.hpp"
#include "tools/octavo/build/size.hpp"

namespace octavo::build {
namespace {

Outcome<BootInput> read_input(const DomainConfig& config) {
  BootInput input{.kernel = OCTAVO_TRY(at("kernel", read_file(config.kernel))),
                  .initrd = {},
                  .modules = {},
                  .command_line = config.command_line,
                  .rsdp = k_acpi_base};
  if (config.initrd) input.initrd = OCTAVO_TRY(at("initrd", read_file(*config.initrd)));
  for (const ModuleFile& module : config.modules) {
    input.modules.push_back({OCTAVO_TRY(at("modules", read_file(module.path))), module.command_line});
  }
  return input;
}

Outcome<domain::BootRegisters> load(domain::KernelKind kind, GuestMemory& memory, const BootInput& input) {
  switch (kind) {
    case domain::KernelKind::linux_bzimage: return load_linux(memory, input);
    case domain::KernelKind::pvh: return load_pvh(memory, input);
    case domain::KernelKind::multiboot: return load_multiboot(memory, input);
  }
  return failure_at("kind", "is unknown");
}

Outcome<DomainPlan> plan(const DomainConfig& config) {
  const BootInput input = OCTAVO_TRY(read_input(config));
  GuestMemory memory{config.maximum_memory};
  OCTAVO_TRY(memory.place_firmware(acpi_tables(config.console)));
  const domain::KernelKind kind = config.kind ? *config.kind : OCTAVO_TRY(detect_kernel(input.kernel));
  const domain::BootRegisters registers = OCTAVO_TRY(load(kind, memory, input));
  u64 total = 0;
  for (const Segment& segment : memory.segments()) total += align_up(segment.memory_size, k_page_size);
  if (total > config.memory) return failure_at("memory", "is less than the {} that kernel, initrd and tables take", rounded_size(total));
  return DomainPlan{config, kind, registers, memory.ranges(), std::move(memory).take_segments()};
}

/// "web.toml:7: initrd /boot/initrd.img: does not fit ..."
Failure located(const DomainConfig& config, const Failure& failure) {
  if (failure.key.empty()) return {fmt::format("{}: {}", config.file, failure.text)};
  std::string value;
  if (failure.key == "kernel") value = config.kernel.string();
  if (failure.key == "initrd" && config.initrd) value = config.initrd->string();
  if (failure.key == "memory") value = exact_size(config.memory);
  const bool is_named = value.empty() || failure.text.starts_with(value + ": ");  // by whoever could not read the file
  return {fmt::format("{}: {}{}: {}", config.where(failure.key), failure.key, is_named ? "" : " " + value, failure.text)};
}

/// Would writing `image` destroy what it is made of?
Outcome<> check_output(const DomainConfig& config, const std::filesystem::path& toml, const std::filesystem::path& image) {
  std::vector<std::filesystem::path> inputs{toml, config.kernel};
  if (config.initrd) inputs.push_back(*config.initrd);
  for (const ModuleFile& module : config.modules) inputs.push_back(module.path);
  for (const std::filesystem::path& input : inputs) {
    std::error_code error;
    if (std::filesystem::equivalent(input, image, error)) return failure("{}: is an input; choose another name with -o", image.string());
  }
  return {};
}

std::string explain(const domain::ImageError& error) {
  char text[256];
  BufferSink sink{text};
  format_error(sink, error);
  return std::string{sink.view()};
}
}  // namespace

Outcome<DomainPlan> plan_domain(const DomainConfig& config) {
  Outcome<DomainPlan> made = plan(config);
  if (!made) return std::unexpected(located(config, made.error()));
  return made;
}

Outcome<Bytes> build_image(const DomainConfig& config) {
  const DomainPlan plan = OCTAVO_TRY(plan_domain(config));
  Outcome<Bytes> bytes = write_image(plan);
  if (!bytes) return std::unexpected(located(config, bytes.error()));
  domain::Image image;
  if (const auto checked = domain::check_image(*bytes, image); !checked) {
    return failure("{}: the image would be refused by the hypervisor ({}); please report this", config.file, explain(checked.error()));
  }
  return bytes;
}

Outcome<> build_file(const std::filesystem::path& toml, const std::filesystem::path& image, const Progress& progress) {
  const DomainConfig config = OCTAVO_TRY(read_config(toml));
  OCTAVO_TRY(check_output(config, toml, image));
  const Bytes bytes = OCTAVO_TRY(build_image(config));
  return write_file_atomically(image, bytes, progress);
}
}  // namespace octavo::build
