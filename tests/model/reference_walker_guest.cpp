// SPDX-License-Identifier: Apache-2.0
#include "tests/model/reference_walker_guest.hpp"

namespace octavo::model {
namespace {
using std::uint32_t;
using std::uint64_t;
using What = ReferenceResult::What;

bool bit(uint64_t value, unsigned n) { return ((value >> n) & 1) != 0; }

/// value[high:low], as the manuals write it.
uint64_t field(uint64_t value, unsigned high, unsigned low) {
  uint64_t result = 0;
  for (unsigned n = low; n <= high; ++n) {
    if (bit(value, n)) result |= uint64_t{1} << (n - low);
  }
  return result;
}
bool any_set(uint64_t value, unsigned high, unsigned low) {
  for (unsigned n = low; n <= high; ++n) {
    if (bit(value, n)) return true;
  }
  return false;
}

class Walk {
 public:
  Walk(const ReferenceMemory& memory, const ReferenceCpu& cpu, ReferenceAccess access, uint64_t linear)
      : memory_(memory), cpu_(cpu), access_(access), la_(linear) {}

  ReferenceResult run() {
    const bool paging = bit(cpu_.cr0, 31);
    const bool pae = bit(cpu_.cr4, 5);
    const bool long_mode = bit(cpu_.efer, 10);
    if (paging && long_mode) {
      const bool top_all_equal = field(la_, 63, 47) == 0 || field(la_, 63, 47) == 0x1FFFF;
      if (!top_all_equal) return of(What::non_canonical);
      return four_level();
    }
    la_ = field(la_, 31, 0);
    if (!paging) {
      ReferenceResult result = of(What::translated);
      result.physical = la_;
      result.page_bits = 32;
      result.user_page = result.writable_page = result.executable_page = true;
      return result;
    }
    return pae ? pae_paging() : thirty_two_bit();
  }

 private:
  static ReferenceResult of(What what) {
    ReferenceResult result;
    result.what = what;
    return result;
  }

  bool is_fetch() const { return access_ == ReferenceAccess::fetch; }
  bool is_write() const { return access_ == ReferenceAccess::write || access_ == ReferenceAccess::implicit_write; }
  bool is_implicit() const { return access_ == ReferenceAccess::implicit_read || access_ == ReferenceAccess::implicit_write; }
  /// SDM 3A 4.6: accesses made with CPL 3 are user-mode accesses, but implicit ones never are.
  bool user_mode_access() const { return cpu_.cpl == 3 && !is_implicit(); }
  bool nxe() const { return bit(cpu_.efer, 11); }

  /// SDM 3A figure 4-12, flag by flag.
  ReferenceResult page_fault(bool p, bool rsvd, bool pk = false) const {
    ReferenceResult result = of(What::page_fault);
    const bool id_reported = bit(cpu_.cr4, 20) || (bit(cpu_.cr4, 5) && nxe());
    if (p) result.error_code |= 1;
    if (is_write()) result.error_code |= 2;
    if (user_mode_access()) result.error_code |= 4;
    if (rsvd) result.error_code |= 8;
    if (is_fetch() && id_reported) result.error_code |= 16;
    if (pk) result.error_code |= 32;
    return result;
  }

  /// Reads an entry; what ends the walk here (no memory, not present) is left in `ended_`.
  bool read(uint64_t address, unsigned size, uint64_t& entry) {
    const std::optional<uint64_t> value = memory_(address, size);
    if (!value) {
      ended_ = of(What::no_memory);
      ended_.physical = address;
      return false;
    }
    entry = *value;
    if (!bit(entry, 0)) {
      ended_ = page_fault(false, false);
      return false;
    }
    return true;
  }

  void pass(uint64_t address, unsigned size, uint64_t entry) {
    if (!bit(entry, 1)) every_rw_ = false;
    if (!bit(entry, 2)) every_us_ = false;
    if (bit(entry, 63)) any_xd_ = true;
    used_.push_back({address, size, 0});
    last_ = entry;
    seen_.push_back(entry);
  }

