// SPDX-License-Identifier: Apache-2.0
// GuestContext: one vCPU as the processor sees it, behind one interface for SVM and VMX. It knows how to enter the guest, what
// came back, and where each piece of state lives; it decides nothing. Owned by one vcpu::Vcpu; used by the CPU that runs
// that vCPU, or by anyone while it does not run (the domain's lock).
#pragma once
#include <optional>

#include "arch/x86/exit.hpp"
#include "arch/x86/guest_registers.hpp"
#include "arch/x86/platform.hpp"
#include "lib/error.hpp"

namespace octavo::arch {

/// Something to deliver to the guest at the next entry (SDM Vol. 3, 6.3; APM Vol. 2, 15.20).
struct Event {
  enum class Kind : u8 { external_interrupt, nmi, exception };
  Kind kind = Kind::exception;
  u8 vector = 0;
  std::optional<u32> error_code;

  [[nodiscard]] static Event exception(u8 v) { return {Kind::exception, v, std::nullopt}; }
  [[nodiscard]] static Event exception(u8 v, u32 error_code) { return {Kind::exception, v, error_code}; }
  [[nodiscard]] static Event interrupt(u8 v) { return {Kind::external_interrupt, v, std::nullopt}; }
};

/// The control registers and the MSRs that decide the mode, as the guest sees them (no host bits such as EFER.SVME).
struct ControlState {
  u64 cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, efer = 0, dr6 = 0, dr7 = 0;
};

class GuestContext {
 public:
  GuestRegisters regs;

  /// Enter the guest with `regs` and whatever was set; returns when it leaves. Interrupts are off before and after. The
  /// reference is good until the next run().
  [[nodiscard]] virtual const Exit& run() = 0;

  [[nodiscard]] virtual ControlState control() const = 0;
  [[nodiscard]] virtual u64 cr3() const = 0;  ///< control().cr3, for the hot exits
  virtual void set_cr0(u64 value) = 0;
  virtual void set_cr2(u64 value) = 0;
  virtual void set_cr3(u64 value) = 0;
  virtual void set_cr4(u64 value) = 0;
  virtual void set_efer(u64 value) = 0;
  virtual void set_dr6(u64 value) = 0;
  virtual void set_dr7(u64 value) = 0;
  [[nodiscard]] virtual u64 pat() const = 0;
  virtual void set_pat(u64 value) = 0;

  [[nodiscard]] virtual Segment segment(SegmentName name) const = 0;
  virtual void set_segment(SegmentName name, const Segment& segment) = 0;
  [[nodiscard]] virtual TableRegister gdt() const = 0;
  [[nodiscard]] virtual TableRegister idt() const = 0;
  virtual void set_gdt(const TableRegister& table) = 0;
  virtual void set_idt(const TableRegister& table) = 0;
  [[nodiscard]] virtual unsigned cpl() const = 0;
  /// EFER.LMA and CS.L.
  [[nodiscard]] virtual bool in_64bit_code() const = 0;

  /// STI or MOV SS holds interrupts off for one instruction. Cleared when an instruction is completed in software.
  [[nodiscard]] virtual bool interrupt_shadow() const = 0;
  virtual void clear_interrupt_shadow() = 0;

  /// Deliver at the next entry. Only when !event_pending().
  virtual void inject(const Event& event) = 0;
  [[nodiscard]] virtual bool event_pending() const = 0;
  /// May an external interrupt be injected at the next entry?
  [[nodiscard]] virtual bool can_take_interrupt() const = 0;
  /// Exit as soon as an interrupt could be taken. Returns false when the backend cannot ask for it just now (a named
  /// workaround): the caller then sees to it that the guest exits after a short while.
  [[nodiscard]] virtual bool request_interrupt_window() = 0;

  virtual void set_tsc_offset(u64 offset) = 0;
  /// Use these nested tables from the next entry on. `tag` is this domain's alone.
  virtual void set_nested_root(Hpa root, TlbTag tag) = 0;

  /// The guest's own translations are walked for again, as after MOV to CR3, global ones included.
  virtual void drop_translations() = 0;

  /// Back to the state that `regs` and the setters describe from scratch: no pending event, no shadow.
  virtual void reset() = 0;

 protected:
  ~GuestContext() = default;
};

/// A virtualization backend of this machine, chosen at boot.
class Backend {
 public:
  [[nodiscard]] virtual const char* name() const = 0;
  /// Switch virtualization on, on the calling CPU. Call once on each.
  [[nodiscard]] virtual Result<void> enable_cpu() = 0;
  /// How many frames a context needs, and how to make one in them (`storage` is where the hypervisor sees `hpa`).
  [[nodiscard]] virtual u64 context_frames() const = 0;
  [[nodiscard]] virtual GuestContext& make_context(void* storage, Hpa hpa) const = 0;
  /// How many different TLB tags there are, 0 not counted.
  [[nodiscard]] virtual u32 tag_count() const = 0;

 protected:
  ~Backend() = default;
};

/// x87/SSE/AVX state, switched when another vCPU gets the CPU. `area` is 64-byte aligned, XSAVE standard format, large enough
/// for `mask`. The mask is all that guests are offered, so nothing of one guest stays in a register for the next; 0 on a
/// processor without XSAVE (FXSAVE then). load leaves XCR0 = xcr0, the guest's own.
void save_extended_state(void* area, u64 mask);
void load_extended_state(const void* area, u64 mask, u64 xcr0);
/// XCR0 of the guest whose state is loaded; a value that the caller has checked. It is read from the processor, not
/// remembered: QEMU 7.2 does not exit for XSETBV.
void set_xcr0(u64 value);
[[nodiscard]] u64 xcr0();
/// DR0..DR3, likewise.
void save_debug_addresses(u64 (&dr)[4]);
void load_debug_addresses(const u64 (&dr)[4]);
}  // namespace octavo::arch
