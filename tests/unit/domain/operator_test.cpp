// SPDX-License-Identifier: Apache-2.0
// Every operator command, in JSON and for people, right and wrong.
#include "arch/x86/version.hpp"
#include "domain/commands.hpp"
#include "tests/unit/domain/rig.hpp"

using namespace octavo;
using domain::manager;
using test::Rig;
using Json = nlohmann::json;

namespace {
struct TwoDomains : Rig {
  TwoDomains() {
    add_module("web.dom", test::small_image("web"));
    add_module("data\xff.dom", test::small_image("db"));
    add_module("junk.dom", test::Bytes(4096));
    start();
    REQUIRE(manager().create(0));
    REQUIRE(manager().create(1));
  }
};

const Json* row_with(const Json& rows, const char* key, const Json& value) {
  for (const Json& row : rows) {
    if (row[key] == value) return &row;
  }
  return nullptr;
}
}  // namespace

TEST_CASE("operator: every command answers with one valid object, whatever is given to it") {
  TwoDomains rig;
  for (const domain::Command& command : domain::commands()) {
    if (command.name == "panic") continue;  // it does not answer; see the system tests
    for (const char* arguments : {"", " web", " 1", " nobody", " web 0x100", " web x", " a b c d e f g h i j k", " \"\\\x01\xff"}) {
      if (command.name == "destroy" && std::string_view{arguments} == " 1") continue;  // `web` is enough
      const std::string line = std::string{command.name} + arguments;
      INFO(line);
      const Json json = Rig::ask(line);
      CHECK(json["command"] == std::string{command.name});
      REQUIRE(json["ok"].is_boolean());
      CHECK(json.contains("error") == !json["ok"].get<bool>());
      if (!json["ok"].get<bool>()) CHECK_FALSE(json["error"].get<std::string>().empty());
      Rig::settle();
      if (manager().find("web") == nullptr) REQUIRE(manager().create(0));
    }
  }
}

TEST_CASE("operator: a wrong number of words gets what the command takes, and changes nothing") {
  TwoDomains rig;
  for (const domain::Command& command : domain::commands()) {
    const auto count = [&](char c) { return std::count(command.arguments.begin(), command.arguments.end(), c); };
    std::vector<std::string> wrong;
    std::string too_many{command.name};
    for (long i = 0; i <= count('<') + count('['); ++i) too_many += " web";
    wrong.push_back(too_many);
    if (count('<') != 0) wrong.emplace_back(command.name);
    for (const std::string& line : wrong) {
      const Json json = Rig::ask(line);
      INFO(json.dump());
      CHECK(json["ok"] == false);
      const std::string takes = command.arguments.empty() ? "it takes no arguments" : "it takes: " + std::string{command.name} + " " + std::string{command.arguments};
      CHECK(json["error"] == takes);
    }
  }
  CHECK(domain::requested_end() == domain::MachineEnd::none);
  CHECK(manager().count() == 2);
}

TEST_CASE("operator: words between any number of spaces, no words, no answer, unknown words an error") {
  TwoDomains rig;
  CHECK(Rig::ask("   list  ")["ok"] == true);
  CHECK(Rig::ask_text("") == "");
  CHECK(Rig::ask_text("    ") == "");
  CHECK(Rig::ask("frobnicate")["error"] == "no such command; `help` lists them");
  CHECK(Rig::ask_text("frobnicate x") == "frobnicate: no such command; `help` lists them\n");
}

TEST_CASE("operator: numbers") {
  CHECK(domain::parse_number("0") == 0);
  CHECK(domain::parse_number("18446744073709551615") == ~u64{0});
  CHECK(domain::parse_number("0xFFffFFffFFffFFff") == ~u64{0});
  for (const char* bad : {"", "0x", "18446744073709551616", "0x10000000000000000", "12a", "-1", "+1", " 1", "0x1g", "1.0", "x"}) CHECK_FALSE(domain::parse_number(bad));
}

TEST_CASE("operator: help names every command, domains is list") {
  TwoDomains rig;
  const Json help = Rig::ask("help");
  CHECK(help["commands"].size() == domain::commands().size());
  Json list = Rig::ask("list"), domains = Rig::ask("domains");
  CHECK(list["domains"] == domains["domains"]);
  REQUIRE(list["domains"].size() == 2);
  CHECK(list["domains"][0] == Json{{"name", "web"}, {"id", 1}, {"state", "running"}, {"memory_bytes", 0x300000}, {"maximum_bytes", 0x300000}, {"vcpus", 1}, {"exits", 0}, {"image", "web.dom"}});
  CHECK(list["domains"][1]["image"] == "data\xEF\xBF\xBD.dom");
  const std::string text = Rig::ask_text("list");
  CHECK(text.find("name           id") == 0);
  CHECK(text.find("\nweb            1              running        3M") != std::string::npos);
}

