// zset_value.cc: see zset_value.h. A lone leaf is searched for members from the front; a root has
// two trees whose entries correspond one to one.
//
// Thread: main.
#include "values/zset_value.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "values/keyed_hash.h"

namespace flash::values {

// --- Finding
// --------------------------------------------------------------------------------------

bool ZSetValue::Find(Bytes member, Missing* missing, Cold cold) {
  found_ = {};
  planned_ = {};
  from_.known = to_.known = false;
  const Tree searched = has_root() ? tree(1) : tree(0);
  if (searched.empty()) return false;
  const uint64_t hash = has_root() ? KeyedHash(*env_, member) : 0;
  has_root() ? searched.SeekHash(hash, &path_) : searched.SeekFirst(&path_);
  if (missing != nullptr && !searched.Plan(path_, missing)) return false;
  if (cold == Cold::kMeansAbsent && !env_->store.IsHot(path_.leaf.id())) return false;
  const LeafView leaf = missing != nullptr ? searched.Look(path_) : searched.Use(path_);
  found_ = has_root() ? FindField(*env_, leaf, {member}, hash, path_.bounds, missing)
                      : ScanForMember(*env_, leaf, {member}, missing);
  return found_.found;
}

double ZSetValue::FoundScore() const {
  const bool indexed = has_root();
  const EntryView entry = tree(indexed ? 1 : 0).Look(path_).At(found_.position);
  return indexed ? DecodeScore(ParseHashEntry(entry).value.bytes) : ParseScore(entry);
}

bool ZSetValue::FindScored(double score, Bytes member, Path* path, Found* found,
                           Missing* missing) const {
  const Tree scores = tree(0);
  scores.SeekKey(ScoreKey(score, member), path);
  if (missing != nullptr && !scores.Plan(*path, missing)) return false;
  const LeafView leaf = missing != nullptr ? scores.Look(*path) : scores.Use(*path);
  *found = FindBound(*env_, leaf, BoundOf(score, member), missing);
  return !found->unknown;
}

std::optional<double> ZSetValue::Score(Bytes member, Missing* missing) {
  const auto score = PeekScore(member, missing);
  if (score && missing != nullptr) (void)tree(has_root() ? 1 : 0).Use(path_);
  return score;
}

std::optional<double> ZSetValue::PeekScore(Bytes member, Missing* missing) {
  if (!Find(member, missing)) return std::nullopt;
  return FoundScore();
}

std::optional<uint64_t> ZSetValue::Rank(Bytes member, Missing* missing) {
  const auto score = Score(member, missing);
  if (!score) return std::nullopt;
  Path path;
  Found found;
  if (!has_root()) return found_.position;
  if (!FindScored(*score, member, &path, &found, missing)) return std::nullopt;
  FLASH_CHECK(found.found);
  return Tree::RankBefore(path) + found.position;
}

std::optional<uint64_t> ZSetValue::RankOf(const ScoreBound& bound, Missing* missing) const {
  const Tree scores = tree(0);
  if (scores.empty()) return 0;
  FLASH_DCHECK(!bound.member.large);
  if (std::isinf(bound.score)) {  // What lies beyond all scores is known without a leaf.
    if (bound.score < 0 && bound.side == ScoreBound::Side::kBeforeScore) return 0;
    if (bound.score > 0 && bound.side == ScoreBound::Side::kAfterScore) return size();
  }
  const bool with_member =
      bound.side == ScoreBound::Side::kBeforeMember || bound.side == ScoreBound::Side::kAfterMember;
  Path path;
  scores.SeekKey(bound.side == ScoreBound::Side::kAfterScore
                     ? ScoreKey::AfterScore(bound.score)
                     : ScoreKey(bound.score, with_member ? bound.member.bytes : Bytes()),
                 &path);
  if (missing != nullptr && !scores.Plan(path, missing)) return std::nullopt;
  const Found found = FindBound(*env_, scores.Look(path), bound, missing);
  if (found.unknown) return std::nullopt;
  return Tree::RankBefore(path) + found.position;
}

// --- Planning
// -------------------------------------------------------------------------------------

void ZSetValue::PlanSet(Bytes member, std::optional<double> score, Missing* missing) {
  if (empty()) return;
  const auto old = PeekScore(member, missing);
  if (!member.empty() && missing->empty()) {
    planned_ = member;
    planned_score_ = old.value_or(0);
  }
  if (!has_root()) return;
  const auto entry_bytes =
      static_cast<uint32_t>(sizeof(double) + (IsLarge(member) ? kLargeRefBytes : member.size()));
  if (score && (!old || *old != *score)) PlanScored(*score, member, false, entry_bytes, missing);
  if (old && (!score || *old != *score)) PlanScored(*old, member, true, entry_bytes, missing);
}

void ZSetValue::PlanScored(double score, Bytes member, bool erase, uint32_t entry_bytes,
                           Missing* missing) {
  const Tree scores = tree(0);
  if (scores.empty()) return;
  Place& place = erase ? from_ : to_;
  Path& path = place.path;
  scores.SeekKey(ScoreKey(score, member), &path);
  if (!scores.Plan(path, missing)) return;
  place.known = true;
  place.score = score;
  if (several_) {
    if (erase) leaving_.push_back({path.leaf.id(), score, member});
    // Also of one that leaves: the same member may be named twice, and come back.
    entering_.push_back({path.leaf.id(), score, member});
  }
  if ((several_ || !erase) && !PlanOrder(path, score, member, missing)) return;
  if (erase) {
    scores.PlanErase(path, entry_bytes, missing);
  } else {
    scores.PlanInsert(path, entry_bytes, missing);
  }
}

uint32_t ZSetValue::FirstOfScore(const LeafView& leaf, double score) const {
  return FindBound(*env_, leaf, {score, {}, ScoreBound::Side::kBeforeScore}, nullptr).position;
}

bool ZSetValue::PlanOrder(const Path& path, double score, Bytes member, Missing* missing) const {
  if (!path.leaf.large()) return true;  // Nothing but the leaf is needed.
  const LeafView leaf = tree(0).Look(path);
  if (!several_) return !FindBound(*env_, leaf, BoundOf(score, member), missing).unknown;
  bool known = true;
  for (uint32_t i = FirstOfScore(leaf, score); i < leaf.count(); ++i) {
    if (ParseScore(leaf.At(i)) != score) break;
    const Order order = CompareElements(*env_, ParseMember(leaf.At(i)), {member}, missing);
    known = known && order != Order::kUnknown;
  }
  return known;
}

std::span<const ZSetValue::Moving> ZSetValue::OfLeaf(const std::vector<Moving>& list,
                                                     LeafRef leaf) {
  const auto [begin, end] =
      std::equal_range(list.begin(), list.end(), Moving{leaf.id(), 0, {}}, IsOfEarlierLeaf);
  return {begin, end};
}

bool ZSetValue::MayBeEmptied(LeafRef leaf) const {
  return OfLeaf(leaving_, leaf).size() >= leaf.count();
}

void ZSetValue::PlanHeirs(Missing* missing) {
  if (!has_root()) return;
  for (std::vector<Moving>* list : {&leaving_, &entering_}) {
    std::sort(list->begin(), list->end(), IsOfEarlierLeaf);
  }
  const Tree scores = tree(0);
  for (size_t i = 0; i < leaving_.size(); ++i) {
    if (i > 0 && leaving_[i].leaf == leaving_[i - 1].leaf) continue;
    Path path;
    scores.SeekKey(ScoreKey(leaving_[i].score, leaving_[i].member), &path);
    if (!MayBeEmptied(path.leaf)) continue;
    // Whichever side inherits: the nearest leaf there that is certain to stay.
    for (const auto turn : {Tree::PrevLeaf, Tree::NextLeaf}) {
      Path heir = path;
      while (turn(&heir)) {
        if (scores.Plan(heir, missing)) PlanHeir(heir, path.leaf, missing);
        if (!MayBeEmptied(heir.leaf)) break;
      }
    }
  }
}

void ZSetValue::PlanHeir(const Path& heir, LeafRef emptied, Missing* missing) const {
  if (!heir.leaf.large()) return;
  for (const Moving& entering : OfLeaf(entering_, emptied)) {
    (void)PlanOrder(heir, entering.score, entering.member, missing);
  }
}

void ZSetValue::PlanErase(Bytes member, Missing* missing) {
  const auto old = PeekScore(member, missing);
  if (!old || !has_root()) return;
  const Tree index = tree(1);
  const EntryView entry = index.Look(path_).At(found_.position);
  index.PlanErase(path_, static_cast<uint32_t>(entry.bytes.size()), missing);
  Path path;
  tree(0).SeekKey(ScoreKey(*old, member), &path);
  if (!tree(0).Plan(path, missing)) return;
  const uint32_t at = PositionOf(path, *old, member, DraftOfFound(member));
  const EntryView scored = tree(0).Look(path).At(at);
  tree(0).PlanErase(path, static_cast<uint32_t>(scored.bytes.size()), missing);
}

void ZSetValue::PlanEraseRange(uint64_t begin, uint64_t end, Missing* missing) const {
  PlanRange(begin, end, missing);
  if (!has_root() || !missing->empty()) return;
  const Tree index = tree(1);
  ForRange(begin, end, [&](double, const Element& member) {
    Path path;
    const uint64_t hash = ElementHash(*env_, member);
    index.SeekHash(hash, &path);
    if (index.Plan(path, missing)) {
      (void)FindField(*env_, index.Look(path), member, hash, path.bounds, missing);
    }
    return true;
  });
}

void ZSetValue::PlanScan(uint64_t cursor, uint64_t count, Missing* missing) const {
  const Tree index = tree(has_root() ? 1 : 0);
  if (index.empty() || (has_root() && (cursor >> kCursorBits) != 0)) return;
  Path path;
  has_root() ? index.SeekHash(cursor << kCursorShift, &path) : index.SeekFirst(&path);
  // How much of the first leaf lies before the cursor is known only when it is hot.
  uint64_t enough = count;
  bool hot = index.Plan(path, missing);
  if (hot && has_root()) {
    enough += LowerHash(*env_, index.Look(path), cursor << kCursorShift, path.bounds);
  }
  // Likewise whether a leaf that would be enough can be the last.
  while (enough > path.leaf.count() ||
         (has_root() && hot && GoesOnBehind(path, index.Look(path)))) {
    enough -= std::min<uint64_t>(enough, path.leaf.count());
    if (!Tree::NextLeaf(&path)) return;
    hot = index.Plan(path, missing);
  }
}

uint64_t ZSetValue::CursorBehind(const Path& path) {
  for (uint32_t level = 0; level < path.height; ++level) {
    const uint32_t next = path.at[level] + 1;
    if (next < path.node[level]->count) return CursorOf(path.node[level]->encoded()[next]);
  }
  return 0;
}

// --- Changing
// -------------------------------------------------------------------------------------

bool ZSetValue::Set(Bytes member, double score, std::optional<double>* old_score) {
  const bool is_planned = planned_.data() == member.data() && planned_.size() == member.size();
  double old = 0;
  if (is_planned && !member.empty()) {
    planned_ = {};
    (void)tree(has_root() ? 1 : 0).Use(path_);
    old = planned_score_;
  } else if (Find(member, nullptr)) {
    old = FoundScore();
  }
  if (found_.found) {
    if (old_score != nullptr) *old_score = old;
    if (old != score) Move(member, old, score);
    return false;
  }
  if (IsLarge(member)) MakeIndexedRoot();
  const ElementDraft stored(*env_, member, family());
  InsertScore(score, stored, member, to_.IsOf(score) ? &to_.path : nullptr);
  if (has_root()) InsertIndex(score, stored, member);
  AddToCount(1);
  return true;
}

void ZSetValue::InsertScore(double score, const ElementDraft& member, Bytes text, Path* path) {
  const EntryDraft draft = EntryDraft::OfScore(ScoreDraft(score), member);
  if (tree(0).empty()) return tree(0).InsertFirst(draft);
  Path sought;
  Found found;
  if (path != nullptr) {
    // Sets often grow at their end: scores are times, or numbers that are counted up.
    const LeafView leaf = tree(0).Use(*path);
    const uint32_t count = leaf.count();
    found.position = count;
    if (count > 0 && ParseScore(leaf.At(count - 1)) >= score) {
      found = FindBound(*env_, leaf, BoundOf(score, text), nullptr);
    }
  } else {
    path = &sought;
    (void)FindScored(score, text, path, &found, nullptr);
  }
  if (OverflowsLoneLeaf(tree(0).Look(*path), draft.bytes() + kSlotBytes)) {
    MakeIndexedRoot();
    tree(0).SeekFirst(path);
  }
  tree(0).Insert(path, found.position, draft);
}

void ZSetValue::InsertIndex(double score, const ElementDraft& member, Bytes text) {
  Tree index = tree(1);
  const ScoreDraft value(score);
  const EntryDraft draft = EntryDraft::OfHash(member, value.bytes(), false);
  if (index.empty()) return index.InsertFirst(draft);
  const uint64_t hash = env_->HashOf(text);
  Path path;
  index.SeekHash(hash, &path);
  const Found found = FindField(*env_, index.Use(path), {text}, hash, path.bounds, nullptr);
  index.Insert(&path, found.position, draft);
}

bool ZSetValue::MoveInPlace(Path* path, uint32_t i, double to) {
  Tree scores = tree(0);
  const LeafView leaf = scores.Look(*path);
  // At the leaf's edges the separators have a say.
  const bool lone = path->height == 0;
  if (!lone && (i == 0 || i + 1 == leaf.count())) return false;
  const Element member = ParseMember(leaf.At(i));
  const auto at = [&](uint32_t other) {
    const double there = ParseScore(leaf.At(other));
    if (there != to) return there < to ? Order::kLess : Order::kGreater;
    Missing unused;
    return CompareElements(*env_, ParseMember(leaf.At(other)), member, &unused);
  };
  if (i > 0 && at(i - 1) != Order::kLess) return false;
  if (i + 1 < leaf.count() && at(i + 1) != Order::kGreater) return false;
  const ScoreDraft score(to);
  if (score.bytes().size() != ScoreBytes(leaf.At(i))) return false;
  std::memcpy(scores.WriteEntry(path, i).data(), score.bytes().data(), score.bytes().size());
  return true;
}

void ZSetValue::Move(Bytes member, double from, double to) {
  const bool indexed = has_root();
  const ElementDraft stored = DraftOfFound(member);
  if (indexed) MoveInIndex(stored, to);
  Path sought;
  Path* path = !indexed ? &path_ : from_.IsOf(from) ? &from_.path : &sought;
  uint32_t at = found_.position;
  if (indexed) {
    if (path == &sought) tree(0).SeekKey(ScoreKey(from, member), path);
    (void)tree(0).Use(*path);
    at = PositionOf(*path, from, member, stored);
  }
  if (MoveInPlace(path, at, to)) return;
  // Out and in again; a large member keeps its blocks by a share of its own meanwhile.
  ShareElement(*env_, stored.element());
  // In, then out: a leaf that this would empty is needed for the place that it stands for; and
  // among large members the place is sought as it was planned, or others would be compared.
  const bool in_first = indexed && (path->leaf.count() == 1 || path->leaf.large());
  if (in_first) {
    InsertScore(to, stored, member, to_.IsOf(to) ? &to_.path : nullptr);
    path = &sought;
    tree(0).SeekKey(ScoreKey(from, member), path);
    at = PositionOf(*path, from, member, stored);
  }
  const bool paths_hold = tree(0).Erase(path, at, at + 1);
  if (!in_first) {
    Path* planned = nullptr;
    if (paths_hold && to_.IsOf(to)) {
      planned = to_.path.leaf.id() == path->leaf.id() ? path : &to_.path;
    }
    InsertScore(to, stored, member, planned);
  }
  if (!indexed && has_root()) {  // It was made while the member was out.
    InsertIndex(to, stored, member);
    AddToCount(1);
  }
}

void ZSetValue::MoveInIndex(const ElementDraft& member, double to) {
  Tree index = tree(1);
  const ScoreDraft score(to);
  const HashEntry old = ParseHashEntry(index.Look(path_).At(found_.position));
  if (old.value.bytes.size() == score.bytes().size()) {
    const MutableBytes entry = index.WriteEntry(&path_, found_.position);
    std::memcpy(entry.data() + entry.size() - score.bytes().size(), score.bytes().data(),
                score.bytes().size());
    return;
  }
  index.Replace(&path_, found_.position, EntryDraft::OfHash(member, score.bytes(), false));
}

ElementDraft ZSetValue::DraftOfFound(Bytes member) const {
  const bool indexed = has_root();
  const EntryView entry = tree(indexed ? 1 : 0).Look(path_).At(found_.position);
  const Element stored = indexed ? ParseHashEntry(entry).field : ParseMember(entry);
  return stored.large ? ElementDraft(stored) : ElementDraft(*env_, member, family());
}

uint32_t ZSetValue::PositionOf(const Path& path, double score, Bytes text,
                               const ElementDraft& stored) const {
  const LeafView leaf = tree(0).Look(path);
  if (!path.leaf.large()) {
    const Found found = FindBound(*env_, leaf, BoundOf(score, text), nullptr);
    FLASH_CHECK(found.found);
    return found.position;
  }
  // By what is stored of it, so that no large member's blocks need be there.
  const Bytes wanted = stored.stored();
  for (uint32_t at = FirstOfScore(leaf, score);; ++at) {
    FLASH_CHECK(at < leaf.count());
    const Element there = ParseMember(leaf.At(at));
    if (there.large == stored.large() && base::AsText(there.bytes) == base::AsText(wanted)) {
      return at;
    }
  }
}

void ZSetValue::EraseFromIndex(const Element& member) {
  Tree index = tree(1);
  const uint64_t hash = ElementHash(*env_, member);
  Path path;
  index.SeekHash(hash, &path);
  const Found found = FindField(*env_, index.Use(path), member, hash, path.bounds, nullptr);
  FLASH_CHECK(found.found);
  index.Erase(&path, found.position, found.position + 1);
}

void ZSetValue::PlanPop(End end, Missing* missing) {
  planned_ = {};
  const Tree scores = tree(0);
  end == End::kLowest ? scores.SeekFirst(&end_path_) : scores.SeekLast(&end_path_);
  if (!scores.Plan(end_path_, missing)) return;
  const LeafView leaf = scores.Use(end_path_);
  end_position_ = end == End::kLowest ? 0 : leaf.count() - 1;
  const Element member = ParseMember(leaf.At(end_position_));
  PlanElement(*env_, member, missing);
  if (!has_root()) return;
  const Tree index = tree(1);
  const uint64_t hash = member.large ? member.large_hash() : KeyedHash(*env_, member.bytes);
  index.SeekHash(hash, &path_);
  if (!index.Plan(path_, missing)) return;
  found_ = FindField(*env_, index.Use(path_), member, hash, path_.bounds, missing);
}

void ZSetValue::Pop() {
  if (has_root()) {
    FLASH_CHECK(found_.found);
    tree(1).Erase(&path_, found_.position, found_.position + 1);
  }
  tree(0).Erase(&end_path_, end_position_, end_position_ + 1);
  AddToCount(uint64_t{0} - 1);
  (void)DropRootIfSmall();
}

bool ZSetValue::Erase(Bytes member) {
  if (!Find(member, nullptr, Cold::kMeansAbsent)) return false;
  Path path = path_;
  uint32_t at = found_.position;
  if (has_root()) {
    const double score = FoundScore();
    const ElementDraft stored = DraftOfFound(member);
    tree(1).Erase(&path_, found_.position, found_.position + 1);
    tree(0).SeekKey(ScoreKey(score, member), &path);
    (void)tree(0).Use(path);
    at = PositionOf(path, score, member, stored);
  }
  tree(0).Erase(&path, at, at + 1);
  AddToCount(uint64_t{0} - 1);
  (void)DropRootIfSmall();
  return true;
}

void ZSetValue::EraseRange(uint64_t begin, uint64_t end) {
  planned_ = {};
  if (begin >= end) return;
  if (has_root()) {
    std::vector<std::pair<std::string, bool>> members;  // As stored: large ones are references.
    ForRange(begin, end, [&](double, const Element& member) {
      members.emplace_back(base::AsText(member.bytes), member.large);
      return true;
    });
    for (const auto& [stored, large] : members) EraseFromIndex({base::AsBytes(stored), large});
  }
  tree(0).EraseRange(begin, end);
  AddToCount(begin - end);
  (void)DropRootIfSmall();
}

}  // namespace flash::values
