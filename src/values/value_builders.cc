// value_builders.cc: see value_builders.h.
//
// Thread: main.
#include "values/value_builders.h"

#include <utility>

#include "values/hash_value.h"
#include "values/list_value.h"
#include "values/zset_value.h"

namespace flash::values {
namespace {

/// A value that only holds a tree, until it is freed.
class Remains : public Collection {
 public:
  using Collection::Collection;
  void Hold(Family* family, uint64_t top, uint32_t which) {
    Install(family, which == 0 ? top : 0, which == 0 ? 0 : top, 0);
  }
};

}  // namespace

// --- What they have in common
// ---------------------------------------------------------------------

ValueBuilder::ValueBuilder(const Env& env, CollectionKind kind, BlockPlacer* placer)
    : Collection(env, kind, &built_), placer_(*placer) {
  Install(NewFamily(), 0, 0, 0);
}

bool ValueBuilder::StaysSmall(uint64_t bytes, bool large) {
  small_bytes_ += bytes;
  small_ = small_ && !large && small_bytes_ <= env_->leaf_bytes_max;
  return small_;
}

Result<void> ValueBuilder::BeginSmall() {
  (void)DropRootIfSmall();
  return placer_.AwaitRoom(small_bytes_);
}

std::vector<uint64_t> ValueBuilder::ToFree(std::span<const uint64_t> tops, uint32_t which) {
  std::vector<uint64_t> words;
  if (built_ == 0) return words;
  for (const uint64_t top : tops) {
    uint64_t word = 0;
    Remains(*env_, kind_, &word).Hold(family(), top, which);
    words.push_back(word);
  }
  return words;
}

// --- HashBuilder
// ----------------------------------------------------------------------------------

HashBuilder::HashBuilder(const Env& env, BlockPlacer* placer)
    : ValueBuilder(env, CollectionKind::kHash, placer), fields_(env, family(), placer) {}

Result<void> HashBuilder::Add(Bytes field, Bytes value) {
  (void)StaysSmall(field.size() + value.size() + 4, IsLarge(field) || IsLarge(value));
  Result<ElementDraft> field_draft = ElementDraft::Place(*env_, field, family(), &placer_);
  if (!field_draft) return field_draft.error();
  Result<ElementDraft> value_draft = ElementDraft::Place(*env_, value, family(), &placer_);
  if (!value_draft) {
    ReleaseElement(*env_, field_draft->element(), family());
    return value_draft.error();
  }
  ++count_;
  const uint64_t hash = ElementHash(*env_, field_draft->element());
  return fields_.Add(hash, EntryDraft::OfHash(*field_draft, *value_draft));
}

Result<bool> HashBuilder::FinishSome(uint64_t entries, Missing* missing) {
  if (small() && fields_.all_held()) return true;
  return fields_.FinishSome(entries, missing);
}

Result<uint64_t> HashBuilder::Finish() {
  if (small() && fields_.all_held()) {
    if (Result<void> begun = BeginSmall(); !begun) return begun.error();
    HashValue hash(*env_, word());
    for (size_t i = 0; i < fields_.held_count(); ++i) {
      const HashEntry entry = ParseHashEntry(fields_.Held(i));
      if (!hash.Set(entry.field.bytes, entry.value.bytes)) return Code::kInvalid;
    }
    fields_.ForgetHeld();
    return TakeWord();
  }
  return FinishTrees(count_, &fields_);
}

std::vector<uint64_t> HashBuilder::Abandon() {
  std::vector<uint64_t> words = ToFree(fields_.Abandon(), 0);
  words.push_back(TakeWord());
  return words;
}

// --- ListBuilder
// ----------------------------------------------------------------------------------

ListBuilder::ListBuilder(const Env& env, BlockPlacer* placer)
    : ValueBuilder(env, CollectionKind::kList, placer),
      elements_(env, LeafKind::kList, family(), placer) {}

Result<void> ListBuilder::Append(Bytes element) {
  Result<ElementDraft> draft = ElementDraft::Place(*env_, element, family(), &placer_);
  if (!draft) return draft.error();
  Result<void> appended = elements_.Append(EntryDraft::OfList(*draft));
  if (!appended) ReleaseElement(*env_, draft->element(), family());
  return appended;
}

Result<void> ListBuilder::Add(Bytes element) {
  ++count_;
  if (StaysSmall(element.size() + kSlotBytes, IsLarge(element))) {
    few_.emplace_back(base::AsText(element));
    return {};
  }
  for (const std::string& early : std::exchange(few_, {})) {
    if (Result<void> appended = Append(base::AsBytes(early)); !appended) return appended;
  }
  return Append(element);
}

Result<uint64_t> ListBuilder::Finish() {
  if (small()) {
    if (Result<void> begun = BeginSmall(); !begun) return begun.error();
    ListValue list(*env_, word());
    for (const std::string& element : few_)
      list.Push(ListValue::End::kBack, base::AsBytes(element));
    return TakeWord();
  }
  return FinishTrees(count_, &elements_);
}

std::vector<uint64_t> ListBuilder::Abandon() {
  std::vector<uint64_t> words;
  if (const uint64_t top = elements_.FinishAnyhow(); top != 0) words = ToFree({&top, 1}, 0);
  words.push_back(TakeWord());
  return words;
}

// --- ZSetBuilder
// ----------------------------------------------------------------------------------

ZSetBuilder::ZSetBuilder(const Env& env, BlockPlacer* placer)
    : ValueBuilder(env, CollectionKind::kZSet, placer),
      scores_(env, LeafKind::kScores, family(), placer),
      index_(env, family(), placer) {}

Result<void> ZSetBuilder::Append(double score, Bytes member) {
  if (last_) {
    const bool ascends =
        score > last_->first || (score == last_->first && base::AsText(member) > last_->second);
    if (!ascends) return Code::kInvalid;
  } else {
    last_.emplace();
  }
  last_->first = score;
  last_->second.assign(base::AsText(member));
  Result<ElementDraft> draft = ElementDraft::Place(*env_, member, family(), &placer_);
  if (!draft) return draft.error();
  const ScoreDraft stored(score);
  Result<void> appended = scores_.Append(EntryDraft::OfScore(stored, *draft));
  if (!appended) {
    ReleaseElement(*env_, draft->element(), family());
    return appended;
  }
  return index_.Add(ElementHash(*env_, draft->element()),
                    EntryDraft::OfHash(*draft, stored.bytes(), false));
}

Result<void> ZSetBuilder::Add(double score, Bytes member) {
  ++count_;
  if (StaysSmall(member.size() + sizeof(double) + kSlotBytes, IsLarge(member))) {
    few_.emplace_back(score, base::AsText(member));
    return {};
  }
  for (const auto& [early, text] : std::exchange(few_, {})) {
    if (Result<void> appended = Append(early, base::AsBytes(text)); !appended) return appended;
  }
  return Append(score, member);
}

Result<bool> ZSetBuilder::FinishSome(uint64_t entries, Missing* missing) {
  if (small()) return true;
  return index_.FinishSome(entries, missing);
}

Result<uint64_t> ZSetBuilder::Finish() {
  if (small()) {
    if (Result<void> begun = BeginSmall(); !begun) return begun.error();
    ZSetValue zset(*env_, word());
    for (const auto& [score, member] : few_) {
      if (!zset.Set(base::AsBytes(member), score)) return Code::kInvalid;
    }
    return TakeWord();
  }
  return FinishTrees(count_, &scores_, &index_);
}

std::vector<uint64_t> ZSetBuilder::Abandon() {
  // The index first: its large elements are those of the scores.
  std::vector<uint64_t> words = ToFree(index_.Abandon(), 1);
  if (const uint64_t top = scores_.FinishAnyhow(); top != 0) {
    for (const uint64_t word : ToFree({&top, 1}, 0)) words.push_back(word);
  }
  words.push_back(TakeWord());
  return words;
}

// --- UnorderedZSetBuilder
// -------------------------------------------------------------------------

UnorderedZSetBuilder::UnorderedZSetBuilder(const Env& env, const Placers& placers)
    : ValueBuilder(env, CollectionKind::kZSet, placers.scores),
      scores_(env, family(), placers.scores, LeafKind::kScores),
      index_(env, family(), placers.members) {}

Result<void> UnorderedZSetBuilder::Add(double score, Bytes member) {
  Result<ElementDraft> draft = ElementDraft::Place(*env_, member, family(), &placer_);
  if (!draft) return draft.error();
  ++count_;
  const ScoreDraft stored(score);
  Result<void> added =
      scores_.Add(SortedBuilder::OrderOf(score), EntryDraft::OfScore(stored, *draft));
  if (!added) return added;
  return index_.Add(ElementHash(*env_, draft->element()),
                    EntryDraft::OfHash(*draft, stored.bytes(), false));
}

Result<bool> UnorderedZSetBuilder::FinishSome(uint64_t entries, Missing* missing) {
  Result<bool> ended = scores_.FinishSome(entries, missing);
  if (!ended || !*ended) return ended;
  return index_.FinishSome(entries, missing);
}

Result<uint64_t> UnorderedZSetBuilder::Finish() { return FinishTrees(count_, &scores_, &index_); }

std::vector<uint64_t> UnorderedZSetBuilder::Abandon() {
  std::vector<uint64_t> words = ToFree(index_.Abandon(), 1);
  for (const uint64_t word : ToFree(scores_.Abandon(), 0)) words.push_back(word);
  words.push_back(TakeWord());
  return words;
}

}  // namespace flash::values
