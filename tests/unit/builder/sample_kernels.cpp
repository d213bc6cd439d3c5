// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/builder/sample_kernels.hpp"

#include <elf.h>

namespace octavo::test {

using build::Bytes;
using build::put;

Bytes sample_bzimage() {
  constexpr u64 k_setup_sectors = 4;
  Bytes file((1 + k_setup_sectors) * 512);
  put(file, 0x1f1, static_cast<u8>(k_setup_sectors));
  put(file, 0x1f4, static_cast<u32>(k_bzimage_payload_size / 16));
  put(file, 0x1fe, u16{0xaa55});
  put(file, 0x200, u8{0xeb});
  put(file, 0x201, u8{0x6a});
  build::put_bytes(file, 0x202, build::as_bytes("HdrS"));
  put(file, 0x206, u16{0x020f});
  put(file, 0x211, u8{1});              // loaded high
  put(file, 0x22c, u32{0x7fffffff});    // initrd_addr_max
  put(file, 0x230, u32{0x200000});      // kernel_alignment
  put(file, 0x234, u8{1});              // relocatable
  put(file, 0x236, u16{0x3f});          // xloadflags
  put(file, 0x238, u32{2047});          // cmdline_size
  put(file, 0x248, u32{0x300});         // payload_offset
  put(file, 0x24c, u32{0x400});         // payload_length
  put(file, 0x258, k_bzimage_load);
  put(file, 0x260, static_cast<u32>(k_bzimage_init_size));
  for (u64 i = 0; i < k_bzimage_payload_size; ++i) build::append(file, static_cast<u8>(i));
  return file;
}

Bytes sample_pvh() {
  constexpr u64 k_note_at = 0x200, k_text_at = 0x1000, k_text_size = 0x800;
  constexpr u64 k_virtual = 0xffff'ffff'8000'0000;
  Bytes file(k_text_at + k_text_size);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_entry = k_virtual + 0x100020;
  header.e_phoff = k_elf64_program_headers;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 3;
  put(file, 0, header);
  const Elf64_Phdr text{PT_LOAD, PF_R | PF_X, k_text_at, k_virtual + 0x100000, 0x100000, k_text_size, k_text_size, 0x1000};
  const Elf64_Phdr bss{PT_LOAD, PF_R | PF_W, 0, k_virtual + 0x100a00, 0x100a00, 0, 0x1600, 0x10};
  const Elf64_Phdr note{PT_NOTE, PF_R, k_note_at, 0, 0, 40, 40, 4};
  put(file, k_elf64_program_headers, text);
  put(file, k_elf64_program_headers + sizeof text, bss);
  put(file, k_elf64_program_headers + 2 * sizeof text, note);
  put(file, k_note_at, Elf64_Nhdr{4, 4, 1});  // another note of Xen's first
  build::put_bytes(file, k_note_at + 12, build::as_bytes(std::string_view{"Xen\0", 4}));
  put(file, k_note_at + 20, Elf64_Nhdr{4, 4, 18});
  build::put_bytes(file, k_note_at + 32, build::as_bytes(std::string_view{"Xen\0", 4}));
  put(file, k_note_at + 36, u32{0x100040});
  for (u64 i = 0; i < k_text_size; ++i) put(file, k_text_at + i, static_cast<u8>(i ^ 0x5a));
  return file;
}

Bytes sample_multiboot() {
  constexpr u64 k_size = 0x400;
  Bytes file(k_size);
  Elf32_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS32;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = EM_386;
  header.e_version = EV_CURRENT;
  header.e_entry = 0x100020;
  header.e_phoff = k_elf32_program_headers;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf32_Phdr);
  header.e_phnum = 1;
  put(file, 0, header);
  put(file, k_elf32_program_headers, Elf32_Phdr{PT_LOAD, 0, 0x100000, 0x100000, k_size, 0x1000, PF_R | PF_X, 0x1000});
  put(file, k_multiboot_header, u32{0x1badb002});
  put(file, k_multiboot_header + 4, u32{3});
  put(file, k_multiboot_header + 8, static_cast<u32>(-(0x1badb002 + 3)));
  return file;
}
}  // namespace octavo::test
