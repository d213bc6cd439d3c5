// SPDX-License-Identifier: Apache-2.0
// ELF kernels: PVH and multiboot 1.
#include <elf.h>

#include <catch2/catch.hpp>

#include "tests/unit/builder/sample_kernels.hpp"
#include "tests/unit/builder/segments.hpp"
#include "tools/octavo/build/elf.hpp"
#include "tools/octavo/build/kernel.hpp"

using namespace octavo;
using namespace octavo::build;
using namespace octavo::test;

namespace {

constexpr u64 k_memory = u64{64} << 20;
using Loader = Outcome<domain::BootRegisters> (*)(GuestMemory&, const BootInput&);

std::string complaint(Loader load, BootInput input, u64 memory_size = k_memory) {
  GuestMemory memory{memory_size};
  const auto loaded = load(memory, input);
  return loaded ? std::string{} : loaded.error().key + ": " + loaded.error().text;
}

template <class T>
std::string pvh_complaint(u64 offset, T value) {
  BootInput input;
  input.kernel = sample_pvh();
  put(input.kernel, offset, value);
  return complaint(load_pvh, input);
}

template <class T>
std::string multiboot_complaint(u64 offset, T value) {
  BootInput input;
  input.kernel = sample_multiboot();
  put(input.kernel, offset, value);
  return complaint(load_multiboot, input);
}

/// The offset of a field of a program header of the PVH sample.
constexpr u64 program(u64 index, u64 field) { return k_elf64_program_headers + index * k_elf64_program_header_size + field; }

std::string flags_complaint(u32 flags) {
  BootInput input;
  input.kernel = sample_multiboot();
  put(input.kernel, k_multiboot_header + 4, flags);
  put(input.kernel, k_multiboot_header + 8, 0U - 0x1badb002U - flags);
  return complaint(load_multiboot, input);
}
}  // namespace

TEST_CASE("pvh: start info, modules, memory map, registers") {
  BootInput input;
  input.kernel = sample_pvh();
  input.initrd = Bytes(0x123, std::byte{7});
  input.modules.push_back({Bytes(0x1000, std::byte{8}), "second"});
  input.command_line = "console=hvc0";
  input.rsdp = 0xf0000;
  GuestMemory memory{k_memory};
  const auto registers = load_pvh(memory, input);
  REQUIRE(registers);
  CHECK(registers->mode == domain::BootMode::protected32);
  CHECK(registers->rip == 0x100040);

  const u64 info = registers->rbx;
  CHECK(read<u32>(memory, info) == 0x336ec578);
  CHECK(read<u32>(memory, info + 4) == 1);
  CHECK(read<u32>(memory, info + 12) == 2);
  const u64 modules = read<u64>(memory, info + 16);
  CHECK(read_text(memory, read<u64>(memory, info + 24)) == "console=hvc0");
  CHECK(read<u64>(memory, info + 32) == 0xf0000);
  const u64 map = read<u64>(memory, info + 40);
  CHECK(read<u32>(memory, info + 48) == 3);

  CHECK(read<u8>(memory, read<u64>(memory, modules)) == 7);
  CHECK(read<u64>(memory, modules + 8) == 0x123);
  CHECK(read<u64>(memory, modules + 16) == 0);
  CHECK(read<u8>(memory, read<u64>(memory, modules + 32)) == 8);
  CHECK(read_text(memory, read<u64>(memory, modules + 48)) == "second");
  CHECK(read<u64>(memory, map + 24) == 0x9fc00);
  CHECK(read<u32>(memory, map + 40) == 2);

  CHECK(read<u64>(memory, registers->gdt_base + 0x10) == 0x00cf9b000000ffff);
}

TEST_CASE("pvh: loads that share a page become one segment") {
  BootInput input;
  input.kernel = sample_pvh();
  GuestMemory memory{k_memory};
  REQUIRE(load_pvh(memory, input));
  const Segment& kernel = segment(memory, "kernel");
  CHECK(kernel.gpa == 0x100000);
  CHECK(kernel.memory_size == 0x2000);
  REQUIRE(kernel.data.size() == 0x800);
  CHECK(kernel.data[0x10] == std::byte{0x4a});
}

TEST_CASE("pvh: loads apart from each other stay apart, in any order of the headers") {
  BootInput input;
  input.kernel = sample_pvh();
  put(input.kernel, program(1, offsetof(Elf64_Phdr, p_paddr)), u64{0x10010});
  GuestMemory memory{k_memory};
  REQUIRE(load_pvh(memory, input));
  const Segment& bss = segment(memory, "kernel");
  CHECK(bss.gpa == 0x10000);
  CHECK(bss.memory_size == 0x1610);
  CHECK(bss.data.empty());
}

