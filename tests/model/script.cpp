// SPDX-License-Identifier: Apache-2.0
#include "tests/model/script.hpp"

#include <array>

#include "observe.hpp"

namespace octavo::model {
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;
std::function<void()>* the_event = nullptr;
}  // namespace

const MemoryScript::Operation MemoryScript::k_operations[] = {
    {"set_range", &MemoryScript::set_range, true, false},
    {"set", &MemoryScript::set_leaf, true, false},
    {"map_again", &MemoryScript::map_again, true, false},
    {"device", &MemoryScript::map_device, true, false},
    {"populate_ram", &MemoryScript::back, true, false},
    {"set_hole", &MemoryScript::make_hole, true, true},
    {"set_hole_some", &MemoryScript::make_hole_in_steps, true, true},
    {"change_type", &MemoryScript::change_type, true, true},
    {"change_type of all", &MemoryScript::change_all_types, true, true},
    {"split", &MemoryScript::split, true, true},
    {"split", &MemoryScript::split, true, true},
    {"replace one", &MemoryScript::replace_one, true, false},
    {"push_down", &MemoryScript::push_down, true, true},
    {"write_guest", &MemoryScript::hypervisor_writes, true, true},
    {"take_out", &MemoryScript::take_out, true, true},
    {"promote", &MemoryScript::promote, true, true},
    {"begin_move", &MemoryScript::begin_move, true, false},
    {"continue_move", &MemoryScript::continue_move, true, false},
    {"continue_move", &MemoryScript::continue_move, true, false},
    {"abort_move", &MemoryScript::abort_move, true, false},
    {"guest write", &MemoryScript::guest_writes, false, true},
    {"guest write", &MemoryScript::guest_writes, false, true},
    {"guest write", &MemoryScript::guest_writes, false, true},
    {"guest read", &MemoryScript::guest_reads, false, true},
    {"give up and take", &MemoryScript::give_up_and_take, false, true},
    {"give up and take", &MemoryScript::give_up_and_take, false, true},
    {"add_entries", &MemoryScript::add_entries, false, true},
    {"increase", &MemoryScript::increase, false, true},
    {"set_target", &MemoryScript::set_target, false, true},
    {"decrease", &MemoryScript::decrease, false, true},
    {"sweep", &MemoryScript::sweep, false, true},
    {"Pod::promote", &MemoryScript::pod_promote, false, true},
    {"Pod::promote", &MemoryScript::pod_promote, false, true},
    {"Pod::promote", &MemoryScript::pod_promote, false, true},
    {"Pod::promote", &MemoryScript::pod_promote, false, true},
    {"abort_promotion", &MemoryScript::abort_promotion, false, true},
    {"abort_promotion", &MemoryScript::abort_promotion, false, true},
    {"advance", &MemoryScript::advance, false, true},
    {"tidy", &MemoryScript::tidy, false, true},
    {"tidy", &MemoryScript::tidy, false, true},
    {"tidy", &MemoryScript::tidy, false, true},
};

namespace {
p2m::OrderSet orders_of(u64 choice) {
  if (choice == 0) return {k_order_4k};
  if (choice == 1) return {k_order_4k, k_order_2m};
  return p2m::k_all_orders;
}
/// Three gigabytes' folios, one, or none, which is quick to make.
u64 bytes_of(MemoryScript::Kind kind, u64 setup) {
  if (kind == MemoryScript::Kind::pod && (setup >> 24 & 7) == 7) return u64{2} << 30;
  const u64 choice = setup >> 32 & 7;
  return choice == 0 ? u64{4} << 30 : choice < 4 ? u64{2} << 30 : u64{256} << 20;
}
}  // namespace

