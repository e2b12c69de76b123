// tree.h: a counted, copy-on-write B+tree over leaves; one leaf is a tree too.
//
// A handle on one word (0, a leaf, a node) that is kept elsewhere. Finds places by hash, by score
// key, by rank; changes one leaf at a time. Only nodes are read without being named: a leaf must be
// hot before its bytes are asked for. Decision: docs/adr/0008. Thread: main.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "values/element.h"
#include "values/family.h"
#include "values/leaf_search.h"
#include "values/node.h"

namespace flash::values {

/// A leaf's place in the tree. Valid until the tree's nodes change: after Insert, Erase and
/// DropLeaf it must be sought again.
struct Path {
  static constexpr uint32_t kHeightMax = 12;
  uint32_t height = 0;                  ///< Levels of nodes above the leaf.
  std::array<Node*, kHeightMax> node;   ///< By level, 0 lowest.
  std::array<uint32_t, kHeightMax> at;  ///< The child taken, by level.
  LeafRef leaf;
  HashBounds bounds;  ///< After SeekHash: of the leaf's hashes.
};

class Tree {
 public:
  /// `top` is the caller's and outlives the handle. `family` owns new blocks; null for a lone leaf.
  /// `owns_large`: leaves hold shares of the large elements they refer to.
  Tree(const Env& env, LeafKind kind, uint64_t* top, Family* family, bool owns_large)
      : env_(&env), top_(top), family_(family), kind_(kind), owns_large_(owns_large) {}

  [[nodiscard]] bool empty() const { return *top_ == 0; }
  [[nodiscard]] bool is_leaf() const { return IsLeafWord(*top_); }
  [[nodiscard]] LeafKind kind() const { return kind_; }
  /// Elements. Asks the topmost node.
  [[nodiscard]] uint64_t count() const;

  // --- Finding; the tree must not be empty
  // --------------------------------------------------------
  void SeekHash(uint64_t hash, Path* path) const;
  void SeekKey(const ScoreKey& key, Path* path) const;
  /// The leaf with the element at `*rank`, which becomes its position there. One behind the last
  /// element leads behind the last leaf's end.
  void SeekRank(uint64_t* rank, Path* path) const;
  void SeekFirst(Path* path) const;
  void SeekLast(Path* path) const;
  [[nodiscard]] static bool NextLeaf(Path* path);
  [[nodiscard]] static bool PrevLeaf(Path* path);
  /// Elements before the leaf.
  [[nodiscard]] static uint64_t RankBefore(const Path& path);

  // --- Reading; the leaf must be hot
  // --------------------------------------------------------------
  /// For planning.
  [[nodiscard]] LeafView Look(const Path& path) const {
    return LeafView(env_->store.Read(path.leaf.id()));
  }
  /// For a command's use of it, of which the eviction policy hears.
  [[nodiscard]] LeafView Use(const Path& path) const {
    return LeafView(env_->store.Touch(path.leaf.id()));
  }

  // --- Planning
  // -----------------------------------------------------------------------------------
  /// Names the leaf; true if it is hot.
  bool Plan(const Path& path, Missing* missing) const {
    return missing->Need(env_->store, path.leaf.id());
  }
  /// What Insert at this hot leaf needs beyond it: blocks of large keys that a split must tell
  /// apart.
  void PlanInsert(const Path& path, uint32_t entry_bytes, Missing* missing) const;
  /// What Erase of `entry_bytes` of this hot leaf needs beyond it: blocks of nothing else, but it
  /// is better with the neighbour.
  void PlanErase(const Path& path, uint32_t entry_bytes, Missing* missing) const;
  /// Names every leaf with elements of ranks [begin, end).
  void PlanRange(uint64_t begin, uint64_t end, Missing* missing) const;

