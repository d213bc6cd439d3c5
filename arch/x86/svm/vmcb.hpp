// SPDX-License-Identifier: Apache-2.0
// The virtual machine control block, APM Vol. 2 appendix B, field by field. Pure layout: no behaviour.
#pragma once
#include <cstddef>

#include "arch/x86/guest_registers.hpp"

namespace octavo::arch::svm {

/// Intercepts of vector 3 (offset 00Ch).
namespace intercept3 {
inline constexpr u32 intr = 1u << 0, nmi = 1u << 1, init = 1u << 3, vintr = 1u << 4, rdpmc = 1u << 15, cpuid = 1u << 18,
                     invd = 1u << 22, pause = 1u << 23, hlt = 1u << 24, invlpg = 1u << 25, invlpga = 1u << 26,
                     ioio = 1u << 27, msr = 1u << 28, task_switch = 1u << 29, ferr_freeze = 1u << 30, shutdown = 1u << 31;
}
/// Intercepts of vector 4 (offset 010h).
namespace intercept4 {
inline constexpr u32 vmrun = 1u << 0, vmmcall = 1u << 1, vmload = 1u << 2, vmsave = 1u << 3, stgi = 1u << 4, clgi = 1u << 5,
                     skinit = 1u << 6, rdtscp = 1u << 7, wbinvd = 1u << 9, monitor = 1u << 10, mwait = 1u << 11,
                     mwait_armed = 1u << 12, xsetbv = 1u << 13, rdpru = 1u << 14;
}
/// Intercepts of vector 5 (offset 014h).
namespace intercept5 {
inline constexpr u32 invlpgb = 1u << 0, invlpgb_illegal = 1u << 1, invpcid = 1u << 2, mcommit = 1u << 3, tlbsync = 1u << 4;
}
/// Offset 060h, virtual interrupt control.
namespace vintr {
inline constexpr u64 irq = 1u << 8, ignore_tpr = 1u << 20, masking = 1u << 24;
}
/// EVENTINJ and EXITINTINFO.
namespace event {
inline constexpr u64 type_shift = 8, type_mask = u64{7} << 8, has_error_code = u64{1} << 11, valid = u64{1} << 31;
enum class Type : u8 { interrupt = 0, nmi = 2, exception = 3, software_interrupt = 4 };
}  // namespace event

enum class TlbControl : u8 { none = 0, flush_all = 1, flush_asid = 3 };

enum class ExitCode : u64 {
  cr0_read = 0x00, cr0_write = 0x10, cr15_write = 0x1F, dr0_read = 0x20, dr15_write = 0x3F, exception0 = 0x40,
  exception31 = 0x5F, intr = 0x60, nmi = 0x61, smi = 0x62, init = 0x63, vintr = 0x64, cr0_selective_write = 0x65,
  rdtsc = 0x6E, rdpmc = 0x6F, cpuid = 0x72, invd = 0x76, pause = 0x77, hlt = 0x78, invlpg = 0x79, invlpga = 0x7A,
  ioio = 0x7B, msr = 0x7C, task_switch = 0x7D, ferr_freeze = 0x7E, shutdown = 0x7F, vmrun = 0x80, vmmcall = 0x81,
  vmload = 0x82, vmsave = 0x83, stgi = 0x84, clgi = 0x85, skinit = 0x86, rdtscp = 0x87, icebp = 0x88, wbinvd = 0x89,
  monitor = 0x8A, mwait = 0x8B, mwait_conditional = 0x8C, xsetbv = 0x8D, rdpru = 0x8E,
  invlpgb = 0xA0, invlpgb_illegal = 0xA1, mcommit = 0xA3, tlbsync = 0xA4, npf = 0x400,
};

struct ControlArea {
  u16 intercept_cr_read, intercept_cr_write;
  u16 intercept_dr_read, intercept_dr_write;
  u32 intercept_exceptions;
  u32 intercept3, intercept4, intercept5;
  u8 reserved_018[0x03C - 0x018];
  u16 pause_threshold, pause_count;
  u64 iopm_base, msrpm_base;
  u64 tsc_offset;
  u32 asid;
  u8 tlb_control;
  u8 reserved_05d[3];
  u64 virtual_interrupt;
  u64 interrupt_state;
  u64 exit_code, exit_info1, exit_info2, exit_int_info;
  u64 nested_control;
  u64 avic_apic_bar;
  u64 ghcb;
  u64 event_injection;
  u64 nested_cr3;
  u64 lbr_control;
  u32 clean_bits, reserved_0c4;
  u64 next_rip;
  u8 fetched_count;
  u8 fetched_bytes[15];
  u8 reserved_0e0[0x400 - 0x0E0];
};

struct SaveArea {  // offsets from 400h
  Segment es, cs, ss, ds, fs, gs;
  Segment gdtr, ldtr, idtr, tr;
  u8 reserved_0a0[0x0CB - 0x0A0];
  u8 cpl;
  u32 reserved_0cc;
  u64 efer;
  u8 reserved_0d8[0x148 - 0x0D8];
  u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
  u8 reserved_180[0x1D8 - 0x180];
  u64 rsp, s_cet, ssp, isst_address, rax;
  u64 star, lstar, cstar, sfmask, kernel_gs_base;
  u64 sysenter_cs, sysenter_esp, sysenter_eip;
  u64 cr2;
  u8 reserved_248[0x268 - 0x248];
  u64 g_pat, debug_control, last_branch_from, last_branch_to, last_exception_from, last_exception_to;
};

struct alignas(k_page_size) Vmcb {
  ControlArea control;
  SaveArea save;
  u8 reserved_end[k_page_size - 0x400 - 0x298];
};

static_assert(sizeof(Segment) == 16 && offsetof(Segment, attributes) == 2 && offsetof(Segment, limit) == 4 && offsetof(Segment, base) == 8);
#define OCTAVO_CONTROL_AT(field, offset) static_assert(offsetof(ControlArea, field) == (offset))
OCTAVO_CONTROL_AT(intercept_cr_read, 0x000);
OCTAVO_CONTROL_AT(intercept_cr_write, 0x002);
OCTAVO_CONTROL_AT(intercept_dr_read, 0x004);
OCTAVO_CONTROL_AT(intercept_dr_write, 0x006);
OCTAVO_CONTROL_AT(intercept_exceptions, 0x008);
OCTAVO_CONTROL_AT(intercept3, 0x00C);
OCTAVO_CONTROL_AT(intercept4, 0x010);
OCTAVO_CONTROL_AT(intercept5, 0x014);
OCTAVO_CONTROL_AT(pause_threshold, 0x03C);
OCTAVO_CONTROL_AT(pause_count, 0x03E);
OCTAVO_CONTROL_AT(iopm_base, 0x040);
OCTAVO_CONTROL_AT(msrpm_base, 0x048);
OCTAVO_CONTROL_AT(tsc_offset, 0x050);
OCTAVO_CONTROL_AT(asid, 0x058);
OCTAVO_CONTROL_AT(tlb_control, 0x05C);
OCTAVO_CONTROL_AT(virtual_interrupt, 0x060);
OCTAVO_CONTROL_AT(interrupt_state, 0x068);
OCTAVO_CONTROL_AT(exit_code, 0x070);
OCTAVO_CONTROL_AT(exit_info1, 0x078);
OCTAVO_CONTROL_AT(exit_info2, 0x080);
OCTAVO_CONTROL_AT(exit_int_info, 0x088);
OCTAVO_CONTROL_AT(nested_control, 0x090);
OCTAVO_CONTROL_AT(avic_apic_bar, 0x098);
OCTAVO_CONTROL_AT(ghcb, 0x0A0);
OCTAVO_CONTROL_AT(event_injection, 0x0A8);
OCTAVO_CONTROL_AT(nested_cr3, 0x0B0);
OCTAVO_CONTROL_AT(lbr_control, 0x0B8);
OCTAVO_CONTROL_AT(clean_bits, 0x0C0);
OCTAVO_CONTROL_AT(next_rip, 0x0C8);
OCTAVO_CONTROL_AT(fetched_count, 0x0D0);
OCTAVO_CONTROL_AT(fetched_bytes, 0x0D1);
static_assert(sizeof(ControlArea) == 0x400);
#undef OCTAVO_CONTROL_AT
#define OCTAVO_SAVE_AT(field, offset) static_assert(offsetof(SaveArea, field) == (offset))
OCTAVO_SAVE_AT(es, 0x000);
OCTAVO_SAVE_AT(cs, 0x010);
OCTAVO_SAVE_AT(ss, 0x020);
OCTAVO_SAVE_AT(ds, 0x030);
OCTAVO_SAVE_AT(fs, 0x040);
OCTAVO_SAVE_AT(gs, 0x050);
OCTAVO_SAVE_AT(gdtr, 0x060);
OCTAVO_SAVE_AT(ldtr, 0x070);
OCTAVO_SAVE_AT(idtr, 0x080);
OCTAVO_SAVE_AT(tr, 0x090);
OCTAVO_SAVE_AT(cpl, 0x0CB);
OCTAVO_SAVE_AT(efer, 0x0D0);
OCTAVO_SAVE_AT(cr4, 0x148);
OCTAVO_SAVE_AT(cr3, 0x150);
OCTAVO_SAVE_AT(cr0, 0x158);
OCTAVO_SAVE_AT(dr7, 0x160);
OCTAVO_SAVE_AT(dr6, 0x168);
OCTAVO_SAVE_AT(rflags, 0x170);
OCTAVO_SAVE_AT(rip, 0x178);
OCTAVO_SAVE_AT(rsp, 0x1D8);
OCTAVO_SAVE_AT(s_cet, 0x1E0);
OCTAVO_SAVE_AT(ssp, 0x1E8);
OCTAVO_SAVE_AT(isst_address, 0x1F0);
OCTAVO_SAVE_AT(rax, 0x1F8);
OCTAVO_SAVE_AT(star, 0x200);
OCTAVO_SAVE_AT(lstar, 0x208);
OCTAVO_SAVE_AT(cstar, 0x210);
OCTAVO_SAVE_AT(sfmask, 0x218);
OCTAVO_SAVE_AT(kernel_gs_base, 0x220);
OCTAVO_SAVE_AT(sysenter_cs, 0x228);
OCTAVO_SAVE_AT(sysenter_esp, 0x230);
OCTAVO_SAVE_AT(sysenter_eip, 0x238);
OCTAVO_SAVE_AT(cr2, 0x240);
OCTAVO_SAVE_AT(g_pat, 0x268);
OCTAVO_SAVE_AT(debug_control, 0x270);
OCTAVO_SAVE_AT(last_branch_from, 0x278);
OCTAVO_SAVE_AT(last_branch_to, 0x280);
OCTAVO_SAVE_AT(last_exception_from, 0x288);
OCTAVO_SAVE_AT(last_exception_to, 0x290);
static_assert(offsetof(Vmcb, save) == 0x400 && sizeof(Vmcb) == k_page_size);
#undef OCTAVO_SAVE_AT
}  // namespace octavo::arch::svm
