// hash_value.cc: see hash_value.h.
//
// Thread: main.
#include "values/hash_value.h"

#include <cstring>

#include "values/keyed_hash.h"
#include "values/value_builders.h"

namespace flash::values {

bool HashValue::Find(Bytes field, Missing* missing, Cold cold) {
  found_ = {};
  planned_ = {};
  const Tree fields = tree(0);
  if (fields.empty()) return false;
  hash_ = KeyedHash(*env_, field);
  fields.SeekHash(hash_, &path_);
  if (missing != nullptr && !fields.Plan(path_, missing)) return false;
  if (cold == Cold::kMeansAbsent && !env_->store.IsHot(path_.leaf.id())) return false;
  const LeafView leaf = missing != nullptr ? fields.Look(path_) : fields.Use(path_);
  found_ = FindField(*env_, leaf, {field}, hash_, path_.bounds, missing);
  return found_.found;
}

std::optional<Element> HashValue::Get(Bytes field, Missing* missing) {
  if (!Find(field, missing)) return std::nullopt;
  const LeafView leaf = missing != nullptr ? tree(0).Use(path_) : tree(0).Look(path_);
  return ParseHashEntry(leaf.At(found_.position)).value;
}

void HashValue::PlanGet(Bytes field, Missing* missing) {
  if (!Find(field, missing)) return;
  const EntryView entry = tree(0).Look(path_).At(found_.position);
  PlanElement(*env_, ParseHashEntry(entry).value, missing);
}

void HashValue::PlanSet(Bytes field, Missing* missing) {
  (void)Find(field, missing);
  if (!field.empty() && missing->empty() && !tree(0).empty()) planned_ = field;
}

bool HashValue::FitsInPlace(Bytes value) const {
  if (!found_.found) return false;
  const Element old = ParseHashEntry(tree(0).Look(path_).At(found_.position)).value;
  return !old.large && old.bytes.size() == value.size() && tree(0).IsOwn(path_);
}

bool HashValue::Set(Bytes field, Bytes value) {
  if ((IsLarge(field) || IsLarge(value)) && !has_root()) {
    planned_ = {};
    MakeRoot();
  }
  const bool is_planned = planned_.data() == field.data() && planned_.size() == field.size();
  if (is_planned && !field.empty()) {
    planned_ = {};
    (void)tree(0).Use(path_);
  } else {
    (void)Find(field, nullptr);
  }
  if (found_.found) {
    ReplaceValue(field, value);
    return false;
  }
  InsertNew(field, value);
  return true;
}

void HashValue::InsertNew(Bytes field, Bytes value) {
  if (tree(0).empty()) {
    const ElementDraft field_draft(*env_, field, family());
    const ElementDraft value_draft(*env_, value, family());
    tree(0).InsertFirst(EntryDraft::OfHash(field_draft, value_draft));
    return AddToCount(1);
  }
  const ElementDraft field_draft(*env_, field, family());
  const ElementDraft value_draft(*env_, value, family());
  const EntryDraft draft = EntryDraft::OfHash(field_draft, value_draft);
  if (OverflowsLoneLeaf(tree(0).Look(path_), draft.bytes() + kSlotBytes)) {
    MakeRoot();
    tree(0).SeekHash(hash_, &path_);
  }
  tree(0).Insert(&path_, found_.position, draft);
  AddToCount(1);
}

void HashValue::ReplaceValue(Bytes field, Bytes value) {
  Tree fields = tree(0);
  const HashEntry old = ParseHashEntry(fields.Look(path_).At(found_.position));
  if (!old.value.large && old.value.bytes.size() == value.size()) {
    if (value.empty()) return;
    const MutableBytes entry = fields.WriteEntry(&path_, found_.position);
    std::memcpy(entry.data() + entry.size() - value.size(), value.data(), value.size());
    return;
  }
  // The field is not drafted anew if it is large: its blocks stay.
  const ElementDraft field_draft =
      old.field.large ? ElementDraft(old.field) : ElementDraft(*env_, field, family());
  const uint64_t old_word = old.value.large ? old.value.large_word() : 0;
  const ElementDraft value_draft(*env_, value, family());
  const EntryDraft draft = EntryDraft::OfHash(field_draft, value_draft);
  if (value.size() > old.value.bytes.size() &&
      OverflowsLoneLeaf(fields.Look(path_),
                        static_cast<uint32_t>(value.size() - old.value.bytes.size()))) {
    MakeRoot();
    fields = tree(0);
    fields.SeekHash(hash_, &path_);
  }
  fields.Replace(&path_, found_.position, draft);
  if (old_word != 0) ReleaseLarge(env_->store, old_word, family());
}

void HashValue::PlanErase(Bytes field, Missing* missing) {
  if (!Find(field, missing)) return;
  const Tree fields = tree(0);
  const EntryView entry = fields.Look(path_).At(found_.position);
  fields.PlanErase(path_, static_cast<uint32_t>(entry.bytes.size()), missing);
}

bool HashValue::Erase(Bytes field) {
  if (!Find(field, nullptr, Cold::kMeansAbsent)) return false;
  tree(0).Erase(&path_, found_.position, found_.position + 1);
  AddToCount(uint64_t{0} - 1);
  (void)DropRootIfSmall();
  return true;
}

Result<void> HashValue::Build(std::span<const Pair> pairs, bool to_flash) {
  FLASH_DCHECK(empty());
  DirectPlacer placer(env_->store, to_flash);
  HashBuilder builder(*env_, &placer);
  Result<void> outcome;
  for (const Pair& pair : pairs) {
    if (outcome) outcome = builder.Add(pair.first, pair.second);
  }
  return FinishBuild(&builder, outcome);
}

}  // namespace flash::values
