// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/symbols.hpp"

#include "arch/x86/layout.hpp"
#include "arch/x86/parse/demangle.hpp"

namespace octavo::arch {
namespace {
constinit std::span<const ElfSymbol> table;
constinit std::span<const char> names;

const ElfSymbol* nearest_below(u64 address) {
  const ElfSymbol* best = nullptr;
  for (const ElfSymbol& symbol : table) {
    constexpr u8 no_type = 0, function = 2;
    const u8 type = symbol.info & 0xf;
    if ((type != function && type != no_type) || symbol.value > address || symbol.name >= names.size()) continue;
    if (names[symbol.name] == '\0') continue;
    // Of two names for one place the function's is the one that people know.
    if (best == nullptr || symbol.value > best->value || (symbol.value == best->value && type == function)) best = &symbol;
  }
  return best;
}
}  // namespace

void set_symbols(std::span<const ElfSymbol> symbols, std::span<const char> strings) {
  if (strings.empty() || strings.back() != '\0') return;
  table = symbols;
  names = strings;
}

void print_symbol(Sink& sink, u64 address) {
  format(sink, "  {:016x}", address);
  const bool in_text = address >= reinterpret_cast<u64>(octavo_text_begin) && address < reinterpret_cast<u64>(octavo_text_end);
  const ElfSymbol* symbol = in_text ? nearest_below(address) : nullptr;
  if (symbol != nullptr) {
    sink.put(" ");
    demangle(sink, &names[symbol->name]);
    format(sink, "+0x{:x}", address - symbol->value);
  }
  sink.put("\n");
}
}  // namespace octavo::arch
