// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/build/elf.hpp"

#include <elf.h>

#include <algorithm>

#include "lib/address.hpp"
#include "tools/octavo/build/boot_state.hpp"
#include "tools/octavo/build/size.hpp"

namespace octavo::build {
namespace {

constexpr u32 k_phys32_entry = 18;  // XEN_ELFNOTE_PHYS32_ENTRY
constexpr std::string_view k_xen_name{"Xen\0", 4};
constexpr usize k_most_program_headers = 64;

struct Elf32 {
  using Header = Elf32_Ehdr;
  using ProgramHeader = Elf32_Phdr;
};
struct Elf64 {
  using Header = Elf64_Ehdr;
  using ProgramHeader = Elf64_Phdr;
};

/// The descriptor of the PHYS32_ENTRY note among `notes`, or nothing. Padded to 8 bytes where the segment says so.
std::optional<u64> find_pvh_entry(ByteView notes, u64 alignment) {
  const u64 padding = alignment == 8 ? 8 : 4;
  u64 offset = 0;
  while (const auto header = get<Elf64_Nhdr>(notes, offset)) {  // the same in both classes; sizes are 32 bits, no overflow
    const u64 name_at = offset + sizeof *header;
    const u64 descriptor_at = align_up(name_at + header->n_namesz, padding);
    const auto name = slice(notes, name_at, header->n_namesz);
    const auto descriptor = slice(notes, descriptor_at, header->n_descsz);
    if (!name || !descriptor) return std::nullopt;
    if (header->n_type == k_phys32_entry && std::ranges::equal(*name, as_bytes(k_xen_name))) {
      if (descriptor->size() == 4) return get<u32>(*descriptor, 0);
      if (descriptor->size() == 8) return get<u64>(*descriptor, 0);
    }
    offset = align_up(descriptor_at + header->n_descsz, padding);
  }
  return std::nullopt;
}

template <class Class>
Outcome<ElfFile> read_class(ByteView bytes) {
  const auto header = get<typename Class::Header>(bytes, 0);
  if (!header) return failure("is truncated: no room for an ELF header");
  if (header->e_ident[EI_DATA] != ELFDATA2LSB || (header->e_machine != EM_386 && header->e_machine != EM_X86_64)) {
    return failure("is an ELF file for another processor (machine {})", header->e_machine);
  }
  if (header->e_type != ET_EXEC && header->e_type != ET_DYN) return failure("is an ELF file that is no executable (type {})", header->e_type);
  if (header->e_phentsize != sizeof(typename Class::ProgramHeader)) {
    return failure("is corrupt: its program headers have {} bytes each", header->e_phentsize);
  }
  if (header->e_phnum > k_most_program_headers) return failure("has {} program headers; {} are the most", header->e_phnum, k_most_program_headers);
  ElfFile elf{.entry = header->e_entry, .loads = {}, .pvh_entry = {}};
  for (u64 i = 0; i < header->e_phnum; ++i) {
    const auto at = checked_add<u64>(header->e_phoff, i * sizeof(typename Class::ProgramHeader));
    const auto program = at ? get<typename Class::ProgramHeader>(bytes, *at) : std::nullopt;
    if (!program) return failure("is truncated: program header {} lies beyond its end", i);
    if (program->p_type != PT_LOAD && program->p_type != PT_NOTE) continue;
    const auto data = slice(bytes, program->p_offset, program->p_filesz);
    if (!data) return failure("is truncated: the data of program header {} lies beyond its end", i);
    if (program->p_type == PT_NOTE) {
      if (const auto entry = find_pvh_entry(*data, program->p_align); entry && !elf.pvh_entry) elf.pvh_entry = entry;
      continue;
    }
    if (program->p_memsz == 0) continue;
    if (program->p_filesz > program->p_memsz) return failure("is corrupt: program header {} has more data than memory", i);
    if (!range_within(program->p_paddr, program->p_memsz, k_below_4g)) {
      return failure("wants {} at {:#x}, which is not below 4 GiB", rounded_size(program->p_memsz), u64{program->p_paddr});
    }
    elf.loads.push_back({program->p_vaddr, program->p_paddr, program->p_memsz, *data});
  }
  return elf;
}

Outcome<ElfFile> check_loads(ElfFile elf) {
  if (elf.loads.empty()) return failure("is an ELF file that loads nothing");
  std::ranges::sort(elf.loads, {}, &ElfLoad::physical_address);
  for (usize i = 1; i < elf.loads.size(); ++i) {
    const ElfLoad& before = elf.loads[i - 1];
    if (before.physical_address + before.memory_size > elf.loads[i].physical_address) {
      return failure("is corrupt: what it loads at {:#x} overlaps what it loads at {:#x}", before.physical_address,
                     elf.loads[i].physical_address);
    }
  }
  return elf;
}
}  // namespace

bool is_elf(ByteView bytes) { return bytes.size() >= EI_NIDENT && std::memcmp(bytes.data(), ELFMAG, SELFMAG) == 0; }

Outcome<ElfFile> read_elf(ByteView bytes) {
  if (!is_elf(bytes)) return failure("is no ELF file");
  const u8 kind = *get<u8>(bytes, EI_CLASS);
  if (kind != ELFCLASS32 && kind != ELFCLASS64) return failure("is corrupt: an ELF file of class {}", kind);
  ElfFile elf = OCTAVO_TRY(kind == ELFCLASS64 ? read_class<Elf64>(bytes) : read_class<Elf32>(bytes));
  return check_loads(std::move(elf));
}

bool is_loaded(const ElfFile& elf, u64 address) {
  return std::ranges::any_of(elf.loads, [&](const ElfLoad& load) {
    return address >= load.physical_address && address - load.physical_address < load.memory_size;
  });
}

Outcome<> place_elf(GuestMemory& memory, const ElfFile& elf) {
  std::vector<Segment> segments;
  u64 end = 0;  // of the last segment
  for (const ElfLoad& load : elf.loads) {
    const u64 load_end = load.physical_address + load.memory_size;
    const u64 page = align_down(load.physical_address, k_page_size);
    if (segments.empty() || page >= align_up(end, k_page_size)) segments.push_back({"kernel", page, 0, {}});
    Segment& segment = segments.back();
    segment.memory_size = load_end - segment.gpa;
    if (!load.data.empty()) put_bytes(segment.data, load.physical_address - segment.gpa, load.data);
    end = load_end;
  }
  for (Segment& segment : segments) OCTAVO_TRY(memory.place_at(std::move(segment)));
  return {};
}
}  // namespace octavo::build
