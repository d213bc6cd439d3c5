// SPDX-License-Identifier: Apache-2.0
// Seeds for the fuzzers: make_fuzz_corpus FOLDER writes FOLDER/image (the trees of images of every kind) and FOLDER/kernel.
#include <cstdio>

#include "tests/unit/builder/sample_kernels.hpp"
#include "tools/octavo/build/builder.hpp"
#include "tools/octavo/build/inspect.hpp"

namespace {

using namespace octavo;
using namespace octavo::build;
namespace fs = std::filesystem;

Outcome<> write_seeds(const fs::path& folder, const char* name, ByteView kernel, u64 memory) {
  OCTAVO_TRY(write_file_atomically(folder / "kernel" / name, kernel));
  DomainConfig config;
  config.file = "seed.toml";
  config.name = name;
  config.memory = config.maximum_memory = memory;
  config.kernel = folder / "kernel" / name;
  config.command_line = "console=ttyS0";
  const Bytes bytes = OCTAVO_TRY(build_image(config));
  domain::Image image;
  OCTAVO_TRY(inspect_image(bytes, image));
  return write_file_atomically(folder / "image" / name, ByteView{bytes}.first(image.tree_size));
}

Outcome<> write_all(const fs::path& folder) {
  OCTAVO_TRY(write_seeds(folder, "linux", test::sample_bzimage(), u64{64} << 20));
  OCTAVO_TRY(write_seeds(folder, "pvh", test::sample_pvh(), u64{4} << 30));
  return write_seeds(folder, "multiboot", test::sample_multiboot(), u64{2} << 20);
}
}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const fs::path folder{argv[1]};
  for (const char* const kind : {"image", "kernel"}) fs::create_directories(folder / kind);
  const auto written = write_all(folder);
  if (written) return 0;
  fmt::print(stderr, "make_fuzz_corpus: {}\n", written.error().text);
  return 1;
}
