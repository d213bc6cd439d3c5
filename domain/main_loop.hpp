// SPDX-License-Identifier: Apache-2.0
// The loop of the CPU that runs the guests: keys to the console's focus, time to the devices, the CPU to the next runnable
// domain, sleep when there is none.
#pragma once
#include "lib/int.hpp"

namespace octavo::domain {
class Domain;

[[noreturn]] void main_loop();
/// From here on the guests that are there run while another is being built, ended or given memory.
void let_guests_run_meanwhile();

/// A device of the running guest wants to be called at `deadline`, in uptime_ns(), perhaps earlier than the timer is set to.
void timer_needed(u64 deadline);
/// Does the console's focus lie on this domain?
[[nodiscard]] bool has_focus(const Domain& domain);
/// The console's focus, without a word: this domain takes the place of one that had it.
void give_focus(Domain& domain);
/// The domain is going; its place in the console's focus, and the CPU state that is still loaded, are not to be used again.
void forget(const Domain& domain);
}  // namespace octavo::domain
