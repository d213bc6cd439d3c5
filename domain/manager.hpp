// SPDX-License-Identifier: Apache-2.0
// All domains of the machine: their birth out of boot modules, their end, and what follows it. The main loop's CPU owns it.
#pragma once
#include "arch/x86/boot_info.hpp"
#include "arch/x86/guest_context.hpp"
#include "domain/domain.hpp"

namespace octavo::domain {

/// What all domains of this machine have in common.
struct MachineTraits {
  arch::Backend* backend = nullptr;
  p2m::Paging paging = p2m::Paging::npt;
  bool leaves_1g = false;            ///< the processor can map 1 GiB in nested tables
  unsigned physical_bits = 36;       ///< MAXPHYADDR
};

/// The next id, which is neither the hypervisor's nor one for which is_taken(DomainId).
[[nodiscard]] DomainId id_after(DomainId id, auto&& is_taken) {
  do id = DomainId{static_cast<u16>(static_cast<u16>(id) + 1)}; while (id == DomainId::hypervisor || is_taken(id));
  return id;
}

class Manager {
 public:
  static constexpr usize k_slots = 32;

  void initialize(const arch::BootInfo& boot, const MachineTraits& machine, const vcpu::Policies& policies);

  /// Builds a domain from boot module `module` and lets it run. On failure the log and why_not() say why, and everything is as
  /// it was.
  [[nodiscard]] Result<Domain*> create(usize module) { return create(module, 0); }
  /// Why the last create() that failed did: a sentence.
  [[nodiscard]] std::string_view why_not() const { return {why_not_, why_not_size_}; }
  /// The boot module with this file name, or else the first whose image is a domain of this name.
  [[nodiscard]] std::optional<usize> find_module(std::string_view file_or_domain);
  /// Gives back all that the domain had. Its pointer is dead afterwards.
  void destroy(Domain& domain);
  /// pod::Pod::set_target in pieces.
  [[nodiscard]] Result<pod::Pod::Reply> set_target(Domain& domain, u64 frames);
  /// What is called between the pieces of long work, so that the other guests run meanwhile. It must not make or end a domain.
  void set_meanwhile(void (*work)()) { meanwhile_ = work; }
  void meanwhile() { meanwhile_(); }
  /// An ended domain: gone, built again, or kept for inspection, as its configuration says. One that ends again and again soon
  /// after its start (k_soon_ns) is not started more than k_most_restarts times.
  void settle(Domain& domain);
  static constexpr unsigned k_most_restarts = 5;
  static constexpr u64 k_soon_ns = 10'000'000'000;

  /// By its name, or else by its id: a name may consist of digits.
  [[nodiscard]] Domain* find(std::string_view name_or_id);
  [[nodiscard]] usize count() const;
  void for_each(auto&& f) {
    for (Slot& slot : slots_) {
      if (slot.domain != nullptr) f(*slot.domain);
    }
  }
  /// Round robin: the runnable domain after `last`, or the first; null when there is none.
  [[nodiscard]] Domain* next_runnable(const Domain* last);

  [[nodiscard]] const arch::BootInfo& boot() const { return *boot_; }
  [[nodiscard]] bool any_failed() const { return any_failed_; }
  /// Something that was asked for did not come about (an image was refused, a guest failed).
  void note_failure() { any_failed_ = true; }

 private:
  /// A domain's own memory in the hypervisor: the Domain object, its vCPU's context, its extended state.
  struct Slot {
    Domain* domain = nullptr;
    mm::Folio memory;
  };
  [[nodiscard]] Result<Domain*> create(usize module, unsigned quick_restarts);
  [[nodiscard]] Result<Domain*> build(Slot& slot, usize module, unsigned quick_restarts, const Image& image);
  void restart(Domain& domain);
  [[nodiscard]] DomainId new_id();
  [[nodiscard]] Domain* find_name(std::string_view name);
  /// Logs and remembers why `module` did not become a domain.
  template <class... Arguments>
  [[nodiscard]] std::unexpected<Error> refuse(usize module, Error error, FormatString<Arguments...> pattern, const Arguments&... arguments);

  const arch::BootInfo* boot_ = nullptr;
  MachineTraits machine_;
  const vcpu::Policies* policies_ = nullptr;
  Slot slots_[k_slots];
  void (*meanwhile_)() = [] {};
  DomainId last_id_ = DomainId::hypervisor;
  bool any_failed_ = false;
  char why_not_[192] = {};
  usize why_not_size_ = 0;
};

[[nodiscard]] Manager& manager();
}  // namespace octavo::domain