TEST_CASE("pvh: corrupt and truncated files") {
  CHECK(pvh_complaint(0, u32{0}) == "kernel: is no ELF file");
  CHECK(pvh_complaint(EI_CLASS, u8{3}) == "kernel: is corrupt: an ELF file of class 3");
  CHECK(pvh_complaint(EI_DATA, u8{ELFDATA2MSB}) == "kernel: is an ELF file for another processor (machine 62)");
  CHECK(pvh_complaint(18, u16{EM_AARCH64}) == "kernel: is an ELF file for another processor (machine 183)");
  CHECK(pvh_complaint(16, u16{ET_REL}) == "kernel: is an ELF file that is no executable (type 1)");
  CHECK(pvh_complaint(54, u16{32}) == "kernel: is corrupt: its program headers have 32 bytes each");
  CHECK(pvh_complaint(56, u16{65}) == "kernel: has 65 program headers; 64 are the most");
  CHECK(pvh_complaint(32, ~u64{0}) == "kernel: is truncated: program header 0 lies beyond its end");
  CHECK(pvh_complaint(32, ~u64{0} - 55) == "kernel: is truncated: program header 0 lies beyond its end");
  CHECK(pvh_complaint(32, u64{0x1800 - 56}) == "kernel: is truncated: program header 1 lies beyond its end");
  CHECK(pvh_complaint(program(0, offsetof(Elf64_Phdr, p_offset)), u64{0x1001}) == "kernel: is truncated: the data of program header 0 lies beyond its end");
  CHECK(pvh_complaint(program(0, offsetof(Elf64_Phdr, p_filesz)), ~u64{0}) == "kernel: is truncated: the data of program header 0 lies beyond its end");
  CHECK(pvh_complaint(program(0, offsetof(Elf64_Phdr, p_memsz)), u64{0x7ff}) == "kernel: is corrupt: program header 0 has more data than memory");
  CHECK(pvh_complaint(program(0, offsetof(Elf64_Phdr, p_memsz)), u64{0x1000}) ==
        "kernel: is corrupt: what it loads at 0x100000 overlaps what it loads at 0x100a00");
  CHECK(pvh_complaint(program(0, offsetof(Elf64_Phdr, p_paddr)), ~u64{0}) == "kernel: wants 2K at 0xffffffffffffffff, which is not below 4 GiB");
  CHECK(pvh_complaint(program(0, offsetof(Elf64_Phdr, p_paddr)), u64{0x9f000}) ==
        "kernel: is corrupt: its PVH entry 0x100040 lies outside of what it loads");
  CHECK(pvh_complaint(program(1, offsetof(Elf64_Phdr, p_memsz)), u64{1} << 31) ==
        "kernel: kernel needs 2.0G at 0x100000, which is not all RAM in a domain of 64M");
  CHECK(pvh_complaint(program(2, offsetof(Elf64_Phdr, p_type)), u32{PT_NULL}) == "kernel: has no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");
  CHECK(pvh_complaint(0x200, ~u32{0}) == "kernel: has no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");   // size of a note's name
  CHECK(pvh_complaint(0x204, ~u32{0}) == "kernel: has no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");   // and of its descriptor
  CHECK(pvh_complaint(0x218, ~u32{0}) == "kernel: has no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY)");
  CHECK(pvh_complaint(0x224, u32{0x200000}) == "kernel: is corrupt: its PVH entry 0x200000 lies outside of what it loads");
  CHECK(complaint(load_pvh, {.kernel = Bytes(16), .initrd = {}, .modules = {}, .command_line = {}}) == "kernel: is no ELF file");
}

TEST_CASE("pvh: a note of eight bytes, in a segment aligned to eight") {
  BootInput input;
  input.kernel = sample_pvh();
  put(input.kernel, program(2, offsetof(Elf64_Phdr, p_align)), u64{8});
  put(input.kernel, program(2, offsetof(Elf64_Phdr, p_filesz)), u64{24});
  put(input.kernel, 0x200, Elf64_Nhdr{4, 8, 18});
  put(input.kernel, 0x210, u64{0x100060});
  GuestMemory memory{k_memory};
  const auto registers = load_pvh(memory, input);
  REQUIRE(registers);
  CHECK(registers->rip == 0x100060);
}

TEST_CASE("elf: a kernel on the ACPI tables or in the legacy hole is refused") {
  CHECK(pvh_complaint(program(1, offsetof(Elf64_Phdr, p_paddr)), u64{0xf0000}) ==
        "kernel: kernel needs 5.5K at 0xf0000, which is not all RAM in a domain of 64M");
}

