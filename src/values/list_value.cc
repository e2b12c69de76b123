// list_value.cc: see list_value.h.
//
// Thread: main.
#include "values/list_value.h"

#include <algorithm>

#include "values/value_builders.h"

namespace flash::values {
namespace {

/// A search that may end early asks for one cold leaf first, then for this many times as many as it
/// has searched: it reads at most so many
/// times more than it needs, and three rounds reach four thousand leaves.
constexpr uint64_t kSearchAhead = 64;

}  // namespace

void ListValue::Seek(uint64_t* index, Path* path) const {
  const Tree elements = tree(0);
  // The ends need no counting.
  if (*index == 0) return elements.SeekFirst(path);
  const uint64_t from_end = size() - *index;
  if (from_end > 1) return elements.SeekRank(index, path);
  elements.SeekLast(path);
  *index = path->leaf.count() - from_end;
}

std::optional<Element> ListValue::Peek(End end, Missing* missing) {
  const Tree elements = tree(0);
  end == End::kFront ? elements.SeekFirst(&path_) : elements.SeekLast(&path_);
  if (!elements.Plan(path_, missing)) return std::nullopt;
  position_ = end == End::kFront ? 0 : path_.leaf.count() - 1;
  return ParseListEntry(elements.Use(path_).At(position_));
}

void ListValue::Pop() {
  tree(0).Erase(&path_, position_, position_ + 1);
  AddToCount(uint64_t{0} - 1);
  (void)DropRootIfSmall();
}

std::optional<Element> ListValue::At(uint64_t index, Missing* missing) const {
  FLASH_DCHECK(index < size());
  const Tree elements = tree(0);
  Path path;
  Seek(&index, &path);
  if (missing != nullptr && !elements.Plan(path, missing)) return std::nullopt;
  return ParseListEntry(elements.Use(path).At(static_cast<uint32_t>(index)));
}

void ListValue::PlanInsert(uint64_t index, Missing* missing) const {
  const Tree elements = tree(0);
  if (elements.empty()) return;
  Path path;
  Seek(&index, &path);
  (void)elements.Plan(path, missing);
}

void ListValue::Insert(uint64_t index, Bytes element) {
  FLASH_DCHECK(index <= size());
  if (IsLarge(element)) MakeRoot();
  const ElementDraft stored(*env_, element, family());
  const EntryDraft draft = EntryDraft::OfList(stored);
  Tree elements = tree(0);
  if (elements.empty()) {
    elements.InsertFirst(draft);
    return AddToCount(1);
  }
  Path path;
  Seek(&index, &path);
  if (OverflowsLoneLeaf(elements.Use(path), draft.bytes() + kSlotBytes)) {
    MakeRoot();
    elements = tree(0);
    elements.SeekFirst(&path);
  }
  elements.Insert(&path, static_cast<uint32_t>(index), draft);
  AddToCount(1);
}

bool ListValue::FitsInPlace(uint64_t index, Bytes element) const {
  Path path;
  Seek(&index, &path);
  const Element old = ParseListEntry(tree(0).Look(path).At(static_cast<uint32_t>(index)));
  return !old.large && old.bytes.size() == element.size() && tree(0).IsOwn(path);
}

void ListValue::Set(uint64_t index, Bytes element) {
  if (IsLarge(element)) MakeRoot();
  const ElementDraft stored(*env_, element, family());
  const EntryDraft draft = EntryDraft::OfList(stored);
  Path path;
  Seek(&index, &path);
  const LeafView leaf = tree(0).Use(path);
  const Element old = ParseListEntry(leaf.At(static_cast<uint32_t>(index)));
  const uint64_t old_word = old.large ? old.large_word() : 0;
  const size_t old_bytes = old.bytes.size();
  if (draft.bytes() > old_bytes &&
      OverflowsLoneLeaf(leaf, draft.bytes() - static_cast<uint32_t>(old_bytes))) {
    MakeRoot();
    tree(0).SeekFirst(&path);
  }
  tree(0).Replace(&path, static_cast<uint32_t>(index), draft);
  if (old_word != 0) ReleaseLarge(env_->store, old_word, family());
}

void ListValue::PlanErase(uint64_t begin, uint64_t end, Missing* missing) const {
  tree(0).PlanEraseRange(begin, end, missing);
}

void ListValue::PlanCut(uint64_t begin, uint64_t end, Missing* missing) const {
  tree(0).PlanEraseRange(begin, end, missing, true);
}

void ListValue::Erase(uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  tree(0).EraseRange(begin, end);
  AddToCount(begin - end);
  (void)DropRootIfSmall();
}

std::optional<uint64_t> ListValue::Find(Bytes element, Missing* missing) const {
  const std::vector<uint64_t> found = FindAll(element, End::kFront, 1, missing);
  if (!missing->empty() || found.empty()) return std::nullopt;
  return found[0];
}

std::vector<uint64_t> ListValue::FindAll(Bytes element, End from, uint64_t limit,
                                         Missing* missing) const {
  std::vector<uint64_t> found;
  const Tree elements = tree(0);
  if (elements.empty()) return found;
  const bool forward = from == End::kFront;
  Path path;
  forward ? elements.SeekFirst(&path) : elements.SeekLast(&path);
  uint64_t before = forward ? 0 : size();
  uint64_t leaves_searched = 0;
  uint64_t leaves_missing = 0;
  do {
    const uint32_t count = path.leaf.count();
    if (!forward) before -= count;
    if (elements.Plan(path, missing)) {
      ++leaves_searched;
      const LeafView leaf = elements.Look(path);
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t at = forward ? i : count - 1 - i;
        const Order order = ElementsEqual(*env_, ParseListEntry(leaf.At(at)), {element}, missing);
        if (order == Order::kEqual) found.push_back(before + at);
        // What is hot from this end on may be all that is needed.
        if (limit != 0 && found.size() == limit && missing->empty()) return found;
      }
    } else if (limit != 0 && ++leaves_missing >= kSearchAhead * leaves_searched) {
      return found;  // What is wanted may lie in these.
    }
    if (forward) before += count;
  } while (forward ? Tree::NextLeaf(&path) : Tree::PrevLeaf(&path));
  return found;
}

void ListValue::PlanEraseEach(std::span<const uint64_t> positions, Missing* missing) const {
  for (const uint64_t position : positions) PlanErase(position, position + 1, missing);
}

void ListValue::EraseEach(std::span<const uint64_t> positions) {
  std::vector<uint64_t> descending(positions.begin(), positions.end());
  std::sort(descending.rbegin(), descending.rend());
  for (const uint64_t position : descending) {
    tree(0).EraseRange(position, position + 1);
    AddToCount(uint64_t{0} - 1);
  }
  (void)DropRootIfSmall();
}

void ListValue::Build(std::span<const Bytes> elements, bool to_flash) {
  FLASH_DCHECK(empty());
  DirectPlacer placer(env_->store, to_flash);
  ListBuilder builder(*env_, &placer);
  for (const Bytes& element : elements) FLASH_CHECK(builder.Add(element));
  FLASH_CHECK(FinishBuild(&builder, {}));
}

}  // namespace flash::values
