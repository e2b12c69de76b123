// sorted_builder.h: a tree by hash, or by score, from entries that come in any order, in bounded
// memory.
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
  /// All outlive the builder. `kind`: kHash, or kScores.
  SortedBuilder(const Env& env, Family* family, BlockPlacer* placer,
                LeafKind kind = LeafKind::kHash);
  ~SortedBuilder();
  SortedBuilder(const SortedBuilder&) = delete;
  SortedBuilder& operator=(const SortedBuilder&) = delete;

  /// One entry, whose large elements are the tree's from then on; `order` is its hash, or OrderOf
  /// its score. Errors: kNoSpace; of reads; kInvalid: its field came before. The entry may be
  /// noticed later than its own Add.
  [[nodiscard]] Result<void> Add(uint64_t order, const EntryDraft& draft);
  /// Rises with the score.
  [[nodiscard]] static uint64_t OrderOf(double score);

  /// The top of the tree of all entries, 0 without. Errors: as Add.
  [[nodiscard]] Result<uint64_t> Finish();
  /// A part of Finish, for whoever does not wait on this thread: merges up to about `entries`.
  /// True: that was the last part, and Finish has nothing left to do. False with something missing:
  /// this is needed first. Errors: as Add.
  [[nodiscard]] Result<bool> FinishSome(uint64_t entries, Missing* missing);

  /// After an error: the tops of trees that hold what there is, to be freed.
  [[nodiscard]] std::vector<uint64_t> Abandon();

  /// Nothing has left RAM yet; all entries added so far, in the order of their addition.
  [[nodiscard]] bool all_held() const { return !spilled_; }
  [[nodiscard]] size_t held_count() const { return held_.size(); }
  [[nodiscard]] EntryView Held(size_t i) const { return HeldAt(held_[i]); }
  /// They have become something else.
  void ForgetHeld() { DropHeld(true); }

 private:
  struct HeldEntry {
    uint64_t order;
    uint64_t at;  // In the arena.
    uint32_t bytes;
    uint16_t flags;
  };
  class Cursor;
  /// Runs that are being merged.
  struct Merge {
    std::vector<std::unique_ptr<Cursor>> cursors;
    std::vector<Cursor*> heap;  // Of those that are not at their end; the least entry first.
    bool begun = false;
    bool last_is_loose = false;  // The heap's last has its place to find still.
  };

  [[nodiscard]] EntryView HeldAt(const HeldEntry& entry) const {
    return {Bytes(arena_).subspan(entry.at, entry.bytes), entry.flags};
  }
  [[nodiscard]] Result<void> Flush();
  [[nodiscard]] Result<void> SortHeld();
  [[nodiscard]] Result<void> AppendInOrder(const EntryView& entry, uint64_t order);
  /// How (order, key) compares with the entry appended last.
  [[nodiscard]] Result<Order> CompareWithLast(const EntryView& entry, uint64_t order);
  [[nodiscard]] Result<Order> Compare(const EntryView& a, const EntryView& b);
  [[nodiscard]] uint64_t OrderOf(const EntryView& entry) const;
  [[nodiscard]] Result<void> EndRun();
  void BeginMerge();
  /// True: all is merged.
  [[nodiscard]] Result<bool> MergeSome(uint64_t* entries, Missing* missing);
  [[nodiscard]] bool AllReady(Missing* missing);
  void EndMerge();
  void Hold(uint64_t order, const EntryDraft& draft);
  void DropHeld(bool for_good);

  const Env& env_;
  Family* family_;
  BlockPlacer& placer_;
  const LeafKind kind_;
  const uint64_t memory_bytes_max_;
  std::vector<std::byte, base::CountedAllocator<std::byte>> arena_;
  std::vector<HeldEntry, base::CountedAllocator<HeldEntry>> held_;
  size_t taken_ = 0;  // Of held_, by run_.
  TreeBuilder run_;
  uint64_t last_order_ = 0;     // Of run_'s last entry.
  std::vector<uint64_t> runs_;  // Tops.
  std::unique_ptr<Merge> merge_;
  bool in_order_ = true;  // All entries so far came in ascending order.
  bool spilled_ = false;
  bool finishing_ = false;
};

}  // namespace flash::values
