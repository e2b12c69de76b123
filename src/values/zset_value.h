// zset_value.h: a sorted set: members with scores, by (score, member); from the second leaf on also
// by the member's keyed hash.
//
// A handle on the word of a key (collection.h). Plan, fetch, apply: a Plan… names the blocks that
// the operation of the same name needs; once `missing` stays empty the operation may run. Bytes
// passed in must not lie in blocks; elements handed out are views until the next change. Ranks
// count from 0 by ascending order. Scores are never NaN: that is the caller's. Decision:
// docs/adr/0008. Thread: main.
#pragma once

#include <bit>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "values/collection.h"

namespace flash::values {

class ZSetValue : public Collection {
 public:
  ZSetValue(const Env& env, uint64_t* word) : Collection(env, CollectionKind::kZSet, word) {}

  /// A command's use of the member's score, planned and applied at once: nullopt if absent, or if
  /// blocks are missing, which are then named. With `missing` null everything must be hot. One
  /// leaf.
  [[nodiscard]] std::optional<double> Score(Bytes member, Missing* missing = nullptr);
  void PlanScore(Bytes member, Missing* missing) { (void)Find(member, missing); }

  /// What Set to `score` needs; without a score (an increment of something still unknown) what is
  /// known to be needed so far. A Set of the same bytes (address and length) that follows at once
  /// does not search the member again.
  void PlanSet(Bytes member, std::optional<double> score, Missing* missing);
  /// Around the PlanSets of several members that are then set one after the other: PlanHeirs names
  /// the leaves that take over what belonged to leaves which those sets may empty.
  void ExpectSeveral() { several_ = true; }
  void PlanHeirs(Missing* missing);
  /// True if the member is new. `old`, if not null, becomes the score that it had, if it had one.
  bool Set(Bytes member, double score, std::optional<double>* old = nullptr);

  void PlanErase(Bytes member, Missing* missing);
  /// Several may be planned and then erased, one of them twice too.
  bool Erase(Bytes member);

  enum class End : uint8_t { kLowest, kHighest };
  struct Scored {
    double score = 0;
    Element member;
  };
  /// Finds the element at an end of a set that is not empty, for a Pop before anything else is done
  /// with the set. A use by a command.
  void PlanPop(End end, Missing* missing);
  /// What PlanPop found, missing nothing.
  [[nodiscard]] Scored Peeked() const {
    const EntryView entry = tree(0).Look(end_path_).At(end_position_);
    return {ParseScore(entry), ParseMember(entry)};
  }
  void Pop();

  /// Ascending rank of the member. Two leaves.
  [[nodiscard]] std::optional<uint64_t> Rank(Bytes member, Missing* missing = nullptr);

  /// How many elements lie before the bound. One leaf.
  [[nodiscard]] std::optional<uint64_t> RankOf(const ScoreBound& bound, Missing* missing) const;

  /// The same for a text among members that rise with their scores, whatever those are: how many
  /// are less than `text`, or not greater with `after`. Named a few dozen leaves at a time.
  [[nodiscard]] std::optional<uint64_t> RankByMember(const Element& text, bool after,
                                                     Missing* missing) const;

  /// Calls `visit(double score, const Element& member)` for the elements of ranks [begin, end)
  /// until it returns false. PlanRange names the leaves.
  template <typename Visit>
  void ForRange(uint64_t begin, uint64_t end, const Visit& visit) const {
    tree(0).ForRange(begin, end, [&](const EntryView& entry) {
      return visit(ParseScore(entry), ParseMember(entry));
    });
  }
  /// The same from the highest rank to the lowest.
  template <typename Visit>
  void ForRangeReverse(uint64_t begin, uint64_t end, const Visit& visit) const {
    tree(0).ForRangeReverse(begin, end, [&](const EntryView& entry) {
      return visit(ParseScore(entry), ParseMember(entry));
    });
  }

  /// The elements of ranks [begin, end): pops. Read them first; large ones need not be hot.
  void PlanEraseRange(uint64_t begin, uint64_t end, Missing* missing) const;
  void EraseRange(uint64_t begin, uint64_t end);

  /// One step of ZSCAN: visits at least `count` elements from the cursor on, or the whole of a
  /// small set. Returns the next cursor, 0 at the end. A cursor is the upper kCursorBits of a hash,
  /// and elements that share them are visited together, so an element that is there from the first
  /// step to the last is visited and every step gets further. PlanScan names the leaves.
  template <typename Visit>
  [[nodiscard]] uint64_t Scan(uint64_t cursor, uint64_t count, const Visit& visit) const;
  void PlanScan(uint64_t cursor, uint64_t count, Missing* missing) const;
  /// Clients keep cursors in signed integers and in doubles, which hold 53 bits.
  static constexpr uint32_t kCursorBits = 48;
  static constexpr uint32_t kCursorShift = 64 - kCursorBits;
  [[nodiscard]] static uint64_t CursorOf(uint64_t hash) { return hash >> kCursorShift; }

  /// A new value from distinct members in any order; the word must be 0, and stays so upon errors,
  /// which are those of reads. `to_flash`: see DirectPlacer.
  using Pair = std::pair<double, Bytes>;
  [[nodiscard]] Result<void> Build(std::span<const Pair> pairs, bool to_flash);

