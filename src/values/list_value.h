// list_value.h: a list: elements by position, O(1) leaves at the ends, O(log n) elsewhere.
//
// A handle on the word of a key (collection.h). Plan, fetch, apply: a Plan… names the blocks that
// the operation of the same name needs; once `missing` stays empty the operation may run. Bytes
// passed in must not lie in blocks; elements handed out are views until the next change. Indexes
// count from 0 and are in range. Decision: docs/adr/0008. Thread: main.
#pragma once

#include <optional>
#include <span>

#include "values/collection.h"

namespace flash::values {

class ListValue : public Collection {
 public:
  enum class End : uint8_t { kFront, kBack };

  ListValue(const Env& env, uint64_t* word) : Collection(env, CollectionKind::kList, word) {}

  /// The element; nullopt if its leaf is cold, which is then named. For the content of a large one
  /// see PlanElement.
  [[nodiscard]] std::optional<Element> At(uint64_t index, Missing* missing = nullptr) const;

  void PlanPush(End end, Missing* missing) const {
    PlanInsert(end == End::kFront ? 0 : size(), missing);
  }
  void Push(End end, Bytes element) { Insert(end == End::kFront ? 0 : size(), element); }

  /// A command's use of the element at an end, which Pop may take off at once, before anything else
  /// changes. nullopt if its leaf is cold, which is then named. The list is not empty.
  [[nodiscard]] std::optional<Element> Peek(End end, Missing* missing);
  void Pop();

  /// Before the element at `index`, or behind the last.
  void PlanInsert(uint64_t index, Missing* missing) const;
  void Insert(uint64_t index, Bytes element);

  void PlanSet(uint64_t index, Missing* missing) const { PlanRange(index, index + 1, missing); }
  void Set(uint64_t index, Bytes element);
  /// After a PlanSet that missed nothing: does Set to `element` take no RAM?
  [[nodiscard]] bool FitsInPlace(uint64_t index, Bytes element) const;

  /// The elements [begin, end): a pop, or one side of LTRIM. Whole leaves go unread.
  void PlanErase(uint64_t begin, uint64_t end, Missing* missing) const;
  void Erase(uint64_t begin, uint64_t end);
  /// The same of a list of which there is a clone as well: nothing ends yet, whatever its size, and
  /// no leaf is needed that goes as a whole.
  void PlanCut(uint64_t begin, uint64_t end, Missing* missing) const;

  /// Position of the first element equal to `element`; nullopt if there is none or `missing` says
  /// what to fetch before more is known.
  [[nodiscard]] std::optional<uint64_t> Find(Bytes element, Missing* missing) const;

  /// Positions of up to `limit` elements equal to `element` (0: all), from the end `from` on.
  /// With something missing the answer means nothing; with a limit not all that may be needed is
  /// named at once, since what comes first may be enough.
  [[nodiscard]] std::vector<uint64_t> FindAll(Bytes element, End from, uint64_t limit,
                                              Missing* missing) const;
  /// What EraseEach of these needs beyond FindAll. Nothing but neighbours.
  void PlanEraseEach(std::span<const uint64_t> positions, Missing* missing) const;
  /// Erases the elements at `positions` (as FindAll gives them).
  void EraseEach(std::span<const uint64_t> positions);

  /// Calls `visit(const Element&)` for the elements [begin, end) until it returns false. PlanRange
  /// names the leaves.
  template <typename Visit>
  void ForRange(uint64_t begin, uint64_t end, const Visit& visit) const {
    tree(0).ForRange(begin, end,
                     [&](const EntryView& entry) { return visit(ParseListEntry(entry)); });
  }

  /// A new value from elements in order; the word must be 0. `to_flash`: see DirectPlacer.
  void Build(std::span<const Bytes> elements, bool to_flash);

 private:
  /// The leaf of the element at `*index`, or of the last one for an index behind it; `*index`
  /// becomes the position there.
  void Seek(uint64_t* index, Path* path) const;

  // Of the last Peek.
  Path path_;
  uint32_t position_ = 0;
};

}  // namespace flash::values
