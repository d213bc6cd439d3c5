// SPDX-License-Identifier: Apache-2.0
// octavo-instrument SOURCE OUTPUT FILE...: OUTPUT/FILE becomes SOURCE/FILE with all of its mutants in it, OUTPUT/sites.json lists them.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/mutation/runtime/octavo_mutant.hpp"
#include "tests/mutation/sites.hpp"

int main(int argc, char** argv) {
  using namespace octavo::mutation;
  namespace fs = std::filesystem;
  if (argc < 4) {
    std::fprintf(stderr, "octavo-instrument: usage: octavo-instrument SOURCE OUTPUT FILE...\n");
    return 2;
  }
  try {
    const fs::path source = argv[1], output = argv[2];
    std::vector<Site> sites;
    for (int i = 3; i < argc; ++i) {
      std::ifstream in(source / argv[i]);
      std::stringstream text;
      text << in.rdbuf();
      if (!in) throw std::runtime_error(std::string("cannot read ") + argv[i]);
      const Instrumented done = instrument(argv[i], text.str(), static_cast<int>(sites.size()) + 1);
      sites.insert(sites.end(), done.sites.begin(), done.sites.end());
      fs::create_directories((output / argv[i]).parent_path());
      std::ofstream out(output / argv[i]);
      out << "#include \"octavo_mutant.hpp\"\n#line 1 \"" << argv[i] << "\"\n" << done.text;
      if (!out.flush()) throw std::runtime_error("cannot write " + (output / argv[i]).string());
    }
    if (sites.size() >= octavo_mutation::k_most) throw std::runtime_error("more mutants than octavo_mutant.hpp has room for");
    write_sites(output / "sites.json", sites);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "octavo-instrument: %s\n", error.what());
    return 1;
  }
}
