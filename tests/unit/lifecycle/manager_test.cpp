// SPDX-License-Identifier: Apache-2.0
// Domains come, fail to come, end and come again; each time the machine has all its frames back.
#include "domain/manager.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <vector>

#include "tests/model/machine.hpp"
#include "tests/unit/image/sample_image.hpp"
#include "tests/unit/vcpu_loop/fake_context.hpp"

using namespace octavo;
using domain::Domain;
using domain::Ending;
using domain::Manager;

namespace {
constexpr u64 k_mib = u64{1} << 20;

class FakeBackend final : public arch::Backend {
 public:
  const char* name() const override { return "a script"; }
  Result<void> enable_cpu() override { return {}; }
  u64 context_frames() const override { return 1; }
  arch::GuestContext& make_context(void*, Hpa) const override { return *contexts_.emplace_back(std::make_unique<test::FakeContext>()); }
  u32 tag_count() const override { return tags; }
  u32 tags = 63;

 private:
  mutable std::vector<std::unique_ptr<test::FakeContext>> contexts_;
};

/// The sample image with 5 MiB of memory.
test::Bytes small_image() {
  test::Bytes image = test::sample_image();
  image = test::with_property(image, "/memory-map/range@0", "size", test::cells(4 * k_mib));
  for (const char* property : {"memory", "maximum-memory"}) image = test::with_property(image, "/config", property, test::cells(5 * k_mib));
  return image;
}

/// A machine of 128 MiB, with the boot modules at 64 MiB. One for the whole process, as the hypervisor's are.
class World {
 public:
  static World& get() {
    static World world;
    return world;
  }

  /// Boot modules in place of those before.
  Manager& boot(const std::vector<test::Bytes>& images) {
    modules_.clear();
    Hpa at{64 * k_mib};
    for (const test::Bytes& image : images) {
      std::memcpy(simulated.at(at), image.data(), image.size());
      modules_.push_back({at, image.size(), "module"});
      at += k_mib;
    }
    info_.modules = modules_;
    manager_ = std::make_unique<Manager>();
    manager_->initialize(info_, {&backend, p2m::Paging::npt, true, 40}, policies_);
    return *manager_;
  }
  static u64 free_frames() { return mm::machine().statistics().free_frames(); }

  model::SimulatedMachine simulated{128 * k_mib};
  FakeBackend backend;

 private:
  World() {
    const arch::MemoryRange all[] = {{Hpa{0}, 128 * k_mib}}, free[] = {{Hpa{k_mib}, 63 * k_mib}};
    if (!mm::initialize(all, free)) throw std::runtime_error("mm::initialize");
  }
  std::vector<arch::BootModule> modules_;
  arch::BootInfo info_;
  vcpu::Policies policies_;
  std::unique_ptr<Manager> manager_;
};

/// Whatever a test does, in the end the machine has as many free frames as before.
struct Accounts {
  u64 before = World::free_frames();
  ~Accounts() { CHECK(World::free_frames() == before); }
};

Domain& only(Manager& manager) {
  Domain* const found = manager.find("web");
  REQUIRE(found != nullptr);
  return *found;
}
}  // namespace

TEST_CASE("a domain is built, is found by name and id, and gives everything back") {
  World& world = World::get();
  const Accounts accounts;
  Manager& manager = world.boot({small_image()});
  const auto created = manager.create(0);
  REQUIRE(created);
  CHECK(World::free_frames() < accounts.before - 5 * k_mib / k_page_size);
  CHECK(manager.find("web") == *created);
  CHECK((*created)->p2m().audit().clean());
  CHECK(manager.create(0).error() == Error::exists);
  CHECK(manager.count() == 1);
  manager.destroy(**created);
  CHECK(manager.count() == 0);
  CHECK(manager.find("web") == nullptr);
}

TEST_CASE("whatever a birth fails by, everything is as it was") {
  World& world = World::get();
  const Accounts accounts;
  SECTION("no such module") {
    CHECK(world.boot({}).create(0).error() == Error::not_found);
  }
  SECTION("the last byte of a segment is another: seen only after memory is filled") {
    test::Bytes image = small_image();
    image[0x3000 + 0x1800 - 1] ^= std::byte{1};
    Manager& manager = world.boot({image});
    CHECK_FALSE(manager.create(0));
    CHECK(manager.count() == 0);
  }
  SECTION("no TLB tag is left") {
    Manager& manager = world.boot({small_image()});
    world.backend.tags = 0;
    CHECK(manager.create(0).error() == Error::overflow);
    world.backend.tags = 63;
  }
  SECTION("memory that is short, or in pieces of 4 KiB") {
    // Every frame by itself; then every second one goes back, so that many are free and no two of them are neighbours.
    std::vector<mm::Folio> taken;
    while (auto folio = mm::machine().allocate(k_order_4k, DomainId::hypervisor, mm::FrameKind::hypervisor, mm::Contents::any)) {
      taken.push_back(std::move(*folio));
    }
    Manager& manager = world.boot({small_image()});
    CHECK(manager.create(0).error() == Error::out_of_memory);
    for (mm::Folio& folio : taken) {
      if ((folio.mfn().value() & 1) != 0) folio.reset();
    }
    const u64 free = World::free_frames();
    CHECK(free > 7000);
    CHECK(manager.create(0).error() == Error::out_of_memory);
    CHECK(World::free_frames() == free);
  }
}

