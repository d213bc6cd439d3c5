// SPDX-License-Identifier: Apache-2.0
// IDT and TSS in long mode. #DF runs on IST 1, whatever comes from CPL 3 on RSP0.
#pragma once
#include "int.hpp"

namespace descriptors {
void write_gate(unsigned vector, word entry, bool present, unsigned dpl, bool own_stack);
void load();
}  // namespace descriptors
