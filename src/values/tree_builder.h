// tree_builder.h: a whole tree from entries that come in order: full leaves, then full nodes.
//
// Each leaf is placed as it fills, each node made as its children are there; so besides the tree
// itself one leaf is in memory, however large the tree. Knows no value class. Decisions:
// docs/adr/0008, 0018. Thread: main.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "values/block_placer.h"
#include "values/tree.h"

namespace flash::values {

/// Compares as CompareElements does, waiting on this thread for blocks that are cold. Errors: of
/// reads.
[[nodiscard]] Result<Order> CompareNow(const Env& env, const Element& a, const Element& b,
                                       blocks::WaitCause cause);

class TreeBuilder {
 public:
  /// All outlive the builder.
  TreeBuilder(const Env& env, LeafKind kind, Family* family, BlockPlacer* placer);
  ~TreeBuilder();
  TreeBuilder(const TreeBuilder&) = delete;
  TreeBuilder& operator=(const TreeBuilder&) = delete;

  /// The next entry; its key must be above that of the one before. Its large elements are the
  /// tree's from then on. `entry` may lie in a pinned block. Errors: kNoSpace; of reads; then the
  /// entry was not taken.
  [[nodiscard]] Result<void> Append(const EntryView& entry);
  [[nodiscard]] Result<void> Append(const EntryDraft& draft);

  /// A leaf that exists, to a tree that is only to be freed: its place in the order is lost.
  void AddLeaf(LeafRef leaf) { AddChild(0, {leaf.word(), leaf.count(), {}}); }

  [[nodiscard]] uint64_t count() const { return count_; }
  /// The last entry appended; count() > 0. Valid until the next Append.
  [[nodiscard]] EntryView last() const { return {last_, last_flags_}; }

  /// The top of the tree, 0 without entries; the builder is empty again. Must be called before the
  /// builder ends, or FinishAnyhow must. Errors: kNoSpace for the last leaf, which is still held.
  [[nodiscard]] Result<uint64_t> Finish();
  /// The same for a tree that will be thrown away: neither waits nor fails.
  [[nodiscard]] uint64_t FinishAnyhow();

 private:
  struct Child {
    uint64_t word = 0;
    uint64_t count = 0;
    Separator before;
  };
  [[nodiscard]] Result<bool> MayCut(const EntryView& next, Separator* between);
  [[nodiscard]] Result<void> EmitLeaf(bool anyhow);
  void AddChild(size_t level, Child child);
  void MakeNode(size_t level, size_t children);
  [[nodiscard]] uint64_t Close();

  const Env& env_;
  uint64_t unused_top_ = 0;
  Tree tree_;  // For its order.
  Family* family_;
  BlockPlacer& placer_;
  uint64_t count_ = 0;
  uint32_t used_ = LeafUsed(0, 0);
  Separator before_;                        // What parts the leaf from the one before.
  std::vector<std::vector<Child>> levels_;  // Children that have no node yet.
  std::vector<std::byte> last_;
  uint16_t last_flags_ = 0;
  std::vector<std::byte> draft_;
  alignas(8) std::array<std::byte, kLeafBytesLimit + 1> leaf_;
};

}  // namespace flash::values