TEST_CASE("operator: pause, resume, destroy by name and by id") {
  TwoDomains rig;
  CHECK(Rig::ask("resume web")["error"] == "it is not paused");
  CHECK(Rig::ask("pause web")["message"] == "web: paused");
  CHECK(Rig::ask("pause web")["error"] == "it is not running");
  CHECK(Rig::ask("list")["domains"][0]["state"] == "paused");
  CHECK(Rig::ask("vcpus")["vcpus"][0]["state"] == "paused");
  CHECK(manager().next_runnable(nullptr) == manager().find("db"));
  CHECK(Rig::ask_text("resume 1") == "web: resumed\n");
  CHECK(manager().find("web")->state() == domain::State::running);
  CHECK(Rig::ask("destroy 2")["message"] == "db: destroyed");
  Rig::settle();
  CHECK(manager().find("db") == nullptr);
  CHECK(Rig::ask("destroy db")["error"] == "no such domain; `list` shows their names and ids");
  CHECK_FALSE(manager().any_failed());
}

TEST_CASE("operator: create from a boot module by its file's or its domain's name, once") {
  TwoDomains rig;
  CHECK(Rig::ask("create web.dom")["error"] == "a domain named web is there already");
  CHECK(Rig::ask("create nobody")["error"] == "no boot module has this file name, or holds a domain of this name");
  CHECK(Rig::ask("create junk.dom")["ok"] == false);
  CHECK(Rig::ask("create junk.dom")["error"] != "");
  for (const char* name : {"web.dom", "web"}) {
    REQUIRE(Rig::ask("destroy web")["ok"] == true);
    Rig::settle();
    REQUIRE(manager().find("web") == nullptr);
    const Json made = Rig::ask(std::string{"create "} + name);
    CHECK(made["message"] == "web: created");
    REQUIRE(manager().find("web") != nullptr);
    CHECK(manager().find("web")->state() == domain::State::running);
    CHECK(Rig::ask("audit web")["audits"][0]["clean"] == true);
  }
}

TEST_CASE("operator: mem is the same before and after rounds of create and destroy") {
  TwoDomains rig;
  const Json before = Rig::ask("mem");
  CHECK(before["machine"][0]["total_bytes"].get<u64>() > before["machine"][0]["free_bytes"].get<u64>());
  REQUIRE(before["domains"].size() == 2);
  CHECK(before["domains"][0]["memory_bytes"] == 0x300000);
  CHECK(before["domains"][0]["leaves_2m"] == 1);
  CHECK(before["domains"][0]["leaves_4k"] == 256);
  CHECK(Rig::ask("mem db")["domains"].size() == 1);
  CHECK_FALSE(Rig::ask("mem db").contains("machine"));
  CHECK(Rig::ask("mem nobody")["ok"] == false);
  for (int round = 0; round < 10; ++round) {
    REQUIRE(Rig::ask("destroy web")["ok"] == true);
    Rig::settle();
    CHECK(Rig::ask("mem")["machine"][0]["free_bytes"].get<u64>() > before["machine"][0]["free_bytes"].get<u64>());
    REQUIRE(Rig::ask("create web")["ok"] == true);
  }
  CHECK(Rig::ask("mem") == before);
}

