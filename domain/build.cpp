// SPDX-License-Identifier: Apache-2.0
#include "domain/build.hpp"

#include "lib/crc32.hpp"
#include "lib/log.hpp"
#include "p2m/backing.hpp"

namespace octavo::domain {
namespace {

Result<void> copy_segment(Domain& domain, const Image& image, usize index, std::string_view file) {
  const ImageSegment& segment = image.segments()[index];
  Crc32 crc;
  for (u64 done = 0; done < segment.data.size();) {
    const u64 size = std::min(k_page_size, segment.data.size() - done);
    const auto piece = segment.data.subspan(done, size);
    crc.update(piece);
    OCTAVO_TRY(domain.bring_in(segment.gpa + done, size));
    OCTAVO_TRY(domain.guest_memory().write(segment.gpa + done, {reinterpret_cast<const u8*>(piece.data()), piece.size()}));
    done += size;
  }
  if (const auto same = check_crc(image, index, crc.value()); !same) {
    char text[160];
    BufferSink why{text};
    format_error(why, same.error());
    log::error("domain image {}: {}", file, why.view());
    return fail(same.error().code);
  }
  return {};
}
}  // namespace

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

namespace {
/// All of it at once.
Result<void> back_ranges(Domain& domain, const Image& image, const Needs& needs) {
  OCTAVO_TRY(domain.pod().initialize(mm::machine(), 0, needs.maximum_frames));
  p2m::Backing total;
  for (const ImageRange& range : image.ranges()) {
    const p2m::Backing part = OCTAVO_TRY(p2m::populate_ram(domain.p2m(), mm::machine(), to_gfn(range.base), range.size >> k_page_shift));
    for (usize i = 0; i < 3; ++i) {
      total.asked[i] += part.asked[i];
      total.backed[i] += part.backed[i];
    }
  }
  OCTAVO_TRY(domain.pod().set_target(needs.memory_frames));
  log::info("{}: memory asked for and backed: 1G {} {}, 2M {} {}, 4K {} {}", domain.name(), total.asked[2], total.backed[2],
            total.asked[1], total.backed[1], total.asked[0], total.backed[0]);
  return {};
}

/// So much is claimed; the guest gets it where it touches memory.
Result<void> mark_ranges(Domain& domain, const Image& image, const Needs& needs) {
  OCTAVO_TRY(domain.pod().initialize(mm::machine(), needs.memory_frames, needs.maximum_frames));
  for (const ImageRange& range : image.ranges()) OCTAVO_TRY(domain.pod().add_entries(to_gfn(range.base), range.size >> k_page_shift));
  const pod::Accounts accounts = domain.pod().accounts();
  log::info("{}: populated on demand, {} of {} MiB; claimed: 1G {}, 2M {}, 4K {}", domain.name(), needs.memory_frames >> 8,
            needs.maximum_frames >> 8, accounts.cache[2] >> 18, accounts.cache[1] >> 9, accounts.cache[0]);
  return {};
}
}  // namespace

Result<void> fill_memory(Domain& domain, const Image& image, std::string_view file) {
  const Needs needs = needs_of(image);
  domain.set_memory_map(image.ranges());
  OCTAVO_TRY(needs.memory_frames < needs.maximum_frames ? mark_ranges(domain, image, needs) : back_ranges(domain, image, needs));
  for (usize i = 0; i < image.segments().size(); ++i) OCTAVO_TRY(copy_segment(domain, image, i, file));
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
