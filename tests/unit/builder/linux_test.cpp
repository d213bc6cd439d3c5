// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "lib/address.hpp"
#include "tests/unit/builder/sample_kernels.hpp"
#include "tests/unit/builder/segments.hpp"
#include "tools/octavo/build/kernel.hpp"

using namespace octavo;
using namespace octavo::build;
using namespace octavo::test;

namespace {

constexpr u64 k_memory = u64{64} << 20;

/// What load_linux says of a bzImage spoiled at one place: "key: text", or "" if it loads.
template <class T>
std::string complaint(u64 offset, T value, u64 memory_size = k_memory) {
  BootInput input;
  input.kernel = sample_bzimage();
  put(input.kernel, offset, value);
  GuestMemory memory{memory_size};
  const auto loaded = load_linux(memory, input);
  return loaded ? std::string{} : loaded.error().key + ": " + loaded.error().text;
}

std::string complaint_of_size(u64 size) {
  BootInput input;
  input.kernel = sample_bzimage();
  input.kernel.resize(size);
  GuestMemory memory{k_memory};
  const auto loaded = load_linux(memory, input);
  return loaded ? std::string{} : loaded.error().text;
}

/// The physical address to which the tables at cr3 map `address`, by the manual's walk.
std::optional<u64> walk(const GuestMemory& memory, u64 cr3, u64 address) {
  u64 table = cr3;
  for (unsigned shift = 39;; shift -= 9) {
    const u64 entry = read<u64>(memory, table + (address >> shift & 511) * 8);
    if ((entry & 3) != 3) return std::nullopt;  // present, writable
    const u64 frame = entry & 0x000f'ffff'ffff'f000;
    if (shift == 12 || (entry & 0x80) != 0) return frame + (address & ((u64{1} << shift) - 1));
    table = frame;
  }
}
}  // namespace

TEST_CASE("linux: the 64-bit boot protocol") {
  BootInput input;
  input.kernel = sample_bzimage();
  input.initrd = Bytes(0x1801, std::byte{0x42});
  input.command_line = "console=ttyS0 quiet";
  input.rsdp = 0xf0000;
  GuestMemory memory{k_memory};
  const auto registers = load_linux(memory, input);
  REQUIRE(registers);
  CHECK(registers->mode == domain::BootMode::long64);
  CHECK(registers->rip == k_bzimage_load + 0x200);
  CHECK(registers->cs == 0x10);
  CHECK(registers->ds == 0x18);

  const Segment& kernel = segment(memory, "kernel");
  CHECK(kernel.gpa == k_bzimage_load);
  CHECK(kernel.memory_size == k_bzimage_init_size);
  REQUIRE(kernel.data.size() == k_bzimage_payload_size);
  CHECK(kernel.data[0x234] == std::byte{0x34});

  const u64 zero_page = registers->rsi;
  CHECK(zero_page % 4096 == 0);
  CHECK(read<u64>(memory, zero_page + 0x070) == 0xf0000);
  CHECK(read<u32>(memory, zero_page + 0x202) == 0x53726448);
  CHECK(read<u32>(memory, zero_page + 0x260) == k_bzimage_init_size);
  CHECK(read<u8>(memory, zero_page + 0x1ef) == 0);  // sentinel
  CHECK(read<u8>(memory, zero_page + 0x210) == 0xff);
  CHECK(read<u8>(memory, zero_page + 0x1e8) == 3);
  CHECK(read<u64>(memory, zero_page + 0x2d0) == 0);
  CHECK(read<u64>(memory, zero_page + 0x2d8) == 0x9fc00);
  CHECK(read<u32>(memory, zero_page + 0x2e0) == 1);
  CHECK(read<u64>(memory, zero_page + 0x2e4) == 0x9fc00);
  CHECK(read<u32>(memory, zero_page + 0x2f4) == 2);
  CHECK(read<u64>(memory, zero_page + 0x2f8) == 0x100000);
  CHECK(read<u64>(memory, zero_page + 0x300) == k_memory - 0x100000);

  const u64 command_line = read<u32>(memory, zero_page + 0x228);
  CHECK(read_text(memory, command_line) == "console=ttyS0 quiet");
  const u64 initrd = read<u32>(memory, zero_page + 0x218);
  CHECK(read<u32>(memory, zero_page + 0x21c) == 0x1801);
  CHECK(initrd == k_memory - 0x2000);
  CHECK(read<u8>(memory, initrd + 0x1800) == 0x42);

  for (const u64 address : {u64{0}, zero_page, registers->rip, u64{0x2000'0123}, u64{0xffff'ffff}}) {
    CHECK(walk(memory, registers->cr3, address) == address);
  }
  CHECK_FALSE(walk(memory, registers->cr3, u64{1} << 32));
  CHECK(read<u64>(memory, registers->gdt_base + 0x10) == 0x00af9b000000ffff);
  CHECK(read<u64>(memory, registers->gdt_base + 0x18) == 0x00cf93000000ffff);
  CHECK(registers->gdt_limit == 0x1f);
}

