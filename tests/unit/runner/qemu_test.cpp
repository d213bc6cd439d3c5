// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/run/qemu.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tools/octavo/run/process.hpp"
#include "tools/octavo/run/run.hpp"
#include "tools/octavo/run/text_watch.hpp"

using namespace octavo::tool;

TEST_CASE("QEMU's banner becomes a version") {
  CHECK(parse_qemu_version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright") == QemuVersion{7, 2, 22});
  CHECK(parse_qemu_version("warning: x\nQEMU emulator version 10.0.0\n") == QemuVersion{10, 0, 0});
  CHECK_FALSE(parse_qemu_version("bash: qemu: not found"));
  CHECK_FALSE(parse_qemu_version("QEMU emulator version unknown"));
}

TEST_CASE("versions with known trouble are named, others are not") {
  CHECK(qemu_notes({7, 2, 0}, Accelerator::tcg).empty());
  CHECK(qemu_notes({8, 1, 9}, Accelerator::tcg).empty());
  CHECK(qemu_notes({9, 0, 0}, Accelerator::tcg).empty());
  REQUIRE(qemu_notes({8, 2, 2}, Accelerator::tcg).size() == 1);
  CHECK(qemu_notes({8, 2, 2}, Accelerator::tcg)[0].find("paging off") != std::string::npos);
  CHECK(qemu_notes({8, 2, 2}, Accelerator::kvm).empty());
  REQUIRE(qemu_notes({7, 1, 0}, Accelerator::kvm).size() == 1);
  CHECK(qemu_notes({7, 1, 0}, Accelerator::kvm)[0].find("7.2.0") != std::string::npos);
}

TEST_CASE("KVM counts only where it nests") {
  const KvmFacts amd{.device_opens = true, .nested_amd = "1", .nested_intel = "", .flag_svm = true, .flag_vmx = false};
  CHECK(why_no_nested_kvm(amd).empty());
  KvmFacts facts = amd;
  facts.device_opens = false;
  CHECK(why_no_nested_kvm(facts).find("cannot be opened") != std::string::npos);
  facts = amd;
  facts.flag_svm = false;
  CHECK(why_no_nested_kvm(facts).find("neither svm nor vmx") != std::string::npos);
  facts = amd;
  facts.nested_amd = "0";
  CHECK(why_no_nested_kvm(facts).find("kvm_amd/parameters/nested is 0") != std::string::npos);
  facts.nested_amd = "";
  CHECK(why_no_nested_kvm(facts).find("kvm_amd is not loaded") != std::string::npos);
  const KvmFacts intel{.device_opens = true, .nested_amd = "", .nested_intel = "Y", .flag_svm = false, .flag_vmx = true};
  CHECK(why_no_nested_kvm(intel).find("cannot use VMX yet") != std::string::npos);
}

TEST_CASE("auto falls back, kvm insists") {
  CHECK(choose_accelerator("auto", "") == Accelerator::kvm);
  CHECK(choose_accelerator("auto", "no") == Accelerator::tcg);
  CHECK(choose_accelerator("tcg", "") == Accelerator::tcg);
  CHECK_FALSE(choose_accelerator("kvm", "because"));
  CHECK(choose_accelerator("kvm", "because").error().find("because") != std::string::npos);
}

TEST_CASE("processor models") {
  CHECK(cpu_model("npt", Accelerator::tcg) == "max");
  CHECK(cpu_model("shadow", Accelerator::tcg) == "max,-npt");
  CHECK(cpu_model("none", Accelerator::tcg) == "max,-svm");
  CHECK(cpu_model("none", Accelerator::kvm) == "host,-svm,-vmx");
  CHECK(cpu_model("EPYC,+svm", Accelerator::tcg) == "EPYC,+svm");
}

TEST_CASE("commas survive QEMU's option syntax") {
  MachineRequest request;
  request.iso = "/tmp/a,b.iso";
  request.options = "x=1,2";
  const auto argv = qemu_command(request);
  REQUIRE(argv);
  const auto has = [&](const std::string& text) {
    return std::any_of(argv->begin(), argv->end(), [&](const std::string& word) { return word.find(text) != std::string::npos; });
  };
  CHECK(has("file=/tmp/a,,b.iso"));
  CHECK(has("value=octavo:x=1,,2"));
}

TEST_CASE("what only the emulator can is refused under KVM") {
  MachineRequest request;
  request.accelerator = Accelerator::kvm;
  CHECK(qemu_command(request));
  request.icount = true;
  CHECK_FALSE(qemu_command(request));
  request.icount = false;
  request.qemu_log = "x";
  CHECK_FALSE(qemu_command(request));
}

TEST_CASE("only the hypervisor's own bytes are verdicts") {
  CHECK(verdict_of({.signalled = false, .code = 33}).exit == RunExit::passed);
  CHECK(verdict_of({.signalled = false, .code = 35}).exit == RunExit::failed);
  CHECK(verdict_of({.signalled = false, .code = 37}).exit == RunExit::panic);
  for (const int code : {0, 1, 2, 32, 34, 36, 38, 124}) {
    CHECK(verdict_of({.signalled = false, .code = code}).exit == RunExit::failed);
    CHECK_FALSE(verdict_of({.signalled = false, .code = code}).sentence.empty());
  }
  CHECK(verdict_of({.signalled = true, .code = 33}).exit == RunExit::failed);
}

TEST_CASE("a text is found however the stream is cut") {
  const std::string stream = "aab aaab octavo-check: PASS\n";
  for (const std::string text : {"aaab", "octavo-check: PASS", "a", "\n"}) {
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
      TextWatch watch{text};
      for (std::size_t at = 0; at < stream.size(); at += piece) watch.feed(std::string_view{stream}.substr(at, piece));
      INFO(text << " in pieces of " << piece);
      CHECK(watch.seen());
    }
  }
  TextWatch absent{"FAIL"};
  absent.feed(stream);
  CHECK_FALSE(absent.seen());
}

TEST_CASE("a shell would read a quoted line as the same words") {
  const std::vector<std::string> words{"a b", "", "it's", "$x", "plain=1,2"};
  std::vector<std::string> argv{"printf", "%s|"};
  argv.insert(argv.end(), words.begin(), words.end());
  const auto ran = capture({"sh", "-c", shell_quoted(argv)}, std::chrono::seconds{20});
  REQUIRE(ran);
  CHECK(ran->output == "a b||it's|$x|plain=1,2|");
}

TEST_CASE("a child is waited for, limited, and its signal told from its status") {
  const auto seven = capture({"sh", "-c", "echo out; echo err >&2; exit 7"}, std::chrono::seconds{20});
  REQUIRE(seven);
  CHECK(seven->status.code == 7);
  CHECK(seven->output == "out\nerr\n");
  const auto killed = capture({"sh", "-c", "kill -9 $$"}, std::chrono::seconds{20});
  REQUIRE(killed);
  CHECK(killed->status.signalled);
  CHECK(killed->status.code == 9);
  const auto endless = capture({"sleep", "1000"}, std::chrono::milliseconds{50});
  REQUIRE(endless);
  CHECK(endless->timed_out);
  CHECK(endless->status.signalled);
  CHECK_FALSE(capture({"octavo-no-such-program"}, std::chrono::seconds{1}));
}
