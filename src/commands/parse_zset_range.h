// parse_zset_range.h: ranges of sorted sets by rank, score and member, and the ZRANGE family.
//
// One grammar serves ZRANGE, ZRANGESTORE and the four older commands. Knows no value: what lies in
// a range is asked element by element. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>

#include "commands/args.h"

namespace flash::commands {

struct ScoreRange {
  double min = 0, max = 0;
  bool min_exclusive = false, max_exclusive = false;

  [[nodiscard]] bool AboveMin(double score) const {
    return min_exclusive ? score > min : score >= min;
  }
  [[nodiscard]] bool BelowMax(double score) const {
    return max_exclusive ? score < max : score <= max;
  }
  /// Nothing can lie in it.
  [[nodiscard]] bool empty() const {
    return min > max || (min == max && (min_exclusive || max_exclusive));
  }
};

struct LexBound {
  enum class Kind : uint8_t { kBeforeAll, kText, kAfterAll };
  Kind kind = Kind::kText;
  bool exclusive = false;
  std::string_view text;
};

/// Members compare as bytes.
struct LexRange {
  LexBound min, max;

  [[nodiscard]] bool AboveMin(std::string_view member) const;
  [[nodiscard]] bool BelowMax(std::string_view member) const;
  [[nodiscard]] bool empty() const;
};

/// args[first] and the next, "(" before an exclusive bound.
[[nodiscard]] Result<ScoreRange> ParseScoreRange(std::string_view min, std::string_view max);
/// "-", "+", "[text" or "(text".
[[nodiscard]] Result<LexRange> ParseLexRange(std::string_view min, std::string_view max);

enum class RangeBy : uint8_t { kRank, kScore, kLex };

struct ZRangeRequest {
  RangeBy by = RangeBy::kRank;
  bool reverse = false;
  bool with_scores = false;
  int64_t offset = 0;           ///< Elements of the range to skip.
  int64_t limit = -1;           ///< Elements at most; negative: all.
  int64_t start = 0, stop = 0;  // kRank
  ScoreRange scores;            // kScore
  LexRange members;             // kLex
};

/// What the command's name already says.
struct ZRangeShape {
  size_t source = 1;         ///< Index of the source key; the bounds follow it.
  bool stores = false;       ///< ZRANGESTORE: no WITHSCORES.
  bool fixed_by = false;     ///< An older command: BYSCORE and BYLEX are not words of it,
  bool fixed_order = false;  ///< nor is REV.
  RangeBy by = RangeBy::kRank;
  bool reverse = false;
};

[[nodiscard]] Result<ZRangeRequest> ParseZRange(Args args, const ZRangeShape& shape);

}  // namespace flash::commands
