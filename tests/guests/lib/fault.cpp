// SPDX-License-Identifier: Apache-2.0
#include "fault.hpp"

#include "descriptors.hpp"
#include "tap.hpp"

extern "C" {
word guest_catch_sp = 0;
void guest_exception(Frame* frame);
}

namespace {
Handler handlers[256];
Fault last;

[[noreturn]] void unexpected(const Frame& f, word address) {
  print("# unexpected vector ", f.vector, " error ", hex(f.error), " ip ", hex(f.ip), " flags ", hex(f.flags), " cr2 ",
        hex(address), "\n");
  print("# ax ", hex(f.ax), " bx ", hex(f.bx), " cx ", hex(f.cx), " dx ", hex(f.dx), " si ", hex(f.si), " di ",
        hex(f.di), "\n");
  tap::check(false, "no unexpected exception");
  tap::finish();
}

Fault run(void (*call)(void (*)(void*), void*, word), void (*function)(void*), void* context, word flags) {
  last.vector = k_no_fault;
  call(function, context, flags);
  Fault result = last;
  last.vector = k_no_fault;
  return result;
}
}  // namespace

Handler set_handler(unsigned vector, Handler handler) {
  const Handler before = handlers[vector];
  handlers[vector] = handler;
  return before;
}

[[noreturn]] void abandon(const Frame& frame) {
  last.vector = frame.vector == k_user_return ? k_no_fault : static_cast<unsigned>(frame.vector);
  last.error = frame.error;
  last.address = x86::cr2();
  last.frame = frame;
  guest_catch_land();
}

void guest_exception(Frame* frame) {
  if (const Handler handler = handlers[frame->vector]) return handler(*frame);
  if (guest_catch_sp != 0) abandon(*frame);
  unexpected(*frame, x86::cr2());
}

Fault attempt_call(void (*function)(void*), void* context) {
  return run([](void (*f)(void*), void* c, word) { guest_catch(f, c); }, function, context, 0);
}

Fault attempt_user_call(void (*function)(void*), void* context, word flags) {
  return run(guest_catch_user, function, context, flags);
}

void set_gate(unsigned vector, bool present, unsigned dpl) {
  descriptors::write_gate(vector, reinterpret_cast<word>(guest_vectors) + 16 * vector, present, dpl,
                          vector == x86::k_df);
}

void set_up_descriptors() {
  for (unsigned vector = 0; vector < 256; ++vector)
    set_gate(vector, true, vector == x86::k_bp || vector == x86::k_of || vector == k_user_return ? 3 : 0);
  descriptors::load();
}
