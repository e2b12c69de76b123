// tree_edit.cc: inserting and replacing, splits, and making what is shared one's own; see tree.h.
//
// Thread: main.
#include <algorithm>
#include <array>
#include <cstring>

#include "values/tree.h"

namespace flash::values {
namespace {

constexpr uint32_t kCapacityStep = 8;
constexpr uint32_t kFirstCapacity = 4;

/// Size of a leaf begun at an end: one that is pushed to will be full soon.
constexpr uint32_t kEdgeLeafBytes = 1024 - kBlockHeaderBytes;

/// A leaf with one entry more than fits, on the stack.
class Scratch {
 public:
  explicit Scratch(LeafKind kind) { LeafInit(bytes_, kind); }
  [[nodiscard]] MutableBytes bytes() { return bytes_; }
  [[nodiscard]] LeafView view() const { return LeafView(bytes_); }

 private:
  alignas(8) std::array<std::byte, kLeafBytesLimit + 1> bytes_;
};

bool IsLastAbove(const Path& path, uint32_t level) {
  for (uint32_t l = level; l < path.height; ++l) {
    if (path.at[l] + 1U != path.node[l]->count) return false;
  }
  return true;
}

bool IsFirstAbove(const Path& path, uint32_t level) {
  for (uint32_t l = level; l < path.height; ++l) {
    if (path.at[l] != 0) return false;
  }
  return true;
}

}  // namespace

// --- Ownership
// ------------------------------------------------------------------------------------

void Tree::Link(const Path& path, uint32_t level, Node* node) {
  if (level + 1 == path.height) {
    *top_ = WordOf(node);
  } else {
    path.node[level + 1]->words()[path.at[level + 1]] = WordOf(node);
  }
}

void Tree::SetLeaf(Path* path, LeafRef leaf) {
  path->leaf = leaf;
  if (path->height == 0) {
    *top_ = leaf.word();
  } else {
    path->node[0]->words()[path->at[0]] = leaf.word();
  }
}

void Tree::AddCount(Path* path, uint64_t delta) {
  for (uint32_t level = 1; level < path->height; ++level) {
    path->node[level]->counts()[path->at[level]] += delta;
  }
}

void Tree::CopyShared(Path* path, uint32_t level) {
  for (uint32_t at = path->height; at-- > level;) {
    Node* node = path->node[at];
    if (node->refs == 1) continue;
    Node* copy = CopyNode(env_->store, *node);
    --node->refs;
    path->node[at] = copy;
    Link(*path, at, copy);
  }
}

MutableBytes Tree::Writable(Path* path, uint32_t used_after) {
  Own(path);
  const BlockId id = path->leaf.id();
  if (env_->store.IsShared(id)) return CopyLeaf(path, Capacity(used_after));
  const MutableBytes block = env_->store.Write(id);
  if (used_after <= block.size()) return block;
  return ResizeLeaf(id, block, Capacity(used_after));
}

MutableBytes Tree::ResizeLeaf(BlockId id, MutableBytes block, uint32_t capacity) {
  const auto before = static_cast<uint32_t>(block.size());
  if (capacity < before) {
    LeafMoveSlots(block, before, capacity);
    return env_->store.Resize(id, capacity);
  }
  const MutableBytes grown = env_->store.Resize(id, capacity);
  // No byte of the heap that is not ours goes to flash.
  std::memset(grown.data() + before, 0, capacity - before);
  LeafMoveSlots(grown, before, capacity);
  return grown;
}

MutableBytes Tree::CopyLeaf(Path* path, uint32_t capacity) {
  const LeafRef leaf = path->leaf;
  const LeafView from(env_->store.Read(leaf.id()));
  MutableBytes copy;
  const BlockId id = env_->store.Create(std::max(capacity, Capacity(from.used())), &copy, family_);
  LeafInit(copy, kind_);
  LeafAppendRange(copy, from, 0, from.count());
  if (leaf.large() && owns_large_) {
    for (uint32_t i = 0; i < from.count(); ++i) ShareEntry(*env_, kind_, from.At(i));
  }
  FreeOwned(env_->store, leaf.id(), family_);
  SetLeaf(path, LeafRef(id, leaf.count(), leaf.large()));
  return copy;
}

LeafRef Tree::NewLeaf(const LeafView& from, uint32_t begin, uint32_t end, uint32_t capacity_min) {
  const uint32_t used = LeafUsed(end - begin, from.Begin(end) - from.Begin(begin));
  MutableBytes block;
  const uint32_t capacity = std::max(Capacity(used), capacity_min);
  const BlockId id = env_->store.Create(capacity, &block, family_);
  LeafInit(block, kind_);
  LeafAppendRange(block, from, begin, end);
  return LeafRef(id, end - begin, from.HasLarge(begin, end));
}

// --- Entries
// --------------------------------------------------------------------------------------

void Tree::InsertFirst(const EntryDraft& draft) {
  FLASH_DCHECK(empty());
  MutableBytes block;
  const BlockId id = env_->store.Create(Capacity(LeafUsed(1, draft.bytes())), &block, family_);
  LeafInit(block, kind_);
  draft.WriteTo(LeafInsert(block, 0, draft.bytes(), draft.flags()));
  *top_ = LeafRef(id, 1, draft.has_large()).word();
}

void Tree::Insert(Path* path, uint32_t i, const EntryDraft& draft) {
  const LeafView leaf = Look(*path);
  const uint32_t used = leaf.used() + draft.bytes() + kSlotBytes;
  if (used > env_->leaf_bytes_max && leaf.count() > 0 && Split(path, i, draft)) return;
  FLASH_CHECK(used <= kLeafBytesLimit);
  const MutableBytes block = Writable(path, used);
  draft.WriteTo(LeafInsert(block, i, draft.bytes(), draft.flags()));
  const LeafRef before = path->leaf;
  SetLeaf(path, LeafRef(before.id(), before.count() + 1, before.large() || draft.has_large()));
  AddCount(path, 1);
}

void Tree::Replace(Path* path, uint32_t i, const EntryDraft& draft) {
  const LeafView leaf = Look(*path);
  const auto before = static_cast<uint32_t>(leaf.At(i).bytes.size());
  const uint32_t used = leaf.used() - before + draft.bytes();
  if (used > env_->leaf_bytes_max && used > leaf.used() && leaf.count() > 1) {
    // Out and in again: the insertion knows how to split.
    LeafErase(Writable(path, leaf.used()), i, i + 1);
    SetLeaf(path, LeafRef(path->leaf.id(), path->leaf.count() - 1, path->leaf.large()));
    AddCount(path, uint64_t{0} - 1);
    return Insert(path, i, draft);
  }
  FLASH_CHECK(used <= kLeafBytesLimit);
  const MutableBytes block = Writable(path, std::max(used, leaf.used()));
  draft.WriteTo(LeafResizeEntry(block, i, draft.bytes(), draft.flags()));
  const LeafRef ref = path->leaf;
  if (draft.has_large() && !ref.large()) SetLeaf(path, LeafRef(ref.id(), ref.count(), true));
}

MutableBytes Tree::WriteEntry(Path* path, uint32_t i) {
  Own(path);
  const BlockId id = path->leaf.id();
  const MutableBytes block = env_->store.IsShared(id) ? CopyLeaf(path, Capacity(Look(*path).used()))
                                                      : env_->store.Write(id);
  const EntryView entry = LeafView(block).At(i);
  return block.subspan(static_cast<size_t>(entry.bytes.data() - block.data()), entry.bytes.size());
}

// --- Splits
// ---------------------------------------------------------------------------------------

std::optional<Separator> Tree::Between(const EntryView& left, const EntryView& right,
                                       Missing* missing) const {
  if (kind_ == LeafKind::kList) return Separator{};
  if (kind_ == LeafKind::kHash) {
    const uint64_t hash = EntryHash(*env_, right);
    if (EntryHash(*env_, left) == hash) return std::nullopt;  // Equal hashes stay together.
    return Separator{hash, {}};
  }
  const uint64_t differ =
      ScoreKey(ParseScore(left), {}).head() ^ ScoreKey(ParseScore(right), {}).head();
  const uint64_t ordered = __builtin_bswap64(ScoreKey(ParseScore(right), {}).head());
  std::array<char, sizeof(ordered)> head;
  std::memcpy(head.data(), &ordered, head.size());
  Separator between;
  if (differ != 0) {
    between.bytes.assign(head.data(), static_cast<size_t>(__builtin_clzll(differ)) / 8 + 1);
    return between;
  }
  const Element member = ParseMember(right);
  // Without a list to name blocks in, what is cold only rules this place out.
  Missing unused;
  Missing* named = missing != nullptr ? missing : &unused;
  const auto same = CommonPrefix(*env_, ParseMember(left), member, named);
  if (!same) return std::nullopt;
  between.bytes.assign(head.data(), head.size());
  const ElementReader reader(*env_, member);
  while (between.bytes.size() < head.size() + *same + 1) {
    const uint64_t at = between.bytes.size() - head.size();
    const Bytes run = reader.At(at, named);
    if (run.empty()) return std::nullopt;
    between.bytes.append(base::AsText(run.first(std::min<size_t>(run.size(), *same + 1 - at))));
  }
  return between;
}

uint32_t Tree::ChooseCut(const LeafView& leaf, Separator* between) const {
  const uint32_t count = leaf.count();
  const uint32_t half = leaf.used() / 2;
  uint32_t middle = 1;
  while (middle + 1 < count && LeafUsed(middle, leaf.Begin(middle)) < half) ++middle;
  for (uint32_t distance = 0; distance < count; ++distance) {
    for (const bool below : {true, false}) {
      if (below ? middle < distance + 1 : middle + distance >= count) continue;
      const uint32_t cut = below ? middle - distance : middle + distance;
      auto separator = Between(leaf.At(cut - 1), leaf.At(cut), nullptr);
      if (!separator) continue;
      *between = std::move(*separator);
      return cut;
    }
  }
  return 0;
}

bool Tree::GrowAtEdge(Path* path, uint32_t i, const LeafView& all) {
  const uint32_t last = all.count() - 1;
  const bool append = i == last && IsLastAbove(*path, 0);
  const bool prepend = i == 0 && IsFirstAbove(*path, 0);
  if (kind_ == LeafKind::kHash || (!append && !prepend)) return false;
  const uint32_t right = append ? last : 1;
  auto between = Between(all.At(right - 1), all.At(right), nullptr);
  if (!between) return false;
  Own(path);
  const LeafRef fresh = NewLeaf(all, i, i + 1, std::min(kEdgeLeafBytes, env_->leaf_bytes_max));
  AddCount(path, 1);
  const uint32_t here = path->height == 0 ? 0 : path->at[0];
  AddChild(path, 0, append ? here + 1 : here, here + 1, fresh.word(), 1, *between);
  return true;
}

bool Tree::Split(Path* path, uint32_t i, const EntryDraft& draft) {
  const LeafView leaf = Look(*path);
  if (leaf.used() + draft.bytes() + kSlotBytes > kLeafBytesLimit) return false;
  Scratch scratch(kind_);
  LeafAppendRange(scratch.bytes(), leaf, 0, leaf.count());
  draft.WriteTo(LeafInsert(scratch.bytes(), i, draft.bytes(), draft.flags()));
  const LeafView all = scratch.view();
  if (GrowAtEdge(path, i, all)) return true;
  Separator between;
  const uint32_t cut = ChooseCut(all, &between);
  if (cut == 0) return false;
  (void)Writable(path, leaf.used());  // Large elements are counted for the leaf as it was.
  const LeafRef right = NewLeaf(all, cut, all.count());
  const BlockId id = path->leaf.id();
  const MutableBytes left = env_->store.Resize(id, Capacity(LeafUsed(cut, all.Begin(cut))));
  LeafInit(left, kind_);
  LeafAppendRange(left, all, 0, cut);
  SetLeaf(path, LeafRef(id, cut, all.HasLarge(0, cut)));
  AddCount(path, 1);
  const uint32_t here = path->height == 0 ? 0 : path->at[0];
  AddChild(path, 0, here + 1, here + 1, right.word(), right.count(), between);
  return true;
}

void Tree::AddChild(Path* path, uint32_t level, uint32_t at, uint32_t separator_at, uint64_t word,
                    uint64_t count, const Separator& separator) {
  if (level == path->height) {
    Node* node = NewNode(separators(), static_cast<uint8_t>(level), kFirstCapacity);
    InsertChild(node, 0, *top_, this->count(), 0, {});
    InsertChild(node, at, word, count, separator_at, separator);
    *top_ = WordOf(node);
    return;
  }
  Node* node = path->node[level];
  if (node->count == node->capacity) {
    const uint32_t room = std::min(node->capacity + kCapacityStep, env_->node_children_max + 1);
    node = GrowNode(node, room);
    path->node[level] = node;
    Link(*path, level, node);
  }
  InsertChild(node, at, word, count, separator_at, separator);
  if (node->count > env_->node_children_max) SplitAbove(path, level, at);
}

void Tree::SplitAbove(Path* path, uint32_t level, uint32_t inserted_at) {
  Node* node = path->node[level];
  uint32_t cut = node->count / 2U;
  if (kind_ != LeafKind::kHash) {
    if (inserted_at + 1U == node->count && IsLastAbove(*path, level + 1)) cut = node->count - 1U;
    if (inserted_at == 0 && IsFirstAbove(*path, level + 1)) cut = 1;
  }
  Separator between;
  Node* right = SplitNode(node, cut, &between);
  const auto room = static_cast<uint32_t>(base::AlignUp(node->count, kCapacityStep));
  if (room < node->capacity) {
    node = GrowNode(node, room);
    path->node[level] = node;
    Link(*path, level, node);
  }
  uint32_t at = 1;
  if (level + 1 < path->height) {
    at = path->at[level + 1] + 1;
    path->node[level + 1]->counts()[at - 1] = node->Total();
  }
  AddChild(path, level + 1, at, at, WordOf(right), right->Total(), between);
}

}  // namespace flash::values