TEST_CASE("a guest that asks for a reset comes again, but not for ever if it does so at once") {
  World& world = World::get();
  const Accounts accounts;
  Manager& manager = world.boot({small_image()});
  REQUIRE(manager.create(0));
  for (unsigned i = 0; i < Manager::k_most_restarts; ++i) {
    only(manager).end(Ending::reset);
    manager.settle(only(manager));
    REQUIRE(only(manager).state() == domain::State::running);
  }
  SECTION("one that has lived for a while may go on") {
    world.simulated.now_ns += Manager::k_soon_ns;
    only(manager).end(Ending::reset);
    manager.settle(only(manager));
    for (unsigned i = 0; i < Manager::k_most_restarts; ++i) {
      only(manager).end(Ending::reset);
      manager.settle(only(manager));
    }
    CHECK(manager.count() == 1);
    CHECK_FALSE(manager.any_failed());
  }
  only(manager).end(Ending::reset);
  manager.settle(only(manager));
  CHECK(manager.count() == 0);
  CHECK(manager.any_failed());
}

TEST_CASE("a crashed guest is kept where the image says so, until the operator destroys it") {
  World& world = World::get();
  const Accounts accounts;
  Manager& manager = world.boot({small_image()});
  REQUIRE(manager.create(0));
  Domain& kept = only(manager);
  kept.crashed(kept.vcpu(), vcpu::CrashCause::triple_fault);
  manager.settle(kept);
  CHECK(manager.any_failed());
  REQUIRE(manager.count() == 1);
  CHECK(kept.state() == domain::State::preserved);
  CHECK_FALSE(kept.runnable());
  CHECK(manager.next_runnable(nullptr) == nullptr);
  kept.end(Ending::destroyed);
  manager.settle(kept);
  CHECK(manager.count() == 0);
}

TEST_CASE("a port read that lets the next interrupt come sets the timer for it") {
  World& world = World::get();
  const Accounts accounts;
  Manager& manager = world.boot({small_image()});
  REQUIRE(manager.create(0));
  Domain& guest = only(manager);
  const auto rtc_write = [&](u8 index, u8 value) {
    guest.port_write(0x70, 1, index);
    guest.port_write(0x71, 1, value);
  };
  rtc_write(0xA, 0x26);  // 1024 Hz
  rtc_write(0xB, 0x42);  // periodic interrupts
  REQUIRE(world.simulated.timer);
  for (unsigned i = 0; i < 3; ++i) {
    world.simulated.now_ns = *world.simulated.timer + 1'000'000;
    guest.advance_devices(world.simulated.now_ns);
    CHECK_FALSE(guest.next_deadline());  // the chip waits until register C is read
    world.simulated.timer.reset();
    guest.port_write(0x70, 1, 0xC);
    CHECK((guest.port_read(0x71, 1) & 0x40) != 0);
    REQUIRE(world.simulated.timer);
    CHECK(*world.simulated.timer > world.simulated.now_ns);
    CHECK(*world.simulated.timer <= world.simulated.now_ns + 1'000'000);
  }
  manager.destroy(guest);
}

TEST_CASE("runnable domains take turns") {
  World& world = World::get();
  const Accounts accounts;
  std::vector<test::Bytes> images;
  for (const char* name : {"a", "b", "c"}) images.push_back(test::with_property(small_image(), "/config", "name", test::text(name)));
  Manager& manager = world.boot(images);
  for (usize i = 0; i < images.size(); ++i) REQUIRE(manager.create(i));
  Domain *a = manager.find("a"), *b = manager.find("b"), *c = manager.find("c");
  CHECK(manager.next_runnable(nullptr) == a);
  CHECK(manager.next_runnable(a) == b);
  CHECK(manager.next_runnable(c) == a);
  b->pause();
  CHECK(manager.next_runnable(a) == c);
  b->resume();
  CHECK(manager.next_runnable(a) == b);
  manager.destroy(*b);
  CHECK(manager.next_runnable(a) == c);
  manager.destroy(*a);
  manager.destroy(*c);
}
