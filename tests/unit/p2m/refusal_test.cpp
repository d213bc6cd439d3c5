// SPDX-License-Identifier: Apache-2.0
// What the p2m refuses beyond D9's list, why, and that it leaves everything as it was.
#include <catch2/catch.hpp>
#include <vector>

#include "p2m/backing.hpp"
#include "tests/model/world.hpp"

using namespace octavo;
using model::World;
using p2m::Paging;
using p2m::Type;

namespace {
constexpr u64 k_2m = 512;
constexpr u64 k_1g = 512 * 512;
constexpr u64 k_bytes = u64{64} << 20;

/// 512 frames at gfn whose machine addresses do not follow.
void scatter(World& world, Gfn gfn) {
  for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.mapped_folio(gfn + (i ^ 1), k_order_4k));
}
mm::Folio target_of(World& world, Order order = k_order_2m) {
  auto folio = world.machine.allocate(order, World::k_domain, mm::FrameKind::guest);
  REQUIRE(folio);
  return std::move(*folio);
}
}  // namespace

TEST_CASE("P5: the ends of the guest's and of the machine's numbers are exact") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  const Gfn last{world.p2m.limit().value() - 1};
  CHECK(world.p2m.set_hole(last, 1, Type::pod));
  CHECK(world.p2m.set_hole(last, 2, Type::pod).error() == Error::out_of_range);
  CHECK(world.p2m.lookup(last).type == Type::pod);
  const Mfn end{u64{1} << 40};
  CHECK(world.p2m.set(Gfn{0}, end - 1, k_order_4k, Type::mmio_direct));
  CHECK(world.p2m.set(Gfn{1}, end, k_order_4k, Type::mmio_direct).error() == Error::out_of_range);
  CHECK(world.p2m.set(Gfn{0}, Mfn{0}, Order{27}, Type::ram_rw).error() == Error::invalid_argument);
  CHECK(world.check() == "");
}

TEST_CASE("P5: an operation on a p2m that was never made is refused") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  p2m::P2m none;
  CHECK(none.set_hole(Gfn{0}, 1, Type::invalid).error() == Error::invalid_argument);
  CHECK(none.lookup(Gfn{0}).type == Type::invalid);
  none.mark_written(Gfn{0}, 1);
  none.push_down(Gfn{0});
  CHECK(none.destroy_some(1));
  CHECK(none.audit().clean());
}

TEST_CASE("P5: memory is mapped only by its owner, only as memory, only in folios that hold it") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  const auto foreign = world.machine.allocate(k_order_4k, DomainId{8}, mm::FrameKind::guest);
  const auto table = world.machine.allocate(k_order_4k, World::k_domain, mm::FrameKind::table);
  REQUIRE((foreign && table));
  CHECK(world.p2m.set(Gfn{0}, foreign->mfn(), k_order_4k, Type::ram_rw).error() == Error::not_owner);
  CHECK(world.p2m.set(Gfn{0}, table->mfn(), k_order_4k, Type::ram_rw).error() == Error::not_found);
  mm::Folio whole = target_of(world);
  auto held = world.machine.reference(whole.mfn(), k_order_2m, World::k_domain, mm::FrameKind::guest);
  REQUIRE(held);
  whole.reset();
  const Mfn mfn = std::move(*held).keep();
  REQUIRE(world.machine.carve(mfn, Order{8}, World::k_domain, [](Mfn, u64 frames) { return frames; }));
  CHECK(world.p2m.set(Gfn{0}, mfn, k_order_2m, Type::ram_rw).error() == Error::not_found);
  CHECK(world.p2m.lookup(Gfn{0}).type == Type::invalid);
  REQUIRE(world.p2m.set_range(Gfn{0}, mfn, k_2m, Type::ram_rw));  // by smaller leaves it can be
  CHECK(world.p2m.lookup(Gfn{0}).order == k_order_4k);
  CHECK(world.check() == "");
  for (const u64 half : {u64{0}, u64{256}}) CHECK(world.machine.folio_at(mfn + half)->references == 512);
  for (u64 i = 0; i < k_2m; ++i) mm::Folio(world.machine, mfn + i, k_order_4k).reset();
}

TEST_CASE("P11: a range whose last part cannot be mapped leaves no reference behind") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  const mm::Folio folio = target_of(world, Order{10});
  const u64 after = Order{10}.frames();
  for (const u64 first : {u64{0}, u64{3}, k_2m - 1}) {
    CHECK_FALSE(world.p2m.set_range(Gfn{first}, folio.mfn() + first, after - first + 1, Type::ram_rw));
    CHECK(world.machine.folio_at(folio.mfn())->references == 1);
    CHECK(world.p2m.lookup(Gfn{first}).type == Type::invalid);
  }
  CHECK(world.p2m.statistics().tables.used == 1);
}

