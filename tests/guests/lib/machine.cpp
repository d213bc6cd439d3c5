// SPDX-License-Identifier: Apache-2.0
#include "machine.hpp"

#include "octavo/hypercall.h"
#include "tap.hpp"
#include "uart.hpp"

extern "C" {
extern u64 guest_magic, guest_info;
extern x86::TablePointer guest_first_gdt;
extern u8 guest_image_start[], guest_image_end[];
void guest_start();
}

namespace {
struct MultibootInfo {  // Multiboot 0.6.96, 3.3
  u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr,
      drives_length, drives_addr, config_table, loader_name;
};
struct [[gnu::packed]] MultibootRange {
  u32 size;
  u64 base, length;
  u32 type;
};
struct MultibootModule {
  u32 begin, end, cmdline, reserved;
};
constexpr u32 k_has_cmdline = 1u << 2, k_has_modules = 1u << 3, k_has_mmap = 1u << 6, k_has_loader_name = 1u << 9,
              k_ram = 1;

Range ranges[machine::k_max_ranges];
unsigned range_count = 0;
Range used[16];
unsigned used_count = 0;
u64 arena_next = 0;
const char* cmdline = "";

u64 page_down(u64 a) {
  return a & ~u64{k_page - 1};
}
u64 page_up(u64 a) {
  return page_down(a + k_page - 1);
}

void use(u64 base, u64 size) {
  if (size != 0 && used_count < sizeof used / sizeof *used)
    used[used_count++] = {page_down(base), page_up(base + size) - page_down(base)};
}

void use_text(u32 address) {
  use(address, __builtin_strlen(reinterpret_cast<const char*>(word{address})) + 1);
}

void add_ram(Range range) {
  const u64 end = page_down(range.end());
  range.base = page_up(range.base);
  if (end <= range.base || range_count == machine::k_max_ranges) return;
  range.size = end - range.base;
  unsigned i = range_count++;
  for (; i > 0 && ranges[i - 1].base > range.base; --i) ranges[i] = ranges[i - 1];
  ranges[i] = range;
}
}  // namespace

namespace machine {
bool on_octavo() {
  const auto r = x86::cpuid(OCTAVO_CPUID_SIGNATURE);
  return r.ebx == 0x6174634F && r.ecx == 0x634F6F76 && r.edx == 0x6F766174;  // "Octa" "voOc" "tavo"
}

unsigned ram_count() {
  return range_count;
}
Range ram(unsigned index) {
  return ranges[index];
}
u64 ram_end() {
  return range_count == 0 ? 0 : ranges[range_count - 1].end();
}
const char* command_line() {
  return cmdline;
}

bool page_in_use(u64 page) {
  if (bare() && page < k_mib) return true;
  if (page >= reinterpret_cast<word>(guest_image_start) && page < arena_next) return true;
  for (unsigned i = 0; i < used_count; ++i)
    if (page >= used[i].base && page < used[i].end()) return true;
  return false;
}

void for_each_free_run(void (*function)(void*, u64, u64), void* context, u64 limit) {
  for (unsigned i = 0; i < range_count; ++i) {
    const u64 end = ranges[i].end() < limit ? ranges[i].end() : limit;
    u64 start = ranges[i].base;
    for (u64 page = start; page < end; page += k_page) {
      if (page >= 4 * k_gib) break;  // nothing of ours lies there
      if (!page_in_use(page)) continue;
      if (page > start) function(context, start, page);
      start = page + k_page;
    }
    if (start < end) function(context, start, end);
  }
}

word allocate_page() {
  const word page = static_cast<word>(arena_next);
  arena_next += k_page;
  for (word i = 0; i < k_page; i += sizeof(word)) *at<word>(page + i) = 0;
  return page;
}

void initialize() {
  arena_next = page_up(reinterpret_cast<word>(guest_image_end));
  if (guest_magic != 0x2BADB002) return;
  const auto& info = *reinterpret_cast<const MultibootInfo*>(static_cast<word>(guest_info));
  use(guest_info, 120);
  use(guest_first_gdt.base, guest_first_gdt.base == 0 ? 0 : u64{guest_first_gdt.limit} + 1);
  if (info.flags & k_has_cmdline) {
    cmdline = reinterpret_cast<const char*>(word{info.cmdline});
    use_text(info.cmdline);
  }
  if (info.flags & k_has_loader_name) use_text(info.loader_name);
  if (info.flags & k_has_modules) {
    use(info.mods_addr, info.mods_count * sizeof(MultibootModule));
    const auto* modules = reinterpret_cast<const MultibootModule*>(word{info.mods_addr});
    for (u32 i = 0; i < info.mods_count; ++i) {
      use(modules[i].begin, modules[i].end - modules[i].begin);
      use_text(modules[i].cmdline);
    }
  }
  if (!(info.flags & k_has_mmap)) return;
  use(info.mmap_addr, info.mmap_length);
  for (u32 offset = 0; offset + sizeof(MultibootRange) <= info.mmap_length;) {
    const auto& entry = *reinterpret_cast<const MultibootRange*>(word{info.mmap_addr} + offset);
    if (entry.type == k_ram) add_ram({entry.base, entry.length});
    offset += entry.size + 4;
  }
}
}  // namespace machine

extern "C" size_t strlen(const char* s) {
  size_t n = 0;
  while (*at(reinterpret_cast<word>(s + n)) != 0) ++n;
  return n;
}

void guest_start() {
  uart::initialize();
  set_up_descriptors();
  machine::initialize();
  guest_main();
  tap::finish();
}
