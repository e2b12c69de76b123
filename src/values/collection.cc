// collection.cc: see collection.h.
//
// Thread: main.
#include "values/collection.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <new>
#include <utility>

#include "base/memory.h"

namespace flash::values {
namespace {

template <typename T, typename... Args>
T* NewCounted(Args... args) {
  return new (base::Allocate(sizeof(T))) T(args...);
}
template <typename T>
void DeleteCounted(T* object) {
  object->~T();
  base::Release(object);
}

}  // namespace

void FreeAbandoned(const Env& env, CollectionKind kind, std::span<const uint64_t> words) {
  constexpr uint32_t kAll = std::numeric_limits<uint32_t>::max();
  for (uint64_t word : words) {
    Collection value(env, kind, &word);
    blocks::Fetch pins;
    bool leave_cold = false;
    for (Missing missing; !value.FreeSome(kAll, &missing, leave_cold); missing.Clear()) {
      pins.Release();
      Result<blocks::Fetch> fetched = env.store.FetchNow(missing.ids(), blocks::WaitCause::kOther);
      if (fetched) pins = std::move(*fetched);
      leave_cold = !fetched;
    }
  }
}

uint64_t Collection::size() const {
  if (empty()) return 0;
  return has_root() ? root()->count : LeafRef::FromWord(*word_).count();
}

Family* Collection::NewFamily() const { return NewCounted<Family>(env_->counters); }

void Collection::Install(Family* family, uint64_t top, uint64_t index_top, uint64_t count) {
  FLASH_DCHECK(empty());
  Root* fresh = NewCounted<Root>();
  fresh->family = family;
  fresh->count = count;
  fresh->tops[0] = top;
  fresh->tops[1] = index_top;
  family->AddRoot(fresh);
  *word_ = reinterpret_cast<uint64_t>(fresh);
}

void Collection::MakeRoot() {
  if (has_root()) return;
  const uint64_t leaf = *word_;
  const uint64_t count = size();
  *word_ = 0;
  Install(NewFamily(), leaf, 0, count);
  if (leaf != 0) tree(0).ChangeFamily(root()->family);
}

bool Collection::DropRootIfSmall() {
  if (!has_root()) return false;
  Root* mine = root();
  if (mine->tops[0] != 0) {
    if (!IsLeafWord(mine->tops[0])) return false;
    const LeafRef leaf = LeafRef::FromWord(mine->tops[0]);
    if (!env_->store.IsHot(leaf.id()) || env_->store.IsShared(leaf.id())) return false;
    const LeafView view(env_->store.Read(leaf.id()));
    if (view.used() > env_->leaf_bytes_max / 2 || view.HasLarge(0, view.count())) return false;
    // Nothing is large, whatever the leaf had once.
    mine->tops[0] = LeafRef(leaf.id(), leaf.count(), false).word();
    tree(0).ChangeFamily(nullptr);
  }
  uint32_t budget = std::numeric_limits<uint32_t>::max();
  const bool freed = tree(1).FreeSome(&budget, nullptr);
  FLASH_CHECK(freed);
  const uint64_t leaf = mine->tops[0];
  ReleaseRoot();
  *word_ = leaf;
  return true;
}

void Collection::ReleaseRoot() {
  Root* mine = root();
  if (mine->member) mine->family->RemoveValue(mine);
  if (mine->family->RemoveRoot()) DeleteCounted(mine->family);
  DeleteCounted(mine);
}

uint64_t Collection::Clone(Holder holder) const {
  if (empty()) return 0;
  if (!has_root()) {
    tree(0).Share();
    return *word_;
  }
  Root* copy = NewCounted<Root>();
  *copy = *root();
  copy->member = holder == Holder::kKey;
  copy->family->AddRoot(copy);
  tree(0).Share();
  tree(1).Share();
  return reinterpret_cast<uint64_t>(copy);
}

bool Collection::IsStill(uint64_t clone) const {
  if (*word_ == 0 || clone == 0) return *word_ == clone;
  if (!has_root() || IsLeafWord(clone)) return *word_ == clone;
  const Root& other = *reinterpret_cast<const Root*>(clone);  // NOLINT(performance-no-int-to-ptr)
  return std::equal(std::begin(root()->tops), std::end(root()->tops), std::begin(other.tops));
}

void Collection::BecomeValue() {
  if (!has_root() || root()->member) return;
  root()->member = true;
  root()->family->AddValue(root());
}

namespace {

/// Leaves below `word`, counted until there are more than `most`.
uint64_t LeavesUpTo(uint64_t word, uint64_t most) {
  if (word == 0) return 0;
  if (IsLeafWord(word)) return 1;
  const Node* node = NodeOf(word);
  if (node->level == 0) return node->count;
  uint64_t leaves = 0;
  for (uint32_t i = 0; i < node->count && leaves <= most; ++i) {
    leaves += LeavesUpTo(node->words()[i], most - leaves);
  }
  return leaves;
}

}  // namespace

bool Collection::HasMoreLeavesThan(uint64_t leaves) const {
  return has_root() && LeavesUpTo(root()->tops[0], leaves) > leaves;
}

bool Collection::FreeSome(uint32_t budget, Missing* missing, bool leave_cold) {
  if (empty()) return true;
  if (!has_root()) return tree(0).FreeSome(&budget, missing, leave_cold);
  Root* mine = root();
  if (mine->member) {
    mine->member = false;
    mine->family->RemoveValue(mine);
  }
  // The index first: its large elements are those of the scores.
  if (!tree(1).FreeSome(&budget, missing, leave_cold)) return false;
  if (!tree(0).FreeSome(&budget, missing, leave_cold)) return false;
  ReleaseRoot();
  *word_ = 0;
  return true;
}

bool Collection::tiered() const {
  if (empty()) return false;
  if (has_root()) {
    const Family& mine = *root()->family;
    return mine.cold() > 0 && (!mine.parted() || HasColdBlock(env_->store, *root()));
  }
  return !env_->store.IsHot(LeafRef::FromWord(*word_).id());
}

uint64_t Collection::RamBytes() const {
  if (!has_root()) return 0;
  return base::UsableSize(root()) + base::UsableSize(root()->family) + tree(0).NodeRam() +
         tree(1).NodeRam();
}

void Collection::ForEachLargeElementBlock(const std::function<void(BlockId)>& visit,
                                          Missing* missing) const {
  if (!has_root()) return;
  const Tree elements = tree(0);
  elements.ForEachLeaf([&](LeafRef leaf) {
    if (!leaf.large() || !missing->Need(env_->store, leaf.id())) return;
    const LeafView view(env_->store.Read(leaf.id()));
    std::vector<uint64_t> words;
    for (uint32_t i = 0; i < view.count(); ++i) {
      AppendLargeWords(elements.kind(), view.At(i), &words);
    }
    for (const uint64_t word : words) ForEachLargeBlock(word, visit);
  });
}

}  // namespace flash::values