TEST_CASE("operator: p2m tells the leaves by size and type, and where one frame is") {
  TwoDomains rig;
  const Json leaves = Rig::ask("p2m web")["leaves"];
  CHECK(leaves == Json{{{"size", "2M"}, {"type", "ram_rw"}, {"leaves", 1}, {"covers_bytes", 0x200000}},
                       {{"size", "4K"}, {"type", "ram_rw"}, {"leaves", 256}, {"covers_bytes", 0x100000}}});
  const Json there = Rig::ask("p2m web 0x101")["translation"][0];
  const p2m::Translation truth = manager().find("web")->p2m().lookup(Gfn{0x101});
  char mfn[32];
  BufferSink hex{mfn};
  format(hex, "0x{:x}", truth.mfn);
  CHECK(there == Json{{"gfn", "0x101"}, {"type", "ram_rw"}, {"size", "2M"}, {"mfn", std::string{hex.view()}}, {"access", "rwx"},
                      {"accessed", truth.accessed}, {"dirty", truth.dirty}});
  const Json hole = Rig::ask("p2m web 1000")["translation"][0];
  CHECK(hole["type"] == "invalid");
  CHECK(hole["access"] == "---");
  CHECK(Rig::ask("p2m web 0x1000000000")["error"] == "beyond the guest-physical address space");
  CHECK(Rig::ask("p2m web 0x10000000000000000")["error"] == "a guest frame number is decimal, or hexadecimal behind 0x");
}

TEST_CASE("operator: audit is clean, and says where it is not") {
  TwoDomains rig;
  Json audits = Rig::ask("audit")["audits"];
  REQUIRE(audits.size() == 2);
  for (const Json& one : audits) {
    CHECK(one["clean"] == true);
    CHECK(one["findings"] == 0);
    CHECK(one["mapped_bytes"] == 0x300000);
  }
  // A table that contradicts itself: the root's first entry gets a reserved bit.
  const Hpa root = manager().find("db")->p2m().root();
  rig.simulated.at(root)[7] ^= 0x40;
  const Json found = Rig::ask("audit db")["audits"][0];
  CHECK(found["clean"] == false);
  CHECK(found["findings"].get<u64>() > 0);
  CHECK(Rig::ask("audit web")["audits"][0]["clean"] == true);
  rig.simulated.at(root)[7] ^= 0x40;
}

TEST_CASE("operator: stats has every counter of the vCPU and of the p2m, exits those that happened") {
  TwoDomains rig;
  const Json counters = Rig::ask("stats web")["counters"];
  for (unsigned kind = 0; kind < static_cast<unsigned>(arch::ExitKind::count); ++kind) {
    CHECK(row_with(counters, "counter", arch::to_string(static_cast<arch::ExitKind>(kind))) != nullptr);
  }
  const auto value = [&](const char* group, const char* counter) {
    for (const Json& row : counters) {
      if (row["group"] == group && row["counter"] == counter) return row["value"].get<u64>();
    }
    FAIL(group << " " << counter << " is missing");
    return u64{0};
  };
  CHECK(value("leaves-2m", "ram_rw") == 1);
  CHECK(value("leaves-4k", "ram_rw") == 256);
  CHECK(value("leaves-1g", "ram_rw") == 0);
  CHECK(value("tables", "used") == manager().find("web")->p2m().statistics().tables.used);
  CHECK(value("exits", "total") == 0);
  CHECK(Rig::ask("exits")["exits"].empty());
  CHECK(Rig::ask("stats nobody")["ok"] == false);
}

TEST_CASE("operator: regs, loglevel, version, reboot and shutdown leave the end to the main loop") {
  TwoDomains rig;
  const Json regs = Rig::ask("regs web")["registers"];
  CHECK(regs.size() == 23);
  CHECK(row_with(regs, "register", "rip") != nullptr);
  CHECK(Rig::ask("version")["versions"][0]["version"] == std::string{arch::version()});
  CHECK(Rig::ask("loglevel debug")["levels"][0]["loglevel"] == "debug");
  CHECK(Rig::ask("loglevel")["levels"][0]["loglevel"] == "debug");
  CHECK(Rig::ask("loglevel loud")["ok"] == false);
  CHECK(Rig::ask("loglevel info")["ok"] == true);
  CHECK(Rig::ask("panic nonsense")["ok"] == false);
  CHECK(domain::requested_end() == domain::MachineEnd::none);
  CHECK(Rig::ask("panic fault")["ok"] == true);
  CHECK(domain::requested_end() == domain::MachineEnd::fault);
  CHECK(Rig::ask("panic stack")["ok"] == true);
  CHECK(domain::requested_end() == domain::MachineEnd::overflow);
  CHECK(Rig::ask("panic")["ok"] == true);
  CHECK(domain::requested_end() == domain::MachineEnd::panic);
  CHECK(Rig::ask("reboot")["ok"] == true);
  CHECK(domain::requested_end() == domain::MachineEnd::reboot);
  CHECK(Rig::ask("shutdown")["ok"] == true);
  CHECK(domain::requested_end() == domain::MachineEnd::shutdown);
}
