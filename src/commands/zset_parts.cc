// zset_parts.cc: see zset_parts.h.
//
// Thread: main.
#include "commands/zset_parts.h"

#include <algorithm>

#include "commands/read_work.h"

namespace flash::commands {
namespace {

using Side = values::ScoreBound::Side;

/// The scores of a set's first and last element.
struct Outer {
  double lowest = 0;
  double highest = 0;
};

Outer OuterScores(ZSetKey& key, Missing* missing) {
  Outer outer;
  const uint64_t size = key->size();
  key->PlanRange(0, 1, missing);
  key->PlanRange(size - 1, size, missing);
  if (!missing->empty()) return outer;
  const auto read = [&key](uint64_t rank, double* into) {
    key->ForRange(rank, rank + 1, [into](double score, const Element&) {
      *into = score;
      return false;
    });
  };
  read(0, &outer.lowest);
  read(size - 1, &outer.highest);
  return outer;
}

/// The rank of a bound among members that all have one score; or that rise with their scores, which
/// is where native ranges by member have a meaning, too.
uint64_t RankOfText(const LexBound& bound, const Outer& scores, bool is_min, ZSetKey& key,
                    Missing* missing) {
  if (bound.kind == LexBound::Kind::kBeforeAll) return 0;
  if (bound.kind == LexBound::Kind::kAfterAll) return key->size();
  const bool after = is_min == bound.exclusive;
  const Element text{base::AsBytes(bound.text)};
  if (scores.lowest != scores.highest) {
    return key->RankByMember(text, after, missing).value_or(0);
  }
  const Side side = after ? Side::kAfterMember : Side::kBeforeMember;
  return key->RankOf({scores.lowest, text, side}, missing).value_or(0);
}

Ranks Limited(Ranks ranks, const ZRangeRequest& request) {
  if (request.offset < 0) return {};
  const uint64_t skipped = std::min(static_cast<uint64_t>(request.offset), ranks.count());
  (request.reverse ? ranks.end : ranks.begin) += request.reverse ? uint64_t{0} - skipped : skipped;
  if (request.limit < 0 || static_cast<uint64_t>(request.limit) >= ranks.count()) return ranks;
  const auto limit = static_cast<uint64_t>(request.limit);
  if (request.reverse) {
    ranks.begin = ranks.end - limit;
  } else {
    ranks.end = ranks.begin + limit;
  }
  return ranks;
}

ZSetValue::End EndOf(ZEnd end) {
  return end == ZEnd::kMin ? ZSetValue::End::kLowest : ZSetValue::End::kHighest;
}

}  // namespace

Ranks RanksOf(const ScoreRange& range, ZSetKey& key, Missing* missing) {
  if (range.empty()) return {};
  const Side low = range.min_exclusive ? Side::kAfterScore : Side::kBeforeScore;
  const Side high = range.max_exclusive ? Side::kBeforeScore : Side::kAfterScore;
  const uint64_t begin = key->RankOf({range.min, {}, low}, missing).value_or(0);
  const uint64_t end = key->RankOf({range.max, {}, high}, missing).value_or(0);
  return {begin, std::max(begin, end)};
}

Ranks RanksOf(const LexRange& range, ZSetKey& key, Missing* missing) {
  if (range.empty()) return {};
  Outer scores;
  const bool texts =
      range.min.kind == LexBound::Kind::kText || range.max.kind == LexBound::Kind::kText;
  if (texts) scores = OuterScores(key, missing);
  if (!missing->empty()) return {};
  const uint64_t begin = RankOfText(range.min, scores, true, key, missing);
  const uint64_t end = RankOfText(range.max, scores, false, key, missing);
  return {begin, std::max(begin, end)};
}

Ranks RanksOf(const ZRangeRequest& request, ZSetKey& key, Missing* missing) {
  if (!key.exists()) return {};
  switch (request.by) {
    case RangeBy::kScore:
      return Limited(RanksOf(request.scores, key, missing), request);
    case RangeBy::kLex:
      return Limited(RanksOf(request.members, key, missing), request);
    case RangeBy::kRank:
      break;
  }
  const uint64_t size = key->size();
  const IndexRange range = RangeOf({request.start, request.stop}, size);
  if (!request.reverse) return {range.begin, range.begin + range.count};
  return {size - range.begin - range.count, size - range.begin};
}

void ReplyScored(Context& ctx, double score, const Element& member, bool nested) {
  if (nested) ctx.ReplyArray(2);
  ReplyElement(ctx, member);
  ctx.ReplyDouble(score);
}

void PlanTakeRanked(ZSetKey& key, ZEnd end, uint64_t count, Missing* missing) {
  if (count == 1) return key->PlanPop(EndOf(end), missing);
  const uint64_t begin = end == ZEnd::kMin ? 0 : key->size() - count;
  PlanRead(*key, begin, begin + count, missing);
  key->PlanEraseRange(begin, begin + count, missing);
}

bool IsLongTakeRanked(ZSetKey& key, ZEnd end, uint64_t count, Missing* missing) {
  if (count == 1) {
    key->PlanPop(EndOf(end), missing);
    return false;
  }
  const uint64_t begin = end == ZEnd::kMin ? 0 : key->size() - count;
  if (IsLongRead(*key, begin, begin + count, missing)) return true;
  key->PlanEraseRange(begin, begin + count, missing);
  return dispatch::IsMoreThanPortion(missing);
}

void TakeRanked(Context& ctx, ZSetKey& key, ZEnd end, uint64_t count, bool nested) {
  if (count == 1) {
    const ZSetValue::Scored taken = key->Peeked();
    ReplyScored(ctx, taken.score, taken.member, nested);
    key->Pop();
    return key.Save();
  }
  const uint64_t begin = end == ZEnd::kMin ? 0 : key->size() - count;
  const auto reply = [&ctx, nested](double score, const Element& member) {
    ReplyScored(ctx, score, member, nested);
    return true;
  };
  if (end == ZEnd::kMin) {
    key->ForRange(begin, begin + count, reply);
  } else {
    key->ForRangeReverse(begin, begin + count, reply);
  }
  key->EraseRange(begin, begin + count);
  key.Save();
}

}  // namespace flash::commands
