// zset_join.h: the members of several sorted sets of any size, joined: of one of them, of all, or
// of the first alone, one after the other.
//
// Members come in the order of their hashes, in which every set's member index has them: so each
// leaf is come to once, and a join of any size keeps few of them hot. Goes on where it stopped once
// what it named is hot. The sets must not change meanwhile: frozen clones. Knows no weights and no
// key. Thread: main. Decision: docs/adr/0012.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "values/element_walk.h"
#include "values/zset_value.h"

namespace flash::values {

class ZSetJoin {
 public:
  enum class Of : uint8_t {
    kAny,         ///< Members of any set.
    kAll,         ///< Members of all sets.
    kFirstAlone,  ///< Members of the first set that no other has.
  };
  struct Options {
    Of of = Of::kAny;
    uint64_t budget_bytes = 0;
  };

  /// The sets by their words, which outlive the join; 0: an empty one.
  ZSetJoin(const Env& env, std::span<uint64_t* const> words, const Options& options);

  enum class At : uint8_t {
    kMember,    ///< Of the join: member() and scores().
    kNoMember,  ///< Something else: go on.
    kMissing,   ///< Blocks are named.
    kEnd,
  };
  /// Looks at the next member of what is gone through; at the same one until Advance. What it shows
  /// is valid until the pool is driven.
  [[nodiscard]] At Look(Missing* missing);
  void Advance();

  [[nodiscard]] const Element& member() const { return member_; }
  [[nodiscard]] uint64_t hash() const { return hash_; }
  /// One per set, absent where it does not have the member. Only of the sets that say whether it is
  /// one of the join.
  [[nodiscard]] std::span<const std::optional<double>> scores() const { return scores_; }
  /// Names what Look needed last, so that it stays while more is brought for the member.
  void Keep(Missing* missing) const;

 private:
  /// A member of a set of one leaf, which has no index.
  struct Loose {
    uint64_t hash = 0;
    std::string member;
    double score = 0;
  };
  class Set;

  [[nodiscard]] bool LoadLoose(Missing* missing);
  [[nodiscard]] At LookAtLeast(Missing* missing);
  [[nodiscard]] At LookUp(Missing* missing);
  [[nodiscard]] At Lacking(Missing* missing) const;

  const Env& env_;
  Options options_;
  std::vector<Set> sets_;
  bool loaded_ = false;
  Element member_;
  uint64_t hash_ = 0;
  std::vector<std::optional<double>> scores_;
  size_t looked_up_ = 1;  // Sets in which the first one's member was looked up, itself included.
};

/// One of the sets, and how far it is gone through.
class ZSetJoin::Set {
 public:
  Set(const Env& env, uint64_t* word, uint64_t budget_bytes);

  [[nodiscard]] bool AtEnd() const { return walk_ ? walk_->AtEnd() : at_ == loose_.size(); }
  /// A set of one leaf is taken to RAM whole; true: it was, or has an index.
  [[nodiscard]] bool Load(const Env& env, Missing* missing);

  /// Can the element at hand be looked at?
  [[nodiscard]] bool Ready(Missing* missing) { return !walk_ || walk_->Ready(missing); }
  [[nodiscard]] uint64_t Hash(const Env& env);
  [[nodiscard]] Element Member() const;
  [[nodiscard]] double Score() const;
  void Advance();
  void Keep(Missing* missing) const {
    if (walk_) walk_->Keep(missing);
  }

  /// The score of a member; absent: it is not there, or something is missing.
  [[nodiscard]] std::optional<double> Find(const Env& env, uint64_t hash, const Element& member,
                                           Missing* missing) const;
  /// Names the leaf where a hash belongs; false: the same as before, whose id is `*last`.
  bool NameLeafOf(uint64_t hash, BlockId* last, Missing* missing, const Env& env) const;

  /// Calls `visit(hash)` for the elements that follow, as far as they are hot, whose leaves are
  /// named; until it returns false.
  template <typename Visit>
  void ForEachAhead(const Env& env, Missing* missing, const Visit& visit) const;

 private:
  uint64_t* word_;
  std::optional<ElementWalk> walk_;  // Absent: the members are loose_.
  std::optional<Tree> index_;
  std::vector<Loose> loose_;
  size_t at_ = 0;
  bool loaded_ = false;
  std::optional<uint64_t> hash_;  // Of the element at hand.
};

}  // namespace flash::values