MemoryScript::MemoryScript(Kind kind, p2m::Paging paging, u64 setup)
    : kind_(kind),
      guest_frames_(kind == Kind::plain ? 3 * k_1g : k_1g + 3 * k_2m + 5),
      world_(paging, bytes_of(kind, setup), std::array<u64, 4>{12, 40, 40, 400}[setup >> 8 & 3], orders_of(setup & 7)),
      pod_(world_.p2m),
      word_index_(std::array<u64, 4>{0, 37, 100, 511}[setup >> 16 & 3]) {
  for (const Operation& operation : k_operations) {
    if (kind == Kind::plain ? operation.plain : operation.pod) possible_.push_back(&operation);
  }
  static std::function<void()> event_of_current;
  event_of_current = [this] { event(); };
  the_event = &event_of_current;
  arch::entry_store_observer = [](const u64*, u64, u64) { (*the_event)(); };
  world_.simulated.on_map = [this](Mfn) {
    --stores_;  // event() counts it as one
    event();
  };
  if (kind == Kind::plain) return;
  const u64 targets[] = {1, 40, 40, k_2m, 2 * k_2m + 1, 3 * k_2m + 7, 10 * k_2m, k_1g + k_2m};
  const u64 target = targets[setup >> 24 & 7];
  require(pod_.initialize(world_.machine, target, guest_frames_).has_value(), "no target");
  require(pod_.add_entries(Gfn{0}, guest_frames_).has_value() || (setup & 7) == 0, "no entries");
  held_ = static_cast<i64>(target);
  if (world_.p2m.lookup(Gfn{0}).type == Type::pod) oracle_.put(0, guest_frames_, {Type::pod, 0});
}

MemoryScript::~MemoryScript() {
  arch::entry_store_observer = nullptr;
  world_.simulated.on_map = nullptr;
  if (kind_ == Kind::pod) pod_.destroy();
}

std::set<std::string> MemoryScript::names(Kind kind) {
  std::set<std::string> names;
  for (const Operation& operation : k_operations) {
    if (kind == Kind::plain ? operation.plain : operation.pod) names.insert(operation.name);
  }
  return names;
}

void MemoryScript::must(bool holds, const char* what, std::source_location where) const {
  if (holds) return;
  throw Mismatch("step " + std::to_string(steps_) + ", " + last_ + ": " + what + " (" + where.file_name() + ":" + std::to_string(where.line()) + ")");
}

void MemoryScript::note(const char* what, u64 gfn, u64 count, Type type) {
  last_ = std::string(what) + " " + std::to_string(gfn) + "+" + std::to_string(count) + " " + p2m::to_string(type);
  if (other_.moment >= 0) last_ += ", meanwhile " + std::string(other_.write ? "write" : "read") + " of " + std::to_string(other_.gfn);
}

void MemoryScript::step(u64 instruction) {
  ++steps_;
  constexpr u64 k_bases[] = {0, 0, 0, k_2m, k_1g - k_2m, k_1g, k_1g, 2 * k_1g};
  constexpr u64 k_offsets[] = {0, 0, 0, 1, 7, 511, 512, 600};
  constexpr u64 k_counts[] = {1, 1, 1, 1, 2, 5, 8, 511, 512, 512, 512, 513, 1024, 2000, k_1g, k_1g + 3};
  constexpr i64 k_moments[] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 12, 16, 24, 40, 70, 150, 600};
  Draw draw(instruction);
  const Operation* operation = possible_[draw.below(possible_.size())];
  Arguments arguments{0, 0, draw};
  Draw& rest = arguments.draw;
  const u64 base = k_bases[rest.below(std::size(k_bases))];
  arguments.gfn = std::min(base + k_offsets[rest.below(std::size(k_offsets))], guest_frames_ - 1);
  arguments.count = std::min(k_counts[rest.below(std::size(k_counts))], guest_frames_ - arguments.gfn);
  const u64 interference = rest.below(256);
  other_ = {};
  if (interference >= 96) {
    other_.moment = k_moments[interference % 16];
    other_.gfn = std::min(arguments.gfn + std::array<u64, 4>{0, 1, 511, arguments.count - 1}[interference / 16 % 4], guest_frames_ - 1);
    other_.write = interference % 5 != 0;
  }
  const GuestState before = oracle_.at(other_.gfn);
  name_ = operation->name;
  last_ = name_;
  (this->*operation->run)(arguments);
  other_.moment = -1;
  check_interference(before);
  touch(instruction >> 32);
  check();
}

