// family.cc: see family.h.
//
// Thread: main.
#include "values/family.h"

#include <utility>
#include <vector>

#include "values/collection.h"

namespace flash::values {
namespace {

bool LeafHasCold(const LeafStore& store, LeafRef leaf, bool owns_large) {
  if (!store.IsHot(leaf.id())) return true;
  if (!leaf.large() || !owns_large) return false;
  const LeafView view(store.Read(leaf.id()));
  std::vector<uint64_t> words;
  for (uint32_t i = 0; i < view.count(); ++i) AppendLargeWords(view.kind(), view.At(i), &words);
  bool cold = false;
  for (const uint64_t word : words) {
    ForEachLargeBlock(word, [&](BlockId id) { cold = cold || !store.IsHot(id); });
  }
  return cold;
}

bool HasCold(const LeafStore& store, uint64_t top, bool owns_large) {
  if (top == 0) return false;
  if (IsLeafWord(top)) return LeafHasCold(store, LeafRef::FromWord(top), owns_large);
  const Node* node = NodeOf(top);
  for (uint32_t i = 0; i < node->count; ++i) {
    if (HasCold(store, node->words()[i], owns_large)) return true;
  }
  return false;
}

/// For ever: as long as the pool has blocks of theirs.
std::vector<Family*>& Abandoned() {
  static auto* families = new std::vector<Family*>;  // raw new: outlives every destructor.
  return *families;
}

}  // namespace

bool HasColdBlock(const LeafStore& store, const Root& root) {
  return HasCold(store, root.tops[0], true) || HasCold(store, root.tops[1], false);
}

Family::~Family() {
  FLASH_DCHECK(reported_ == 0);
  counters_->unsettled.erase(this);
}

void Family::AddRoot(const Root* root) {
  if (only_ == nullptr && kin_ == nullptr) {
    only_ = root;
    value_ = root->member;
  } else {
    if (kin_ == nullptr) {
      kin_ = std::make_unique<Kin>();
      if (value_) kin_->values.insert(only_);
    }
    ++kin_->roots;
    if (root->member) kin_->values.insert(root);
  }
  Count();
}

void Family::RemoveValue(const Root* root) {
  if (kin_ == nullptr) {
    value_ = false;
  } else {
    kin_->values.erase(root);
  }
  Count();
}

void Family::AddValue(const Root* root) {
  if (kin_ == nullptr) {
    only_ = root;
    value_ = true;
  } else {
    kin_->values.insert(root);
  }
  Count();
}

bool Family::RemoveRoot() {
  if (kin_ == nullptr || --kin_->roots == 0) {
    if (abandoned_) Abandoned().push_back(this);
    return !abandoned_;
  }
  if (kin_->roots > 1) return false;
  // One is left: all cold blocks are its. Which one it is, is known of values alone.
  if (kin_->values.empty()) {
    kin_->parted = false;
  } else {
    only_ = *kin_->values.begin();
    value_ = true;
    kin_.reset();
  }
  Count();
  return false;
}

void Family::Part() {
  kin_->parted = true;
  Count();
}

void Family::Count() {
  if (cold_ > 0 && parted()) {
    counters_->unsettled.insert(this);
  } else {
    Report(cold_ > 0 ? values() : 0);
  }
}

void Family::Report(uint64_t tiered) {
  counters_->tiered_multi_block_values += tiered - reported_;
  reported_ = static_cast<uint32_t>(tiered);
}

void Family::Settle(const LeafStore& store) {
  if (cold_ == 0 || !parted()) return Count();
  uint64_t tiered = 0;
  for (const Root* root : kin_->values) tiered += HasColdBlock(store, *root) ? 1 : 0;
  Report(tiered);
}

void SettleTiered(const LeafStore& store, ValueCounters* counters) {
  const std::unordered_set<Family*> unsettled = std::exchange(counters->unsettled, {});
  for (Family* family : unsettled) family->Settle(store);
}

}  // namespace flash::values
