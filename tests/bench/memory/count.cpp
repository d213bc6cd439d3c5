// SPDX-License-Identifier: Apache-2.0
// Counted work of the memory core: for each operation, for the longest section of each entry point, and the memory that its own records take.
// The same in every run (blocks: for one compiler). --json for machines, --only=TEXT for some rows, --sizes=N for
// the N smallest guests.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "tests/bench/memory/operations.hpp"
#include "tests/bench/memory/sections.hpp"

namespace octavo::bench {
namespace {
constexpr unsigned k_columns = std::size(k_sizes);
using Line = std::string;

bool json = false;
unsigned columns = k_columns;  ///< sizes that are measured
std::string only;

double share(u64 n, u64 of) { return static_cast<double>(n) / static_cast<double>(of); }

/// One printed row: the work at the largest size in detail, and the steps at each size.
struct Row {
  std::string name;
  u64 times = 1;  ///< at the largest size
  model::Work work{};
  double steps[k_columns] = {};
  double whole_call[k_columns] = {};  ///< sections only

  [[nodiscard]] bool grows() const { return columns > 2 && steps[columns - 1] > steps[1] * 1.5 && steps[columns - 1] > steps[2]; }
};

void print_header(const char* title, const char* first) {
  if (json) return;
  std::printf("\n%s\n%-52s%9s%9s%9s%9s%9s%14s |", title, first, "loads", "stores", "windows", "frames", "locks", "blocks");
  for (const u64 gib : std::span(k_sizes).first(columns)) std::printf("%10lluG", static_cast<unsigned long long>(gib));
  std::printf("\n");
}

void print(const Row& row, const char* table) {
  const model::Work& work = row.work;
  const struct { const char* name; u64 value; int width; } figures[] = {
      {"loads", work.loads, 9}, {"stores", work.stores, 9}, {"windows", work.windows, 9},
      {"memory_frames", work.memory_frames(), 9}, {"locks", work.locks, 9}, {"blocks", work.blocks, 14}};
  if (json) {
    std::printf("{\"table\":\"%s\",\"name\":\"%s\"", table, row.name.c_str());
    for (const auto& column : figures) std::printf(",\"%s\":%.3f", column.name, share(column.value, row.times));
    for (unsigned i = 0; i < columns; ++i) std::printf(",\"steps_%lluG\":%.3f", static_cast<unsigned long long>(k_sizes[i]), row.steps[i]);
    for (unsigned i = 0; i < columns && row.whole_call[i] > 0; ++i) {
      std::printf(",\"call_%lluG\":%.0f", static_cast<unsigned long long>(k_sizes[i]), row.whole_call[i]);
    }
    std::printf("}\n");
  } else {
    std::printf("%-52s", row.name.c_str());
    for (const auto& column : figures) std::printf("%*.*f", column.width, column.value % row.times == 0 ? 0 : 1, share(column.value, row.times));
    std::printf(" |");
    for (const double steps : std::span(row.steps).first(columns)) std::printf("%11.0f", steps);
    std::printf("%s\n", row.grows() ? "  grows" : "");
  }
  std::fflush(stdout);
}

/// Guests of the shape that costs most to make are kept for the next operation; those operations leave them as they were.
void count_operations() {
  std::map<const Operation*, Row> rows;
  for (unsigned i = 0; i < columns; ++i) {
    for (const bool dear : {false, true}) {
      std::unique_ptr<Guest> guest;
      for (const Operation& operation : operations()) {
        if ((operation.shape == Shape::leaves_4k) != dear || std::strstr(operation.name, only.c_str()) == nullptr) continue;
        if (!dear || guest == nullptr) {
          guest.reset();
          guest = std::make_unique<Guest>(k_sizes[i], operation.shape);
        }
        operation.each(*guest, operation.prepare);
        guest->count_tables();
        const model::Work before = model::work;
        operation.each(*guest, operation.run);
        Row& row = rows[&operation];
        row.name = operation.name;
        row.work = model::work - before;
        row.times = operation.samples(*guest);
        row.steps[i] = share(row.work.steps(), row.times);
        guest->simulated.on_map = nullptr;
        if (dear) operation.each(*guest, operation.undo);
      }
    }
  }
  if (rows.empty()) return;
  print_header("Work for one operation at the last size, and steps at each size", "operation");
  for (const Operation& operation : operations()) {
    if (rows.contains(&operation)) print(rows[&operation], "operation");
  }
}

void count_sections() {
  print_header("Longest section under a lock: its work at the last size, and its steps at each size", "entry point, worst call known");
  for (const EntryPoint& entry : entry_points()) {
    Row row{.name = std::string(entry.name) + (*entry.call != 0 ? ": " : "") + entry.call};
    if (row.name.find(only) == std::string::npos) continue;
    for (unsigned i = 0; i < columns; ++i) {
      Guest guest(k_sizes[i], entry.shape);
      if (entry.prepare != nullptr) entry.prepare(guest);
      guest.count_tables();
      model::longest_section = {};
      const model::Work before = model::work;
      entry.run(guest);
      row.work = model::longest_section;
      row.steps[i] = static_cast<double>(row.work.steps());
      row.whole_call[i] = static_cast<double>((model::work - before).steps());
    }
    print(row, "section");
    if (!json && row.whole_call[columns - 1] > row.steps[columns - 1] * 1.01) {
      std::printf("%-52s%59s |", "    the whole call", "");
      for (const double steps : std::span(row.whole_call).first(columns)) std::printf("%11.0f", steps);
      std::printf("\n");
    }
  }
}

void count_metadata() {
  const u64 gib = 16;
  if (!json) {
    std::printf("\nBytes of records for 1 GiB of guest memory (of a guest of %lluG)\n%-16s%14s%14s%14s%14s%10s\n", static_cast<unsigned long long>(gib),
                "leaves", "frame table", "tables used", "pool reserved", "together", "percent");
  }
  for (const Shape shape : {Shape::leaves_1g, Shape::leaves_2m, Shape::leaves_4k}) {
    const Guest guest(gib, shape);
    const p2m::Statistics statistics = guest.p2m.statistics();
    const u64 records = k_1g * sizeof(mm::Frame);
    const u64 used = statistics.tables.used * k_page_size / gib;
    const u64 pool = statistics.tables.reserved * k_page_size / gib;
    std::printf(json ? "{\"table\":\"metadata\",\"name\":\"%s\",\"frame_table\":%llu,\"tables_used\":%llu,\"pool_reserved\":%llu,\"together\":%llu,\"percent\":%.3f}\n"
                     : "%-16s%14llu%14llu%14llu%14llu%10.3f\n",
                name_of(shape), static_cast<unsigned long long>(records), static_cast<unsigned long long>(used), static_cast<unsigned long long>(pool),
                static_cast<unsigned long long>(records + pool), 100 * share(records + pool, u64{1} << 30));
  }
}
}  // namespace
}  // namespace octavo::bench

int main(int argc, char** argv) {
  using namespace octavo::bench;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") json = true;
    else if (word.starts_with("--only=")) only = word.substr(7);
    else if (word.starts_with("--sizes=")) columns = std::min<unsigned>(k_columns, static_cast<unsigned>(std::max(1, std::atoi(word.c_str() + 8))));
    else return std::fprintf(stderr, "usage: bench_memory_count [--json] [--only=TEXT] [--sizes=N]\n"), 2;
  }
  if (!json) {
    std::printf("Counted, not timed. loads, stores: entries of tables; windows: mappings made; frames: zeroed, copied from or to, looked into; locks: taken;\n"
                "blocks: basic blocks of the core. steps = loads + stores + frames + locks.\n");
  }
  count_operations();
  count_sections();
  count_metadata();
}
