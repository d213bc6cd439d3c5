// SPDX-License-Identifier: Apache-2.0
// octavo build web.toml [-o web.dom]
#include "tools/octavo/build/builder.hpp"
#include "tools/octavo/terminal.hpp"
#include "tools/octavo/verbs.hpp"

namespace octavo::tool {
namespace {

struct Options {
  std::filesystem::path toml;
  std::filesystem::path image;
};

int run(const Options& options) {
  std::filesystem::path image = options.image;
  if (image.empty()) image = std::filesystem::path{options.toml}.replace_extension(".dom");
  ProgressLine line{image.string()};
  const auto built = build::build_file(options.toml, image, [&](u64 done, u64 total) { line.update(done, total); });
  if (built) return k_exit_done;
  report_error(built.error().text);
  return k_exit_failed;
}
}  // namespace

void add_build(CLI::App& app, int& status) {
  CLI::App* const verb = app.add_subcommand("build", "Build a domain image from a TOML file, a kernel and an initrd");
  const auto options = std::make_shared<Options>();
  verb->add_option("toml", options->toml, "the domain's description")->required();
  verb->add_option("-o,--output", options->image, "the image to write (default: beside the TOML file, .dom)");
  verb->callback([options, &status] { status = run(*options); });
}
}  // namespace octavo::tool