/// Called for each store to a live table and each mapping of a frame: moments at which other processors may do anything.
void MemoryScript::event() {
  ++stores_;
  if (other_.moment < 0 || other_.moment-- > 0) return;
  other_.done = true;
  other_.reached = world_.tlb1.access(world_.root(), other_.gfn, other_.write);
  if (other_.reached && other_.write && *other_.reached < world_.simulated.frames()) {
    contents_[*other_.reached] = word(*other_.reached) = other_.value = ++token_;
  }
}

/// Whoever used the memory in the middle of the operation has seen the old or the new, and what it wrote is not lost.
void MemoryScript::check_interference(GuestState before) {
  if (!other_.done || !other_.reached) return;
  const GuestState after = oracle_.at(other_.gfn);
  const bool is_old = p2m::is_mapped(before.type) && before.mfn == *other_.reached;
  const bool is_new = p2m::is_mapped(after.type) && after.mfn == *other_.reached;
  must(is_old || is_new, "in the middle of it a processor reached what was neither the old nor the new");
  const auto known = contents_.find(*other_.reached);
  if (!other_.write || known == contents_.end() || known->second != other_.value) return;  // the frame has been given up since
  if (p2m::is_ram(after.type) && is_new) written_.insert(other_.gfn);
  if (is_old && is_moving(other_.gfn, 1)) move_->written.insert(other_.gfn);
}

u64& MemoryScript::word(u64 mfn) const {
  return reinterpret_cast<u64*>(world_.simulated.at(to_hpa(Mfn{mfn})))[word_index_];
}

void MemoryScript::change(u64 gfn, u64 count, GuestState state) {
  for (auto at = written_.lower_bound(gfn); at != written_.end() && *at < gfn + count;) {
    const bool same = p2m::is_ram(state.type) && oracle_.at(*at) == GuestState{oracle_.at(*at).type, state.mfn + (*at - gfn)};
    at = same ? std::next(at) : written_.erase(at);
  }
  if (kind_ == Kind::pod && !p2m::is_ram(state.type)) {  // its frames are zeroed before the guest gets them again
    oracle_.each(gfn, count, [&](u64 first, u64 end, GuestState run) { if (p2m::is_ram(run.type)) forget_contents(run.mfn, end - first); });
  }
  oracle_.put(gfn, count, state);
}

/// The processor has reached mfn for gfn.
void MemoryScript::used(u64 gfn, u64 mfn, bool write, std::optional<u64> value) {
  if (mfn >= world_.simulated.frames()) return;  // a device's
  const auto known = contents_.find(mfn);
  if (known != contents_.end() && word(mfn) != known->second) must(false, ("the guest does not find what it wrote at gfn " + std::to_string(gfn)).c_str());
  if (known == contents_.end() && kind_ == Kind::pod) must(word(mfn) == 0, "memory that was never written is not zero");
  if (!write) return;
  contents_[mfn] = word(mfn) = value.value_or(++token_);
  if (p2m::is_ram(oracle_.at(gfn).type)) written_.insert(gfn);
}

void MemoryScript::use(AdversarialTlb& tlb, u64 gfn, bool write) {
  std::optional<u64> reached = tlb.access(world_.root(), gfn, write);
  const GuestState state = oracle_.at(gfn);
  const p2m::Access access = p2m::access_of(state.type);
  if (!reached && write && access.write) {  // what a fault handler does when lookup says that there should be none
    world_.p2m.push_down(Gfn{gfn});
    tlb.flush();
    reached = tlb.access(world_.root(), gfn, write);
  }
  if (write ? access.write : access.read) must(reached == std::optional(state.mfn), "the guest does not reach its memory");
  else must(!reached, "the guest reaches what it must not");
  if (reached) used(gfn, *reached, write, std::nullopt);
}

/// The guest uses some of its memory, so that the TLBs know much.
void MemoryScript::touch(u64 choice) {
  const std::vector<u64> edges = oracle_.edges();
  for (u64 i = 0; i < std::min<u64>(edges.size(), 8); ++i) {
    const u64 gfn = edges[(choice + steps_ + i * edges.size() / 8) % edges.size()];
    if (gfn >= guest_frames_) continue;
    use((i + steps_) % 2 == 0 ? world_.tlb0 : world_.tlb1, gfn, (choice >> i & 1) != 0);
  }
  if ((choice >> 8 & 3) == 0) world_.tlb0.settle_marks();
}

