// tree.cc: finding and naming; see tree.h. Changes are in tree_edit.cc and tree_erase.cc.
//
// Thread: main.
#include "values/tree.h"

#include <algorithm>

namespace flash::values {

Separators Tree::separators() const {
  return kind_ == LeafKind::kList   ? Separators::kNone
         : kind_ == LeafKind::kHash ? Separators::kHash
                                    : Separators::kBytes;
}

uint64_t Tree::count() const {
  if (empty()) return 0;
  return is_leaf() ? LeafRef::FromWord(*top_).count() : NodeOf(*top_)->Total();
}

void Tree::SeekKey(const ScoreKey& key, Path* path) const {
  SeekBy(path, [&](Node* node) { return PickByBytes(node, key); });
}

void Tree::SeekRank(uint64_t* rank, Path* path) const {
  SeekBy(path, [&](Node* node) { return PickByRank(node, rank); });
}

void Tree::SeekEdge(bool last, Path* path) const {
  SeekBy(path, [last](Node* node) { return last ? node->count - 1U : 0U; });
}

void Tree::SeekFirst(Path* path) const { SeekEdge(false, path); }
void Tree::SeekLast(Path* path) const { SeekEdge(true, path); }

bool Tree::NextLeaf(Path* path) {
  uint32_t level = 0;
  while (level < path->height && path->at[level] + 1U >= path->node[level]->count) ++level;
  if (level == path->height) return false;
  Node* node = path->node[level];
  Descend(node, path->at[level] + 1, path);
  while (node->level > 0) {
    node = node->child(path->at[node->level]);
    Descend(node, 0, path);
  }
  return true;
}

bool Tree::PrevLeaf(Path* path) {
  uint32_t level = 0;
  while (level < path->height && path->at[level] == 0) ++level;
  if (level == path->height) return false;
  Node* node = path->node[level];
  Descend(node, path->at[level] - 1, path);
  while (node->level > 0) {
    node = node->child(path->at[node->level]);
    Descend(node, node->count - 1U, path);
  }
  return true;
}

uint64_t Tree::RankBefore(const Path& path) {
  uint64_t rank = 0;
  for (uint32_t level = 0; level < path.height; ++level) {
    rank += CountBefore(path.node[level], path.at[level]);
  }
  return rank;
}

void Tree::PlanRange(uint64_t begin, uint64_t end, Missing* missing) const {
  if (begin >= end || empty()) return;
  Path path;
  uint64_t position = begin;
  SeekRank(&position, &path);
  uint64_t left = end - begin + position;
  while (true) {
    Plan(path, missing);
    const uint64_t here = path.leaf.count();
    if (left <= here || !NextLeaf(&path)) return;
    left -= here;
  }
}

void Tree::PlanInsert(const Path& path, uint32_t entry_bytes, Missing* missing) const {
  if (kind_ != LeafKind::kScores || !path.leaf.large()) return;
  const LeafView leaf = Look(path);
  if (leaf.used() + entry_bytes + kSlotBytes <= env_->leaf_bytes_max) return;
  // A cut could fall between any two; those that differ behind their prefixes need their blocks.
  for (uint32_t i = 1; i < leaf.count(); ++i) {
    const EntryView left = leaf.At(i - 1);
    const EntryView right = leaf.At(i);
    if (Between(left, right, missing)) continue;
    PlanElement(*env_, ParseMember(left), missing);
    PlanElement(*env_, ParseMember(right), missing);
  }
}

void Tree::PlanErase(const Path& path, uint32_t entry_bytes, Missing* missing) const {
  const LeafView leaf = Look(path);
  const uint32_t left = leaf.used() - entry_bytes - kSlotBytes;
  if (leaf.count() == 1 || left >= env_->leaf_bytes_max / 4) return;
  const auto neighbour = Neighbour(path);
  if (neighbour) missing->Need(env_->store, path.node[0]->leaf(*neighbour).id());
}

void Tree::PlanEraseRange(uint64_t begin, uint64_t end, Missing* missing, bool held) const {
  if (begin >= end || empty()) return;
  Path path;
  uint64_t position = begin;
  SeekRank(&position, &path);
  if (held) {
    if (position > 0 || end - begin < path.leaf.count()) Plan(path, missing);
    if (end == count()) return;
    position = end;
    SeekRank(&position, &path);
    if (position > 0) Plan(path, missing);
    return;
  }
  uint64_t left = end - begin;
  do {
    const uint64_t here = path.leaf.count();
    const uint64_t gone = std::min(left, here - position);
    if (gone < here || (path.leaf.large() && owns_large_)) {
      Plan(path, missing);
    }
    left -= gone;
    position = 0;
  } while (left > 0 && NextLeaf(&path));
}

}  // namespace flash::values
