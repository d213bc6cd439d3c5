// SPDX-License-Identifier: Apache-2.0
// Small kernels of every kind, right in every respect; tests spoil them with put().
#pragma once
#include "tools/octavo/build/bytes.hpp"

namespace octavo::test {

inline constexpr u64 k_bzimage_load = 0x1000000;
inline constexpr u64 k_bzimage_init_size = 0x200000;
inline constexpr u64 k_bzimage_payload_size = 0x1000;

/// A bzImage of boot protocol 2.15 whose payload counts up.
[[nodiscard]] build::Bytes sample_bzimage();

/// ELF64: a PVH note, a text load at virtual 0xffffffff80100000 = physical 0x100000 (0x800 of data) and a bss behind it in the
/// same page (0x100a00..0x102000); PVH entry 0x100040, e_entry virtual 0xffffffff80100020.
[[nodiscard]] build::Bytes sample_pvh();

/// ELF32 with a multiboot header (flags 3), loaded at 0x100000, entry 0x100020.
[[nodiscard]] build::Bytes sample_multiboot();

/// Offsets in the samples, for spoiling them.
inline constexpr u64 k_elf64_program_headers = 64;
inline constexpr u64 k_elf64_program_header_size = 56;
inline constexpr u64 k_elf32_program_headers = 52;
inline constexpr u64 k_multiboot_header = 0x100;
}  // namespace octavo::test
