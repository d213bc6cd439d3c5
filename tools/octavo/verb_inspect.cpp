// SPDX-License-Identifier: Apache-2.0
// octavo inspect web.dom [--json]
#include "tools/octavo/build/files.hpp"
#include "tools/octavo/build/inspect.hpp"
#include "tools/octavo/terminal.hpp"
#include "tools/octavo/verbs.hpp"

namespace octavo::tool {
namespace {

struct Options {
  std::filesystem::path image;
  bool json = false;
};

build::Outcome<> run(const Options& options) {
  const build::Bytes bytes = OCTAVO_TRY(build::read_file(options.image));
  domain::Image image;
  if (const auto checked = build::inspect_image(bytes, image); !checked) {
    return build::failure("{}: {}", options.image.string(), checked.error().text);
  }
  if (options.json) fmt::print("{}\n", build::image_json(image).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  else fmt::print("{}", build::image_table(image));
  return {};
}
}  // namespace

void add_inspect(CLI::App& app, int& status) {
  CLI::App* const verb = app.add_subcommand("inspect", "Check a domain image and show what it holds");
  const auto options = std::make_shared<Options>();
  verb->add_option("image", options->image, "the domain image")->required();
  verb->add_flag("--json", options->json, "for machines; numbers are bytes");
  verb->callback([options, &status] {
    const auto done = run(*options);
    if (!done) report_error(done.error().text);
    status = done ? k_exit_done : k_exit_failed;
  });
}
}  // namespace octavo::tool