TEST_CASE("P1: an order that the domain may not have is unsupported") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 16, {k_order_4k});
  const mm::Folio folio = target_of(world);
  CHECK(world.p2m.set(Gfn{0}, folio.mfn(), k_order_2m, Type::ram_rw).error() == Error::unsupported);
  CHECK(world.p2m.promote(Gfn{0}, k_order_2m).error() == Error::unsupported);
  CHECK(world.p2m.take_out(Gfn{0}, k_order_2m, Type::invalid).error() == Error::invalid_argument);
}

TEST_CASE("P15: what cannot be taken out stays") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  const Mfn mfn = world.mapped_folio(Gfn{0}, k_order_2m);
  REQUIRE(world.p2m.set(Gfn{k_2m}, Mfn{u64{1} << 30}, k_order_2m, Type::mmio_direct));
  const auto error_of = [&](Gfn gfn, Order order, Type hole) {
    const auto taken = world.p2m.take_out(gfn, order, hole);
    return taken ? Error{} : taken.error();
  };
  CHECK(error_of(Gfn{1}, k_order_2m, Type::invalid) == Error::misaligned);
  CHECK(error_of(Gfn{0}, k_order_2m, Type::ram_ro) == Error::invalid_argument);
  CHECK(error_of(Gfn{0}, k_order_512g, Type::invalid) == Error::invalid_argument);
  CHECK(error_of(Gfn{0}, k_order_2m, Type::mmio_emulated) == Error::exists);
  CHECK(error_of(Gfn{k_2m}, k_order_2m, Type::invalid) == Error::not_found);
  CHECK(error_of(Gfn{2 * k_2m}, k_order_2m, Type::invalid) == Error::not_found);
  CHECK(error_of(Gfn{0}, k_order_1g, Type::invalid) == Error::not_found);  // a table
  CHECK(error_of(world.p2m.limit(), k_order_4k, Type::invalid) == Error::out_of_range);
  CHECK(world.p2m.lookup(Gfn{0}).mfn == mfn);
  const auto pin = world.machine.reference(mfn, k_order_4k, World::k_domain, mm::FrameKind::guest);
  REQUIRE(pin);
  CHECK(error_of(Gfn{0}, k_order_4k, Type::invalid) == Error::busy);
  CHECK(world.check() == "");
}

TEST_CASE("P7: what cannot be promoted stays as it is") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 16);
  for (const Order order : {k_order_4k, Order{10}, k_order_512g}) CHECK(world.p2m.promote(Gfn{0}, order).error() == Error::unsupported);
  CHECK(world.p2m.promote(Gfn{1}, k_order_2m).error() == Error::misaligned);
  CHECK(world.p2m.promote(world.p2m.limit(), k_order_2m).error() == Error::out_of_range);
  CHECK(world.p2m.promote(Gfn{0}, k_order_2m).error() == Error::not_found);  // a hole
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
  CHECK(world.p2m.promote(Gfn{0}, k_order_2m).error() == Error::not_found);  // is one leaf already
  REQUIRE(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::log_dirty));
  REQUIRE(world.p2m.change_type(Gfn{0}, k_2m, Type::ram_rw, Type::log_dirty));
  const auto table = world.p2m.statistics().tables.used;
  CHECK(world.p2m.promote(Gfn{0}, k_order_2m).error() == Error::not_permitted);
  REQUIRE(world.p2m.change_type(Gfn{0}, k_2m, Type::log_dirty, Type::ram_rw));
  CHECK(world.p2m.statistics().tables.used == table);
  REQUIRE(world.p2m.unmap_range(Gfn{511}, 1));
  CHECK(world.p2m.promote(Gfn{0}, k_order_2m).error() == Error::not_found);  // 511 leaves
  CHECK(world.check() == "");
}

TEST_CASE("P7: the type at which a promotion looks is the one that is pending, and the last leaf counts as the first does") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 16);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
  REQUIRE(world.p2m.change_type(Gfn{511}, 1, Type::ram_rw, Type::ram_ro));
  CHECK(world.p2m.promote(Gfn{0}, k_order_2m).error() == Error::not_found);
  REQUIRE(world.p2m.change_type(Gfn{511}, 1, Type::ram_ro, Type::ram_rw));
  REQUIRE(world.p2m.change_type(Gfn{0}, k_1g, Type::ram_rw, Type::log_dirty));  // lazily
  CHECK(world.p2m.promote(Gfn{0}, k_order_2m).error() == Error::not_permitted);
  REQUIRE(world.p2m.change_type(Gfn{0}, k_1g, Type::log_dirty, Type::ram_rw));
  REQUIRE(world.p2m.promote(Gfn{0}, k_order_2m));
  CHECK(world.p2m.lookup(Gfn{5}).type == Type::ram_rw);
  CHECK(world.p2m.lookup(Gfn{5}).order == k_order_2m);
  CHECK(world.check() == "");
}

