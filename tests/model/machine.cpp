// SPDX-License-Identifier: Apache-2.0
#include "tests/model/machine.hpp"

#include <sys/mman.h>

#include <atomic>

#include "observe.hpp"

namespace octavo::model {
namespace {
SimulatedMachine* the_machine = nullptr;
StoreLog* the_log = nullptr;
std::vector<EntryStore>* the_stores = nullptr;
}  // namespace

SimulatedMachine::SimulatedMachine(u64 bytes, unsigned cpus) : bytes_(bytes), cpus_(cpus) {
  if (the_machine != nullptr) throw std::logic_error("one simulated machine at a time");
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no address space for the simulated machine");
  memory_ = static_cast<u8*>(memory);
  the_machine = this;
}

SimulatedMachine::~SimulatedMachine() {
  munmap(memory_, bytes_);
  the_machine = nullptr;
}

SimulatedMachine* SimulatedMachine::current() { return the_machine; }

u8* SimulatedMachine::at(Hpa hpa) const {
  if (hpa.value() >= bytes_) throw Panic("access to machine memory that is not there");
  return memory_ + hpa.value();
}

u64 SimulatedMachine::read64(Hpa hpa) const {
  return std::atomic_ref<u64>(*reinterpret_cast<u64*>(at(hpa))).load(std::memory_order_acquire);
}

StoreLog::StoreLog() {
  if (the_log != nullptr) throw std::logic_error("one store log at a time");
  the_log = this;
  the_stores = &stores_;
  arch::entry_store_observer = [](const u64* entry, u64 before, u64 after) { the_stores->push_back({entry, before, after}); };
}

StoreLog::~StoreLog() {
  arch::entry_store_observer = nullptr;
  the_log = nullptr;
}

void StoreLog::for_each_state(const std::function<void(std::size_t)>& f) {
  const auto put = [](const u64* entry, u64 value) { *const_cast<u64*>(entry) = value; };
  f(stores_.size());
  for (std::size_t n = stores_.size(); n-- > 0;) {
    put(stores_[n].entry, stores_[n].before);
    f(n);
  }
  for (const EntryStore& store : stores_) put(store.entry, store.after);
}
}  // namespace octavo::model

namespace octavo::arch {
namespace {
thread_local unsigned this_cpu = 0;
thread_local std::vector<unsigned> held_ranks;
thread_local model::Work at_outermost_lock;
}  // namespace

/// For tests with threads: this thread plays that CPU.
void set_cpu_index(unsigned cpu) { this_cpu = cpu; }
unsigned cpu_index() { return this_cpu; }
unsigned cpu_count() { return model::the_machine != nullptr ? model::the_machine->cpus() : 1; }
u64 uptime_ns() { return model::the_machine != nullptr ? model::the_machine->now_ns : 0; }
void relax() {
  if (model::the_machine != nullptr && model::the_machine->on_relax) return model::the_machine->on_relax();
  __builtin_ia32_pause();
}

void lock_rank_enter(unsigned rank) {
  if (!held_ranks.empty() && held_ranks.back() >= rank) panic("locks taken against their ranks");
  if (held_ranks.empty()) at_outermost_lock = model::work;
  ++model::work.locks;
  held_ranks.push_back(rank);
}
void lock_rank_leave(unsigned rank) {
  if (held_ranks.empty() || held_ranks.back() != rank) panic("locks released out of order");
  held_ranks.pop_back();
  if (!held_ranks.empty()) return;
  const model::Work section = model::work - at_outermost_lock;
  if (section.steps() > model::longest_section.steps()) model::longest_section = section;
}

void* map_frames(Mfn mfn, u64 frames) {
  if (model::the_machine == nullptr || !range_within(mfn.value(), frames, model::the_machine->frames())) {
    panic("map_frames: no such machine memory");
  }
  if (model::the_machine->on_map) model::the_machine->on_map(mfn);
  ++model::work.windows;
  model::work.frames += frames;
  __atomic_add_fetch(&model::the_machine->mapped_windows, 1, __ATOMIC_RELAXED);
  return model::the_machine->at(to_hpa(mfn));
}
void unmap_frames(void*, u64) { __atomic_sub_fetch(&model::the_machine->mapped_windows, 1, __ATOMIC_RELAXED); }

void flush_tag(TlbTag tag, u64 cpus) {
  __atomic_add_fetch(&model::the_machine->flushes, 1, __ATOMIC_RELAXED);
  ++model::work.flushes;
  for (const auto& flush : model::the_machine->on_flush) flush(tag, cpus);
}

void set_timer(u64 deadline_ns) { model::the_machine->timer = deadline_ns; }
void cancel_timer() { model::the_machine->timer.reset(); }
void interrupt_window() {}
void wait_for_interrupt() {}
std::optional<u8> console_read() { return std::nullopt; }
void panic(const char* what) { throw model::Panic(what); }
}  // namespace octavo::arch
