// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "tools/octavo/run/run.hpp"
#include "tools/octavo/verbs.hpp"

namespace octavo::tool {
namespace {
struct Words {
  RunRequest request;
  double limit_seconds = 0;
  bool interactive = isatty(STDIN_FILENO) != 0;
};

constexpr const char* k_footer =
    "Exit status: 0 guest passed, 1 guest failed, 2 usage or set-up, 3 hypervisor panic, 124 time limit.\n"
    "With the console on the terminal, Ctrl-A x ends QEMU and Ctrl-A h shows its other keys.";

int execute(Words& words) {
  RunRequest& request = words.request;
  request.machine.extra = foreign_arguments();
  request.interactive = words.interactive;
  if (words.limit_seconds > 0) request.limit = std::chrono::milliseconds{static_cast<long long>(words.limit_seconds * 1000)};
  const Outcome<RunVerdict> verdict = run(request);
  if (!verdict) {
    fmt::print(stderr, "octavo run: {}\n", verdict.error());
    return static_cast<int>(RunExit::usage);
  }
  if (verdict->signal != 0) {
    // Who waits for us (a shell loop, make) must see that a signal ended this, so it does end by that signal.
    std::fflush(nullptr);
    std::signal(verdict->signal, SIG_DFL);
    raise(verdict->signal);
  }
  return static_cast<int>(verdict->exit);
}
}  // namespace

void add_run(CLI::App& app, int& status) {
  auto words = std::make_shared<Words>();
  RunRequest& request = words->request;
  MachineRequest& machine = request.machine;
  CLI::App* verb = app.add_subcommand("run", "boot an image or domain images in QEMU");
  verb->footer(k_footer);
  verb->add_option("inputs", request.inputs, "one boot image, or domain images; behind -- more arguments for QEMU")->type_name("ISO | IMAGE.dom ...");
  verb->add_option("--cpu", machine.cpu, "npt, shadow (SVM without nested paging), none (no SVM), or a model of QEMU's")->type_name("MODEL")->capture_default_str();
  verb->add_flag("--uefi", machine.uefi, "boot by UEFI (OVMF)");
  verb->add_option("--firmware", machine.firmware, "the UEFI firmware")->type_name("FILE");
  verb->add_option("--smp", machine.cpus, "processors")->type_name("N")->capture_default_str();
  verb->add_option("--memory", machine.memory, "the machine's memory")->type_name("SIZE")->capture_default_str();
  verb->add_flag("--gdb{1234}", machine.gdb_port, "wait for gdb at this port (--gdb=PORT)");
  verb->add_option("--log", machine.qemu_log, "QEMU's own log of interrupts, resets and guest errors")->type_name("FILE");
  verb->add_flag("--icount", machine.icount, "deterministic: one instruction is one tick of the clock");
  verb->add_option("--accel", request.accelerator, "auto, kvm (only where it nests) or tcg")->check(CLI::IsMember({"auto", "kvm", "tcg"}))->capture_default_str();
  verb->add_option("--timeout", words->limit_seconds, "stop after so many seconds, with exit status 124")->type_name("SECONDS")->check(CLI::PositiveNumber);
  verb->add_option("--options", request.options, "words for the hypervisor's command line")->type_name("WORDS");
  verb->add_option("--hypervisor", request.hypervisor, "octavo.elf, for domain images")->type_name("FILE");
  verb->add_flag("--interactive,!--no-interactive", words->interactive, "standard input goes to the guest (default: when it is a terminal)");
  verb->add_option("--expect", request.expect, "passed only if TEXT was seen on the console; may be repeated")->type_name("TEXT")->allow_extra_args(false);
  verb->add_option("--reject", request.reject, "failed if TEXT was seen on the console; may be repeated")->type_name("TEXT")->allow_extra_args(false);
  verb->add_option("--until", request.until, "end the run, as passed, once TEXT has been seen")->type_name("TEXT");
  verb->add_flag("--json", request.json, "a line of JSON with the verdict at the end");
  verb->add_option("--serial-log", request.serial_log, "a copy of the console")->type_name("FILE");
  verb->add_option("--channel", machine.channel, "a UNIX socket for the operator channel (octavo --connect PATH ...)")->type_name("PATH");
  verb->add_option("--display", machine.display, "a QEMU display, for example gtk (default: none)")->type_name("KIND");
  verb->add_option("--qemu", machine.program, "the emulator")->type_name("PROGRAM")->capture_default_str();
  verb->add_flag("--dry-run", request.dry_run, "print QEMU's command line and start nothing");
  verb->callback([words, &status] { status = execute(*words); });
}
}  // namespace octavo::tool
