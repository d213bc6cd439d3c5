// SPDX-License-Identifier: Apache-2.0
// As much of an AML assembler as a PC's DSDT needs (ACPI 6.5, chapter 20; resource descriptors: 6.4.2). Each function returns
// the encoding of one term; terms are joined with concat().
#pragma once
#include <initializer_list>

#include "tools/octavo/build/bytes.hpp"

namespace octavo::build::aml {

[[nodiscard]] Bytes concat(std::initializer_list<Bytes> terms);
[[nodiscard]] Bytes integer(u32 value);
/// EISAID("PNP0501"); id is three capitals and four hexadecimal digits.
[[nodiscard]] Bytes eisa_id(std::string_view id);
/// Name (name, value); names have exactly four characters, the root's `\` not counted.
[[nodiscard]] Bytes name(std::string_view name, const Bytes& value);
[[nodiscard]] Bytes package(std::initializer_list<Bytes> elements);
[[nodiscard]] Bytes scope(std::string_view name, const Bytes& body);
[[nodiscard]] Bytes device(std::string_view name, const Bytes& body);
/// ResourceTemplate () { descriptors }
[[nodiscard]] Bytes resources(std::initializer_list<Bytes> descriptors);
/// IO (Decode16, base, base, 1, length)
[[nodiscard]] Bytes io(u16 base, u8 length);
/// IRQNoFlags () { irq }: edge, active high, exclusive.
[[nodiscard]] Bytes irq(unsigned irq);
}  // namespace octavo::build::aml
