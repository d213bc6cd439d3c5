// SPDX-License-Identifier: Apache-2.0
// Names and offsets: Documentation/arch/x86/boot.rst and zero-page.rst of Linux.
#include "lib/address.hpp"
#include "tools/octavo/build/boot_state.hpp"
#include "tools/octavo/build/kernel.hpp"
#include "tools/octavo/build/size.hpp"

namespace octavo::build {
namespace {

/// The setup header. Offsets are the same in the file and in boot_params.
enum SetupHeader : u64 {
  k_setup_sects = 0x1f1, k_syssize = 0x1f4, k_vid_mode = 0x1fa, k_boot_flag = 0x1fe, k_jump_length = 0x201, k_magic = 0x202,
  k_version = 0x206, k_type_of_loader = 0x210, k_loadflags = 0x211, k_ramdisk_image = 0x218, k_ramdisk_size = 0x21c,
  k_cmd_line_ptr = 0x228, k_initrd_addr_max = 0x22c, k_kernel_alignment = 0x230, k_relocatable_kernel = 0x234,
  k_xloadflags = 0x236, k_cmdline_size = 0x238, k_payload_offset = 0x248, k_payload_length = 0x24c, k_pref_address = 0x258,
  k_init_size = 0x260, k_header_end_2_12 = 0x268,
};
/// The rest of boot_params.
enum ZeroPage : u64 { k_acpi_rsdp_addr = 0x070, k_e820_entries = 0x1e8, k_e820_table = 0x2d0, k_zero_page_size = 0x1000 };

constexpr u16 k_boot_flag_value = 0xaa55;
constexpr u32 k_magic_value = 0x53726448;  // "HdrS"
constexpr u16 k_oldest_version = 0x020c;
constexpr u8 k_loaded_high = 1 << 0;
constexpr u16 k_xlf_kernel_64 = 1 << 0;
constexpr u8 k_unknown_loader = 0xff;
constexpr u16 k_vid_mode_normal = 0xffff;
constexpr u64 k_entry_64 = 0x200;
constexpr u64 k_sector = 512;
constexpr u64 k_paragraph = 16;
constexpr u64 k_stack_top = 0x9f000;  // the entry needs none; it just points to memory that is free

struct BzImage {
  ByteView header;   ///< from k_setup_sects to its end
  ByteView payload;  ///< what runs in protected and long mode
  u64 load_address = 0;
  u64 init_size = 0;
  u64 command_line_limit = 0;  ///< characters without the NUL
  u64 initrd_end = 0;          ///< first address beyond what the initrd may use
};

Outcome<ByteView> read_payload(ByteView kernel) {
  const u8 sectors = *get<u8>(kernel, k_setup_sects);
  const u64 begin = (1 + u64{sectors == 0 ? u8{4} : sectors}) * k_sector;
  const u64 size = u64{*get<u32>(kernel, k_syssize)} * k_paragraph;
  if (begin >= kernel.size()) return failure("is truncated: its protected-mode part begins at byte {} of {}", begin, kernel.size());
  const ByteView rest = kernel.subspan(begin);  // a signature may follow the payload
  if (size < k_entry_64 + k_paragraph) return failure("is corrupt: its protected-mode part has {} bytes", size);
  if (rest.size() + k_paragraph <= size) {
    return failure("is truncated: its header wants {} bytes, the file has {}", begin + size, kernel.size());
  }
  const ByteView payload = rest.first(std::min<u64>(size, rest.size()));
  if (!slice(payload, *get<u32>(kernel, k_payload_offset), *get<u32>(kernel, k_payload_length))) {
    return failure("is corrupt: its compressed payload lies outside of it");
  }
  return payload;
}

Outcome<BzImage> read_bzimage(ByteView kernel) {
  if (!detail::is_linux(kernel)) return failure("is no Linux bzImage");
  const u16 version = *get<u16>(kernel, k_version);
  if (version < k_oldest_version) {
    return failure("speaks boot protocol {}.{}; 2.12 (Linux 3.8) is the oldest that Octavo can boot", version >> 8, version & 0xff);
  }
  const u64 header_end = k_magic + *get<u8>(kernel, k_jump_length);
  const auto header = slice(kernel, k_setup_sects, header_end - k_setup_sects);
  if (header_end < k_header_end_2_12 || !header) return failure("is corrupt: its setup header ends at {:#x}", header_end);
  if ((*get<u8>(kernel, k_loadflags) & k_loaded_high) == 0) return failure("is a zImage, which loads below 1 MiB; only bzImages can be booted");
  if ((*get<u16>(kernel, k_xloadflags) & k_xlf_kernel_64) == 0) return failure("is a 32-bit kernel (no 64-bit entry, XLF_KERNEL_64)");

  BzImage image{.header = *header, .payload = OCTAVO_TRY(read_payload(kernel))};
  // A relocatable kernel below its preferred address would only move itself there, so there is one place for both.
  const u64 alignment = *get<u32>(kernel, k_kernel_alignment);
  image.load_address = *get<u64>(kernel, k_pref_address);
  image.init_size = *get<u32>(kernel, k_init_size);
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || image.load_address % k_page_size != 0 ||
      (*get<u8>(kernel, k_relocatable_kernel) != 0 && image.load_address % alignment != 0)) {
    return failure("is corrupt: pref_address {:#x} and kernel_alignment {:#x} do not go together", image.load_address, alignment);
  }
  if (!range_within(image.load_address, std::max<u64>(image.init_size, image.payload.size()), k_below_4g)) {
    return failure("is corrupt: it wants {} at {:#x}", rounded_size(image.init_size), image.load_address);
  }
  image.command_line_limit = *get<u32>(kernel, k_cmdline_size);
  image.initrd_end = u64{*get<u32>(kernel, k_initrd_addr_max)} + 1;
  return image;
}

Bytes make_zero_page(const BzImage& image, const GuestMemory& memory, u64 rsdp) {
  Bytes page(k_zero_page_size);
  put_bytes(page, k_setup_sects, image.header);
  put(page, k_type_of_loader, k_unknown_loader);
  put(page, k_vid_mode, k_vid_mode_normal);
  put(page, k_acpi_rsdp_addr, rsdp);
  u64 offset = k_e820_table;
  for (const E820Entry& entry : memory.e820()) {
    put(page, offset, entry.base);
    put(page, offset + 8, entry.size);
    put(page, offset + 16, entry.type);
    offset += 20;
  }
  put(page, k_e820_entries, static_cast<u8>(memory.e820().size()));
  return page;
}
}  // namespace

