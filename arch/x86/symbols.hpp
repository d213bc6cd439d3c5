// SPDX-License-Identifier: Apache-2.0
// Names for addresses in the image, out of the symbol table that GRUB loads along with it. Used by dumps only, so a search
// from end to end will do. Without a table (another loader, a stripped image) addresses stay numbers.
#pragma once
#include <span>

#include "lib/format.hpp"

namespace octavo::arch {

/// Elf64_Sym (gABI, "Symbol Table").
struct ElfSymbol {
  u32 name;
  u8 info;
  u8 other;
  u16 section;
  u64 value;
  u64 size;
};
static_assert(sizeof(ElfSymbol) == 24);

/// The tables must stay where they are for ever. Strings must end in a zero byte, else nothing is taken.
void set_symbols(std::span<const ElfSymbol> symbols, std::span<const char> strings);

/// One line: "  ffffffff80201234 octavo::boot::main+0x34".
void print_symbol(Sink& sink, u64 address);
}  // namespace octavo::arch