TEST_CASE("multiboot: information, modules, memory map, registers") {
  BootInput input;
  input.kernel = sample_multiboot();
  input.modules.push_back({Bytes(0x1801, std::byte{9}), "mod one"});
  input.modules.push_back({Bytes{}, ""});
  input.command_line = "test=all";
  GuestMemory memory{k_memory};
  const auto registers = load_multiboot(memory, input);
  REQUIRE(registers);
  CHECK(registers->mode == domain::BootMode::protected32);
  CHECK(registers->rip == 0x100020);
  CHECK(registers->rax == 0x2badb002);

  const u64 info = registers->rbx;
  CHECK(read<u32>(memory, info) == (1U << 0 | 1U << 2 | 1U << 3 | 1U << 6 | 1U << 9));
  CHECK(read<u32>(memory, info + 4) == 639);
  CHECK(read<u32>(memory, info + 8) == (k_memory - 0x100000) / 1024);
  CHECK(read_text(memory, read<u32>(memory, info + 16)) == "test=all");
  CHECK(read<u32>(memory, info + 20) == 2);
  const u64 modules = read<u32>(memory, info + 24);
  CHECK(read<u32>(memory, info + 44) == 3 * 24);
  const u64 map = read<u32>(memory, info + 48);
  CHECK(read_text(memory, read<u32>(memory, info + 64)) == "Octavo");

  const u64 begin = read<u32>(memory, modules);
  CHECK(begin == 0x101000);  // right behind the kernel, on a page
  CHECK(read<u32>(memory, modules + 4) == begin + 0x1801);
  CHECK(read<u8>(memory, begin + 0x1800) == 9);
  CHECK(read_text(memory, read<u32>(memory, modules + 8)) == "mod one");
  CHECK(read<u32>(memory, modules + 16) == read<u32>(memory, modules + 20));
  CHECK(read<u32>(memory, map) == 20);
  CHECK(read<u64>(memory, map + 4) == 0);
  CHECK(read<u64>(memory, map + 12) == 0x9fc00);
  CHECK(read<u32>(memory, map + 20) == 1);
  CHECK(read<u64>(memory, map + 48 + 4) == 0x100000);
}

TEST_CASE("multiboot: a virtual entry is translated by the program header that holds it") {
  BootInput input;
  input.kernel = sample_multiboot();
  put(input.kernel, 24, u32{0xc0100030});
  put(input.kernel, k_elf32_program_headers + offsetof(Elf32_Phdr, p_vaddr), u32{0xc0100000});
  GuestMemory memory{k_memory};
  const auto registers = load_multiboot(memory, input);
  REQUIRE(registers);
  CHECK(registers->rip == 0x100030);
}

TEST_CASE("multiboot: what the header may not ask for") {
  CHECK(flags_complaint(0).empty());
  CHECK(flags_complaint(1 << 17).empty());  // optional: may be ignored
  CHECK(flags_complaint(1 << 16) ==
        "kernel: gives its addresses in the multiboot header (the a.out kludge, flag 16); only ELF program headers can be loaded");
  CHECK(flags_complaint(4) == "kernel: wants a video mode (multiboot flag 2), and a domain has no screen");
  CHECK(flags_complaint(8) == "kernel: wants multiboot features that Octavo does not offer (flags 0x8)");
}

TEST_CASE("multiboot: corrupt files, and what does not go with it") {
  CHECK(multiboot_complaint(k_multiboot_header, u32{0}) == "kernel: has no multiboot-1 header in its first 8192 bytes");
  CHECK(multiboot_complaint(k_multiboot_header + 8, u32{0}) == "kernel: has no multiboot-1 header in its first 8192 bytes");
  CHECK(multiboot_complaint(24, u32{0x200000}) == "kernel: is corrupt: its entry 0x200000 lies outside of what it loads");
  CHECK(multiboot_complaint(44, u16{0}) == "kernel: is an ELF file that loads nothing");
  BootInput input;
  input.kernel = sample_multiboot();
  input.initrd = Bytes(1);
  CHECK(complaint(load_multiboot, input) == "initrd: a multiboot kernel takes modules, no initrd");
  input.initrd.reset();
  input.modules.push_back({Bytes(64 << 20), ""});
  CHECK(complaint(load_multiboot, input) == "modules: module-0 of 64M does not fit into the free memory between 0x101000 and 0x4000000");
}

TEST_CASE("elf: every truncation is refused or loads only what is there") {
  for (const auto& [kernel, load] : {std::pair{sample_pvh(), Loader{load_pvh}}, {sample_multiboot(), Loader{load_multiboot}}}) {
    for (usize size = 0; size < kernel.size(); ++size) {
      INFO(size);
      BootInput input;
      input.kernel = Bytes(kernel.begin(), kernel.begin() + static_cast<std::ptrdiff_t>(size));
      REQUIRE_FALSE(complaint(load, input).empty());
    }
  }
}

TEST_CASE("kernel: the kind is found out") {
  CHECK(*detect_kernel(sample_bzimage()) == domain::KernelKind::linux_bzimage);
  CHECK(*detect_kernel(sample_pvh()) == domain::KernelKind::pvh);
  CHECK(*detect_kernel(sample_multiboot()) == domain::KernelKind::multiboot);
  CHECK(detect_kernel(Bytes(100)).error().text == "is no kernel: neither a Linux bzImage nor an ELF file");
  CHECK(detect_kernel({}).error().text == "is no kernel: neither a Linux bzImage nor an ELF file");
  Bytes plain = sample_multiboot();
  put(plain, k_multiboot_header, u32{0});
  CHECK(detect_kernel(plain).error().text == "is an ELF file without a PVH entry note and without a multiboot-1 header");
}
