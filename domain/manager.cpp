// SPDX-License-Identifier: Apache-2.0
#include "domain/manager.hpp"

#include <algorithm>
#include <bit>
#include <new>

#include "arch/x86/platform.hpp"
#include "domain/build.hpp"
#include "domain/events.hpp"
#include "domain/main_loop.hpp"
#include "lib/log.hpp"
#include "lib/never_destroyed.hpp"

namespace octavo::domain {
namespace {
constinit NeverDestroyed<Manager> the_manager;
constinit Image image_being_built;  // 5 KiB: too much for a stack
/// Frames, tables or entries of a birth or an end between two looks at the other domains (P15).
constexpr u64 k_piece = 2048;
/// How often the guest left and why, in one line: the first thing to look at when a guest was slow.
void log_exits(const Domain& domain) {
  const vcpu::VcpuCounters& counters = domain.vcpu().counters();
  char text[512];
  BufferSink list{text};
  for (unsigned kind = 0; kind < static_cast<unsigned>(arch::ExitKind::count); ++kind) {
    if (counters.exits[kind] != 0) format(list, " {} {}", arch::to_string(static_cast<arch::ExitKind>(kind)), counters.exits[kind]);
  }
  log::info("{}: {} exits:{}", domain.name(), counters.total_exits(), list.view());
}
}  // namespace

Manager& manager() { return the_manager.value; }

void Manager::initialize(const arch::BootInfo& boot, const MachineTraits& machine, const vcpu::Policies& policies) {
  boot_ = &boot;
  machine_ = machine;
  policies_ = &policies;
}

template <class... Arguments>
std::unexpected<Error> Manager::refuse(usize module, Error error, FormatString<Arguments...> pattern, const Arguments&... arguments) {
  BufferSink why{why_not_};
  format(why, pattern, arguments...);
  why_not_size_ = why.view().size();
  log::error("domain image {}: {}", boot_->modules[module].name, why_not());
  return fail(error);
}

std::optional<usize> Manager::find_module(std::string_view file_or_domain) {
  for (usize i = 0; i < boot_->modules.size(); ++i) {
    if (boot_->modules[i].name == file_or_domain) return i;
  }
  for (usize i = 0; i < boot_->modules.size(); ++i) {
    const arch::BootModule& file = boot_->modules[i];
    const mm::Mapping<const std::byte> bytes(to_mfn(file.base), align_up(file.size, k_page_size) >> k_page_shift);
    if (check_image(bytes.span().first(file.size), image_being_built) && image_being_built.config.name == file_or_domain) return i;
  }
  return std::nullopt;
}

Result<Domain*> Manager::create(usize module, unsigned quick_restarts) {
  if (module >= boot_->modules.size()) return fail(Error::not_found);
  const arch::BootModule& file = boot_->modules[module];
  // The image's texts and segments point into the module, so it stays mapped until the domain is built.
  const mm::Mapping<const std::byte> bytes(to_mfn(file.base), align_up(file.size, k_page_size) >> k_page_shift);
  if (const auto checked = check_image(bytes.span().first(file.size), image_being_built); !checked) {
    char text[160];
    BufferSink why{text};
    format_error(why, checked.error());
    return refuse(module, checked.error().code, "{}", why.view());
  }
  if (find_name(image_being_built.config.name) != nullptr) {
    return refuse(module, Error::exists, "a domain named {} is there already", image_being_built.config.name);
  }
  for (Slot& slot : slots_) {
    if (slot.domain == nullptr) return build(slot, module, quick_restarts, image_being_built);
  }
  return refuse(module, Error::overflow, "{} domains are the most that there can be", k_slots);
}

Result<Domain*> Manager::build(Slot& slot, usize module, unsigned quick_restarts, const Image& image) {
  const std::string_view file = boot_->modules[module].name;
  const u64 domain_frames = align_up(sizeof(Domain), k_page_size) >> k_page_shift;
  const u64 context_frames = machine_.backend->context_frames();
  const u64 own_frames = domain_frames + context_frames + 1;
  const Order order{static_cast<unsigned>(std::bit_width(own_frames - 1))};

  const Needs needs = needs_of(image);
  const u64 free = mm::machine().statistics().free_frames();
  if (needs.memory_frames + needs.table_frames + order.frames() > free) {
    return refuse(module, Error::out_of_memory, "it needs {} MiB of memory and {} KiB of tables, and {} MiB are free",
                  needs.memory_frames >> 8, (needs.table_frames + order.frames()) * 4, free >> 8);
  }
  const auto tag_of_slot = static_cast<u32>(&slot - slots_) + 1;
  if (tag_of_slot > machine_.backend->tag_count()) {
    return refuse(module, Error::overflow, "the processor has no TLB tag left");
  }

  Result<mm::Folio> allocated = mm::machine().allocate(order, DomainId::hypervisor, mm::FrameKind::hypervisor);
  if (!allocated) return refuse(module, allocated.error(), "no {} KiB in one piece for the domain itself", order.frames() * 4);
  mm::Folio memory = std::move(*allocated);
  // The hypervisor's own frames stay mapped as long as the domain lives.
  u8* const storage = static_cast<u8*>(arch::map_frames(memory.mfn(), order.frames()));
  const u64 context_at = domain_frames * k_page_size;
  const DomainId id = new_id();
  arch::GuestContext& context = machine_.backend->make_context(storage + context_at, to_hpa(memory.mfn() + domain_frames));
  const Parts parts{id, module, quick_restarts, context, *policies_, storage + context_at + context_frames * k_page_size};
  Domain* const domain = new (storage) Domain(parts, image.config);

  const p2m::Configuration configuration{.domain = id,
                                         .paging = machine_.paging,
                                         .orders = leaf_orders(image, machine_.leaves_1g),
                                         .tag = arch::TlbTag{tag_of_slot},
                                         .table_frames = std::min(needs.table_frames, k_piece),
                                         .levels = 4,
                                         .machine_limit = Mfn{u64{1} << (machine_.physical_bits - k_page_shift)}};
  slot.domain = domain;
  slot.memory = std::move(memory);
  Result<void> built = domain->p2m().initialize(mm::machine(), configuration);
  if (built) {
    Birth birth(*domain, image, configuration.table_frames, file);
    u64 told = 0;  // gibibytes of memory
    while (!(built = birth.some(k_piece)) && built.error() == Error::again) {
      meanwhile_();
      const u64 now = birth.done() >> k_order_1g.value();
      if (now == told || needs.memory_frames >> k_order_1g.value() < 2) continue;
      told = now;
      log::info("{}: {} of {} MiB", domain->name(), birth.done() >> 8, needs.memory_frames >> 8);
    }
  }
  if (!built) {
    destroy(*domain);
    return refuse(module, built.error(), "its memory: {}", built.error());
  }
  domain->start();
  events().note(domain->name(), to_string(domain->state()));
  set_first_registers(context, image.registers);
  context.set_nested_root(domain->p2m().root(), configuration.tag);
  log::info("{}: domain {} runs, {} MiB, from {}", domain->name(), id, needs.memory_frames >> 8, file);
  return domain;
}

void Manager::destroy(Domain& domain) {
  for (Slot& slot : slots_) {
    if (slot.domain != &domain) continue;
    forget(domain);
    domain.end(Ending::destroyed);
    while (!domain.pod().destroy_some(k_piece) || !domain.p2m().destroy_some(k_piece)) meanwhile_();
    const Order order = slot.memory.order();
    slot.domain = nullptr;
    domain.~Domain();
    arch::unmap_frames(&domain, order.frames());
    slot.memory.reset();
    return;
  }
}

void Manager::settle(Domain& domain) {
  console().flush_guest_line(domain.name(), domain.console_line());
  log::info("{}: {}{}", domain.name(), to_string(domain.ending()), domain.passed() ? "" : ", which is a failure");
  events().note(domain.name(), to_string(domain.ending()));
  log_exits(domain);
  if (!domain.passed()) note_failure();
  Policy policy = Policy::destroy;
  if (domain.ending() == Ending::powered_off) policy = domain.config().on_poweroff;
  if (domain.ending() == Ending::reset) policy = domain.config().on_reboot;
  if (domain.ending() == Ending::crashed) policy = domain.config().on_crash;
  if (policy == Policy::preserve) return domain.preserve();
  if (policy == Policy::restart) return restart(domain);
  destroy(domain);
}

/// The same domain from the same module, with the console's focus if it had that.
void Manager::restart(Domain& domain) {
  const unsigned quick_restarts = domain.now_ns() < k_soon_ns ? domain.quick_restarts() + 1 : 0;
  const usize module = domain.module();
  const bool focused = has_focus(domain);
  if (quick_restarts > k_most_restarts) {
    log::error("{}: not started again: it has ended {} times within {} s of its start", domain.name(), quick_restarts,
               k_soon_ns / 1'000'000'000);
    note_failure();
    return destroy(domain);
  }
  destroy(domain);
  const Result<Domain*> again = create(module, quick_restarts);
  if (!again) note_failure();
  else if (focused) give_focus(**again);
}

Result<pod::Pod::Reply> Manager::set_target(Domain& domain, u64 frames) {
  for (;;) {
    const Result<pod::Pod::Reply> reply = domain.pod().set_target(frames, k_piece);
    if (reply || reply.error() != Error::again) return reply;
    meanwhile_();
  }
}

/// Ids are used again after 65,535 births, but never one that a domain still has: who owns a frame is told by it.
DomainId Manager::new_id() {
  last_id_ = id_after(last_id_, [this](DomainId id) {
    return std::ranges::any_of(slots_, [id](const Slot& slot) { return slot.domain != nullptr && slot.domain->id() == id; });
  });
  return last_id_;
}

Domain* Manager::find_name(std::string_view name) {
  Domain* found = nullptr;
  for_each([&](Domain& domain) { if (domain.name() == name) found = &domain; });
  return found;
}

Domain* Manager::find(std::string_view name_or_id) {
  if (Domain* const named = find_name(name_or_id)) return named;
  Domain* found = nullptr;
  for_each([&](Domain& domain) {
    char digits[8];
    BufferSink id{digits};
    format(id, "{}", domain.id());
    if (id.view() == name_or_id) found = &domain;
  });
  return found;
}

usize Manager::count() const {
  usize n = 0;
  for (const Slot& slot : slots_) n += slot.domain != nullptr ? 1 : 0;
  return n;
}

Domain* Manager::next_runnable(const Domain* last) {
  usize start = 0;
  for (usize i = 0; i < k_slots; ++i) {
    if (last != nullptr && slots_[i].domain == last) start = i + 1;
  }
  for (usize i = 0; i < k_slots; ++i) {
    Domain* const domain = slots_[(start + i) % k_slots].domain;
    if (domain != nullptr && domain->runnable()) return domain;
  }
  return nullptr;
}
}  // namespace octavo::domain
