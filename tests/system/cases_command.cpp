// SPDX-License-Identifier: Apache-2.0
// `octavo iso` and `octavo run` themselves, with mini.elf in the hypervisor's place: what they refuse before they write or
// start anything, and what they make of every way in which a machine can end.
#include <fmt/format.h>

#include <fstream>

#include "tests/system/case.hpp"
#include "tools/octavo/run/files.hpp"

namespace octavo::system_test {
namespace {
namespace fs = std::filesystem;
using std::chrono::seconds;

std::string mini(const Bench& bench) { return (bench.build() / "tests/system/mini.elf").string(); }

std::string write(const Bench& bench, const std::string& name, const std::string& content) {
  const fs::path path = bench.folder() / name;
  std::ofstream{path, std::ios::binary} << content;
  return path.string();
}

/// A file that looks like a domain image to the boot loader's side of things.
std::string image_like() { return std::string{"\xd0\x0d\xfe\xed", 4} + std::string(8192, '\0'); }

Ran run_mini(const Bench& bench, const std::string& options, Words words = {}, seconds limit = seconds{60}) {
  words.insert(words.end(), {"--hypervisor", mini(bench), "--options", options});
  return bench.run(words, limit);
}

Case refusal(std::string name, std::function<Ran(const Bench&)> body, std::string sentence, int status) {
  return {"command/" + name, 2, [body = std::move(body), sentence = std::move(sentence), status](const Bench& bench) {
            body(bench).expect_status(status).expect_text(sentence);
            for (const auto& entry : fs::directory_iterator(bench.folder())) {
              if (entry.path().extension() == ".iso" || entry.path().extension() == ".part") {
                fail_case(fmt::format("expected nothing to be written, found {}", entry.path().string()));
              }
            }
          }};
}

Words iso_words(const Bench& bench, const Words& inputs, const std::string& hypervisor) {
  Words words{"iso", "-o", (bench.folder() / "out.iso").string(), "--hypervisor", hypervisor};
  words.insert(words.end(), inputs.begin(), inputs.end());
  return words;
}

void add_iso_cases(std::vector<Case>& cases) {
  cases.push_back(refusal("iso refuses a hypervisor that is not ELF",
      [](const Bench& bench) { return bench.octavo(iso_words(bench, {}, write(bench, "junk.elf", std::string(9000, 'x')))); }, "not an ELF64 file", 1));
  cases.push_back(refusal("iso refuses an ELF without a multiboot2 header",
      [](const Bench& bench) { return bench.octavo(iso_words(bench, {}, (bench.build() / "tools/octavo/octavo").string())); }, "no multiboot2 header", 1));
  cases.push_back(refusal("iso refuses an image that is none",
      [](const Bench& bench) { return bench.octavo(iso_words(bench, {write(bench, "web.dom", "hello")}, mini(bench))); }, "not a domain image", 1));
  cases.push_back(refusal("iso refuses a file that is not there",
      [](const Bench& bench) { return bench.octavo(iso_words(bench, {"/nonexistent/web.dom"}, mini(bench))); }, "cannot be read", 1));
  cases.push_back(refusal("iso refuses two images of one name",
      [](const Bench& bench) {
        const std::string image = write(bench, "web.dom", image_like());
        return bench.octavo(iso_words(bench, {image, image}, mini(bench)));
      }, "two files of that name", 1));
  cases.push_back(refusal("iso refuses options that GRUB would interpret",
      [](const Bench& bench) {
        Words words = iso_words(bench, {}, mini(bench));
        words.insert(words.end(), {"--options", "a=$(b)"});
        return bench.octavo(words);
      }, "cannot be passed", 1));
  cases.push_back({"command/iso keeps the old image when it fails", 2, [](const Bench& bench) {
    const std::string target = write(bench, "out.img", "the old one");
    Words words{"iso", "-o", target, "--hypervisor", mini(bench), write(bench, "bad.dom", "no tree")};
    (void)bench.octavo(words).expect_status(1);
    if (tool::read_file(target, 100) != "the old one") fail_case("expected the old image to be unchanged");
  }});
}

void add_verdict_cases(std::vector<Case>& cases) {
  struct Ending {
    const char* name;
    const char* options;
    int status;
    const char* sentence;
  };
  static constexpr Ending k_endings[] = {
      {"passed", "mini=p", 0, "[exit=qemu mini=p]"},
      {"failed", "mini=f", 1, "a guest failed"},
      {"panic", "mini=x", 3, "the hypervisor panicked"},
      {"reset", "mini=r", 1, "reset or switched off"},
  };
  for (const Ending& ending : k_endings) {
    cases.push_back({fmt::format("command/run maps {} to {}", ending.name, ending.status), 2, [&ending](const Bench& bench) {
      (void)run_mini(bench, ending.options).expect_status(ending.status).expect_text(ending.sentence);
    }});
  }
  cases.push_back({"command/run stops at the time limit with 124", 2, [](const Bench& bench) {
    (void)run_mini(bench, "mini=h", {}, seconds{8}).expect_status(124).expect_text("[exit=qemu mini=h]").expect_text("time limit");
  }});
  cases.push_back({"command/run ends when --until is seen", 2, [](const Bench& bench) {
    (void)run_mini(bench, "mini=h", {"--until", "mini=h]"}).expect_status(0);
  }});
  cases.push_back({"command/run fails without the expected text", 2, [](const Bench& bench) {
    (void)run_mini(bench, "mini=p", {"--expect", "no such text"}).expect_status(1).expect_text("expected on the console and not seen");
  }});
  cases.push_back({"command/run fails with a rejected text", 2, [](const Bench& bench) {
    (void)run_mini(bench, "mini=p", {"--reject", "mini=p"}).expect_status(1).expect_text("must not be");
  }});
  cases.push_back({"command/run takes options with values to an ISO that exists", 2, [](const Bench& bench) {
    const std::string iso = (bench.folder() / "x.iso").string();
    (void)bench.octavo({"iso", write(bench, "web.dom", image_like()), "-o", iso, "--hypervisor", mini(bench), "--options", "loglevel=debug"}).expect_status(0);
    (void)bench.run({iso, "--options", "a=b,c mini=p"}).expect_status(0).expect_in_order({"[loglevel=debug exit=qemu a=b,c mini=p]", "[web.dom]"});
  }});
  cases.push_back({"command/run boots the same ISO by UEFI", 2, [](const Bench& bench) {
    const std::string iso = (bench.folder() / "x.iso").string();
    (void)bench.octavo({"iso", write(bench, "web.dom", image_like()), "-o", iso, "--hypervisor", mini(bench), "--options", "loglevel=debug"}).expect_status(0);
    (void)bench.run({iso, "--uefi", "--json"}).expect_status(0).expect_in_order({"[loglevel=debug exit=qemu]", "[web.dom]", "\"verdict\":\"passed\""});
  }});
  cases.push_back({"command/run boots the same ISO as a USB stick", 2, [](const Bench& bench) {
    const std::string iso = (bench.folder() / "x.iso").string();
    (void)bench.octavo({"iso", "-o", iso, "--hypervisor", mini(bench)}).expect_status(0);
    const std::string empty = (bench.folder() / "empty.iso").string();
    (void)bench.octavo({"iso", "-o", empty, "--hypervisor", mini(bench), "--options", "mini=f"}).expect_status(0);
    (void)bench.run({empty, "--", "-boot", "menu=off", "-device", "qemu-xhci", "-drive", "if=none,id=stick,format=raw,readonly=on,file=" + iso,
                     "-device", "usb-storage,drive=stick,bootindex=0"}).expect_status(0).expect_text("[exit=qemu]");
  }});
}

void add_usage_cases(std::vector<Case>& cases) {
  cases.push_back({"command/usage errors have status 2, and say what is wrong and where help is", 2, [](const Bench& bench) {
    (void)bench.octavo({"run", "--no-such-option"}).expect_status(2).expect_in_order({"octavo: ", "--no-such-option", "'octavo run --help'"}).expect_no_text("Usage:");
    (void)bench.octavo({"inspect"}).expect_status(2).expect_in_order({"octavo: image is required", "'octavo inspect --help'"}).expect_no_text("Usage:");
    (void)bench.octavo({"bogus", "x"}).expect_status(2).expect_in_order({"'bogus'", "octavo --help"}).expect_no_text("Usage:");
    (void)bench.octavo({"--connect", "x"}).expect_status(2).expect_in_order({"octavo: command is required", "'octavo --help'"});
    (void)bench.octavo({}).expect_status(2).expect_text("Usage:");
  }});
  cases.push_back({"command/run names a missing emulator's package", 2, [](const Bench& bench) {
    (void)bench.run({"--hypervisor", mini(bench), "--qemu", "qemu-system-nowhere"}).expect_status(2).expect_text("apt-get install qemu-system-x86");
  }});
  cases.push_back({"command/run refuses to count instructions under KVM", 2, [](const Bench& bench) {
    const Ran ran = bench.octavo({"run", "--accel", "kvm", "--icount", "--dry-run"});
    ran.expect_status(2).expect_text(ran.output.find("--accel kvm:") != std::string::npos ? "--accel kvm: " : "--icount counts instructions");
  }});
  cases.push_back({"command/dry run prints the line and starts nothing", 2, [](const Bench& bench) {
    (void)bench.run({"--dry-run", "--cpu", "shadow", "--smp", "3", "--memory", "777M", "--icount", "--", "-name", "x y"}).expect_status(0)
        .expect_in_order({"-cpu max,-npt", "-smp 3", "-m 777M", "isa-debug-exit,iobase=0xf4,iosize=4", "-icount shift=0,sleep=off", "-name 'x y'"});
  }});
}
}  // namespace

void add_command_cases(std::vector<Case>& cases) {
  add_iso_cases(cases);
  add_verdict_cases(cases);
  add_usage_cases(cases);
}
}  // namespace octavo::system_test