  /// SDM 3A 4.6.1 and 4.6.2, paragraph by paragraph.
  ReferenceResult finish(uint64_t physical, unsigned page_bits) {
    const bool user_page = every_us_;
    const bool wp = bit(cpu_.cr0, 16);
    const bool smep = bit(cpu_.cr4, 20);
    const bool smap = bit(cpu_.cr4, 21);
    const bool ac = bit(cpu_.rflags, 18);
    const bool xd = any_xd_ && nxe();
    bool key_reads = true, key_writes = true;
    if (bit(cpu_.efer, 10) && bit(cpu_.cr4, 22) && user_page) {
      const unsigned key = static_cast<unsigned>(field(last_, 62, 59));
      if (bit(cpu_.pkru, 2 * key)) key_reads = key_writes = false;
      if (bit(cpu_.pkru, 2 * key + 1) && (user_mode_access() || wp)) key_writes = false;
    }
    bool allowed = false;
    bool pk = false;
    if (!user_mode_access()) {
      if (is_fetch()) {
        allowed = user_page ? (!smep && !xd) : !xd;
      } else {
        const bool smap_ok = !user_page || !smap || (ac && !is_implicit());
        const bool write_ok = !wp || every_rw_;
        pk = is_write() ? !key_writes : !key_reads;
        allowed = smap_ok && (!is_write() || write_ok) && !pk;
      }
    } else {
      if (is_fetch()) {
        allowed = user_page && !xd;
      } else {
        pk = is_write() ? !key_writes : !key_reads;
        allowed = user_page && (!is_write() || every_rw_) && !pk;
      }
    }
    if (!allowed) return page_fault(true, false, pk);
    ReferenceResult result = of(What::translated);
    result.physical = physical;
    result.page_bits = page_bits;
    result.user_page = user_page;
    result.writable_page = every_rw_;
    result.executable_page = !xd;
    for (std::size_t i = 0; i < used_.size(); ++i) {
      ReferenceUpdate update = used_[i];
      if (!bit(seen_[i], 5)) update.set |= 0x20;
      if (i + 1 == used_.size() && is_write() && !bit(seen_[i], 6)) update.set |= 0x40;
      if (update.set != 0) result.updates.push_back(update);
    }
    return result;
  }

  ReferenceResult thirty_two_bit() {  // SDM 3A 4.3
    const uint64_t pde_address = (field(cpu_.cr3, 31, 12) << 12) + field(la_, 31, 22) * 4;
    uint64_t pde = 0;
    if (!read(pde_address, 4, pde)) return ended_;
    if (bit(pde, 7) && bit(cpu_.cr4, 4)) {  // table 4-4
      const unsigned m = cpu_.cpuid_pse36 ? (cpu_.maxphyaddr < 40 ? cpu_.maxphyaddr : 40) : 32;
      const bool reserved = any_set(pde, 21, m - 19);
      if (reserved) return page_fault(true, true);
      pass(pde_address, 4, pde);
      return finish((field(pde, 20, 13) << 32) + (field(pde, 31, 22) << 22) + field(la_, 21, 0), 22);
    }
    pass(pde_address, 4, pde);
    const uint64_t pte_address = (field(pde, 31, 12) << 12) + field(la_, 21, 12) * 4;
    uint64_t pte = 0;
    if (!read(pte_address, 4, pte)) return ended_;
    pass(pte_address, 4, pte);
    return finish((field(pte, 31, 12) << 12) + field(la_, 11, 0), 12);
  }