TEST_CASE("P7: a move that cannot begin keeps its target, and nothing moves") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 16);
  scatter(world, Gfn{0});
  const u64 guest = world.machine.statistics().frames[static_cast<usize>(mm::FrameKind::guest)];
  const auto error_of = [&](mm::Folio& target, Gfn gfn = Gfn{0}, Order order = k_order_2m) {
    const Result<void> begun = world.p2m.begin_move(gfn, order, target);
    return begun ? Error{} : begun.error();
  };
  mm::Folio none;
  CHECK(error_of(none) == Error::invalid_argument);
  mm::Folio small = target_of(world, Order{8});
  CHECK(error_of(small) == Error::invalid_argument);
  CHECK(small);
  auto foreign = world.machine.allocate(k_order_2m, DomainId{8}, mm::FrameKind::guest);
  REQUIRE(foreign);
  CHECK(error_of(*foreign) == Error::not_owner);
  mm::Folio target = target_of(world);
  CHECK(error_of(target, Gfn{k_2m}) == Error::not_found);
  CHECK(target);
  CHECK(world.p2m.continue_move(1).error() == Error::not_found);
  world.p2m.abort_move();  // none is on its way
  CHECK(world.p2m.frames_in_transit() == 0);
  CHECK(world.check() == "");
  small.reset();
  foreign->reset();
  target.reset();
  CHECK(world.machine.statistics().frames[static_cast<usize>(mm::FrameKind::guest)] == guest);
}

TEST_CASE("P7: while memory is on the move nothing else may change there, and everything beside it may") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 16);
  scatter(world, Gfn{k_2m});
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_2m));
  static_cast<void>(world.mapped_folio(Gfn{2 * k_2m}, k_order_2m));
  mm::Folio target = target_of(world);
  REQUIRE(world.p2m.begin_move(Gfn{k_2m}, k_order_2m, target));
  CHECK_FALSE(target);
  CHECK(world.p2m.change_type(Gfn{k_2m - 1}, 2, Type::ram_rw, Type::ram_ro).error() == Error::busy);
  CHECK(world.p2m.change_type(Gfn{2 * k_2m - 1}, 1, Type::ram_rw, Type::ram_ro).error() == Error::busy);
  CHECK(world.p2m.change_type(Gfn{k_2m - 1}, 1, Type::ram_rw, Type::ram_ro));
  CHECK(world.p2m.change_type(Gfn{2 * k_2m}, 1, Type::ram_rw, Type::ram_ro));
  CHECK(world.check() == "");
  REQUIRE(world.p2m.continue_move(k_2m));
  CHECK(world.check() == "");
}

TEST_CASE("P7: a copy goes exactly as far as its budget") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 16);
  scatter(world, Gfn{0});
  mm::Folio target = target_of(world);
  const Mfn mfn = target.mfn();
  for (u64 i = 0; i < k_2m; ++i) *reinterpret_cast<u64*>(world.simulated.at(to_hpa(world.p2m.lookup(Gfn{i}).mfn))) = i + 1;
  REQUIRE(world.p2m.begin_move(Gfn{0}, k_order_2m, target));
  CHECK(world.p2m.continue_move(0).error() == Error::again);
  CHECK(world.simulated.read64(to_hpa(mfn)) == 0);
  CHECK(world.p2m.continue_move(k_2m - 1).error() == Error::again);
  CHECK(world.simulated.read64(to_hpa(mfn + (k_2m - 2))) == k_2m - 1);
  CHECK(world.simulated.read64(to_hpa(mfn + (k_2m - 1))) == 0);
  REQUIRE(world.p2m.continue_move(1));
  for (u64 i = 0; i < k_2m; ++i) REQUIRE(world.simulated.read64(to_hpa(world.p2m.lookup(Gfn{i}).mfn)) == i + 1);
  CHECK(world.check() == "");
}

