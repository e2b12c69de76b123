// zset.cc: handlers of the sorted set commands that add and remove. Their specs: zset_specs.cc.
//
// The order of checks is the native one. Thread: main.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "commands/erase_steps.h"
#include "commands/parse_number.h"
#include "commands/pop_work.h"
#include "commands/zset_handlers.h"
#include "commands/zset_parts.h"

namespace flash::commands {
namespace {

constexpr const char* kNaN = "ERR resulting score is not a number (NaN)";

/// What a ZADD did.
struct Added {
  long long added = 0;
  long long updated = 0;
  bool processed = false;
  double score = 0;              // The last one set.
  base::Few<size_t, 4> changed;  // Index of each pair that changed something.
};

bool IsPlain(const ZAddRequest& request) {
  return !request.nx && !request.xx && !request.gt && !request.lt && !request.incr;
}

/// The score that a member with `old` (absent: a new one) gets; absent: none, it stays as it is.
std::optional<double> NewScore(const ZAddRequest& request, std::optional<double> old,
                               double given) {
  if (!old) return request.xx ? std::nullopt : std::optional<double>(given);
  if (request.nx) return std::nullopt;
  const double score = request.incr ? *old + given : given;
  if (request.gt && !(score > *old)) return std::nullopt;
  if (request.lt && !(score < *old)) return std::nullopt;
  return score;
}

/// The score that is stored: a small set knows no minus zero, unless it is about to be large.
double StoredScore(double score, Bytes member, const ZAddRequest& request, const ZSetValue& set) {
  const bool small = member.size() <= kSmallMemberBytes && set.size() < kSmallSize &&
                     request.scores.size() <= kSmallSize;
  return small ? WithoutMinusZero(score) : score;
}

/// A pair of a ZADD.
struct Pair {
  size_t at = 0;  // Argument of the score.
  double score = 0;
  Bytes member;
};
Pair PairAt(const Texts& texts, const ZAddRequest& request, size_t i) {
  const size_t at = request.first_pair + 2 * i;
  return {at, request.scores[i], base::AsBytes(texts[at + 1])};
}

/// Without conditions and increments: each member is sought once.
void ApplyPlain(const Pair& pair, const ZAddRequest& request, ZSetValue& set, Added* done) {
  std::optional<double> old;
  static_cast<void>(set.Set(pair.member, StoredScore(pair.score, pair.member, request, set), &old));
  if (old && *old == pair.score) return;
  ++(old ? done->updated : done->added);
  done->changed.push_back(pair.at);
}

void Apply(const Pair& pair, const ZAddRequest& request, ZSetValue& set, Added* done) {
  if (IsPlain(request)) return ApplyPlain(pair, request, set, done);
  const std::optional<double> old = set.empty() ? std::nullopt : set.Score(pair.member);
  const std::optional<double> score = NewScore(request, old, pair.score);
  if (!score) return;
  done->processed = true;
  done->score = *score;
  if (old && *old == *score) return;
  static_cast<void>(set.Set(pair.member, StoredScore(*score, pair.member, request, set)));
  ++(old ? done->updated : done->added);
  done->changed.push_back(pair.at);
}

/// ZADD as replicas and the AOF are to do it: what was changed, without conditions.
void CommitAdd(Context& ctx, const ZAddRequest& request, const Added& done, const char* event) {
  ValkeyModuleString* const name = ctx.Argument(kKey);
  const std::array<KeyChange, 1> changes = {{{name, event, kZSetClass}}};
  if (IsPlain(request)) return ctx.Commit({}, changes);
  std::vector<ValkeyModuleString*> args = {name};
  vk::String score;
  if (request.incr) score = vk::String::Copy(FormatDoubleLong(done.score));
  for (const size_t index : done.changed) {
    const int at = static_cast<int>(index);
    args.push_back(request.incr ? score.get() : ctx.Argument(at));
    args.push_back(ctx.Argument(at + 1));
  }
  ctx.Commit({"FLASH.ZADD", args}, changes);
}

/// Names what adding needs; `*large`: more than a command may pin at once.
std::optional<Outcome> GateAdd(Context& ctx, const Texts& texts, const ZAddRequest& request,
                               ZSetKey& key, bool* large) {
  if (!key.exists()) return std::nullopt;
  Missing missing;
  if (!request.incr) {
    const bool several = request.scores.size() > 1;
    if (several) key->ExpectSeveral();
    for (size_t i = 0; i < request.scores.size(); ++i) {
      key->PlanSet(base::AsBytes(texts[request.first_pair + 2 * i + 1]), request.scores[i],
                   &missing);
    }
    if (several) key->PlanHeirs(&missing);
    *large = several && dispatch::IsMoreThanPortion(&missing);
    return *large ? std::nullopt : ctx.Gate(missing);
  }
  const Bytes member = base::AsBytes(texts[request.first_pair + 1]);
  key->PlanSet(member, std::nullopt, &missing);
  if (auto closed = ctx.Gate(missing)) return closed;
  const std::optional<double> old = key->Score(member);
  const double sum = old.value_or(0) + request.scores[0];
  if (old && !request.nx && std::isnan(sum)) return ctx.ReplyError(kNaN);
  if (const auto score = NewScore(request, old, request.scores[0])) {
    key->PlanSet(member, *score, &missing);
  }
  return ctx.Gate(missing);
}

/// A ZADD of more than a command may add at once.
class AddSteps final : public dispatch::WriteSteps {
 public:
  AddSteps(const Context& ctx, const Texts& texts, const ZAddRequest& request) : request_(request) {
    for (size_t i = 0; i < request.scores.size(); ++i) {
      pairs_.push_back(PairAt(texts, request, i));
      members_.push_back(ctx.Argument(static_cast<int>(pairs_.back().at) + 1));
    }
    // New ones come at one end of the scores' tree. Of a member that comes twice the order counts.
    if (IsDistinct()) {
      std::sort(pairs_.begin(), pairs_.end(),
                [](const Pair& a, const Pair& b) { return a.score < b.score; });
    }
  }
  [[nodiscard]] size_t count() const override { return pairs_.size(); }
  [[nodiscard]] uint64_t BytesOf(size_t i) const override {
    return 2 * HotBytesOf(base::AsText(PairNow(i).member)) + kLeaves * kCopiedLeafBytes;
  }
  void Plan(uint64_t* word, size_t begin, size_t end, Missing* missing) override {
    if (*word == 0) return;
    ZSetValue set(server::TheEnv(), word);
    if (end - begin > 1) set.ExpectSeveral();
    for (size_t i = begin; i < end; ++i) set.PlanSet(PairNow(i).member, pairs_[i].score, missing);
    if (end - begin > 1) set.PlanHeirs(missing);
  }
  void Apply(uint64_t* word, size_t begin, size_t end) override {
    ZSetValue set(server::TheEnv(), word);
    for (size_t i = begin; i < end; ++i) commands::Apply(PairNow(i), request_, set, &done_);
  }
  [[nodiscard]] const Added& done() const { return done_; }

