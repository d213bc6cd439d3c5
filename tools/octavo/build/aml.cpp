// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/aml.hpp"

namespace octavo::build::aml {
namespace {

enum Opcode : u8 {
  k_zero_op = 0x00, k_one_op = 0x01, k_name_op = 0x08, k_byte_prefix = 0x0a, k_word_prefix = 0x0b, k_dword_prefix = 0x0c,
  k_scope_op = 0x10, k_buffer_op = 0x11, k_package_op = 0x12, k_ext_op_prefix = 0x5b, k_device_op = 0x82,
};

/// PkgLength (20.2.4) and the body that it counts, itself included.
Bytes with_length(const Bytes& body) {
  Bytes bytes;
  if (body.size() + 1 < 0x40) {
    append(bytes, static_cast<u8>(body.size() + 1));
  } else {  // 12 bits: the low four in the lead byte, one byte more; a DSDT of ours is below 4 KiB
    const usize length = body.size() + 2;
    append(bytes, static_cast<u8>(0x40 | (length & 0xf)));
    append(bytes, static_cast<u8>(length >> 4));
  }
  append_bytes(bytes, body);
  return bytes;
}

Bytes op(std::initializer_list<u8> opcode, const Bytes& rest) {
  Bytes bytes;
  for (const u8 byte : opcode) append(bytes, byte);
  append_bytes(bytes, rest);
  return bytes;
}

Bytes text(std::string_view characters) {
  Bytes bytes;
  append_bytes(bytes, as_bytes(characters));
  return bytes;
}
}  // namespace

Bytes concat(std::initializer_list<Bytes> terms) {
  Bytes bytes;
  for (const Bytes& term : terms) append_bytes(bytes, term);
  return bytes;
}

Bytes integer(u32 value) {
  if (value == 0) return op({k_zero_op}, {});
  if (value == 1) return op({k_one_op}, {});
  Bytes bytes;
  if (value <= 0xff) {
    append(bytes, u8{k_byte_prefix});
    append(bytes, static_cast<u8>(value));
  } else if (value <= 0xffff) {
    append(bytes, u8{k_word_prefix});
    append(bytes, static_cast<u16>(value));
  } else {
    append(bytes, u8{k_dword_prefix});
    append(bytes, value);
  }
  return bytes;
}

Bytes eisa_id(std::string_view id) {
  // Five bits a letter, four a digit, big-endian, in a little-endian DWord (19.6.36).
  u32 value = 0;
  for (const char c : id.substr(0, 3)) value = value << 5 | static_cast<u32>(c - '@');
  for (const char c : id.substr(3)) value = value << 4 | static_cast<u32>(c >= 'A' ? c - 'A' + 10 : c - '0');
  Bytes bytes;
  append(bytes, u8{k_dword_prefix});
  append(bytes, __builtin_bswap32(value));
  return bytes;
}

Bytes name(std::string_view name, const Bytes& value) { return op({k_name_op}, concat({text(name), value})); }

Bytes package(std::initializer_list<Bytes> elements) {
  return op({k_package_op}, with_length(op({static_cast<u8>(elements.size())}, concat(elements))));
}

Bytes scope(std::string_view name, const Bytes& body) { return op({k_scope_op}, with_length(concat({text(name), body}))); }

Bytes device(std::string_view name, const Bytes& body) {
  return op({k_ext_op_prefix, k_device_op}, with_length(concat({text(name), body})));
}

Bytes resources(std::initializer_list<Bytes> descriptors) {
  Bytes list = concat(descriptors);
  append(list, u8{0x79});  // end tag; its checksum 0 counts as right (6.4.2.9)
  append(list, u8{0});
  return op({k_buffer_op}, with_length(concat({integer(static_cast<u32>(list.size())), list})));
}

Bytes io(u16 base, u8 length) {
  Bytes bytes;
  append(bytes, u8{0x47});  // I/O port descriptor, 7 bytes
  append(bytes, u8{1});     // decodes 16 bits
  append(bytes, base);      // lowest base
  append(bytes, base);      // highest base
  append(bytes, u8{1});     // alignment
  append(bytes, length);
  return bytes;
}

Bytes irq(unsigned irq) {
  Bytes bytes;
  append(bytes, u8{0x22});  // IRQ descriptor, 2 bytes
  append(bytes, static_cast<u16>(1U << irq));
  return bytes;
}
}  // namespace octavo::build::aml
