// SPDX-License-Identifier: Apache-2.0
// IDT and TSS in protected mode. Whatever comes from CPL 3 runs on ESP0; #DF has no stack of its own (that would want a
// task gate).
#pragma once
#include "int.hpp"

namespace descriptors {
void write_gate(unsigned vector, word entry, bool present, unsigned dpl, bool own_stack);
void load();
}  // namespace descriptors