 private:
  static constexpr uint64_t kLeaves = 3;
  [[nodiscard]] bool IsDistinct() const {
    std::vector<std::string_view> members;
    for (const Pair& pair : pairs_) members.push_back(base::AsText(pair.member));
    std::sort(members.begin(), members.end());
    return std::adjacent_find(members.begin(), members.end()) == members.end();
  }
  /// The server moves the bytes of arguments when the command returns: looked for each time.
  [[nodiscard]] Pair PairNow(size_t i) const {
    Pair pair = pairs_[i];
    pair.member = vk::BytesOf(members_[(pair.at - request_.first_pair) / 2]);
    return pair;
  }
  ZAddRequest request_;
  std::vector<Pair> pairs_;
  std::vector<ValkeyModuleString*> members_;  // In the order of the arguments.
  Added done_;
};

Outcome ReplyAdded(Context& ctx, const ZAddRequest& request, const Added& done) {
  if (!request.incr) return ctx.ReplyInteger(done.added + (request.ch ? done.updated : 0));
  return done.processed ? ctx.ReplyDouble(done.score) : ctx.ReplyNull();
}

Outcome AddLarge(Context& ctx, const Texts& texts, const ZAddRequest& request, ZSetKey& key,
                 const char* event) {
  dispatch::DraftWork* work = nullptr;
  const auto steps = [&] { return std::make_unique<AddSteps>(ctx, texts, request); };
  if (auto closed = ctx.GateDraft(*key, steps, &work)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  const Added& done = static_cast<AddSteps&>(work->steps()).done();
  if (!done.changed.empty()) {
    key.ReplaceContent(values::CollectionKind::kZSet, work->TakeDraft());
    CommitAdd(ctx, request, done, event);
  }
  return ReplyAdded(ctx, request, done);
}

Outcome Add(Context& ctx, bool incr, const char* event) {
  const Texts texts(ctx);
  const Result<ZAddRequest> request = ParseZAdd(texts.args(), incr);
  if (!request) return ctx.ReplyError(request.error());
  ZSetKey key(ctx, kKey, Access::kWrite);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  if (!key.exists() && request->xx) return request->incr ? ctx.ReplyNull() : ctx.ReplyInteger(0);
  uint64_t hot_bytes = 0;
  for (size_t i = request->first_pair + 1; i < texts.size(); i += 2) {
    hot_bytes += 2 * HotBytesOf(texts[i]);
  }
  bool large = request->scores.size() > 1 && (ctx.DoneWork<dispatch::DraftWork>() != nullptr ||
                                              dispatch::DraftWork::IsLarge(hot_bytes));
  if (!large) {
    if (auto closed = GateAdd(ctx, texts, *request, key, &large)) return *closed;
  }
  if (large) return AddLarge(ctx, texts, *request, key, event);
  if (auto closed = GateRoomFor(ctx, hot_bytes)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;

  Added done;
  for (size_t i = 0; i < request->scores.size(); ++i) {
    Apply(PairAt(texts, *request, i), *request, *key, &done);
  }
  if (!done.changed.empty()) {
    key.Save();
    CommitAdd(ctx, *request, done, event);
  }
  return ReplyAdded(ctx, *request, done);
}

/// Takes off more than a command pins.
Outcome PopMany(Context& ctx, ZSetKey& key, ZEnd end, uint64_t taken, const char* event) {
  const uint64_t begin = end == ZEnd::kMin ? 0 : key->size() - taken;
  PopWork* work = nullptr;
  const PopWork::Wanted wanted{
      {begin, begin + taken, end == ZEnd::kMax}, PopWork::Shape::kScored, !ctx.MustApply()};
  if (auto closed = GatePop(ctx, key, wanted, &work)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  static_cast<void>(work->Reply(ctx));
  if (work->takes_all()) {
    key.Delete();
  } else {
    key.ReplaceContent(values::CollectionKind::kZSet, work->TakeDraft());
  }
  CommitRemoval(ctx, kKey, !key.exists(), event, kZSetClass);
  return Outcome::kDone;
}

Outcome Pop(Context& ctx, ZEnd end, const char* event) {
  const Texts texts(ctx);
  const Result<std::optional<int64_t>> count = ParseZPopCount(texts.args());
  if (!count) return ctx.ReplyError(count.error());
  ZSetKey key(ctx, kKey, Access::kWrite);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  const uint64_t size = key.exists() ? key->size() : 0;
  const uint64_t taken = std::min(static_cast<uint64_t>(count->value_or(1)), size);
  if (taken == 0) {
    ctx.ReplyArray(0);
    return Outcome::kDone;
  }
  Missing missing;
  if (ctx.DoneWork<PopWork>() != nullptr || IsLongTakeRanked(key, end, taken, &missing)) {
    return PopMany(ctx, key, end, taken, event);
  }
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;

  const bool nested = count->has_value() && ctx.resp3();
  ctx.ReplyArray(static_cast<long>(nested ? taken : 2 * taken));
  TakeRanked(ctx, key, end, taken, nested);
  CommitRemoval(ctx, kKey, !key.exists(), event, kZSetClass);
  return Outcome::kDone;
}

}  // namespace

/// FLASH.ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member …]
///
/// Reply: integer, members added (CH: or changed); with INCR the score, or null where a condition
/// does not hold.
Outcome ZAdd(Context& ctx) { return Add(ctx, false, "flash.zadd"); }

/// FLASH.ZINCRBY key increment member
///
/// Reply: the score.
Outcome ZIncrBy(Context& ctx) { return Add(ctx, true, "flash.zincrby"); }

namespace {

Outcome RemoveMany(Context& ctx, ZSetKey& key) {
  constexpr uint32_t kLeaves = 2;  // Of the index, and of the scores.
  dispatch::DraftWork* work = nullptr;
  if (auto closed = GateErase<ZSetValue>(ctx, key, 2, kLeaves, &work)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  const long long removed = static_cast<EraseSteps<ZSetValue>&>(work->steps()).removed();
  if (removed > 0) {
    key.ReplaceContent(values::CollectionKind::kZSet, work->TakeDraft());
    CommitRemoval(ctx, kKey, !key.exists(), "flash.zrem", kZSetClass);
  }
  return ctx.ReplyInteger(removed);
}

}  // namespace

/// FLASH.ZREM key member [member …]
///
/// Reply: integer, the number of members removed.
Outcome ZRem(Context& ctx) {
  ZSetKey key(ctx, kKey, Access::kWrite);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyInteger(0);
  }
  Missing missing;
  for (int i = 2; i < ctx.argc(); ++i) key->PlanErase(vk::BytesOf(ctx.Argument(i)), &missing);
  if (IsLargeErase(ctx, &missing)) return RemoveMany(ctx, key);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  long long removed = 0;
  for (int i = 2; i < ctx.argc() && key.exists(); ++i) {
    removed += key->Erase(vk::BytesOf(ctx.Argument(i))) ? 1 : 0;
  }
  if (removed > 0) {
    key.Save();
    CommitRemoval(ctx, kKey, !key.exists(), "flash.zrem", kZSetClass);
  }
  return ctx.ReplyInteger(removed);
}

/// FLASH.ZPOPMIN key [count]
///
/// Reply: an array of members and scores; in RESP3, with a count, of pairs.
Outcome ZPopMin(Context& ctx) { return Pop(ctx, ZEnd::kMin, "flash.zpopmin"); }

/// FLASH.ZPOPMAX key [count]
///
/// Reply: as ZPOPMIN.
Outcome ZPopMax(Context& ctx) { return Pop(ctx, ZEnd::kMax, "flash.zpopmax"); }

}  // namespace flash::commands