TEST_CASE("linux: the initrd stays below initrd_addr_max and below 3 GiB") {
  BootInput input;
  input.kernel = sample_bzimage();
  input.initrd = Bytes(4096);
  GuestMemory memory{u64{5} << 30};
  REQUIRE(load_linux(memory, input));
  CHECK(segment(memory, "initrd").gpa == 0x7fff'f000);

  put(input.kernel, 0x22c, u32{0xffff'ffff});
  GuestMemory again{u64{5} << 30};
  REQUIRE(load_linux(again, input));
  CHECK(segment(again, "initrd").gpa == (u64{3} << 30) - 4096);
}

TEST_CASE("linux: no initrd, no pointer to one") {
  for (const auto& initrd : {std::optional<Bytes>{}, std::optional{Bytes{}}}) {
    BootInput input;
    input.kernel = sample_bzimage();
    input.initrd = initrd;
    GuestMemory memory{k_memory};
    const auto registers = load_linux(memory, input);
    REQUIRE(registers);
    CHECK(read<u64>(memory, registers->rsi + 0x218) == 0);
  }
}

TEST_CASE("linux: a signature behind the payload is not loaded, a payload short of its last paragraph is") {
  BootInput input;
  input.kernel = sample_bzimage();
  input.kernel.resize(input.kernel.size() + 999);
  GuestMemory memory{k_memory};
  REQUIRE(load_linux(memory, input));
  CHECK(segment(memory, "kernel").data.size() == k_bzimage_payload_size);

  input.kernel.resize(sample_bzimage().size() - 15);
  GuestMemory again{k_memory};
  REQUIRE(load_linux(again, input));
  CHECK(segment(again, "kernel").data.size() == k_bzimage_payload_size - 15);
}

TEST_CASE("linux: kernels that are none, old, 32-bit, corrupt or truncated") {
  CHECK(complaint(0x1fe, u16{0}) == "kernel: is no Linux bzImage");
  CHECK(complaint(0x202, u32{0}) == "kernel: is no Linux bzImage");
  CHECK(complaint(0x206, u16{0x020b}) == "kernel: speaks boot protocol 2.11; 2.12 (Linux 3.8) is the oldest that Octavo can boot");
  CHECK(complaint(0x201, u8{0x20}) == "kernel: is corrupt: its setup header ends at 0x222");
  CHECK(complaint(0x211, u8{0}) == "kernel: is a zImage, which loads below 1 MiB; only bzImages can be booted");
  CHECK(complaint(0x236, u16{0x3e}) == "kernel: is a 32-bit kernel (no 64-bit entry, XLF_KERNEL_64)");
  CHECK(complaint(0x1f1, u8{64}) == "kernel: is truncated: its protected-mode part begins at byte 33280 of 6656");
  CHECK(complaint(0x1f4, u32{0}) == "kernel: is corrupt: its protected-mode part has 0 bytes");
  CHECK(complaint(0x1f4, u32{257}) == "kernel: is truncated: its header wants 6672 bytes, the file has 6656");
  CHECK(complaint(0x1f4, ~u32{0}) == "kernel: is truncated: its header wants 68719479280 bytes, the file has 6656");
  CHECK(complaint(0x248, u32{0xd00}) == "kernel: is corrupt: its compressed payload lies outside of it");
  CHECK(complaint(0x24c, ~u32{0}) == "kernel: is corrupt: its compressed payload lies outside of it");
  CHECK(complaint(0x230, u32{0}) == "kernel: is corrupt: pref_address 0x1000000 and kernel_alignment 0x0 do not go together");
  CHECK(complaint(0x230, u32{0x300000}) == "kernel: is corrupt: pref_address 0x1000000 and kernel_alignment 0x300000 do not go together");
  CHECK(complaint(0x258, u64{0x1000001}) == "kernel: is corrupt: pref_address 0x1000001 and kernel_alignment 0x200000 do not go together");
  CHECK(complaint(0x258, u64{0x1001000}) == "kernel: is corrupt: pref_address 0x1001000 and kernel_alignment 0x200000 do not go together");
  CHECK(complaint(0x258, ~u64{0} << 21) == "kernel: is corrupt: it wants 2M at 0xffffffffffe00000");
  CHECK(complaint(0x258, u64{0x200000}) == "");
  CHECK(complaint_of_size(0x267) == "is no Linux bzImage");
  CHECK(complaint_of_size(2560) == "is truncated: its protected-mode part begins at byte 2560 of 2560");
  CHECK(complaint_of_size(2560 + 4080) == "is truncated: its header wants 6656 bytes, the file has 6640");
}

TEST_CASE("linux: every truncation is refused") {
  const usize whole = sample_bzimage().size();
  for (usize size = 0; size + 16 <= whole; ++size) {
    INFO(size);
    REQUIRE_FALSE(complaint_of_size(size).empty());
  }
}

TEST_CASE("linux: what does not fit") {
  CHECK(complaint(0x260, u32{48} << 20) == "");
  CHECK(complaint(0x260, (u32{48} << 20) + 4096) == "memory: kernel needs 48.0M at 0x1000000, which is not all RAM in a domain of 64M");

  BootInput input;
  input.kernel = sample_bzimage();
  input.initrd = Bytes(50 << 20);
  GuestMemory memory{k_memory};
  const auto loaded = load_linux(memory, input);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().key == "initrd");
  CHECK(loaded.error().text == "initrd of 50M does not fit into the free memory between 0x100000 and 0x4000000");
}

TEST_CASE("linux: the command line has the length that the kernel takes") {
  BootInput input;
  input.kernel = sample_bzimage();
  input.command_line = std::string(2047, 'x');
  GuestMemory memory{k_memory};
  CHECK(load_linux(memory, input));
  input.command_line += 'x';
  GuestMemory again{k_memory};
  const auto loaded = load_linux(again, input);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().key == "command_line");
  CHECK(loaded.error().text == "has 2048 characters; the kernel takes 2047");
}
