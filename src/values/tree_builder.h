// tree_builder.h: a whole tree from entries that come in order: full leaves, then full nodes.
//
// Leaves are made hot, or go straight to flash as they fill, so that a collection larger than the
// cache can be loaded. Knows no value class. Decision: docs/adr/0008. Thread: main.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "values/tree.h"

namespace flash::values {

class TreeBuilder {
 public:
  /// `to_flash`: leaves go straight to flash; waits for buffers (WaitCause::kLoading), and keeps a
  /// leaf hot where flash is full. With a family only.
  TreeBuilder(const Env& env, LeafKind kind, Family* family, bool to_flash);
  TreeBuilder(const TreeBuilder&) = delete;
  TreeBuilder& operator=(const TreeBuilder&) = delete;

  /// The next entry; its key must be above that of the one before. Large elements of it are counted
  /// for the tree.
  void Append(const EntryDraft& draft);
  [[nodiscard]] uint64_t count() const { return count_; }
  /// Once: the top of the tree, 0 without entries.
  [[nodiscard]] uint64_t Finish();

 private:
  struct Child {
    uint64_t word;
    uint64_t count;
    Separator before;
  };
  void EmitLeaf();
  [[nodiscard]] BlockId StoreLeaf(Bytes leaf);

  const Env& env_;
  uint64_t unused_top_ = 0;
  Tree tree_;  // For its order.
  Family* family_;
  bool to_flash_;
  uint64_t count_ = 0;
  uint32_t used_ = LeafUsed(0, 0);
  std::vector<Child> leaves_;
  alignas(8) std::array<std::byte, kLeafBytesLimit + 1> leaf_;
};

}  // namespace flash::values
