// SPDX-License-Identifier: Apache-2.0
// Exceptions as results: attempt(f) runs f and says which exception ended it, if any. attempt_user(f) does so at CPL 3.
// What f was in the middle of is abandoned (no destructors run); interrupts are as before. A vector with a handler set
// is handled and returned from instead. An exception that nobody expects ends the guest as failed, with a dump.
#pragma once
#include "frame.hpp"
#include "x86.hpp"

inline constexpr unsigned k_no_fault = 256;
inline constexpr unsigned k_user_return = 0x80;
inline constexpr u16 k_code = 0x08, k_data = 0x10, k_user_code = 0x1B, k_user_data = 0x23, k_tss = 0x28,
                     k_spare_selector = 0x38;

struct Fault {
  unsigned vector = k_no_fault;
  word error = 0;    ///< the error code, 0 for vectors that have none
  word address = 0;  ///< CR2 when the exception arrived
  Frame frame{};
  explicit operator bool() const { return vector != k_no_fault; }
};

using Handler = void (*)(Frame&);

/// Handle `vector` with `handler` from now on (nullptr: not at all). Returns the one before.
Handler set_handler(unsigned vector, Handler handler);

Fault attempt_call(void (*function)(void*), void* context);
Fault attempt_user_call(void (*function)(void*), void* context, word flags);

template <typename F>
Fault attempt(F&& function) {
  using Function = RemoveReference<F>;
  return attempt_call([](void* f) { (*static_cast<Function*>(f))(); },
                      const_cast<void*>(static_cast<const void*>(&function)));
}
/// The same at CPL 3 with EFLAGS = `flags`. `function` must not be inlined into anything that CPL 3 may not do.
template <typename F>
Fault attempt_user(F&& function, word flags = 2) {
  using Function = RemoveReference<F>;
  return attempt_user_call([](void* f) { (*static_cast<Function*>(f))(); },
                           const_cast<void*>(static_cast<const void*>(&function)), flags);
}

/// To be called in a handler: give up what was running under the innermost attempt, which then returns this fault.
[[noreturn]] void abandon(const Frame& frame);

/// The interrupt gate of a vector, for tests that break it. `present` false: #NP.
void set_gate(unsigned vector, bool present, unsigned dpl);
/// IA32_TSS's stacks, GDT and IDT; called once by the runtime.
void set_up_descriptors();
#ifdef __x86_64__
/// In the double fault's own stack (IST 1)?
bool on_double_fault_stack(word sp);
#endif

extern "C" {
extern u64 guest_gdt[];
extern u8 guest_vectors[];
extern word guest_catch_sp;
extern u8 guest_interrupt_stack_top[], guest_user_stack_top[];
void guest_catch(void (*function)(void*), void* context);
void guest_catch_user(void (*function)(void*), void* context, word flags);
[[noreturn]] void guest_catch_land();
}
