// SPDX-License-Identifier: Apache-2.0
// A guest's memory under an arbitrary sequence of operations, each decoded from 64 bits, against an oracle. Property tests draw the
// numbers, a fuzzer finds them. After every step: audit clean, lookup and reference walk as the oracle says, no TLB holds what it must not,
// references and accounts exact, every D bit and every word that the guest wrote still there. In the middle of an operation, at a moment
// that the number says, another processor uses the memory.
#pragma once
#include <optional>
#include <set>
#include <source_location>
#include <string>

#include "pod/pod.hpp"
#include "tests/model/oracle.hpp"
#include "tests/model/world.hpp"

namespace octavo::model {

/// The code under test and the oracle disagree.
struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Choices out of one number, a byte each.
class Draw {
 public:
  explicit Draw(u64 bits) : bits_(bits) {}
  [[nodiscard]] u64 below(u64 n) {
    const u64 byte = bits_ & 255;
    bits_ >>= 8;
    return byte % n;
  }
  template <class T>
  [[nodiscard]] T of(std::initializer_list<T> choices) {
    return choices.begin()[below(choices.size())];
  }

 private:
  u64 bits_;
};

class MemoryScript {
 public:
  /// plain: memory comes from the machine, frames may be mapped twice, the p2m's own moves. pod: all memory comes from the cache.
  enum class Kind : u8 { plain, pod };
  MemoryScript(Kind kind, p2m::Paging paging, u64 setup);
  ~MemoryScript();
  MemoryScript(const MemoryScript&) = delete;
  MemoryScript& operator=(const MemoryScript&) = delete;

  /// One operation and all checks. Throws Mismatch, and Panic when the code under test does.
  void step(u64 instruction);
  /// Takes everything down, in pieces; every frame must be back.
  void finish(u64 budget);
  /// What the last step did, for people.
  [[nodiscard]] const std::string& last() const { return last_; }
  /// How often each operation did something, by name: a proof that none is idle.
  [[nodiscard]] const std::map<std::string, u64>& effective() const { return effective_; }
  [[nodiscard]] u64 steps() const { return steps_; }
  [[nodiscard]] static std::set<std::string> names(Kind kind);

 private:
  struct Arguments {
    u64 gfn, count;
    Draw draw;
  };
  struct Operation {
    const char* name;
    void (MemoryScript::*run)(Arguments&);
    bool plain, pod;
  };
  struct Run {
    u64 gfn, count;
    GuestState state;
  };
  struct Move {
    u64 gfn;
    Order order;
    std::optional<u64> to{};  ///< if the script chose it
    std::vector<Run> from{};
    std::set<u64> written{};
  };
  struct Interference {
    i64 moment = -1;  ///< counts down with each store and each mapping
    u64 gfn = 0;
    bool write = false;
    std::optional<u64> reached{};
    u64 value = 0;
    bool done = false;
  };
  static const Operation k_operations[];

  // p2m
  void set_range(Arguments&);
  void set_leaf(Arguments&);
  void map_again(Arguments&);
  void map_device(Arguments&);
  void back(Arguments&);
  void make_hole(Arguments&);
  void make_hole_in_steps(Arguments&);
  void change_type(Arguments&);
  void change_all_types(Arguments&);
  void split(Arguments&);
  void replace_one(Arguments&);
  void push_down(Arguments&);
  void hypervisor_writes(Arguments&);
  void take_out(Arguments&);
  void promote(Arguments&);
  void begin_move(Arguments&);
  void continue_move(Arguments&);
  void abort_move(Arguments&);
  // pod
  void guest_writes(Arguments&);
  void guest_reads(Arguments&);
  void give_up_and_take(Arguments&);
  void add_entries(Arguments&);
  void increase(Arguments&);
  void set_target(Arguments&);
  void decrease(Arguments&);
  void sweep(Arguments&);
  void pod_promote(Arguments&);
  void abort_promotion(Arguments&);
  void advance(Arguments&);
  void tidy(Arguments&);

  void must(bool holds, const char* what, std::source_location where = std::source_location::current()) const;
  /// Where a promotion may find something: mostly where leaves have been cut.
  [[nodiscard]] u64 worth_promoting(Arguments& arguments, Order order) const {
    return Gfn{arguments.draw.below(4) != 0 ? hot_ : arguments.gfn}.align_down(order).value();
  }
  void worked() { ++effective_[name_]; }
  void note(const char* what, u64 gfn, u64 count, p2m::Type type = p2m::Type::invalid);
  /// Runs an operation that is all or nothing: when it fails nothing was stored.
  template <class F>
  [[nodiscard]] auto all_or_nothing(F&& operation) {
    const u64 before = stores_;
    auto result = operation();
    if (!result) must(stores_ == before, "an operation that failed has stored something");
    return result;
  }
  void refused(Error error, u64 gfn, u64 count, p2m::Type type) const;
  [[nodiscard]] bool may_become(u64 gfn, u64 count, p2m::Type type) const;
  [[nodiscard]] bool is_moving(u64 gfn, u64 count) const { return move_ && gfn < move_->gfn + move_->order.frames() && move_->gfn < gfn + count; }
  /// The guest is to see this from now on.
  void change(u64 gfn, u64 count, GuestState state);
  void retyped(u64 gfn, u64 count, p2m::Type from, p2m::Type to);
  /// Contents and D bits go along from the oracle's frames to these.
  void moved(u64 gfn, u64 count, u64 to, p2m::Type type);
  void forget_contents(u64 mfn, u64 count) { contents_.erase(contents_.lower_bound(mfn), contents_.lower_bound(mfn + count)); }
  void absorb_reclaimed(u64 expected);
  void move_begins(u64 gfn, Order order, std::optional<u64> to);
  /// The oracle as it was before the move began.
  Move move_ends();
  /// Finds the move that the pod itself has begun, gone on with or ended since the oracle last knew; true when it is another one, or has ended.
  bool absorb_move();
  [[nodiscard]] u64 reclaimed() const;
  [[nodiscard]] std::optional<u64> reach(u64 gfn, bool write);
  void use(AdversarialTlb& tlb, u64 gfn, bool write);
  void used(u64 gfn, u64 mfn, bool write, std::optional<u64> value);
  [[nodiscard]] u64& word(u64 mfn) const;
  void event();
  void check_interference(GuestState before);
  void touch(u64 choice);
  void check() const;
  void check_references() const;
  void check_accounts() const;

  Kind kind_;
  std::vector<const Operation*> possible_;
  u64 guest_frames_;
  World world_;
  pod::Pod pod_;
  Oracle oracle_;
  std::map<u64, u64> contents_;  ///< machine frame -> the word that the guest wrote there
  std::set<u64> written_;        ///< gfns whose entry must tell that it was written
  std::optional<Move> move_;
  Interference other_;
  u64 hot_ = 0;                  ///< where leaves have been cut last
  bool aliased_ = false;
  u64 word_index_;
  u64 token_ = 0;
  u64 stores_ = 0;
  i64 held_ = 0;                 ///< what accounts().held() - pending must be
  u64 steps_ = 0;
  const char* name_ = "";
  std::string last_;
  std::map<std::string, u64> effective_;
};
}  // namespace octavo::model