  ReferenceResult pae_paging() {  // SDM 3A 4.4
    const unsigned m = cpu_.maxphyaddr;
    const uint64_t pdpte = cpu_.pdpte[field(la_, 31, 30)];
    if (!bit(pdpte, 0)) return page_fault(false, false);
    if (any_set(pdpte, 2, 1) || any_set(pdpte, 8, 5) || any_set(pdpte, 63, m)) return page_fault(true, true);
    const uint64_t pde_address = (field(pdpte, m - 1, 12) << 12) + field(la_, 29, 21) * 8;
    uint64_t pde = 0;
    if (!read(pde_address, 8, pde)) return ended_;
    const bool pde_reserved = any_set(pde, 62, m) || (bit(pde, 63) && !nxe());
    if (bit(pde, 7)) {
      if (pde_reserved || any_set(pde, 20, 13)) return page_fault(true, true);
      pass(pde_address, 8, pde);
      return finish((field(pde, m - 1, 21) << 21) + field(la_, 20, 0), 21);
    }
    if (pde_reserved) return page_fault(true, true);
    pass(pde_address, 8, pde);
    const uint64_t pte_address = (field(pde, m - 1, 12) << 12) + field(la_, 20, 12) * 8;
    uint64_t pte = 0;
    if (!read(pte_address, 8, pte)) return ended_;
    if (any_set(pte, 62, m) || (bit(pte, 63) && !nxe())) return page_fault(true, true);
    pass(pte_address, 8, pte);
    return finish((field(pte, m - 1, 12) << 12) + field(la_, 11, 0), 12);
  }

  ReferenceResult four_level() {  // SDM 3A 4.5
    const unsigned m = cpu_.maxphyaddr;
    const auto bad = [&](uint64_t entry) { return (m < 52 && any_set(entry, 51, m)) || (bit(entry, 63) && !nxe()); };
    const uint64_t pml4e_address = (field(cpu_.cr3, m - 1, 12) << 12) + field(la_, 47, 39) * 8;
    uint64_t pml4e = 0;
    if (!read(pml4e_address, 8, pml4e)) return ended_;
    if (bad(pml4e) || bit(pml4e, 7) || (cpu_.amd && bit(pml4e, 8))) return page_fault(true, true);
    pass(pml4e_address, 8, pml4e);

    const uint64_t pdpte_address = (field(pml4e, m - 1, 12) << 12) + field(la_, 38, 30) * 8;
    uint64_t pdpte = 0;
    if (!read(pdpte_address, 8, pdpte)) return ended_;
    if (bit(pdpte, 7) && !cpu_.cpuid_page1gb) return page_fault(true, true);
    if (bit(pdpte, 7)) {
      if (bad(pdpte) || any_set(pdpte, 29, 13)) return page_fault(true, true);
      pass(pdpte_address, 8, pdpte);
      return finish((field(pdpte, m - 1, 30) << 30) + field(la_, 29, 0), 30);
    }
    if (bad(pdpte) || (cpu_.amd && bit(pdpte, 8))) return page_fault(true, true);
    pass(pdpte_address, 8, pdpte);

    const uint64_t pde_address = (field(pdpte, m - 1, 12) << 12) + field(la_, 29, 21) * 8;
    uint64_t pde = 0;
    if (!read(pde_address, 8, pde)) return ended_;
    if (bad(pde)) return page_fault(true, true);
    if (bit(pde, 7)) {
      if (any_set(pde, 20, 13)) return page_fault(true, true);
      pass(pde_address, 8, pde);
      return finish((field(pde, m - 1, 21) << 21) + field(la_, 20, 0), 21);
    }
    pass(pde_address, 8, pde);

    const uint64_t pte_address = (field(pde, m - 1, 12) << 12) + field(la_, 20, 12) * 8;
    uint64_t pte = 0;
    if (!read(pte_address, 8, pte)) return ended_;
    if (bad(pte)) return page_fault(true, true);
    pass(pte_address, 8, pte);
    return finish((field(pte, m - 1, 12) << 12) + field(la_, 11, 0), 12);
  }

  const ReferenceMemory& memory_;
  const ReferenceCpu& cpu_;
  ReferenceAccess access_;
  uint64_t la_;
  bool every_rw_ = true, every_us_ = true, any_xd_ = false;
  uint64_t last_ = 0;
  std::vector<ReferenceUpdate> used_{};
  std::vector<uint64_t> seen_{};
  ReferenceResult ended_{};
};
}  // namespace

ReferenceResult reference_walk(const ReferenceMemory& memory, const ReferenceCpu& cpu, ReferenceAccess access,
                               std::uint64_t linear) {
  return Walk(memory, cpu, access, linear).run();
}
}  // namespace octavo::model
