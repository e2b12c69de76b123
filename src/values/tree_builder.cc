// tree_builder.cc: see tree_builder.h.
//
// Thread: main.
#include "values/tree_builder.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace flash::values {

TreeBuilder::TreeBuilder(const Env& env, LeafKind kind, Family* family, bool to_flash)
    : env_(env),
      tree_(env, kind, &unused_top_, family, true),
      family_(family),
      to_flash_(to_flash && family != nullptr) {
  LeafInit(leaf_, kind);
}

void TreeBuilder::Append(const EntryDraft& draft) {
  const uint32_t added = draft.bytes() + kSlotBytes;
  if (used_ + added > env_.leaf_bytes_max && used_ > LeafUsed(0, 0)) {
    // Where the new entry must stay with the last one (equal hashes), the leaf grows instead.
    const uint32_t last = LeafView(leaf_).count() - 1;
    std::vector<std::byte> next(draft.bytes());
    draft.WriteTo(next);
    auto between = tree_.Between(LeafView(leaf_).At(last), {next, draft.flags()}, nullptr);
    if (between) {
      EmitLeaf();
      leaves_.push_back({0, 0, std::move(*between)});
    }
  }
  FLASH_CHECK(used_ + added <= kLeafBytesLimit);
  if (leaves_.empty()) leaves_.push_back({0, 0, {}});
  draft.WriteTo(LeafInsert(leaf_, LeafView(leaf_).count(), draft.bytes(), draft.flags()));
  used_ += added;
  ++count_;
}

BlockId TreeBuilder::StoreLeaf(Bytes leaf) {
  if (to_flash_) {
    BlockId id = kNoBlock;
    const auto create = [&]() -> Result<void> {
      const Result<BlockId> created = env_.store.CreateCold(leaf, family_);
      if (!created) return created.code();
      id = *created;
      return {};
    };
    if (create() || env_.store.AwaitRoomFor(leaf.size(), blocks::WaitCause::kLoading, create)) {
      return id;
    }
  }
  MutableBytes block;
  const BlockId id = env_.store.Create(static_cast<uint32_t>(leaf.size()), &block, family_);
  std::memcpy(block.data(), leaf.data(), leaf.size());
  return id;
}

void TreeBuilder::EmitLeaf() {
  const LeafView all(leaf_);
  const uint32_t count = all.count();
  std::vector<std::byte> exact(base::AlignUp(used_, 8));
  LeafInit(exact, tree_.kind());
  LeafAppendRange(exact, all, 0, count);
  Child& child = leaves_.back();
  child.word = LeafRef(StoreLeaf(exact), count, all.HasLarge(0, count)).word();
  child.count = count;
  LeafInit(leaf_, tree_.kind());
  used_ = LeafUsed(0, 0);
}

uint64_t TreeBuilder::Finish() {
  if (count_ == 0) return 0;
  EmitLeaf();
  std::vector<Child> below = std::move(leaves_);
  for (uint8_t level = 0; below.size() > 1; ++level) {
    std::vector<Child> nodes;
    for (size_t begin = 0; begin < below.size();) {
      // The last two share what is left, so that no node has a single child.
      const size_t most = env_.node_children_max;
      size_t take = std::min(most, below.size() - begin);
      if (below.size() - begin - take == 1) --take;
      Node* node = NewNode(tree_.separators(), level, static_cast<uint32_t>(take));
      for (size_t i = 0; i < take; ++i) {
        const Child& child = below[begin + i];
        InsertChild(node, node->count, child.word, child.count, node->count, child.before);
      }
      nodes.push_back({WordOf(node), node->Total(), std::move(below[begin].before)});
      begin += take;
    }
    below = std::move(nodes);
  }
  return below[0].word;
}

}  // namespace flash::values
