// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <memory>

#include "tools/octavo/run/files.hpp"
#include "tools/octavo/run/iso.hpp"
#include "tools/octavo/verbs.hpp"

namespace octavo::tool {
namespace {
Outcome<> make(IsoRequest& request) {
  if (request.hypervisor.empty()) request.hypervisor = OCTAVO_TRY(find_hypervisor());
  return make_iso_for_person(request);
}
}  // namespace

void add_iso(CLI::App& app, int& status) {
  auto request = std::make_shared<IsoRequest>();
  CLI::App* verb = app.add_subcommand("iso", "make a boot image (BIOS and UEFI; CD, or a USB stick by dd) of the hypervisor and domain images");
  verb->add_option("images", request->images, "domain images (octavo build makes them)")->type_name("IMAGE.dom");
  verb->add_option("-o,--output", request->output, "the image to write")->type_name("FILE")->default_val("octavo.iso");
  verb->add_option("--hypervisor", request->hypervisor, "octavo.elf (default: the one built with this command)")->type_name("FILE");
  verb->add_option("--options", request->options, "the hypervisor's command line, for example \"loglevel=debug\"")->type_name("WORDS");
  verb->callback([request, &status] {
    if (const Outcome<> made = make(*request); !made) {
      fmt::print(stderr, "octavo iso: {}\n", made.error());
      status = k_exit_failed;
      return;
    }
    std::error_code ignored;
    fmt::print("{}: {:.1f} MiB, {} domain image{}\n", request->output.string(),
               static_cast<double>(std::filesystem::file_size(request->output, ignored)) / (1 << 20), request->images.size(),
               request->images.size() == 1 ? "" : "s");
  });
}
}  // namespace octavo::tool
