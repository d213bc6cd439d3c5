// SPDX-License-Identifier: Apache-2.0
// A vCPU on SVM: its VMCB and the translation of #VMEXITs into Exits.
#pragma once
#include "arch/x86/guest_context.hpp"
#include "arch/x86/svm/vmcb.hpp"

namespace octavo::arch::svm {

struct FlushRequest {
  bool wanted = false;
  TlbTag tag = TlbTag::none;  ///< none: everything
};
/// What a world switch needs of the CPU on which it happens: PerCpu::backend, once SVM is enabled there.
struct CpuState {
  FlushRequest flush;  ///< taken by the next entry
  u64 host_state = 0;  ///< the machine address of what VMSAVE and VMLOAD keep of us
};

class Context final : public GuestContext {
 public:
  explicit Context(Hpa hpa);  ///< `hpa` is where this object lies; page-aligned

  const Exit& run() override;
  ControlState control() const override;
  u64 cr3() const override { return vmcb_.save.cr3; }
  void set_cr0(u64 value) override;
  void set_cr2(u64 value) override;
  void set_cr3(u64 value) override;
  void set_cr4(u64 value) override;
  void set_efer(u64 value) override;
  void set_dr6(u64 value) override;
  void set_dr7(u64 value) override;
  u64 pat() const override { return vmcb_.save.g_pat; }
  void set_pat(u64 value) override;
  Segment segment(SegmentName name) const override;
  void set_segment(SegmentName name, const Segment& segment) override;
  TableRegister gdt() const override { return {vmcb_.save.gdtr.base, vmcb_.save.gdtr.limit}; }
  TableRegister idt() const override { return {vmcb_.save.idtr.base, vmcb_.save.idtr.limit}; }
  void set_gdt(const TableRegister& table) override;
  void set_idt(const TableRegister& table) override;
  unsigned cpl() const override { return vmcb_.save.cpl; }
  bool in_64bit_code() const override { return (vmcb_.save.efer & efer::lma) != 0 && vmcb_.save.cs.is_long(); }
  bool interrupt_shadow() const override;
  void clear_interrupt_shadow() override;
  void inject(const Event& event) override;
  bool event_pending() const override { return (vmcb_.control.event_injection & event::valid) != 0; }
  bool can_take_interrupt() const override;
  bool request_interrupt_window() override;
  void set_tsc_offset(u64 offset) override;
  void set_nested_root(Hpa root, TlbTag tag) override;
  void drop_translations() override { flush_own_ = true; }
  void reset() override;

 private:
  void prepare_entry(CpuState& cpu);
  void ask_for_flush(FlushRequest& asked);
  void redeliver();
  void translate_exit();
  void translate_port();
  void translate_memory_fault();
  /// Since the last exit we have written to these groups of the clean field (APM Vol. 2, 15.15.3).
  void changed(u32 clean_bits) { vmcb_.control.clean_bits &= ~clean_bits; }
  Segment& segment_slot(SegmentName name);

  Vmcb vmcb_;
  Hpa vmcb_hpa_;
  Exit exit_;
  u32 clean_after_exit_;     ///< all groups of the clean field; none on a processor without it
  bool flush_own_ = false;   ///< this guest's translations must go before the next entry
  bool window_open_ = false; ///< the VINTR intercept is armed
  /// Workaround for VMRUN without interrupt shadow: where the guest stood when it last left inside one, and how many more
  /// entries we believe in it.
  u64 shadow_rip_ = 0;
  unsigned shadow_patience_ = 0;
};
}  // namespace octavo::arch::svm
