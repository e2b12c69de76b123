// tree_builder.cc: see tree_builder.h.
//
// Thread: main.
#include "values/tree_builder.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace flash::values {

Result<Order> CompareNow(const Env& env, const Element& a, const Element& b,
                         blocks::WaitCause cause) {
  for (blocks::Fetch pins;;) {
    Missing missing;
    const Order order = CompareElements(env, a, b, &missing);
    if (order != Order::kUnknown) return order;
    pins.Release();
    Result<blocks::Fetch> fetched = env.store.FetchNow(missing.ids(), cause);
    if (!fetched) return fetched.error();
    pins = std::move(*fetched);
  }
}

TreeBuilder::TreeBuilder(const Env& env, LeafKind kind, Family* family, BlockPlacer* placer)
    : env_(env), tree_(env, kind, &unused_top_, family, true), family_(family), placer_(*placer) {
  LeafInit(leaf_, kind);
}

TreeBuilder::~TreeBuilder() { FLASH_CHECK(levels_.empty() && used_ == LeafUsed(0, 0)); }

Result<bool> TreeBuilder::MayCut(const EntryView& next, Separator* between) {
  for (blocks::Fetch pins;;) {
    Missing missing;
    auto found = tree_.Between(LeafView(leaf_).At(LeafView(leaf_).count() - 1), next, &missing);
    if (found) {
      *between = std::move(*found);
      return true;
    }
    if (missing.empty()) return false;
    pins.Release();
    Result<blocks::Fetch> fetched = env_.store.FetchNow(missing.ids(), placer_.cause());
    if (!fetched) return fetched.error();
    pins = std::move(*fetched);
  }
}

Result<void> TreeBuilder::Append(const EntryDraft& draft) {
  draft_.resize(draft.bytes());
  draft.WriteTo(draft_);
  return Append(EntryView{draft_, draft.flags()});
}

Result<void> TreeBuilder::Append(const EntryView& entry) {
  const auto bytes = static_cast<uint32_t>(entry.bytes.size());
  const uint32_t added = bytes + kSlotBytes;
  if (used_ + added > env_.leaf_bytes_max && used_ > LeafUsed(0, 0)) {
    // Where the new entry must stay with the last one (equal hashes), the leaf grows instead.
    Separator between;
    const Result<bool> may_cut = MayCut(entry, &between);
    if (!may_cut) return may_cut.error();
    if (*may_cut) {
      if (Result<void> emitted = EmitLeaf(false); !emitted) return emitted;
      before_ = std::move(between);
    }
  }
  FLASH_CHECK(used_ + added <= kLeafBytesLimit);
  if (bytes > 0) {
    std::memcpy(LeafInsert(leaf_, LeafView(leaf_).count(), bytes, entry.flags).data(),
                entry.bytes.data(), bytes);
  } else {
    (void)LeafInsert(leaf_, LeafView(leaf_).count(), 0, entry.flags);
  }
  last_.assign(entry.bytes.begin(), entry.bytes.end());
  last_flags_ = entry.flags;
  used_ += added;
  ++count_;
  return {};
}

Result<void> TreeBuilder::EmitLeaf(bool anyhow) {
  const LeafView all(leaf_);
  const uint32_t count = all.count();
  std::vector<std::byte> exact(base::AlignUp(used_, 8));
  LeafInit(exact, tree_.kind());
  LeafAppendRange(exact, all, 0, count);
  Result<BlockId> placed = Code::kNoSpace;
  if (!anyhow) placed = placer_.Place(exact, family_);
  if (!placed) {
    if (!anyhow) return placed.error();
    placed = MakeHot(env_.store, exact, family_);
  }
  AddChild(0, {LeafRef(*placed, count, all.HasLarge(0, count)).word(), count,
               std::exchange(before_, {})});
  LeafInit(leaf_, tree_.kind());
  used_ = LeafUsed(0, 0);
  return {};
}

void TreeBuilder::AddChild(size_t level, Child child) {
  if (level == levels_.size()) levels_.emplace_back();
  levels_[level].push_back(std::move(child));
  // Two stay, so that no node ever has a single child.
  const size_t most = env_.node_children_max;
  if (levels_[level].size() == most + 2) MakeNode(level, most);
}

/// Of the first children that wait at `level`.
void TreeBuilder::MakeNode(size_t level, size_t children) {
  std::vector<Child>& below = levels_[level];
  Node* node =
      NewNode(tree_.separators(), static_cast<uint8_t>(level), static_cast<uint32_t>(children));
  for (size_t i = 0; i < children; ++i) {
    const Child& child = below[i];
    InsertChild(node, node->count, child.word, child.count, node->count, child.before);
  }
  Child made{WordOf(node), node->Total(), std::move(below[0].before)};
  below.erase(below.begin(), below.begin() + static_cast<ptrdiff_t>(children));
  AddChild(level + 1, std::move(made));
}

uint64_t TreeBuilder::Close() {
  for (size_t level = 0; level < levels_.size(); ++level) {
    const size_t most = env_.node_children_max;
    if (level + 1 == levels_.size() && levels_[level].size() == 1) break;
    // Up to one more than fit: the last two share what is left.
    if (levels_[level].size() > most) MakeNode(level, most - 1);
    if (!levels_[level].empty()) MakeNode(level, levels_[level].size());
  }
  const uint64_t top = levels_.empty() ? 0 : levels_.back()[0].word;
  levels_.clear();
  count_ = 0;
  return top;
}

Result<uint64_t> TreeBuilder::Finish() {
  if (used_ > LeafUsed(0, 0)) {
    if (Result<void> emitted = EmitLeaf(false); !emitted) return emitted.error();
  }
  return Close();
}

uint64_t TreeBuilder::FinishAnyhow() {
  if (used_ > LeafUsed(0, 0)) (void)EmitLeaf(true);
  return Close();
}

}  // namespace flash::values
