// sorted_builder.h: a tree by hash from entries that come in any order, in bounded memory.
//
// Entries gather in RAM; what they exceed is sorted and becomes a run: a tree of its own, whose
// leaves go where the placer says. Runs are merged at the end, leaf by leaf, each leaf freed as it
// is used up. Entries that come in order, as they do where the hashes were keyed alike when they
// were saved, make one run, and that is the tree. Decision: docs/adr/0018. Thread: main.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/memory.h"
#include "values/tree_builder.h"

namespace flash::values {

class SortedBuilder {
 public:
  /// All outlive the builder.
  SortedBuilder(const Env& env, Family* family, BlockPlacer* placer);
  ~SortedBuilder();
  SortedBuilder(const SortedBuilder&) = delete;
  SortedBuilder& operator=(const SortedBuilder&) = delete;

  /// One entry of a hash leaf, whose large elements are the tree's from then on. Errors: kNoSpace;
  /// of reads; kInvalid: its field came before. The entry may be noticed later than its own Add.
  [[nodiscard]] Result<void> Add(uint64_t hash, const EntryDraft& draft);

  /// The top of the tree of all entries, 0 without. Errors: as Add.
  [[nodiscard]] Result<uint64_t> Finish();

  /// After an error: the tops of trees that hold what there is, to be freed.
  [[nodiscard]] std::vector<uint64_t> Abandon();

  /// Nothing has left RAM yet; all entries added so far, in the order of their addition.
  [[nodiscard]] bool all_held() const { return !spilled_; }
  [[nodiscard]] size_t held_count() const { return held_.size(); }
  [[nodiscard]] EntryView Held(size_t i) const {
    return {Bytes(arena_).subspan(held_[i].at, held_[i].bytes), held_[i].flags};
  }
  /// They have become something else.
  void ForgetHeld() { DropHeld(true); }

 private:
  struct HeldEntry {
    uint64_t hash;
    uint64_t at;  // In the arena.
    uint32_t bytes;
    uint16_t flags;
  };
  class Cursor;

  [[nodiscard]] Result<void> Flush();
  [[nodiscard]] Result<void> SortHeld();
  [[nodiscard]] Result<void> AppendInOrder(const EntryView& entry, uint64_t hash);
  /// How (hash, field) compares with the entry appended last.
  [[nodiscard]] Result<Order> CompareWithLast(const EntryView& entry, uint64_t hash);
  [[nodiscard]] Result<Order> Compare(const EntryView& a, const EntryView& b);
  [[nodiscard]] Result<void> EndRun();
  [[nodiscard]] Result<void> Merge(size_t runs);
  [[nodiscard]] Result<void> MergeAll(const std::vector<std::unique_ptr<Cursor>>& cursors);
  void Hold(uint64_t hash, const EntryDraft& draft);
  void DropHeld(bool for_good);

  const Env& env_;
  Family* family_;
  BlockPlacer& placer_;
  const uint64_t memory_bytes_max_;
  std::vector<std::byte, base::CountedAllocator<std::byte>> arena_;
  std::vector<HeldEntry, base::CountedAllocator<HeldEntry>> held_;
  size_t taken_ = 0;  // Of held_, by run_.
  TreeBuilder run_;
  uint64_t last_hash_ = 0;      // Of run_'s last entry.
  std::vector<uint64_t> runs_;  // Tops.
  bool in_order_ = true;        // All entries so far came in ascending order.
  bool spilled_ = false;
};

}  // namespace flash::values
