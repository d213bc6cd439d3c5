// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/svm/permission_maps.hpp"

#include <cstring>

#include "arch/x86/layout.hpp"

namespace octavo::arch::svm {
namespace {
alignas(k_page_size) u8 io_map[3 * k_page_size];
alignas(k_page_size) u8 msr_map[2 * k_page_size];

/// The byte and bit of an MSR's read bit; the write bit is the next one.
void pass_through(u32 msr) {
  u32 index = msr;                                     // 0000_0000h..0000_1FFFh at byte 000h
  if (msr >= 0xC0000000) index = msr - 0xC0000000 + 0x2000;  // C000_0000h..C000_1FFFh at byte 800h
  const u32 bit = index * 2;
  msr_map[bit / 8] = static_cast<u8>(msr_map[bit / 8] & ~(3u << (bit % 8)));
}
}  // namespace

void fill_permission_maps() {
  std::memset(io_map, 0xFF, sizeof io_map);
  std::memset(msr_map, 0xFF, sizeof msr_map);
  for (const u32 msr : {0x174u, 0x175u, 0x176u,                           // SYSENTER_CS, _ESP, _EIP
                        0xC0000081u, 0xC0000082u, 0xC0000083u, 0xC0000084u,  // STAR, LSTAR, CSTAR, SFMASK
                        0xC0000100u, 0xC0000101u, 0xC0000102u}) {            // FS.base, GS.base, KernelGSbase
    pass_through(msr);
  }
}

Hpa io_permission_map() { return Hpa{reinterpret_cast<u64>(io_map) - k_image_offset}; }
Hpa msr_permission_map() { return Hpa{reinterpret_cast<u64>(msr_map) - k_image_offset}; }
}  // namespace octavo::arch::svm