void MemoryScript::check() const {
  if (const std::string problem = world_.check(); !problem.empty()) must(false, problem.c_str());
  for (const u64 gfn : oracle_.edges()) {
    const p2m::Translation there = world_.p2m.lookup(Gfn{gfn});
    must(GuestState{there.type, there.mfn.value()} == oracle_.at(gfn), ("lookup differs from the oracle at gfn " + std::to_string(gfn)).c_str());
    if (const std::string problem = world_.difference(Gfn{gfn}); !problem.empty()) must(false, problem.c_str());
  }
  for (const u64 gfn : written_) {
    const p2m::Translation there = world_.p2m.lookup(Gfn{gfn});
    must(there.dirty || there.written, ("nobody knows any more that the guest wrote at gfn " + std::to_string(gfn)).c_str());
  }
  check_references();
  if (kind_ == Kind::pod) check_accounts();
}

/// Every reference on every folio of the guest is a leaf of the p2m (or the move's), and there is no other guest memory.
void MemoryScript::check_references() const {
  std::map<u64, u64> references;  // by folio head
  u64 frames = 0;
  u64 leaves = 0;
  const auto see = [&](u64 mfn, u64 count) {
    leaves += count;
    for (u64 done = 0; done < count;) {
      const auto folio = world_.machine.folio_at(Mfn{mfn + done});
      must(folio && folio->kind == mm::FrameKind::guest && folio->owner == World::k_domain, "mapped memory is not the guest's");
      if (references.emplace(folio->head.value(), folio->references).second) frames += folio->order.frames();
      done += std::min(count - done, folio->order.frames() - (mfn + done - folio->head.value()));
    }
  };
  oracle_.each(0, guest_frames_, [&](u64 first, u64 end, GuestState state) { if (p2m::is_ram(state.type)) see(state.mfn, end - first); });
  if (move_) {
    for (const Run& run : move_->from) see(run.state.mfn, run.count);
    if (move_->to) see(*move_->to, move_->order.frames());
    else frames += move_->order.frames();  // the pod does not say where
  }
  u64 sum = 0;
  for (const auto& [head, count] : references) sum += count;
  must(sum == leaves, "references that no leaf explains");
  if (kind_ == Kind::pod) frames += pod_.accounts().in_transit - world_.p2m.frames_in_transit();  // what moves have left, to be zeroed
  must(world_.machine.statistics().frames[static_cast<usize>(mm::FrameKind::guest)] == frames, "guest memory that nobody maps");
}

void MemoryScript::check_accounts() const {
  const pod::Accounts accounts = pod_.accounts();
  must(accounts.hold(), "more is held than target and pending");
  must(accounts.populated == world_.p2m.audit().mapped_frames + world_.p2m.frames_in_transit(), "populated");
  must(accounts.entries == oracle_.frames(guest_frames_, [](Type type) { return type == Type::pod; }), "entries");
  must(static_cast<i64>(accounts.held()) - static_cast<i64>(accounts.pending) == held_, "what is held is not what the steps add up to");
  const auto frames = world_.machine.statistics().frames;
  must(frames[static_cast<usize>(mm::FrameKind::pod_cache)] == accounts.cached(), "cache");
  must(frames[static_cast<usize>(mm::FrameKind::guest)] == accounts.populated + accounts.in_transit, "guest frames");
}

void MemoryScript::finish(u64 budget) {
  name_ = "destroy";
  last_ = "destroy in pieces of " + std::to_string(budget);
  other_ = {};
  if (kind_ == Kind::pod) pod_.destroy();
  for (unsigned cpu = 0; cpu < 2; ++cpu) world_.p2m.users().leave(cpu);
  world_.tlb0.flush();
  world_.tlb1.flush();
  while (!world_.p2m.destroy_some(budget)) must(world_.p2m.audit().clean(), "audit");
  must(world_.machine.statistics().free_frames() == world_.free_at_start, "frames are lost");
}
}  // namespace octavo::model
