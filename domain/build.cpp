// SPDX-License-Identifier: Apache-2.0
#include "domain/build.hpp"

#include <algorithm>

#include "lib/log.hpp"

namespace octavo::domain {
Needs needs_of(const Image& image) {
  p2m::FrameRange ranges[OCTAVO_IMAGE_MAX_RANGES];
  usize count = 0;
  Needs needs;
  for (const ImageRange& range : image.ranges()) {
    ranges[count++] = {to_gfn(range.base), range.size >> k_page_shift};
  }
  needs.memory_frames = image.config.memory >> k_page_shift;
  needs.maximum_frames = image.config.maximum_memory >> k_page_shift;
  needs.table_frames = p2m::table_frames_for({ranges, count});
  return needs;
}

p2m::OrderSet leaf_orders(const Image& image, bool machine_has_1g) {
  if (image.config.leaf_1g && machine_has_1g) return p2m::k_all_orders;  // an image has 1G only together with 2M
  if (image.config.leaf_2m) return {k_order_4k, k_order_2m};
  return {k_order_4k};
}

Birth::Birth(Domain& domain, const Image& image, u64 tables, std::string_view file)
    : domain_(domain), image_(image), needs_(needs_of(image)), file_(file), tables_(tables) {
  domain.set_memory_map(image.ranges());
}

u64 Birth::done() const {
  const pod::Accounts accounts = domain_.pod().accounts();
  return accounts.populated + accounts.cached();
}

Result<void> Birth::some(u64 budget) {
  OCTAVO_TRY(tables(budget));
  if (!has_memory_) OCTAVO_TRY(needs_.memory_frames < needs_.maximum_frames ? mark_ranges(budget) : back_ranges(budget));
  has_memory_ = true;
  return segments(budget);
}

Result<void> Birth::tables(u64& budget) {
  while (tables_ < needs_.table_frames) {
    const u64 more = std::min(budget, needs_.table_frames - tables_);
    if (more == 0) return fail(Error::again);
    OCTAVO_TRY(domain_.p2m().reserve_tables(more));
    tables_ += more;
    budget -= more;
  }
  return {};
}

/// All of it at once.
Result<void> Birth::back_ranges(u64& budget) {
  for (;;) {
    OCTAVO_TRY(population_.some(domain_.p2m(), mm::machine(), budget));
    for (usize i = 0; i < p2m::k_leaf_levels; ++i) {
      total_.asked[i] += population_.backing().asked[i];
      total_.backed[i] += population_.backing().backed[i];
    }
    if (range_ == image_.ranges().size()) break;
    const ImageRange& range = image_.ranges()[range_++];
    population_ = {to_gfn(range.base), range.size >> k_page_shift};
  }
  OCTAVO_TRY(domain_.pod().initialize(mm::machine(), 0, needs_.maximum_frames));
  OCTAVO_TRY(domain_.pod().set_target(needs_.memory_frames));
  log::info("{}: memory asked for and backed: 1G {} {}, 2M {} {}, 4K {} {}", domain_.name(), total_.asked[2], total_.backed[2],
            total_.asked[1], total_.backed[1], total_.asked[0], total_.backed[0]);
  return {};
}

/// So much is claimed; the guest gets it where it touches memory.
Result<void> Birth::mark_ranges(u64& budget) {
  if (range_ == 0) OCTAVO_TRY(domain_.pod().initialize(mm::machine(), 0, needs_.maximum_frames));
  for (; range_ < image_.ranges().size(); ++range_) {
    const ImageRange& range = image_.ranges()[range_];
    OCTAVO_TRY(domain_.pod().add_entries(to_gfn(range.base), range.size >> k_page_shift));
  }
  OCTAVO_TRY(domain_.pod().set_target(needs_.memory_frames, budget));
  const pod::Accounts accounts = domain_.pod().accounts();
  log::info("{}: populated on demand, {} of {} MiB; claimed: 1G {}, 2M {}, 4K {}", domain_.name(), needs_.memory_frames >> 8,
            needs_.maximum_frames >> 8, accounts.cache[2] >> 18, accounts.cache[1] >> 9, accounts.cache[0]);
  return {};
}

Result<void> Birth::segments(u64& budget) {
  for (; segment_ < image_.segments().size(); ++segment_) {
    const ImageSegment& segment = image_.segments()[segment_];
    while (copied_ < segment.data.size()) {
      if (budget == 0) return fail(Error::again);
      --budget;
      const u64 size = std::min(k_page_size, segment.data.size() - copied_);
      const auto piece = segment.data.subspan(copied_, size);
      OCTAVO_TRY(domain_.bring_in(segment.gpa + copied_, size));
      crc_.update(piece);
      OCTAVO_TRY(domain_.guest_memory().write(segment.gpa + copied_, {reinterpret_cast<const u8*>(piece.data()), piece.size()}));
      copied_ += size;
    }
    if (const auto same = check_crc(image_, segment_, crc_.value()); !same) {
      char text[160];
      BufferSink why{text};
      format_error(why, same.error());
      log::error("domain image {}: {}", file_, why.view());
      return fail(same.error().code);
    }
    copied_ = 0;
    crc_ = {};
  }
  return {};
}

void set_first_registers(arch::GuestContext& context, const BootRegisters& r) {
  using arch::Gpr;
  namespace attributes = arch::segment_attributes;
  const bool long_mode = r.mode == BootMode::long64;
  const arch::Segment code{r.cs, long_mode ? attributes::code64 : attributes::code32, ~0u, 0};
  const arch::Segment data{r.ds, attributes::data32, ~0u, 0};
  context.set_segment(arch::SegmentName::cs, code);
  for (const auto name : {arch::SegmentName::es, arch::SegmentName::ss, arch::SegmentName::ds, arch::SegmentName::fs, arch::SegmentName::gs}) {
    context.set_segment(name, data);
  }
  context.set_segment(arch::SegmentName::ldtr, {0, attributes::ldt, 0xFFFF, 0});
  context.set_segment(arch::SegmentName::tr, {0, attributes::tss_busy, 0xFFFF, 0});
  context.set_gdt({r.gdt_base, r.gdt_limit});
  context.set_idt({0, 0});
  if (long_mode) {
    context.set_cr3(r.cr3);
    context.set_cr4(arch::cr4::pae);
    context.set_efer(arch::efer::lme | arch::efer::lma);
    context.set_cr0(arch::cr0::pe | arch::cr0::et | arch::cr0::pg);
  } else {
    context.set_cr0(arch::cr0::pe | arch::cr0::et);
  }
  arch::GuestRegisters& regs = context.regs;
  regs[Gpr::rax] = r.rax;
  regs[Gpr::rbx] = r.rbx;
  regs[Gpr::rcx] = r.rcx;
  regs[Gpr::rdx] = r.rdx;
  regs[Gpr::rsi] = r.rsi;
  regs[Gpr::rdi] = r.rdi;
  regs[Gpr::rbp] = r.rbp;
  regs[Gpr::rsp] = r.rsp;
  regs.rip = r.rip;
}
}  // namespace octavo::domain
