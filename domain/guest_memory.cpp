// SPDX-License-Identifier: Apache-2.0
#include "domain/guest_memory.hpp"

#include <atomic>
#include <cstring>

#include "mm/epoch.hpp"
#include "mm/mapping.hpp"

namespace octavo::domain {

Result<Mfn> DomainMemory::look_up_readable(Gfn gfn) {
  const p2m::Translation found = p2m_.lookup(gfn);
  if (!p2m::is_ram(found.type)) return fail(Error::not_found);
  recent_[gfn.value() % k_recent] = {gfn, found.mfn};
  return found.mfn;
}

void DomainMemory::unlinked(Gfn, u64) {
  for (Recent& recent : recent_) recent = {};
  code_path_.forget();
}

Result<p2m::Translation> DomainMemory::writable(Gpa gpa) const {
  const p2m::Translation found = p2m_.lookup(to_gfn(gpa));
  if (!p2m::is_ram(found.type)) return fail(Error::not_found);
  if (!found.access.write) return fail(Error::not_permitted);
  return found;
}

Result<u64> DomainMemory::read_entry(Gpa gpa, unsigned size) {
  const mm::ReadSection section;
  const Mfn mfn = OCTAVO_TRY(readable(gpa));
  if (size == 8) {
    const mm::Mapping<u64> page(mfn);
    return std::atomic_ref<u64>(page[gpa.page_offset() / 8]).load(std::memory_order_acquire);
  }
  const mm::Mapping<u32> page(mfn);
  return std::atomic_ref<u32>(page[gpa.page_offset() / 4]).load(std::memory_order_acquire);
}

Result<bool> DomainMemory::compare_exchange_entry(Gpa gpa, unsigned size, u64 expected, u64 desired) {
  const mm::ReadSection section;
  // An entry that gets a bit more is not zero before either, so the sweeps need no mark of this.
  const Mfn mfn = OCTAVO_TRY(writable(gpa)).mfn;
  if (size == 8) {
    const mm::Mapping<u64> page(mfn);
    return std::atomic_ref<u64>(page[gpa.page_offset() / 8]).compare_exchange_strong(expected, desired);
  }
  const mm::Mapping<u32> page(mfn);
  u32 expected32 = static_cast<u32>(expected);
  return std::atomic_ref<u32>(page[gpa.page_offset() / 4]).compare_exchange_strong(expected32, static_cast<u32>(desired));
}

Result<> DomainMemory::read(Gpa gpa, std::span<u8> out) {
  const mm::ReadSection section;
  if (!range_within(gpa.page_offset(), out.size(), k_page_size)) return fail(Error::invalid_argument);
  const mm::Mapping<u8> page(OCTAVO_TRY(readable(gpa)));
  std::memcpy(out.data(), page.span().data() + gpa.page_offset(), out.size());
  return {};
}

std::optional<u32> DomainMemory::peek_executed(u64 cr3, u64 rip) {
  const mm::ReadSection section;
  return code_path_.peek(*this, cr3, rip);
}

std::optional<Hpa> DomainMemory::locate(Gpa gpa) {
  const Result<Mfn> mfn = readable(gpa);
  return mfn ? std::optional<Hpa>{to_hpa(*mfn) + gpa.page_offset()} : std::nullopt;
}

u64 DomainMemory::word(Hpa hpa) const {
  const mm::Mapping<u64> page(to_mfn(hpa));
  return std::atomic_ref<u64>(page[hpa.page_offset() / 8]).load(std::memory_order_acquire);
}

Result<> DomainMemory::write(Gpa gpa, std::span<const u8> in) {
  if (!range_within(gpa.page_offset(), in.size(), k_page_size)) return fail(Error::invalid_argument);
  for (;;) {
    {
      const mm::ReadSection section;
      const p2m::Translation there = OCTAVO_TRY(writable(gpa));
      if (there.written) {
        const mm::Mapping<u8> page(there.mfn);
        std::memcpy(page.span().data() + gpa.page_offset(), in.data(), in.size());
        return {};
      }
    }
    p2m_.mark_written(to_gfn(gpa), 1);  // no D bit will tell a sweep (D5)
  }
}
}  // namespace octavo::domain
