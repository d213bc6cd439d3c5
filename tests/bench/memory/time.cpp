// SPDX-License-Identifier: Apache-2.0
// Host time of each operation, by Google Benchmark: one row for an operation, one column for each size of the guest. Everything that Google
// Benchmark understands may be given (--benchmark_filter=lookup, --benchmark_format=json). Figures of one run can be compared, no others.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "tests/bench/memory/operations.hpp"

namespace octavo::bench {
namespace {
/// This thread's own processor time: others who use the machine do not count.
double seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// What measuring nothing takes.
double empty_measurement() {
  double least = 1;
  for (int i = 0; i < 1000; ++i) {
    const double start = seconds();
    least = std::min(least, seconds() - start);
  }
  return least;
}

/// Making a guest costs more than most measurements, so the last one is kept.
Guest& guest_for(u64 gib, Shape shape, Timing timing) {
  static std::unique_ptr<Guest> last;
  if (timing == Timing::fresh || last == nullptr || last->gib != gib || last->shape != shape) {
    last.reset();
    last = std::make_unique<Guest>(gib, shape);
  }
  return *last;
}

void measure(benchmark::State& state, const Operation& operation) {
  static const double empty = empty_measurement();
  u64 done = 0;
  if (operation.timing == Timing::often) {  // once unmeasured: the host has to give the pages first
    Guest& guest = guest_for(static_cast<u64>(state.range(0)), operation.shape, operation.timing);
    operation.each(guest, operation.prepare);
    operation.each(guest, operation.run);
    operation.each(guest, operation.undo);
  }
  for (auto _ : state) {
    Guest& guest = guest_for(static_cast<u64>(state.range(0)), operation.shape, operation.timing);
    operation.each(guest, operation.prepare);
    const double start = seconds();
    operation.each(guest, operation.run);
    const double time = std::max(seconds() - start - empty, 1e-9);
    operation.each(guest, operation.undo);
    done += operation.samples(guest);
    state.SetIterationTime(time);
  }
  state.counters["each"] = benchmark::Counter(static_cast<double>(done), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// Operations down, sizes across.
class SideBySide : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override {
    std::printf("nanoseconds of processor time on the host for one operation, by the size of the guest\n%-42s", "");
    for (const u64 gib : k_sizes) std::printf("%11lluG", static_cast<unsigned long long>(gib));
    return true;
  }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const std::string name = run.run_name.function_name;
      if (name != row_) std::printf("\n%-42s", name.c_str());
      row_ = name;
      if (run.error_occurred) std::printf("%12s", "-");
      else std::printf("%12.0f", run.counters.at("each").value * 1e9);
    }
    std::fflush(stdout);
  }
  void Finalize() override { std::printf("\n"); }

 private:
  std::string row_;
};
}  // namespace
}  // namespace octavo::bench

int main(int argc, char** argv) {
  using namespace octavo::bench;
  bool table = true;
  for (int i = 1; i < argc; ++i) table = table && std::string(argv[i]).find("--benchmark_format=") != 0;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const Operation& operation : operations()) {
    if (operation.timing == Timing::never) continue;
    auto* bench = benchmark::RegisterBenchmark(operation.name, [&operation](benchmark::State& state) { measure(state, operation); });
    bench->UseManualTime();
    if (operation.timing == Timing::fresh) bench->Iterations(3);
    else bench->MinTime(0.01);
    for (const octavo::u64 gib : k_sizes) {
      if (gib <= operation.largest_timed) bench->Arg(static_cast<octavo::i64>(gib));
    }
  }
  SideBySide side_by_side;
  if (table) benchmark::RunSpecifiedBenchmarks(&side_by_side);
  else benchmark::RunSpecifiedBenchmarks();
}
