// SPDX-License-Identifier: Apache-2.0
// What octavo-instrument makes of code: a mutant that is written wrongly would be a survivor, or a kill, that says nothing.
#include "tests/mutation/instrument.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>

#include "tests/mutation/sites.hpp"

using namespace octavo::mutation;

namespace {
/// The body of a function, instrumented.
std::string body(const std::string& text) {
  const std::string before = "void f() {", after = "}";
  const std::string all = instrument("room/file.cpp", before + text + after, 1).text;
  REQUIRE(all.starts_with(before));
  REQUIRE(all.ends_with(after));
  return all.substr(before.size(), all.size() - before.size() - after.size());
}
std::vector<std::string> names(const std::string& source) {
  std::vector<std::string> all;
  for (const Site& site : instrument("room/file.cpp", source, 1).sites) all.push_back(site.name());
  return all;
}
}  // namespace

TEST_CASE("mutants: statements are removed, declarations and what only the compiler evaluates are not touched") {
  CHECK(body("++x;") == "{ if (!octavo_mutant(1)) { ++x; } }");
  CHECK(body("if (p) return;") == "if (octavo_mutant(1) != static_cast<bool>(p)) { if (!octavo_mutant(2)) { return; } }");
  for (const std::string text : {"const u64 x = f();", "Frame& frame = *g(i);", "std::optional<std::array<u64, 3>> there;", "mm::Folio back(m, n);",
                                 "static_assert(a == b);", "constexpr auto x = a < b;", "return x;", "if constexpr (a == b) {}"}) {
    CHECK(body(text) == text);
  }
}

TEST_CASE("mutants: comparisons are negated, and those of order moved by one") {
  CHECK(body("return a == b + 1;") == "return (octavo_mutant(1) != (a == b + 1));");
  CHECK(body("return a < f(b);") == "return (octavo_mutant(1) != (octavo_mutant(2) ? (a) <= (f(b)) : (a < f(b))));");
  CHECK(body("return a >= b;") == "return (octavo_mutant(1) != (octavo_mutant(2) ? (a) > (b) : (a >= b)));");
  CHECK(body("return static_cast<u32>(a) << 3;") == "return static_cast<u32>(a) << 3;");
}

TEST_CASE("mutants: each operand of a conjunction becomes true, of a disjunction false") {
  CHECK(body("return a && !b;") == "return (octavo_mutant(1) || (a)) && (octavo_mutant(2) || (!b));");
  CHECK(body("return a || b & c;") == "return (!octavo_mutant(1) && (a)) || (!octavo_mutant(2) && (b & c));");
}

TEST_CASE("mutants: conditions of every kind are negated, once") {
  CHECK(body("while (f()) {}") == "while (octavo_mutant(1) != static_cast<bool>(f())) {}");
  CHECK(body("return p ? 1 : 2;") == "return octavo_mutant(1) != static_cast<bool>(p) ? 1 : 2;");
  CHECK(body("for (int i = 0; g(i); ++i) {}") == "for (int i = 0; octavo_mutant(1) != static_cast<bool>(g(i)); ++i) {}");
  CHECK(body("if (const auto x = f(); x) {}") == "if (const auto x = f(); octavo_mutant(1) != static_cast<bool>(x)) {}");
  CHECK(body("if (T* t = f()) {}") == "if (T* t = f(); octavo_mutant(1) != static_cast<bool>(t)) {}");
  CHECK(body("for (;;) {}") == "for (;;) {}");
  CHECK(body("for (const T& t : ts) {}") == "for (const T& t : ts) {}");
}

TEST_CASE("mutants: what is inside of lambdas, brackets and braces is found") {
  CHECK(body("g([&](int i) { return i == 1; });") == "{ if (!octavo_mutant(1)) { g([&](int i) { return (octavo_mutant(2) != (i == 1)); }); } }");
  CHECK(body("return T{.a = b == c};") == "return T{.a = (octavo_mutant(1) != (b == c))};");
  CHECK(body("return t[a == b];") == "return t[(octavo_mutant(1) != (a == b))];");
}

TEST_CASE("mutants: everything else of a file, its lines too, stays as it is") {
  const std::string source =
      "// a == b;\n#define X(a) \\\n  (a == 1)\nnamespace n {\nenum class E { a, b };\nstruct S : T {\n  int x = 1 == 1;\n  S() : x{2}, y(3) {}\n"
      "  bool operator==(const S&) const = default;\n};\ntemplate <class T>\n  requires(sizeof(T) == 8)\nclass C {};\nconst char* s = \"}\";\n}  // n\n";
  CHECK(instrument("f.cpp", source, 1).text == source);
  CHECK_THROWS_AS(instrument("f.cpp", "void f() { (; }", 1), std::runtime_error);
}

TEST_CASE("mutants: a name says the function, and tells equal texts apart") {
  CHECK(names("void A::f() { ++x; g(); ++x; }") == std::vector<std::string>{"room/file.cpp A::f: removed: `++x;`", "room/file.cpp A::f: removed: `g();`",
                                                                             "room/file.cpp A::f: removed: `++x;` #2"});
  CHECK(names("class B { ~B() { ++x; } explicit operator bool() const { return a == b; } T& operator[](int i) { ++x; } };") ==
        std::vector<std::string>{"room/file.cpp B::~B: removed: `++x;`", "room/file.cpp B::operator bool: negated: `a == b`",
                                 "room/file.cpp B::operator[]: removed: `++x;`"});
}

TEST_CASE("mutants: one that is called equivalent has to have a reason") {
  const std::string path = "equivalent-" + std::to_string(getpid()) + ".tmp";
  std::ofstream(path) << "# about this file\n\n# why,\n# in two lines\nfirst\nsecond\n# another\nthird\n";
  const auto list = read_equivalent(path);
  CHECK(list.size() == 3);
  CHECK(list.at("second") == "why, in two lines");
  CHECK(list.at("third") == "another");
  std::ofstream(path) << "# about this file\n\nfirst\n";
  CHECK_THROWS_AS(read_equivalent(path), std::runtime_error);
  std::remove(path.c_str());
}
