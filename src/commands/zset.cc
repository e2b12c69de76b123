// zset.cc: handlers of the sorted set commands that add and remove. Their specs: zset_specs.cc.
//
// The order of checks is the native one. Thread: main.
#include <cmath>
#include <string>

#include "commands/parse_number.h"
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
  double score = 0;        // The last one set.
  Few<size_t, 4> changed;  // Index of each pair that changed something.
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

/// The score that is stored: a small set knows no minus zero.
double StoredScore(double score, Bytes member, ZSetKey& key) {
  const bool small =
      member.size() <= kSmallMemberBytes && (!key.exists() || key->size() < kSmallSize);
  return small ? WithoutMinusZero(score) : score;
}

/// Without conditions and increments: each member is sought once.
Added ApplyPlain(const Texts& texts, const ZAddRequest& request, ZSetKey& key) {
  Added done;
  for (size_t i = 0; i < request.scores.size(); ++i) {
    const Bytes member = base::AsBytes(texts[request.first_pair + 2 * i + 1]);
    std::optional<double> old;
    static_cast<void>(key->Set(member, StoredScore(request.scores[i], member, key), &old));
    if (old && *old == request.scores[i]) continue;
    ++(old ? done.updated : done.added);
    done.changed.push_back(request.first_pair + 2 * i);
  }
  return done;
}

Added Apply(const Texts& texts, const ZAddRequest& request, ZSetKey& key) {
  if (IsPlain(request)) return ApplyPlain(texts, request, key);
  Added done;
  for (size_t i = 0; i < request.scores.size(); ++i) {
    const Bytes member = base::AsBytes(texts[request.first_pair + 2 * i + 1]);
    const std::optional<double> old = key.exists() ? key->Score(member) : std::nullopt;
    const std::optional<double> score = NewScore(request, old, request.scores[i]);
    if (!score) continue;
    done.processed = true;
    done.score = *score;
    if (old && *old == *score) continue;
    static_cast<void>(key->Set(member, StoredScore(*score, member, key)));
    ++(old ? done.updated : done.added);
    done.changed.push_back(request.first_pair + 2 * i);
  }
  return done;
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

/// Names what adding needs. Absent: an error was replied, or there is more to be fetched first.
std::optional<Outcome> GateAdd(Context& ctx, const Texts& texts, const ZAddRequest& request,
                               ZSetKey& key) {
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
    return ctx.Gate(missing);
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

Outcome Add(Context& ctx, bool incr, const char* event) {
  const Texts texts(ctx);
  const Result<ZAddRequest> request = ParseZAdd(texts.args(), incr);
  if (!request) return ctx.ReplyError(request.error());
  ZSetKey key(ctx, kKey, Access::kWrite);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  if (!key.exists() && request->xx) return request->incr ? ctx.ReplyNull() : ctx.ReplyInteger(0);
  if (auto closed = GateAdd(ctx, texts, *request, key)) return *closed;
  uint64_t hot_bytes = 0;
  for (size_t i = request->first_pair + 1; i < texts.size(); i += 2) {
    hot_bytes += 2 * HotBytesOf(texts[i]);
  }
  if (auto closed = GateRoomFor(ctx, hot_bytes)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;

  const Added done = Apply(texts, *request, key);
  if (!done.changed.empty()) {
    key.Save();
    CommitAdd(ctx, *request, done, event);
  }
  if (!request->incr) return ctx.ReplyInteger(done.added + (request->ch ? done.updated : 0));
  return done.processed ? ctx.ReplyDouble(done.score) : ctx.ReplyNull();
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
  PlanTakeRanked(key, end, taken, &missing);
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