  // --- Changing; the leaf must be hot
  // -------------------------------------------------------------
  /// The first entry of an empty tree.
  void InsertFirst(const EntryDraft& draft);
  /// Before entry `i` (up to count). The draft must not refer to bytes of blocks.
  void Insert(Path* path, uint32_t i, const EntryDraft& draft);
  /// The entry's element, if large, is not released: that is the caller's.
  void Replace(Path* path, uint32_t i, const EntryDraft& draft);
  /// Would a change in place make nothing new? The leaf and all above it have one holder.
  [[nodiscard]] bool IsOwn(const Path& path) const {
    for (uint32_t level = 0; level < path.height; ++level) {
      if (path.node[level]->refs > 1) return false;
    }
    return !env_->store.IsShared(path.leaf.id());
  }
  /// The bytes of entry `i`, to be changed in place.
  [[nodiscard]] MutableBytes WriteEntry(Path* path, uint32_t i);
  /// The entries [begin, end) of the leaf, with their large elements. True: the leaf is still
  /// there, no other has changed, and paths to others are as good as before.
  bool Erase(Path* path, uint32_t begin, uint32_t end);
  /// The whole leaf, which may be cold unless it holds large elements.
  void DropLeaf(Path* path);
  /// Elements of ranks [begin, end): whole leaves unread, the first and last one hot. Of a tree
  /// that another holds whole, too, whole nodes go at once.
  void EraseRange(uint64_t begin, uint64_t end);
  /// Names what EraseRange needs: leaves of which a part stays, and those with large elements,
  /// which end with them unless the tree is `held` by another as well.
  void PlanEraseRange(uint64_t begin, uint64_t end, Missing* missing, bool held = false) const;

  // --- Whole trees
  // --------------------------------------------------------------------------------
  /// One more holder of the tree: what another top word with the same value stands for. O(1).
  void Share() const;
  /// Takes up to `*budget` blocks or nodes off the tree and frees them. True: it is empty now.
  /// False with `missing` empty: call again; else those blocks are needed first. With `leave_cold`
  /// what could not be read is given up: its large elements are lost until the tier is opened anew.
  [[nodiscard]] bool FreeSome(uint32_t* budget, Missing* missing, bool leave_cold = false);
  /// A lone leaf gets (or loses, with null) an owner.
  void ChangeFamily(Family* family);
  /// RAM of the nodes.
  [[nodiscard]] uint64_t NodeRam() const;
  /// Calls `visit(LeafRef)` for every leaf in order.
  template <typename Visit>
  void ForEachLeaf(const Visit& visit) const {
    if (empty()) return;
    Path path;
    SeekFirst(&path);
    do visit(path.leaf);
    while (NextLeaf(&path));
  }
  /// Calls `visit(EntryView)` for the elements of ranks [begin, end) until it returns false; their
  /// leaves must be hot.
  template <typename Visit>
  void ForRange(uint64_t begin, uint64_t end, const Visit& visit) const;
  /// The same from the last to the first.
  template <typename Visit>
  void ForRangeReverse(uint64_t begin, uint64_t end, const Visit& visit) const;

 private:
  friend class TreeBuilder;
  static void Descend(Node* node, uint32_t at, Path* path);
  /// From the top to a leaf; `pick(Node*)` gives the child to go to.
  template <typename Pick>
  void SeekBy(Path* path, const Pick& pick) const;
  void SeekEdge(bool last, Path* path) const;
  [[nodiscard]] Separators separators() const;

