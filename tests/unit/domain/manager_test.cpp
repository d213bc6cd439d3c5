// SPDX-License-Identifier: Apache-2.0
// Birth and end of domains, with the machine's accounts as the measure: what was taken comes back, to the frame.
#include <set>

#include "tests/unit/domain/rig.hpp"

using namespace octavo;
using domain::manager;
using test::Rig;

TEST_CASE("Manager: rounds of create and destroy leave the machine's accounts as they were") {
  Rig rig;
  rig.add_module("web.dom", test::small_image("web"));
  rig.add_module("db.dom", test::small_image("db"));
  rig.start();
  const auto other = manager().create(1);
  REQUIRE(other);
  const Rig::Accounts with_one = rig.accounts();
  for (int round = 0; round < 50; ++round) {
    const auto made = manager().create(0);
    REQUIRE(made);
    CHECK((*made)->p2m().audit().clean());
    CHECK((*made)->p2m().audit().mapped_frames == 0x300);
    CHECK(rig.accounts() != with_one);
    manager().destroy(**made);
    REQUIRE(rig.accounts() == with_one);
  }
  CHECK((*other)->p2m().audit().clean());
  manager().destroy(**other);
  CHECK(rig.accounts() == rig.at_start);
}

TEST_CASE("Manager: memory that runs out at any moment of a birth leaves everything as it was") {
  Rig rig;
  rig.add_module("web.dom", test::with_property(test::small_image("web"), "/config", "leaf-orders", test::cell(0)));
  rig.start();
  // At the n-th window that opens, somebody takes all the memory that is left, as another CPU could.
  std::set<std::string> refusals;
  bool succeeded = false;
  for (int moment = 0; !succeeded; ++moment) {
    REQUIRE(moment < 100'000);
    std::vector<mm::Folio> hoard;
    int now = 0;
    rig.simulated.on_map = [&](Mfn) {
      if (now++ != moment) return;
      for (unsigned order = mm::k_orders; order-- > 0;) {
        while (auto folio = mm::machine().allocate(Order{order}, DomainId::hypervisor, mm::FrameKind::hypervisor, mm::Contents::any)) {
          hoard.push_back(std::move(*folio));
        }
      }
    };
    const auto made = manager().create(0);
    rig.simulated.on_map = nullptr;
    const bool struck = now > moment;
    hoard.clear();
    if (made) {
      succeeded = !struck;
      manager().destroy(**made);
    } else {
      CHECK(struck);
      refusals.insert(std::string{manager().why_not()});
    }
    CHECK(manager().count() == 0);
    REQUIRE(rig.accounts() == rig.at_start);
  }
  // Both the tables' reserve and the memory itself were cut short at some moment.
  CHECK(refusals.size() >= 1);
  CHECK(refusals.contains("its memory: out of memory"));
}

TEST_CASE("Manager: with too little memory, in sum or in one piece, there is a sentence and no domain") {
  Rig rig;
  rig.add_module("web.dom", test::small_image("web"));
  rig.start();
  std::vector<mm::Folio> hoard;
  SECTION("in sum") {
    while (mm::machine().statistics().free_frames() >= 0x300) {
      auto folio = mm::machine().allocate(k_order_4k, DomainId::hypervisor, mm::FrameKind::hypervisor);
      REQUIRE(folio);
      hoard.push_back(std::move(*folio));
    }
    const Rig::Accounts before = rig.accounts();
    CHECK(manager().create(0).error() == Error::out_of_memory);
    CHECK(manager().why_not().find("it needs 3 MiB of memory") == 0);
    CHECK(rig.accounts() == before);
  }
  SECTION("in one piece") {
    while (auto folio = mm::machine().allocate(k_order_4k, DomainId::hypervisor, mm::FrameKind::hypervisor)) hoard.push_back(std::move(*folio));
    for (usize i = 0; i < hoard.size(); ++i) {
      if (hoard[i].mfn().value() % 2 != 0) hoard[i].reset();
    }
    const Rig::Accounts before = rig.accounts();
    CHECK(manager().create(0).error() == Error::out_of_memory);
    CHECK(manager().why_not().find("in one piece for the domain itself") != std::string_view::npos);
    CHECK(rig.accounts() == before);
  }
  hoard.clear();
  const auto made = manager().create(0);
  REQUIRE(made);
  manager().destroy(**made);
  CHECK(rig.accounts() == rig.at_start);
}

TEST_CASE("Manager: an image with a wrong CRC is refused after its memory was made, and the memory is back") {
  Rig rig;
  test::Bytes image = test::small_image("web");
  image[0x3005] ^= std::byte{1};
  rig.add_module("web.dom", image);
  rig.start();
  CHECK(manager().create(0).error() == Error::corrupt);
  CHECK(rig.log_text.text.find("the data has another CRC") != std::string::npos);
  CHECK(rig.accounts() == rig.at_start);
}

TEST_CASE("Manager: a processor without TLB tags for more domains says so") {
  Rig rig;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h", "i"}) rig.add_module(name, test::small_image(name));
  rig.start();
  for (usize i = 0; i < 8; ++i) REQUIRE(manager().create(i));
  CHECK(manager().create(8).error() == Error::overflow);
  CHECK(manager().why_not() == "the processor has no TLB tag left");
  CHECK(manager().create(9).error() == Error::not_found);
}

TEST_CASE("Manager: on_crash = preserve keeps a crashed domain, and destroying it then frees it") {
  Rig rig;
  rig.add_module("web.dom", test::small_image("web", "preserve"));
  rig.start();
  const auto made = manager().create(0);
  REQUIRE(made);
  (*made)->end(domain::Ending::crashed);
  Rig::settle();
  REQUIRE(manager().find("web") == *made);
  CHECK((*made)->state() == domain::State::preserved);
  CHECK(manager().any_failed());
  (*made)->end(domain::Ending::destroyed);
  Rig::settle();
  CHECK(manager().find("web") == nullptr);
  CHECK(rig.accounts() == rig.at_start);
}

TEST_CASE("Manager: a name of digits is that domain, whatever the ids are, and is taken only by a name") {
  Rig rig;
  rig.add_module("two.dom", test::small_image("2"));
  rig.add_module("one.dom", test::small_image("1"));
  rig.start();
  const auto two = manager().create(0);  // id 1
  REQUIRE(two);
  const auto one = manager().create(1);  // id 2
  REQUIRE(one);
  CHECK(manager().find("2") == *two);
  CHECK(manager().find("1") == *one);
}

TEST_CASE("Manager: an id is not given again while a domain has it, nor is the hypervisor's") {
  const auto is_taken = [](DomainId id) { return id == DomainId{1} || id == DomainId{2} || id == DomainId{9}; };
  CHECK(domain::id_after(DomainId{7}, is_taken) == DomainId{8});
  CHECK(domain::id_after(DomainId{8}, is_taken) == DomainId{10});
  CHECK(domain::id_after(DomainId{0xFFFF}, is_taken) == DomainId{3});
  // The manager goes by it (that it asks for its own domains would take 65,535 births to see).
  Rig rig;
  rig.add_module("one.dom", test::small_image("one"));
  rig.start();
  const auto first = manager().create(0);
  REQUIRE(first);
  const DomainId before = (*first)->id();
  manager().destroy(**first);
  const auto second = manager().create(0);
  REQUIRE(second);
  CHECK((*second)->id() == domain::id_after(before, [](DomainId) { return false; }));
}

TEST_CASE("P15: births and ends let the others run between their pieces, and never show a domain that is not whole") {
  static u64 meanwhiles;
  static bool ran_too_soon;
  Rig rig;
  // 24 MiB in 4K leaves: more frames than one piece has.
  test::Bytes image = test::with_property(test::small_image("web"), "/config", "leaf-orders", test::cell(0));
  for (const char* property : {"memory", "maximum-memory"}) image = test::with_property(image, "/config", property, test::cells(24 << 20));
  image = test::with_property(image, "/memory-map/range@0", "size", test::cells(23 << 20));
  rig.add_module("web.dom", image);
  rig.start();
  manager().set_meanwhile([] {
    ++meanwhiles;
    manager().for_each([](domain::Domain& domain) { ran_too_soon = ran_too_soon || domain.runnable(); });
    CHECK(manager().next_runnable(nullptr) == nullptr);
  });
  const auto made = manager().create(0);
  REQUIRE(made);
  CHECK(meanwhiles >= 3);
  CHECK((*made)->runnable());
  manager().set_meanwhile([] {
    ++meanwhiles;
    manager().for_each([](domain::Domain& domain) { ran_too_soon = ran_too_soon || domain.runnable(); });
  });
  meanwhiles = 0;
  manager().destroy(**made);
  CHECK(meanwhiles >= 3);
  CHECK_FALSE(ran_too_soon);
  CHECK(rig.accounts() == rig.at_start);
}

TEST_CASE("P15: a target lets the others run while memory is made for it") {
  static u64 meanwhiles;
  Rig rig;
  test::Bytes image = test::with_property(test::small_image("web"), "/config", "leaf-orders", test::cell(0));
  image = test::with_property(image, "/config", "memory", test::cells(12 << 20));
  image = test::with_property(image, "/config", "maximum-memory", test::cells(24 << 20));
  image = test::with_property(image, "/memory-map/range@0", "size", test::cells(23 << 20));
  rig.add_module("web.dom", image);
  rig.start();
  const auto made = manager().create(0);
  REQUIRE(made);
  meanwhiles = 0;
  manager().set_meanwhile([] { ++meanwhiles; });
  const auto reply = manager().set_target(**made, (24 << 20) / k_page_size);
  REQUIRE(reply);
  CHECK(reply->added == (12 << 20) / k_page_size);
  CHECK(meanwhiles >= 1);
  manager().set_meanwhile([] {});
}
