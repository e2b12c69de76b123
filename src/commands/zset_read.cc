// zset_read.cc: handlers of the sorted set commands that only read. Their specs: zset_specs.cc.
//
// The order of checks is the native one. Thread: main.
#include <algorithm>
#include <string>

#include "base/glob.h"
#include "commands/keyed_read.h"
#include "commands/parse_number.h"
#include "commands/read_work.h"
#include "commands/zset_handlers.h"
#include "commands/zset_parts.h"

namespace flash::commands {
namespace {

Outcome Rank(Context& ctx, bool reverse) {
  const Texts texts(ctx);
  const Result<bool> with_score = ParseZRankWithScore(texts.args());
  if (!with_score) return ctx.ReplyError(with_score.error());
  ZSetKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  const auto reply_null = [&ctx, &with_score] {
    return *with_score ? ctx.ReplyNullArray() : ctx.ReplyNull();
  };
  if (!key.exists()) return reply_null();
  const Bytes member = base::AsBytes(texts[2]);
  Missing missing;
  const std::optional<uint64_t> rank = key->Rank(member, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (!rank) return reply_null();
  if (*with_score) ctx.ReplyArray(2);
  ctx.ReplyInteger(static_cast<long long>(reverse ? key->size() - 1 - *rank : *rank));
  if (*with_score) ctx.ReplyDouble(*key->Score(member));
  return Outcome::kDone;
}

template <typename Range>
Outcome Count(Context& ctx, const Result<Range>& range) {
  if (!range) return ctx.ReplyError(range.error());
  ZSetKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  if (!key.exists()) return ctx.ReplyInteger(0);
  Missing missing;
  const Ranks ranks = RanksOf(*range, key, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  return ctx.ReplyInteger(static_cast<long long>(ranks.count()));
}

Outcome Range(Context& ctx, const ZRangeShape& shape) {
  if (auto* work = ctx.DoneWork<ReadWork>()) return work->Reply(ctx);
  const Texts texts(ctx);
  const Result<ZRangeRequest> request = ParseZRange(texts.args(), shape);
  if (!request) return ctx.ReplyError(request.error());
  ZSetKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  Missing missing;
  const Ranks ranks = RanksOf(*request, key, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (IsLongRead(*key, ranks.begin, ranks.end, &missing)) {
    using Shape = RangeRead::Shape;
    const RangeRead::Range range{
        .begin = ranks.begin, .end = ranks.end, .reverse = request->reverse};
    return ReadLong(
        ctx, std::make_shared<RangeRead>(*key, values::CollectionKind::kZSet, range,
                                         request->with_scores ? Shape::kScored : Shape::kElements));
  }
  if (auto closed = ctx.Gate(missing)) return *closed;

  const bool nested = request->with_scores && ctx.resp3();
  const bool flat = request->with_scores && !nested;
  ctx.ReplyArray(static_cast<long>(ranks.count() * (flat ? 2 : 1)));
  if (ranks.count() == 0) return Outcome::kDone;
  const auto reply = [&](double score, const Element& member) {
    if (request->with_scores) {
      ReplyScored(ctx, score, member, nested);
    } else {
      ReplyElement(ctx, member);
    }
    return true;
  };
  if (request->reverse) {
    key->ForRangeReverse(ranks.begin, ranks.end, reply);
  } else {
    key->ForRange(ranks.begin, ranks.end, reply);
  }
  return Outcome::kDone;
}

/// Members and scores of one step of a scan, as text.
struct Scanned {
  uint64_t cursor = 0;
  std::vector<std::string> items;
};

Scanned Scan(ZSetKey& key, uint64_t cursor, const ZScanOptions& options) {
  Scanned result;
  bool small = key->size() <= kSmallSize;
  std::vector<std::pair<std::string, double>> found;
  result.cursor = key->Scan(cursor, static_cast<uint64_t>(options.count),
                            [&](double score, const Element& member) {
                              small = small && member.size() <= kSmallMemberBytes;
                              std::string text = values::ElementText(server::TheEnv(), member);
                              if (options.match && !base::GlobMatches(*options.match, text)) return;
                              found.emplace_back(std::move(text), score);
                            });
  for (auto& [member, score] : found) {
    result.items.push_back(std::move(member));
    if (options.no_scores) continue;
    result.items.push_back(small ? FormatDouble(score) : FormatDoubleLong(score));
  }
  return result;
}

}  // namespace

/// FLASH.ZSCORE key member
///
/// Reply: the score, or null.
Outcome ZScore(Context& ctx) {
  ZSetKey key(ctx, kKey, Access::kRead);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyNull();
  }
  Missing missing;
  const std::optional<double> score = key->Score(vk::BytesOf(ctx.Argument(2)), &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  return score ? ctx.ReplyDouble(*score) : ctx.ReplyNull();
}

/// FLASH.ZMSCORE key member [member …]
///
/// Reply: an array of scores and nulls.
Outcome ZMScore(Context& ctx) {
  if (auto* work = ctx.DoneWork<ReadWork>()) return work->Reply(ctx);
  ZSetKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  Missing missing;
  for (int i = 2; key.exists() && i < ctx.argc(); ++i) {
    key->PlanScore(vk::BytesOf(ctx.Argument(i)), &missing);
  }
  // Scores are short: more of them than may be replied are more than a client asks for.
  if (IsTooMuch(&missing, 0)) return ReadLong(ctx, std::make_shared<ScoresRead>(ctx, *key));
  if (auto closed = ctx.Gate(missing)) return *closed;
  ctx.ReplyArray(ctx.argc() - 2);
  for (int i = 2; i < ctx.argc(); ++i) {
    const std::optional<double> score =
        key.exists() ? key->Score(vk::BytesOf(ctx.Argument(i))) : std::nullopt;
    score ? ctx.ReplyDouble(*score) : ctx.ReplyNull();
  }
  return Outcome::kDone;
}

/// FLASH.ZRANK key member [WITHSCORE]
///
/// Reply: integer, or null; with the word an array of rank and score, or a null array.
Outcome ZRank(Context& ctx) { return Rank(ctx, false); }

/// FLASH.ZREVRANK key member [WITHSCORE]
///
/// Reply: as ZRANK.
Outcome ZRevRank(Context& ctx) { return Rank(ctx, true); }

/// FLASH.ZCARD key
///
/// Reply: integer.
Outcome ZCard(Context& ctx) {
  ZSetKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  return ctx.ReplyInteger(key.exists() ? static_cast<long long>(key->size()) : 0);
}

/// FLASH.ZCOUNT key min max
///
/// Reply: integer.
Outcome ZCount(Context& ctx) { return Count(ctx, ParseScoreRange(ctx.Text(2), ctx.Text(3))); }

/// FLASH.ZLEXCOUNT key min max
///
/// Reply: integer.
Outcome ZLexCount(Context& ctx) { return Count(ctx, ParseLexRange(ctx.Text(2), ctx.Text(3))); }

/// FLASH.ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
///
/// Reply: an array of members; with scores in turn, in RESP3 in pairs.
Outcome ZRange(Context& ctx) { return Range(ctx, {}); }

/// FLASH.ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
///
/// Reply: as ZRANGE.
Outcome ZRangeByScore(Context& ctx) {
  return Range(ctx, {.fixed_by = true, .fixed_order = true, .by = RangeBy::kScore});
}

/// FLASH.ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]
///
/// Reply: as ZRANGE.
Outcome ZRevRangeByScore(Context& ctx) {
  return Range(ctx,
               {.fixed_by = true, .fixed_order = true, .by = RangeBy::kScore, .reverse = true});
}

/// FLASH.ZRANGEBYLEX key min max [LIMIT offset count]
///
/// Reply: an array of members.
Outcome ZRangeByLex(Context& ctx) {
  return Range(ctx, {.fixed_by = true, .fixed_order = true, .by = RangeBy::kLex});
}

/// FLASH.ZREVRANGEBYLEX key max min [LIMIT offset count]
///
/// Reply: as ZRANGEBYLEX.
Outcome ZRevRangeByLex(Context& ctx) {
  return Range(ctx, {.fixed_by = true, .fixed_order = true, .by = RangeBy::kLex, .reverse = true});
}

/// FLASH.ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES]
///
/// Reply: the next cursor, and an array of members and scores as text.
Outcome ZScan(Context& ctx) {
  if (auto* work = ctx.DoneWork<ReadWork>()) return work->Reply(ctx);
  const Texts texts(ctx);
  const Result<uint64_t> cursor = ParseCursor(texts.args());
  if (!cursor) return ctx.ReplyError(cursor.error());
  ZSetKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  Scanned scanned;
  if (key.exists()) {
    const Result<ZScanOptions> options = ParseZScanOptions(texts.args());
    if (!options) return ctx.ReplyError(options.error());
    const auto count = static_cast<uint64_t>(options->count);
    Missing missing;
    key->PlanScan(*cursor, count, &missing);
    if (IsTooMuch(&missing, ReplyBytesMaxOf(2 * std::min(count, key->size())))) {
      return ReadLong(ctx, std::make_shared<ScanRead>(*key, *cursor, *options));
    }
    if (auto closed = ctx.Gate(missing)) return *closed;
    static_cast<void>(key->Scan(*cursor, count, [&missing](double, const Element& member) {
      values::PlanElement(server::TheEnv(), member, &missing);
    }));
    if (IsTooMuch(&missing, ReplyBytesMaxOf(2 * std::min(count, key->size())))) {
      return ReadLong(ctx, std::make_shared<ScanRead>(*key, *cursor, *options));
    }
    if (auto closed = ctx.Gate(missing)) return *closed;
    if (ctx.planning()) return Outcome::kDone;
    scanned = Scan(key, *cursor, *options);
  }
  ctx.ReplyArray(2);
  ctx.ReplyBulk(base::AsBytes(std::to_string(scanned.cursor)));
  ctx.ReplyArray(static_cast<long>(scanned.items.size()));
  for (const std::string& item : scanned.items) ctx.ReplyBulk(base::AsBytes(item));
  return Outcome::kDone;
}

}  // namespace flash::commands
