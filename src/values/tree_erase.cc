// tree_erase.cc: erasing, joining neighbours, sharing and freeing whole trees; see tree.h.
//
// Thread: main.
#include <algorithm>
#include <vector>

#include "values/tree.h"

namespace flash::values {
namespace {

/// A leaf below a quarter of the most is joined with its neighbour if an eighth stays free.
constexpr uint32_t kJoinBelow = 4;
constexpr uint32_t kSpare = 8;
/// Leaves that a freeing tree names at once.
constexpr size_t kNamedMax = 16;

/// A block this much larger than its leaf needs gives the rest back; what a leaf of so many bytes
/// in use needs is its capacity, which is not below them.
bool IsWasteful(size_t size, uint32_t needed) {
  return needed + std::max<size_t>(64, size / 4) <= size;
}

}  // namespace

// --- Erasing
// --------------------------------------------------------------------------------------

bool Tree::Erase(Path* path, uint32_t begin, uint32_t end) {
  if (begin == end) return true;
  if (end - begin == path->leaf.count()) {
    DropLeaf(path);
    return false;
  }
  const BlockId id = path->leaf.id();
  // A copied path ends in a copied lowest node.
  const Node* const lowest = path->height == 0 ? nullptr : path->node[0];
  const MutableBytes block = Writable(path, 0);
  std::vector<uint64_t> large;
  if (path->leaf.large() && owns_large_) {
    for (uint32_t i = begin; i < end; ++i) AppendLargeWords(kind_, LeafView(block).At(i), &large);
  }
  LeafErase(block, begin, end);
  const LeafRef before = path->leaf;
  const uint32_t left = before.count() - (end - begin);
  const bool has_large = before.large() && LeafView(block).HasLarge(0, left);
  SetLeaf(path, LeafRef(before.id(), left, has_large));
  AddCount(path, uint64_t{0} - (end - begin));
  const uint32_t used = LeafView(block).used();
  if (IsWasteful(block.size(), used)) [[unlikely]] {
    const uint32_t capacity = Capacity(used);
    if (IsWasteful(block.size(), capacity)) (void)ResizeLeaf(before.id(), block, capacity);
  }
  for (const uint64_t word : large) ReleaseLarge(env_->store, word, family_);
  if (used < env_->leaf_bytes_max / kJoinBelow) {
    TryJoinLeaf(path);
    return false;
  }
  return path->leaf.id() == id && (lowest == nullptr || path->node[0] == lowest);
}

void Tree::DropLeaf(Path* path) {
  Own(path);
  AddCount(path, uint64_t{0} - path->leaf.count());
  const bool freed = FreeLeaf(path->leaf, nullptr, false);
  FLASH_CHECK(freed);
  if (path->height == 0) {
    *top_ = 0;
  } else {
    RemoveChildOf(path, 0);
  }
}

void Tree::EraseRange(uint64_t begin, uint64_t end) {
  while (begin < end) {
    Path path;
    uint64_t position = begin;
    SeekRank(&position, &path);
    if (position == 0) {
      if (const uint64_t gone = DropShared(&path, end - begin); gone > 0) {
        end -= gone;
        continue;
      }
    }
    const uint64_t here = path.leaf.count() - position;
    const uint64_t gone = std::min(here, end - begin);
    if (gone == path.leaf.count()) {
      DropLeaf(&path);
    } else {
      Erase(&path, static_cast<uint32_t>(position), static_cast<uint32_t>(position + gone));
    }
    end -= gone;
  }
}

/// Drops the largest node that begins with the path's leaf, has up to `most` elements and is held
/// by another tree as well; returns how many it had.
uint64_t Tree::DropShared(Path* path, uint64_t most) {
  uint32_t levels = 0;
  while (levels < path->height && path->at[levels] == 0 && path->node[levels]->Total() <= most) {
    ++levels;
  }
  if (levels == 0) return 0;
  bool shared = false;
  for (uint32_t level = levels - 1; level < path->height; ++level) {
    shared = shared || path->node[level]->refs > 1;
  }
  if (!shared) return 0;
  Own(path, levels);
  Node* const node = path->node[levels - 1];
  const uint64_t count = node->Total();
  for (uint32_t level = levels; level < path->height; ++level) {
    path->node[level]->counts()[path->at[level]] -= count;
  }
  FLASH_DCHECK(node->refs > 1);
  --node->refs;
  if (levels == path->height) {
    *top_ = 0;
  } else {
    RemoveChildOf(path, levels);
  }
  return count;
}

std::optional<uint32_t> Tree::Neighbour(const Path& path) const {
  if (path.height == 0) return std::nullopt;
  const uint32_t at = path.at[0];
  if (at + 1U < path.node[0]->count) return at + 1;
  if (at > 0) return at - 1;
  return std::nullopt;
}

void Tree::TryJoinLeaf(Path* path) {
  const auto neighbour = Neighbour(*path);
  if (!neighbour) return;
  Node* node = path->node[0];
  const uint32_t left_at = std::min(*neighbour, path->at[0]);
  const LeafRef left = node->leaf(left_at);
  const LeafRef right = node->leaf(left_at + 1);
  const LeafStore& store = env_->store;
  if (!store.IsHot(left.id()) || !store.IsHot(right.id())) return;
  if (store.IsShared(left.id()) || store.IsShared(right.id())) return;
  if (left.count() + right.count() > LeafRef::kCountMax) return;
  // Large members whose scores are equal are compared by their blocks: those of one leaf were
  // planned, those of its neighbour were not.
  if (kind_ == LeafKind::kScores && (left.large() || right.large())) return;
  const LeafView from(store.Read(right.id()));
  const uint32_t used = LeafView(store.Read(left.id())).used() + from.used() - kLeafHeaderBytes;
  if (used > env_->leaf_bytes_max - env_->leaf_bytes_max / kSpare) return;
  const MutableBytes block = store.Write(left.id());
  const MutableBytes joined =
      used <= block.size() ? block : ResizeLeaf(left.id(), block, Capacity(used));
  // Bytes of another block stay where they are while this one is resized.
  LeafAppendRange(joined, LeafView(store.Read(right.id())), 0, right.count());
  FreeOwned(store, right.id(), family_);  // Its large elements moved.
  node->words()[left_at] =
      LeafRef(left.id(), left.count() + right.count(), left.large() || right.large()).word();
  path->at[0] = left_at + 1;
  RemoveChildOf(path, 0);
}

void Tree::RemoveChildOf(Path* path, uint32_t level) {
  Node* node = path->node[level];
  RemoveChild(node, path->at[level]);
  const bool top = level + 1 == path->height;
  if (node->count == 0) {
    DeleteNode(node);
    if (top) {
      *top_ = 0;
    } else {
      RemoveChildOf(path, level + 1);
    }
    return;
  }
  if (!top) {
    if (node->count < env_->node_children_max / kJoinBelow) TryJoinNode(path, level);
    return;
  }
  while (node->count == 1) {
    *top_ = node->words()[0];
    const bool lowest = node->level == 0;
    DeleteNode(node);
    if (lowest) return;
    node = NodeOf(*top_);
    if (node->refs > 1) return;  // Shared by another tree, where it may be needed.
  }
}

void Tree::TryJoinNode(Path* path, uint32_t level) {
  Node* parent = path->node[level + 1];
  const uint32_t at = path->at[level + 1];
  if (parent->count < 2) return;
  const uint32_t left_at = at + 1U < parent->count ? at : at - 1;
  Node* left = parent->child(left_at);
  Node* right = parent->child(left_at + 1);
  if (left->refs > 1 || right->refs > 1) return;
  const uint32_t joined = uint32_t{left->count} + right->count;
  const uint32_t most = env_->node_children_max;
  if (joined > most - most / kSpare) return;
  if (joined > left->capacity) {
    left = GrowNode(left, static_cast<uint32_t>(base::AlignUp(joined, 8)));
    parent->words()[left_at] = WordOf(left);
  }
  JoinNodes(left, right, SeparatorAt(parent, left_at + 1));
  parent->counts()[left_at] = left->Total();
  path->at[level + 1] = left_at + 1;
  RemoveChildOf(path, level + 1);
}

// --- Freeing
// --------------------------------------------------------------------------------------

bool Tree::FreeLeaf(LeafRef leaf, Missing* missing, bool leave_cold) {
  const LeafStore& store = env_->store;
  if (leaf.large() && owns_large_ && !store.IsShared(leaf.id())) {
    if (store.IsHot(leaf.id())) {
      const LeafView view(store.Read(leaf.id()));
      std::vector<uint64_t> large;
      for (uint32_t i = 0; i < view.count(); ++i) AppendLargeWords(kind_, view.At(i), &large);
      for (const uint64_t word : large) ReleaseLarge(store, word, family_);
    } else if (!leave_cold) {
      if (missing != nullptr) missing->AddCold(leaf.id());
      return false;
    } else if (family_ != nullptr) {
      family_->Abandon();
    }
  }
  FreeOwned(store, leaf.id(), family_);
  return true;
}

bool Tree::FreeSome(uint32_t* budget, Missing* missing, bool leave_cold) {
  if (empty()) return true;
  if (is_leaf()) {
    if (!FreeLeaf(LeafRef::FromWord(*top_), missing, leave_cold)) return false;
    *top_ = 0;
    return true;
  }
  Node* node = NodeOf(*top_);
  if (node->refs > 1) {
    --node->refs;
  } else if (!FreeChildren(node, budget, missing, leave_cold)) {
    return false;
  } else {
    DeleteNode(node);
  }
  *top_ = 0;
  return true;
}

bool Tree::FreeChildren(Node* node, uint32_t* budget, Missing* missing, bool leave_cold) {
  while (node->count > 0) {
    if (*budget == 0) return false;
    const uint32_t last = node->count - 1U;
    if (node->level == 0) {
      if (!FreeLeaf(node->leaf(last), missing, leave_cold)) {
        NameLargeLeaves(node, missing);
        return false;
      }
    } else {
      Node* child = node->child(last);
      if (child->refs > 1) {
        --child->refs;
      } else {
        const bool emptied = FreeChildren(child, budget, missing, leave_cold);
        node->counts()[last] = child->Total();
        if (!emptied) return false;
        DeleteNode(child);
      }
    }
    RemoveChild(node, last);
    if (*budget > 0) --*budget;
  }
  return true;
}

void Tree::NameLargeLeaves(const Node* node, Missing* missing) const {
  for (uint32_t i = node->count; i-- > 0 && missing->cold().size() < kNamedMax;) {
    const LeafRef leaf = node->leaf(i);
    if (leaf.large() && !env_->store.IsShared(leaf.id()) && !env_->store.IsHot(leaf.id())) {
      missing->AddCold(leaf.id());
    }
  }
}

// --- Whole trees
// ----------------------------------------------------------------------------------

void Tree::Share() const {
  if (empty()) return;
  if (is_leaf()) {
    env_->store.Share(LeafRef::FromWord(*top_).id());
  } else {
    ++NodeOf(*top_)->refs;
  }
}

void Tree::ChangeFamily(Family* family) {
  family_ = family;
  if (empty()) return;
  FLASH_DCHECK(is_leaf());
  const LeafRef leaf = LeafRef::FromWord(*top_);
  if (env_->store.IsShared(leaf.id())) {  // The other holder's owner stays as it is.
    Path path;
    SeekFirst(&path);
    (void)Writable(&path, Look(path).used());
    return;
  }
  // Sized to its content, it may be just as large as fits a class without what comes behind it.
  const MutableBytes block = env_->store.Write(leaf.id());
  const uint32_t capacity = Capacity(LeafView(block).used());
  if (capacity < block.size()) (void)ResizeLeaf(leaf.id(), block, capacity);
  env_->store.SetOwner(leaf.id(), family);
}

namespace {

uint64_t RamOf(const Node* node) {
  uint64_t bytes = NodeBytes(node);
  for (uint32_t i = 0; node->level > 0 && i < node->count; ++i) bytes += RamOf(node->child(i));
  return bytes;
}

}  // namespace

uint64_t Tree::NodeRam() const { return empty() || is_leaf() ? 0 : RamOf(NodeOf(*top_)); }

}  // namespace flash::values