bool detail::is_linux(ByteView kernel) {
  return kernel.size() >= k_header_end_2_12 && get<u16>(kernel, k_boot_flag) == k_boot_flag_value && get<u32>(kernel, k_magic) == k_magic_value;
}

Outcome<domain::BootRegisters> load_linux(GuestMemory& memory, const BootInput& input) {
  const BzImage image = OCTAVO_TRY(at("kernel", read_bzimage(input.kernel)));
  if (!input.modules.empty()) return failure_at("modules", "a Linux bzImage takes an initrd, no modules");
  if (input.command_line.size() > image.command_line_limit) {
    return failure_at("command_line", "has {} characters; the kernel takes {}", input.command_line.size(), image.command_line_limit);
  }
  OCTAVO_TRY(at("memory", memory.place_at({"kernel", image.load_address, std::max<u64>(image.init_size, image.payload.size()),
                                           Bytes(image.payload.begin(), image.payload.end())})));
  domain::BootRegisters registers = OCTAVO_TRY(flat_registers(memory, domain::BootMode::long64));
  registers.cr3 = OCTAVO_TRY(identity_page_tables(memory));
  Bytes zero_page = make_zero_page(image, memory, input.rsdp);
  put(zero_page, k_cmd_line_ptr, static_cast<u32>(OCTAVO_TRY(place_text(memory, "command-line", input.command_line))));
  if (input.initrd && !input.initrd->empty()) {
    const u64 size = input.initrd->size();
    put(zero_page, k_ramdisk_image, static_cast<u32>(OCTAVO_TRY(at("initrd", memory.place(
        {"initrd", 0, size, *input.initrd}, k_legacy_end, std::min(image.initrd_end, k_low_memory_end), GuestMemory::From::top)))));
    put(zero_page, k_ramdisk_size, static_cast<u32>(size));
  }
  registers.rsi = OCTAVO_TRY(memory.place({"boot-params", 0, k_zero_page_size, std::move(zero_page)}, k_boot_data_begin,
                                          k_legacy_begin, GuestMemory::From::bottom));
  registers.rip = image.load_address + k_entry_64;
  registers.rsp = k_stack_top;
  return registers;
}
}  // namespace octavo::build
