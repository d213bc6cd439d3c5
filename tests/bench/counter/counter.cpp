// SPDX-License-Identifier: Apache-2.0
// A TCG plugin for QEMU (its plugin API, version 1, which Debian ships no header for: the declarations below are all that is used).
// It counts every instruction that the emulated processor executes, whatever runs there; idle time is none. Arguments:
//   mark=NAME@ADDRESS    says how many had been executed when the one at this linear address (hexadecimal) first was
//   within=FIRST-LAST    counts apart those whose linear address is in this range
//   out=FILE             where the lines `NAME COUNT WITHIN` go; the last one is `end`
// One processor only.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string_view>

#define PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
using PluginId = std::uint64_t;
extern "C" {
void qemu_plugin_register_vcpu_tb_trans_cb(PluginId id, void (*translated)(PluginId id, qemu_plugin_tb* block));
void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn* insn, void (*executed)(unsigned cpu, void* data), int flags, void* data);
void qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_insn* insn, int operation, void* counter, std::uint64_t amount);
void qemu_plugin_register_atexit_cb(PluginId id, void (*at_exit)(PluginId id, void* data), void* data);
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb* block);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb* block, std::size_t index);
std::uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn* insn);
}
PLUGIN_EXPORT int qemu_plugin_version;
int qemu_plugin_version = 1;

namespace {
constexpr int k_no_registers = 0, k_add = 0;  // QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_INLINE_ADD_U64

struct Mark {
  std::string_view name;
  std::uint64_t address = 0;
  bool seen = false;
};
Mark marks[8];
unsigned mark_count = 0;
std::uint64_t first = 1, last = 0;  // the range
std::uint64_t executed = 0, executed_within = 0;
std::FILE* out = stderr;

void say(std::string_view name) {
  std::fprintf(out, "%.*s %llu %llu\n", static_cast<int>(name.size()), name.data(), static_cast<unsigned long long>(executed),
               static_cast<unsigned long long>(executed_within));
  std::fflush(out);
}

void reached(unsigned, void* data) {
  Mark& mark = *static_cast<Mark*>(data);
  if (mark.seen) return;
  mark.seen = true;
  say(mark.name);
}

void translated(PluginId, qemu_plugin_tb* block) {
  for (std::size_t i = 0; i < qemu_plugin_tb_n_insns(block); ++i) {
    qemu_plugin_insn* const insn = qemu_plugin_tb_get_insn(block, i);
    const std::uint64_t address = qemu_plugin_insn_vaddr(insn);
    for (Mark& mark : marks) {
      if (mark.address == address && !mark.name.empty() && !mark.seen) qemu_plugin_register_vcpu_insn_exec_cb(insn, reached, k_no_registers, &mark);
    }
    qemu_plugin_register_vcpu_insn_exec_inline(insn, k_add, &executed, 1);
    if (address >= first && address <= last) qemu_plugin_register_vcpu_insn_exec_inline(insn, k_add, &executed_within, 1);
  }
}

void at_exit(PluginId, void*) { say("end"); }
}  // namespace

PLUGIN_EXPORT int qemu_plugin_install(PluginId id, const void*, int argc, char** argv) {
  for (int i = 0; i < argc; ++i) {
    const std::string_view word = argv[i];  // QEMU frees the words: what is kept is a copy
    const auto value = [&](std::string_view key) { return word.starts_with(key) ? argv[i] + key.size() : nullptr; };
    if (const char* const mark = value("mark="); mark != nullptr) {
      std::string_view text = strdup(mark);
      const auto at = text.find('@');
      if (at == text.npos || mark_count == std::size(marks)) return 1;
      marks[mark_count++] = {text.substr(0, at), std::strtoull(text.data() + at + 1, nullptr, 16)};
    } else if (const char* const within = value("within="); within != nullptr) {
      char* end = nullptr;
      first = std::strtoull(within, &end, 16);
      if (*end != '-') return 1;
      last = std::strtoull(end + 1, nullptr, 16);
    } else if (const char* const file = value("out="); file != nullptr) {
      out = std::fopen(file, "w");
      if (out == nullptr) return 1;
    } else {
      return 1;
    }
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, at_exit, nullptr);
  return 0;
}