TEST_CASE("P7: 2M leaves of one gigabyte are copied whole") {
  World world(GENERATE(Paging::npt, Paging::ept), u64{4} << 30, 16);
  for (u64 i = 0; i < k_2m; ++i) static_cast<void>(world.mapped_folio(Gfn{(i ^ 1) * k_2m}, k_order_2m));
  const u64 places[] = {0, 1, k_2m + 511, k_1g - 1};
  for (const u64 at : places) *reinterpret_cast<u64*>(world.simulated.at(to_hpa(world.p2m.lookup(Gfn{at}).mfn) + 16)) = at + 1;
  mm::Folio target = target_of(world, k_order_1g);
  const u64 free = world.machine.statistics().free_frames();
  REQUIRE(world.p2m.begin_move(Gfn{0}, k_order_1g, target));
  REQUIRE(world.p2m.continue_move(k_1g));
  CHECK(world.p2m.lookup(Gfn{7}).order == k_order_1g);
  for (const u64 at : places) CHECK(world.simulated.read64(to_hpa(world.p2m.lookup(Gfn{at}).mfn) + 16) == at + 1);
  CHECK(world.machine.statistics().free_frames() == free + k_1g);
  CHECK(world.p2m.statistics().copied[2] == 1);
  CHECK(world.check() == "");
}

TEST_CASE("P8: a change of types refuses what is no change of memory") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  static_cast<void>(world.mapped_folio(Gfn{0}, k_order_4k));
  CHECK(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::ram_rw).error() == Error::invalid_argument);
  CHECK(world.p2m.change_type(Gfn{0}, 1, Type::pod, Type::ram_rw).error() == Error::invalid_argument);
  CHECK(world.p2m.change_type(Gfn{0}, 1, Type::ram_rw, Type::transit).error() == Error::invalid_argument);
  CHECK(world.p2m.change_type(world.p2m.limit(), 1, Type::ram_rw, Type::ram_ro).error() == Error::out_of_range);
  const model::StoreLog log;
  CHECK(world.p2m.change_type(Gfn{0}, 1, Type::ram_ro, Type::ram_rw));  // there is nothing of that type: nothing to do
  CHECK(log.stores().empty());
  world.p2m.push_down(world.p2m.limit());
  CHECK(log.stores().empty());
}

TEST_CASE("F5: reads and writes reach the last byte of guest memory and not the next") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 64);
  const u64 end = world.p2m.limit().value() * k_page_size;
  REQUIRE(p2m::populate_ram(world.p2m, world.machine, Gfn{world.p2m.limit().value() - 1}, 1));
  REQUIRE(p2m::populate_ram(world.p2m, world.machine, Gfn{0}, 1));
  std::vector<u8> two{7, 8}, back(2);
  CHECK(p2m::write_guest(world.p2m, Gpa{end - 2}, two));
  CHECK(p2m::read_guest(world.p2m, Gpa{end - 2}, back));
  CHECK(back == two);
  CHECK(p2m::write_guest(world.p2m, Gpa{end - 1}, two).error() == Error::out_of_range);
  CHECK(p2m::read_guest(world.p2m, Gpa{end - 1}, back).error() == Error::out_of_range);
  CHECK(p2m::write_guest(world.p2m, Gpa{~u64{0}}, two).error() == Error::out_of_range);
  CHECK(p2m::write_guest(world.p2m, Gpa{k_page_size}, {}));  // nothing, into nothing
  CHECK(p2m::write_guest(world.p2m, Gpa{k_page_size - 1}, two).error() == Error::not_found);
  CHECK(p2m::read_guest(world.p2m, Gpa{k_page_size - 1}, back).error() == Error::not_found);
  CHECK_FALSE(world.p2m.lookup(Gfn{1}).written);
}

TEST_CASE("D5: a write of the hypervisor marks the pages that it touches, and no other") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes, 64, {k_order_4k});
  REQUIRE(p2m::populate_ram(world.p2m, world.machine, Gfn{0}, 5));
  const std::vector<u8> bytes(k_page_size, 1);
  REQUIRE(p2m::write_guest(world.p2m, Gpa{k_page_size + 1}, bytes));
  for (u64 i = 0; i < 5; ++i) CHECK(world.p2m.lookup(Gfn{i}).written == (i == 1 || i == 2));
  REQUIRE(p2m::write_guest(world.p2m, Gpa{4 * k_page_size}, bytes));
  CHECK_FALSE(world.p2m.lookup(Gfn{3}).written);
  CHECK(world.p2m.lookup(Gfn{4}).written);
}

TEST_CASE("P5: one large leaf on a p2m that was never made is refused") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  p2m::P2m none;
  CHECK(none.set(Gfn{0}, Mfn{0}, k_order_2m, Type::ram_rw).error() == Error::invalid_argument);
}

TEST_CASE("P15: an order that no leaf has cannot be taken out") {
  World world(GENERATE(Paging::npt, Paging::ept), k_bytes);
  for (u64 i = 0; i < 2; ++i) static_cast<void>(world.mapped_folio(Gfn{i * k_2m}, k_order_2m));
  CHECK(world.p2m.take_out(Gfn{0}, Order{10}, Type::invalid).error() == Error::invalid_argument);
  CHECK(world.check() == "");
}
