// SPDX-License-Identifier: Apache-2.0
// Rewrites one source file so that all of its mutants are in it: at each place that one can change, the program asks octavo_mutant(N)
// whether this is mutant N's run (runtime/octavo_mutant.hpp). Every room is compiled once for all mutants.
//
//   a statement      x = y;          { if (!octavo_mutant(1)) { x = y; } }
//   a condition      if (p)          if (octavo_mutant(2) != static_cast<bool>(p))
//   a conjunction    a && b          (octavo_mutant(3) || (a)) && (octavo_mutant(4) || (b))
//   a comparison     a == b          (octavo_mutant(5) != (a == b))
//                    a < b           (octavo_mutant(6) != (octavo_mutant(7) ? (a) <= (b) : (a) < (b)))
//
// Not changed: declarations (a lock that is not taken), arithmetic, what is returned, what only the compiler evaluates.
#pragma once
#include <string>
#include <vector>

#include "tests/mutation/token.hpp"

namespace octavo::mutation {

/// One mutant.
struct Site {
  int id = 0;
  std::string file;      ///< "p2m/p2m.cpp"
  unsigned line = 0;
  std::string function;  ///< "P2m::find"
  std::string what;      ///< "removed: `x = y;`"; the same text twice in a function has " #2" behind it
  /// Names the same mutant also when lines have moved.
  [[nodiscard]] std::string name() const { return file + " " + function + ": " + what; }
};

struct Instrumented {
  std::string text;
  std::vector<Site> sites;
};

/// `file` is what its sites are to say; ids begin at first_id. Throws std::runtime_error when the source cannot be read.
Instrumented instrument(const std::string& file, std::string source, int first_id);
}  // namespace octavo::mutation