  // tree_edit.cc
  [[nodiscard]] uint32_t Capacity(uint32_t used) const {
    return LeafCapacity(used, family_ != nullptr);
  }
  void Link(const Path& path, uint32_t level, Node* node);
  void SetLeaf(Path* path, LeafRef leaf);
  void AddCount(Path* path, uint64_t delta);
  /// Of the nodes from `level` on.
  void Own(Path* path, uint32_t level = 0) {
    if (family_ != nullptr) family_->OnChange();
    for (uint32_t at = level; at < path->height; ++at) {
      if (path->node[at]->refs != 1) [[unlikely]]
        return CopyShared(path, level);
    }
  }
  /// Copies the nodes from `level` on that another tree holds too.
  void CopyShared(Path* path, uint32_t level);
  /// The leaf's block, at least as large as its content is, and as it will be.
  [[nodiscard]] MutableBytes Writable(Path* path, uint32_t used_after);
  [[nodiscard]] MutableBytes CopyLeaf(Path* path, uint32_t capacity);
  [[nodiscard]] MutableBytes ResizeLeaf(BlockId id, MutableBytes block, uint32_t capacity);
  [[nodiscard]] LeafRef NewLeaf(const LeafView& from, uint32_t begin, uint32_t end,
                                uint32_t capacity_min = 0);
  [[nodiscard]] std::optional<Separator> Between(const EntryView& left, const EntryView& right,
                                                 Missing* missing) const;
  [[nodiscard]] uint32_t ChooseCut(const LeafView& leaf, Separator* between) const;
  [[nodiscard]] bool Split(Path* path, uint32_t i, const EntryDraft& draft);
  [[nodiscard]] bool GrowAtEdge(Path* path, uint32_t i, const LeafView& all);
  void AddChild(Path* path, uint32_t level, uint32_t at, uint32_t separator_at, uint64_t word,
                uint64_t count, const Separator& separator);
  void SplitAbove(Path* path, uint32_t level, uint32_t inserted_at);

  // tree_erase.cc
  [[nodiscard]] std::optional<uint32_t> Neighbour(const Path& path) const;
  [[nodiscard]] uint64_t DropShared(Path* path, uint64_t most);
  void TryJoinLeaf(Path* path);
  void TryJoinNode(Path* path, uint32_t level);
  void RemoveChildOf(Path* path, uint32_t level);
  [[nodiscard]] bool FreeLeaf(LeafRef leaf, Missing* missing, bool leave_cold);
  [[nodiscard]] bool FreeChildren(Node* node, uint32_t* budget, Missing* missing, bool leave_cold);
  void NameLargeLeaves(const Node* node, Missing* missing) const;

  const Env* env_;
  uint64_t* top_;
  Family* family_;
  LeafKind kind_;
  bool owns_large_;
};

inline void Tree::Descend(Node* node, uint32_t at, Path* path) {
  path->node[node->level] = node;
  path->at[node->level] = at;
  if (node->level == 0) path->leaf = node->leaf(at);
}

template <typename Pick>
void Tree::SeekBy(Path* path, const Pick& pick) const {
  path->height = 0;
  if (is_leaf()) {
    path->leaf = LeafRef::FromWord(*top_);
    return;
  }
  Node* node = NodeOf(*top_);
  path->height = node->level + 1U;
  while (true) {
    const uint32_t at = pick(node);
    Descend(node, at, path);
    if (node->level == 0) return;
    node = node->child(at);
  }
}

inline void Tree::SeekHash(uint64_t hash, Path* path) const {
  path->bounds = {};
  SeekBy(path, [&](Node* node) {
    const uint32_t at = PickByHash(node, hash);
    if (at > 0) path->bounds.low = node->encoded()[at];
    if (at + 1U < node->count) path->bounds.high = node->encoded()[at + 1];
    return at;
  });
}

template <typename Visit>
void Tree::ForRange(uint64_t begin, uint64_t end, const Visit& visit) const {
  if (begin >= end || empty()) return;
  Path path;
  uint64_t position = begin;
  SeekRank(&position, &path);
  uint64_t left = end - begin;
  do {
    const LeafView leaf = Use(path);
    const uint32_t count = leaf.count();
    for (; position < count && left > 0; ++position, --left) {
      if (!visit(leaf.At(static_cast<uint32_t>(position)))) return;
    }
    position = 0;
  } while (left > 0 && NextLeaf(&path));
}

template <typename Visit>
void Tree::ForRangeReverse(uint64_t begin, uint64_t end, const Visit& visit) const {
  if (begin >= end || empty()) return;
  Path path;
  uint64_t position = end - 1;
  SeekRank(&position, &path);
  uint64_t left = end - begin;
  while (left > 0) {
    const LeafView leaf = Use(path);
    for (++position; position > 0 && left > 0; --left) {
      if (!visit(leaf.At(static_cast<uint32_t>(--position)))) return;
    }
    if (left == 0 || !PrevLeaf(&path)) return;
    position = path.leaf.count() - 1U;
  }
}

}  // namespace flash::values
