// SPDX-License-Identifier: Apache-2.0
// The simulated machine: sparse memory, CPUs with an adversarial TLB, a log of the stores to live tables. It implements
// arch/x86/platform.hpp for host programs; one exists at a time, and platform calls go to it.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "arch/x86/boot_info.hpp"
#include "arch/x86/platform.hpp"
#include "lib/address.hpp"

namespace octavo::model {

class TlbCpu;

/// What arch::panic() becomes: a test can expect it.
struct Panic : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class SimulatedMachine {
 public:
  /// `bytes` of physical address space, all of it readable and sparse: only touched frames cost host memory.
  explicit SimulatedMachine(u64 bytes, unsigned cpus = 1);
  ~SimulatedMachine();
  SimulatedMachine(const SimulatedMachine&) = delete;
  SimulatedMachine& operator=(const SimulatedMachine&) = delete;

  [[nodiscard]] static SimulatedMachine* current();

  [[nodiscard]] u8* at(Hpa hpa) const;
  [[nodiscard]] u64 read64(Hpa hpa) const;
  [[nodiscard]] u64 frames() const { return bytes_ >> k_page_shift; }
  [[nodiscard]] unsigned cpus() const { return cpus_; }

  /// Called for each arch::flush_tag. Modelled TLBs hang here.
  std::vector<std::function<void(arch::TlbTag, u64 cpus)>> on_flush;
  /// Called when a frame is about to be mapped: the moment for a test to let other processors do something.
  std::function<void(Mfn)> on_map;
  /// What arch::relax() does: where a processor that waits answers what others ask of it.
  std::function<void()> on_relax;
  u64 flushes = 0;
  u64 mapped_windows = 0;  ///< Mappings that are open now
  u64 now_ns = 0;
  std::optional<u64> timer;  ///< what arch::set_timer() was last given

 private:
  u64 bytes_;
  unsigned cpus_;
  u8* memory_;
};

/// One store to a live table.
struct EntryStore {
  const u64* entry;
  u64 before;
  u64 after;
};

/// While it lives, notes every store to a live table; can take the tables back to the moment after the n-th store.
class StoreLog {
 public:
  StoreLog();
  ~StoreLog();
  StoreLog(const StoreLog&) = delete;
  StoreLog& operator=(const StoreLog&) = delete;

  [[nodiscard]] const std::vector<EntryStore>& stores() const { return stores_; }
  /// Calls f(n) with the tables as they were after n stores, for every n from all down to 0, then plays forward again.
  void for_each_state(const std::function<void(std::size_t)>& f);

 private:
  std::vector<EntryStore> stores_;
};
}  // namespace octavo::model
