// SPDX-License-Identifier: Apache-2.0
// L4: a domain image that is spoilt in one place. The hypervisor says which image and why, and runs the good one beside it.
#include <fmt/format.h>

#include "tests/system/case.hpp"
#include "tests/system/images.hpp"

namespace octavo::system_test {
namespace {
using std::chrono::seconds;

constexpr const char* k_range = "/memory-map/range@0";
constexpr const char* k_first = "/segments/segment@0";
constexpr const char* k_second = "/segments/segment@1";

struct Spoilt {
  const char* name;
  const char* sentence;
  void (*spoil)(Image& image);
};

constexpr std::size_t k_total_size_at = 4;  // struct fdt_header, DTSpec v0.3, 5.2

const Spoilt k_spoilt[] = {
    {"truncated", "the image is truncated", [](Image& image) { image.bytes().resize(image.bytes().size() - 4096); }},
    {"cut within its tree", "the tree is truncated", [](Image& image) { image.bytes().resize(512); }},
    {"longer than it says", "the image is longer than it says", [](Image& image) { image.bytes().append(4096, 'x'); }},
    {"one byte of a segment changed", "the data has another CRC", [](Image& image) { image.bytes()[image.get64(k_first, "data-offset") + 5] ^= 1; }},
    {"a CRC that lies", "the data has another CRC", [](Image& image) { image.set32(k_first, "data-crc32", 0x12345678); }},
    {"a version to come", "a version of the format that this Octavo does not know", [](Image& image) { image.set32("/", "octavo,version", 2); }},
    {"an oversized tree", "the tree is larger than", [](Image& image) { image.bytes()[k_total_size_at] = 0x70; }},
    {"a size that lies", "image-size: the image is truncated", [](Image& image) { image.set64("/", "image-size", ~std::uint64_t{4095}); }},
    {"no vCPU", "config: vcpus: 0", [](Image& image) { image.set32("/config", "vcpus", 0); }},
    {"more memory than its maximum", "memory: above maximum-memory", [](Image& image) { image.set64("/config", "memory", std::uint64_t{1} << 40); }},
    {"memory that is no multiple of a page", "memory: not a multiple of 4096", [](Image& image) { image.set64("/config", "memory", (std::uint64_t{64} << 20) + 1); }},
    {"a range of another sum", "the sum of all ranges is not maximum-memory", [](Image& image) { image.set64("/config", "maximum-memory", std::uint64_t{65} << 20); image.set64("/config", "memory", std::uint64_t{65} << 20); }},
    {"a misaligned range", "base: not page-aligned", [](Image& image) { image.set64(k_range, "base", 8); }},
    {"a range beyond all addresses", "beyond the guest-physical address space", [](Image& image) { image.set64(k_range, "size", ~std::uint64_t{4095}); }},
    {"a misaligned segment", "gpa: not page-aligned", [](Image& image) { image.set64(k_first, "gpa", image.get64(k_first, "gpa") + 1); }},
    {"overlapping segments", "overlaps or is below the segment before it", [](Image& image) { image.set64(k_second, "gpa", image.get64(k_first, "gpa")); }},
    {"a segment outside of its memory", "not inside one range of ram", [](Image& image) { image.set64(k_second, "gpa", std::uint64_t{1} << 32); }},
    {"a segment whose end wraps around", "not inside one range of ram", [](Image& image) { image.set64(k_second, "memory-size", ~std::uint64_t{0}); }},
    {"overlapping data", "overlaps the tree or the data of the segment before it", [](Image& image) { image.set64(k_second, "data-offset", image.get64(k_first, "data-offset")); }},
    {"data beyond the file", "data beyond the end of the image", [](Image& image) { image.set64(k_first, "data-offset", std::uint64_t{1} << 40); }},
    {"a first instruction nowhere", "vcpu@0: rip: not in a segment", [](Image& image) { image.set64("/vcpu@0", "rip", 0xdead0000); }},
};

/// The good guest has reported and ended as if it were alone; the run as a whole is a failed one.
void expect_the_other_lives(const Ran& ran) {
  (void)ran.expect_status(1).expect_text(k_good_guest_text).expect_text("good: debug exit\n").expect_text("all guests have ended, and not all of them well");
}

void refused(const Bench& bench, const Spoilt& spoilt) {
  const std::string good = build_good_guest(bench);
  Image image{good};
  spoilt.spoil(image);
  const Ran ran = bench.run({image.write(bench, "bad.dom"), good}, seconds{120});
  (void)ran.expect_in_order({"domain image bad.dom: ", spoilt.sentence});
  expect_the_other_lives(ran);
}

void too_large(const Bench& bench) {
  const std::string large = build_good_guest(bench, "3G", "large");
  const Ran ran = bench.run({"--memory", "512M", large, build_good_guest(bench)}, seconds{120});
  (void)ran.expect_in_order({"domain image large.dom: it needs 3072 MiB", "are free"});
  expect_the_other_lives(ran);
}

void twice(const Bench& bench) {
  const std::string good = build_good_guest(bench);
  const Ran ran = bench.run({good, Image{good}.write(bench, "again.dom")}, seconds{120});
  (void)ran.expect_text("domain image again.dom: a domain named good is there already");
  expect_the_other_lives(ran);
}
}  // namespace

void add_image_cases(std::vector<Case>& cases) {
  for (const Spoilt& spoilt : k_spoilt) {
    cases.push_back({fmt::format("image/{}", spoilt.name), 4, [&spoilt](const Bench& bench) { refused(bench, spoilt); }});
  }
  cases.push_back({"image/larger than the machine", 4, too_large});
  cases.push_back({"image/a name that is taken", 4, twice});
}
}  // namespace octavo::system_test
