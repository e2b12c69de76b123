// zset_join.cc: see zset_join.h. Of any set: a merge of all. Of all, or the first alone: the first
// set's members are looked up in the others, whose leaves come in order, too.
//
// Thread: main.
#include "values/zset_join.h"

#include <algorithm>

namespace flash::values {

// --- One of the sets
// ------------------------------------------------------------------------------

ZSetJoin::Set::Set(const Env& env, uint64_t* word, uint64_t budget_bytes) : word_(word) {
  const ZSetValue set(env, word);
  if (set.empty()) loaded_ = true;
  if (!set.has_root()) return;
  loaded_ = true;
  index_.emplace(set.elements(1));
  walk_.emplace(set, ElementWalk::Options{
                         .begin = 0, .end = set.size(), .tree = 1, .budget_bytes = budget_bytes});
}

bool ZSetJoin::Set::Load(const Env& env, Missing* missing) {
  if (loaded_) return true;
  const ZSetValue set(env, word_);
  set.PlanRange(0, set.size(), missing);
  if (!env.store.IsHot(LeafRef::FromWord(*word_).id())) return false;
  set.ForRange(0, set.size(), [&](double score, const Element& member) {
    loose_.push_back({ElementHash(env, member), ElementText(env, member), score});
    return true;
  });
  std::sort(loose_.begin(), loose_.end(), [](const Loose& a, const Loose& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.member < b.member;
  });
  loaded_ = true;
  return true;
}

uint64_t ZSetJoin::Set::Hash(const Env& env) {
  if (!walk_) return loose_[at_].hash;
  if (!hash_) hash_ = EntryHash(env, walk_->Entry());
  return *hash_;
}

Element ZSetJoin::Set::Member() const {
  if (!walk_) return {base::AsBytes(loose_[at_].member)};
  return ParseHashEntry(walk_->Entry()).field;
}

double ZSetJoin::Set::Score() const {
  if (!walk_) return loose_[at_].score;
  return DecodeScore(ParseHashEntry(walk_->Entry()).value.bytes);
}

void ZSetJoin::Set::Advance() {
  hash_.reset();
  if (walk_) {
    walk_->Advance();
  } else {
    ++at_;
  }
}

std::optional<double> ZSetJoin::Set::Find(const Env& env, uint64_t hash, const Element& member,
                                          Missing* missing) const {
  if (!index_) {
    if (member.large) return std::nullopt;
    auto at = std::lower_bound(loose_.begin(), loose_.end(), hash,
                               [](const Loose& loose, uint64_t than) { return loose.hash < than; });
    for (; at != loose_.end() && at->hash == hash; ++at) {
      if (at->member == base::AsText(member.bytes)) return at->score;
    }
    return std::nullopt;
  }
  Path path;
  index_->SeekHash(hash, &path);
  if (!index_->Plan(path, missing)) return std::nullopt;
  const LeafView leaf = index_->Use(path);
  const Found found = FindField(env, leaf, member, hash, path.bounds, missing);
  if (!found.found || found.unknown) return std::nullopt;
  return DecodeScore(ParseHashEntry(leaf.At(found.position)).value.bytes);
}

bool ZSetJoin::Set::NameLeafOf(uint64_t hash, BlockId* last, Missing* missing,
                               const Env& env) const {
  if (!index_) return false;
  Path path;
  index_->SeekHash(hash, &path);
  if (path.leaf.id() == *last) return false;
  *last = path.leaf.id();
  static_cast<void>(missing->Need(env.store, *last));
  return true;
}

template <typename Visit>
void ZSetJoin::Set::ForEachAhead(const Env& env, Missing* missing, const Visit& visit) const {
  if (!walk_) {
    for (size_t i = at_; i < loose_.size() && visit(loose_[i].hash); ++i) continue;
    return;
  }
  ElementWalk ahead = *walk_;
  for (Missing unnamed; !ahead.AtEnd() && ahead.IsHot(); ahead.Advance()) {
    if (ahead.IsAtLeafBegin()) ahead.Keep(missing);
    if (!visit(EntryHash(env, ahead.Entry()))) return;
  }
}

// --- The join
// -------------------------------------------------------------------------------------

namespace {

/// Leaves that are named together for the sets that are walked over.
uint64_t BudgetOf(const ZSetJoin::Options& options, size_t sets) {
  return options.budget_bytes / (options.of == ZSetJoin::Of::kAny ? std::max<size_t>(1, sets) : 2);
}

}  // namespace

ZSetJoin::ZSetJoin(const Env& env, std::span<uint64_t* const> words, const Options& options)
    : env_(env), options_(options), scores_(words.size()) {
  sets_.reserve(words.size());
  for (uint64_t* const word : words) sets_.emplace_back(env, word, BudgetOf(options, words.size()));
}

bool ZSetJoin::LoadLoose(Missing* missing) {
  if (loaded_) return true;
  uint64_t named_bytes = 0;
  for (Set& set : sets_) {
    if (set.Load(env_, missing)) continue;
    named_bytes += env_.leaf_bytes_max;
    if (named_bytes >= options_.budget_bytes) return false;
  }
  loaded_ = named_bytes == 0;
  return loaded_;
}

ZSetJoin::At ZSetJoin::Look(Missing* missing) {
  if (!LoadLoose(missing)) return At::kMissing;
  return options_.of == Of::kAny ? LookAtLeast(missing) : LookUp(missing);
}

ZSetJoin::At ZSetJoin::LookAtLeast(Missing* missing) {
  bool any = false;
  bool ready = true;
  for (Set& set : sets_) {
    if (set.AtEnd()) continue;
    if (!set.Ready(missing)) {
      ready = false;
      continue;
    }
    const uint64_t hash = set.Hash(env_);
    if (!any || hash < hash_) hash_ = hash;
    any = true;
  }
  if (!ready) {
    Keep(missing);
    return At::kMissing;
  }
  if (!any) return At::kEnd;
  any = false;
  for (size_t i = 0; i < sets_.size(); ++i) {
    scores_[i].reset();
    Set& set = sets_[i];
    if (set.AtEnd() || set.Hash(env_) != hash_) continue;
    const Element member = set.Member();
    const Order order = any ? CompareElements(env_, member, member_, missing) : Order::kLess;
    if (order == Order::kUnknown) {
      Keep(missing);
      return At::kMissing;
    }
    if (order == Order::kGreater) continue;
    if (order == Order::kLess) {  // Those before have another member with the same hash.
      std::fill_n(scores_.begin(), i, std::nullopt);
      member_ = member;
      any = true;
    }
    scores_[i] = set.Score();
  }
  return At::kMember;
}

ZSetJoin::At ZSetJoin::LookUp(Missing* missing) {
  Set& first = sets_[0];
  const bool of_all = options_.of == Of::kAll;
  if (first.AtEnd()) return At::kEnd;
  if (!first.Ready(missing)) return At::kMissing;
  hash_ = first.Hash(env_);
  member_ = first.Member();
  scores_[0] = first.Score();
  for (; looked_up_ < sets_.size(); ++looked_up_) {
    Missing here;
    scores_[looked_up_] = sets_[looked_up_].Find(env_, hash_, member_, &here);
    if (!here.empty()) {
      for (const BlockId id : here.ids()) static_cast<void>(missing->Need(env_.store, id));
      return Lacking(missing);
    }
    if (scores_[looked_up_].has_value() != of_all) return At::kNoMember;
  }
  return At::kMember;
}

/// Names beside what the member at hand needs of the set where it was not looked up yet what those
/// behind it need of that.
ZSetJoin::At ZSetJoin::Lacking(Missing* missing) const {
  Keep(missing);
  const uint64_t most = options_.budget_bytes / 2 / env_.leaf_bytes_max;
  uint64_t named = 1;
  BlockId last = kNoBlock;
  sets_[0].ForEachAhead(env_, missing, [&](uint64_t hash) {
    if (sets_[looked_up_].NameLeafOf(hash, &last, missing, env_)) ++named;
    return named < most;
  });
  return At::kMissing;
}

void ZSetJoin::Keep(Missing* missing) const {
  if (options_.of == Of::kAny) {
    for (const Set& set : sets_) set.Keep(missing);
    return;
  }
  sets_[0].Keep(missing);
}

void ZSetJoin::Advance() {
  looked_up_ = 1;
  for (size_t i = 0; i < sets_.size(); ++i) {
    const bool at_hand = options_.of == Of::kAny ? scores_[i].has_value() : i == 0;
    if (at_hand) sets_[i].Advance();
  }
}

}  // namespace flash::values
