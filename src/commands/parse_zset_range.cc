// parse_zset_range.cc: see parse_zset_range.h.
//
// Thread: any.
#include "commands/parse_zset_range.h"

#include <optional>

#include "commands/parse_number.h"

namespace flash::commands {
namespace {

struct ScoreBound {
  double score = 0;
  bool exclusive = false;
};

std::optional<ScoreBound> ParseBound(std::string_view text) {
  ScoreBound bound;
  if (!text.empty() && text[0] == '(') {
    bound.exclusive = true;
    text.remove_prefix(1);
  }
  const std::optional<double> score = ParseScoreBound(text);
  if (!score) return std::nullopt;
  bound.score = *score;
  return bound;
}

std::optional<LexBound> ParseLexBound(std::string_view text) {
  if (text.empty()) return std::nullopt;
  switch (text[0]) {
    case '-':
    case '+':
      if (CText(text).size() != 1) return std::nullopt;
      return LexBound{
          text[0] == '-' ? LexBound::Kind::kBeforeAll : LexBound::Kind::kAfterAll, true, {}};
    case '(':
    case '[':
      return LexBound{LexBound::Kind::kText, text[0] == '(', text.substr(1)};
    default:
      return std::nullopt;
  }
}

/// Where a member stands to a bound: negative before, 0 on it, positive after.
int Compare(std::string_view member, const LexBound& bound) {
  if (bound.kind == LexBound::Kind::kBeforeAll) return 1;
  if (bound.kind == LexBound::Kind::kAfterAll) return -1;
  return member.compare(bound.text);
}

/// The words after the bounds.
Result<ZRangeRequest> ParseOptions(Args args, const ZRangeShape& shape) {
  ZRangeRequest request;
  request.by = shape.by;
  request.reverse = shape.reverse;
  bool by_given = shape.fixed_by;
  bool order_given = shape.fixed_order;
  for (size_t at = shape.source + 3; at < args.size(); ++at) {
    const std::string_view word = args[at];
    if (!shape.stores && IsWord(word, "withscores")) {
      request.with_scores = true;
    } else if (IsWord(word, "limit") && args.size() - at > 2) {
      const Result<int64_t> offset = IntegerArgument(args[at + 1]);
      if (!offset) return offset.error();
      const Result<int64_t> limit = IntegerArgument(args[at + 2]);
      if (!limit) return limit.error();
      request.offset = *offset;
      request.limit = *limit;
      at += 2;
    } else if (!order_given && IsWord(word, "rev")) {
      request.reverse = order_given = true;
    } else if (!by_given && IsWord(word, "bylex")) {
      request.by = RangeBy::kLex;
      by_given = true;
    } else if (!by_given && IsWord(word, "byscore")) {
      request.by = RangeBy::kScore;
      by_given = true;
    } else {
      return SyntaxError();
    }
  }
  return request;
}

}  // namespace

bool LexRange::AboveMin(std::string_view member) const {
  const int order = Compare(member, min);
  return min.exclusive ? order > 0 : order >= 0;
}

bool LexRange::BelowMax(std::string_view member) const {
  const int order = Compare(member, max);
  return max.exclusive ? order < 0 : order <= 0;
}

bool LexRange::empty() const {
  const bool texts = min.kind == LexBound::Kind::kText && max.kind == LexBound::Kind::kText;
  if (!texts) return min.kind >= max.kind;
  const int order = min.text.compare(max.text);
  return order > 0 || (order == 0 && (min.exclusive || max.exclusive));
}

Result<ScoreRange> ParseScoreRange(std::string_view min, std::string_view max) {
  const std::optional<ScoreBound> low = ParseBound(min);
  const std::optional<ScoreBound> high = ParseBound(max);
  if (!low || !high) return ReplyText("ERR min or max is not a float");
  return ScoreRange{low->score, high->score, low->exclusive, high->exclusive};
}

Result<LexRange> ParseLexRange(std::string_view min, std::string_view max) {
  const std::optional<LexBound> low = ParseLexBound(min);
  const std::optional<LexBound> high = ParseLexBound(max);
  if (!low || !high) return ReplyText("ERR min or max not valid string range item");
  return LexRange{*low, *high};
}

Result<ZRangeRequest> ParseZRange(Args args, const ZRangeShape& shape) {
  Result<ZRangeRequest> parsed = ParseOptions(args, shape);
  if (!parsed) return parsed;
  ZRangeRequest& request = *parsed;
  if (request.limit != -1 && request.by == RangeBy::kRank) {
    return ReplyText(
        "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX");
  }
  if (request.with_scores && request.by == RangeBy::kLex) {
    return ReplyText("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
  }

  std::string_view low = args[shape.source + 1];
  std::string_view high = args[shape.source + 2];
  if (request.by == RangeBy::kRank) {
    const Result<int64_t> start = IntegerArgument(low);
    if (!start) return start.error();
    const Result<int64_t> stop = IntegerArgument(high);
    if (!stop) return stop.error();
    request.start = *start;
    request.stop = *stop;
    return parsed;
  }
  if (request.reverse) std::swap(low, high);
  if (request.by == RangeBy::kScore) {
    const Result<ScoreRange> scores = ParseScoreRange(low, high);
    if (!scores) return scores.error();
    request.scores = *scores;
    return parsed;
  }
  const Result<LexRange> members = ParseLexRange(low, high);
  if (!members) return members.error();
  request.members = *members;
  return parsed;
}

}  // namespace flash::commands
