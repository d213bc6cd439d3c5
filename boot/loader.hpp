// SPDX-License-Identifier: Apache-2.0
// What the boot loader left in memory, copied into the image and checked. Boot CPU, once, while the boot page tables are in use.
#pragma once
#include <optional>

#include "arch/x86/boot_info.hpp"
#include "arch/x86/parse/bytes.hpp"
#include "arch/x86/parse/multiboot2.hpp"

namespace octavo::boot {

/// Copies everything from the Multiboot2 structure at `structure`. Stops the machine with a sentence if it makes no sense.
void read_loader_information(Hpa structure);

/// Gives the symbol table that came with the image to the dumps, and keeps its memory.
void keep_symbols();

/// Valid from read_loader_information() on; free_ram shrinks with keep().
[[nodiscard]] arch::BootInfo information();
[[nodiscard]] std::optional<arch::Framebuffer> framebuffer();
[[nodiscard]] arch::Bytes acpi_root_pointer();

/// Takes a range out of free_ram, rounded outward to pages.
void keep(Hpa base, u64 size);
[[nodiscard]] u64 ram_bytes();
}  // namespace octavo::boot