 private:
  /// Finds the member in the index, or in a lone leaf.
  bool Find(Bytes member, Missing* missing, Cold cold = Cold::kIsPlanned);
  /// Its place among the scores, which must be hot or is named.
  void PlanScored(double score, Bytes member, bool erase, uint32_t entry_bytes, Missing* missing);
  /// Where in a leaf the members with this score begin, or would.
  [[nodiscard]] uint32_t FirstOfScore(const LeafView& leaf, double score) const;
  /// Names what tells a member's place in a leaf; false: something is missing. Of several, all that
  /// it may be compared with, since those set before change what a search meets.
  [[nodiscard]] bool PlanOrder(const Path& path, double score, Bytes member,
                               Missing* missing) const;
  /// The same in a leaf that takes over what belonged to one that may be emptied.
  void PlanHeir(const Path& heir, LeafRef emptied, Missing* missing) const;
  /// A place among the scores that a PlanSet sought; good until the next change.
  struct Place {
    bool known = false;
    double score = 0;
    Path path;
    [[nodiscard]] bool IsOf(double other) const {  // Zero and minus zero have places of their own.
      return known && std::bit_cast<uint64_t>(score) == std::bit_cast<uint64_t>(other);
    }
  };
  bool FindScored(double score, Bytes member, Path* path, Found* found, Missing* missing) const;
  [[nodiscard]] std::optional<double> PeekScore(Bytes member, Missing* missing);
  [[nodiscard]] double FoundScore() const;
  void MakeIndexedRoot();
  void BuildIndex();
  /// `path`: to where it belongs; null: is yet to be sought.
  void InsertScore(double score, const ElementDraft& member, Bytes text, Path* path);
  void InsertIndex(double score, const ElementDraft& member, Bytes text);
  void Move(Bytes member, double from, double to);
  void MoveInIndex(const ElementDraft& member, double to);
  /// The member that Find found, as it is stored.
  [[nodiscard]] ElementDraft DraftOfFound(Bytes member) const;
  /// Where in the leaf of `path` a member is that is there.
  [[nodiscard]] uint32_t PositionOf(const Path& path, double score, Bytes text,
                                    const ElementDraft& stored) const;
  [[nodiscard]] bool MoveInPlace(Path* path, uint32_t i, double to);
  void EraseFromIndex(const Element& member);
  /// The cursor at which the leaf behind `path` can be begun; 0: behind it there is none.
  [[nodiscard]] static uint64_t CursorBehind(const Path& path);
  /// Where the leaf ends, elements that a cursor cannot tell from its last one may follow.
  [[nodiscard]] bool GoesOnBehind(const Path& path, const LeafView& leaf) const {
    return CursorOf(EntryHash(*env_, leaf.At(leaf.count() - 1))) == CursorBehind(path);
  }
  [[nodiscard]] ScoreBound BoundOf(double score, Bytes member) const {
    return {score, {member}, ScoreBound::Side::kBeforeMember};
  }

  /// An element that a planned Set takes out of a leaf of the scores, or into one.
  struct Moving {
    uint64_t leaf;
    double score = 0;
    Bytes member;
  };
  [[nodiscard]] static bool IsOfEarlierLeaf(const Moving& a, const Moving& b) {
    return a.leaf < b.leaf;
  }
  /// Of a list in the order of the leaves.
  [[nodiscard]] static std::span<const Moving> OfLeaf(const std::vector<Moving>& list,
                                                      LeafRef leaf);
  [[nodiscard]] bool MayBeEmptied(LeafRef leaf) const;

  /// Where the element of `rank` stands to a text; kUnknown: blocks are missing, which are named.
  [[nodiscard]] Order CompareAt(uint64_t rank, const Element& text, Missing* missing) const;

  bool several_ = false;
  std::vector<Moving> leaving_, entering_;  // By leaf, in PlanHeirs.
  // What Find found last; good until the next change. `planned_`: by the last call, a PlanSet.
  Bytes planned_;
  double planned_score_ = 0;  // Of the member, if it was found.
  Path path_;
  Found found_;
  // Of that PlanSet: where the member is among the scores, and where it belongs. Not of a lone
  // leaf.
  Place from_;
  Place to_;
  // What PlanPop found among the scores; its place in the index is the path above.
  Path end_path_;
  uint32_t end_position_ = 0;
};

template <typename Visit>
uint64_t ZSetValue::Scan(uint64_t cursor, uint64_t count, const Visit& visit) const {
  if (!has_root()) {
    ForRange(0, size(), [&](double score, const Element& member) {
      visit(score, member);
      return true;
    });
    return 0;
  }
  const Tree index = tree(1);
  if (index.empty() || (cursor >> kCursorBits) != 0) return 0;
  Path path;
  index.SeekHash(cursor << kCursorShift, &path);
  uint64_t visited = 0;
  uint64_t reached = 0;  // The cursor of the element visited last.
  uint32_t i = LowerHash(*env_, index.Look(path), cursor << kCursorShift, path.bounds);
  while (true) {
    const LeafView leaf = index.Use(path);
    for (; i < leaf.count(); ++i, ++visited) {
      const uint64_t here = CursorOf(EntryHash(*env_, leaf.At(i)));
      if (visited >= count && here != reached) return here;
      const HashEntry entry = ParseHashEntry(leaf.At(i));
      visit(DecodeScore(entry.value.bytes), entry.field);
      reached = here;
    }
    if (visited >= count && !GoesOnBehind(path, leaf)) return CursorBehind(path);
    if (!Tree::NextLeaf(&path)) return 0;
    i = 0;
  }
}

}  // namespace flash::values
