// parse_zset.h: the arguments of the sorted set commands that add, pop, rank and store.
//
// Checks come in the server's order; where it looks at keys between two checks there are two
// functions. Ranges: parse_zset_range.h. Knows no key and no value. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/few.h"
#include "commands/args.h"

namespace flash::commands {

/// ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member …], and ZINCRBY, which is ZADD
/// with INCR (and with the same options, which its arity leaves no room for).
struct ZAddRequest {
  bool nx = false, xx = false, gt = false, lt = false, ch = false, incr = false;
  size_t first_pair = 0;        ///< Members are args[first_pair + 1], then every second one.
  base::Few<double, 4> scores;  ///< One per pair; never NaN.
};
/// `incr`: the command is ZINCRBY.
[[nodiscard]] Result<ZAddRequest> ParseZAdd(Args args, bool incr);

/// ZPOPMIN/ZPOPMAX key [count]: the count, absent for a plain pop.
[[nodiscard]] Result<std::optional<int64_t>> ParseZPopCount(Args args);

/// ZRANK/ZREVRANK key member [WITHSCORE]: true with the word.
[[nodiscard]] Result<bool> ParseZRankWithScore(Args args);

/// Which arguments of ZUNIONSTORE, ZINTERSTORE, ZDIFFSTORE are source keys. Checked first.
struct StoreKeys {
  size_t first = 3;
  size_t count = 0;
};
[[nodiscard]] Result<StoreKeys> ParseStoreKeys(Args args);

enum class Aggregate : uint8_t { kSum, kMin, kMax };

struct StoreOptions {
  std::vector<double> weights;  ///< One per source; 1 where none is given.
  Aggregate aggregate = Aggregate::kSum;
};
/// What follows the keys; checked after the sources' types. ZDIFFSTORE takes nothing.
[[nodiscard]] Result<StoreOptions> ParseStoreOptions(Args args, StoreKeys keys, bool is_diff);

/// The score of a member of several sources. Infinities that cancel make 0, never NaN.
[[nodiscard]] double Weighted(double score, double weight);
[[nodiscard]] double Aggregated(Aggregate how, double left, double right);

/// The cursor of ZSCAN; checked before the key.
[[nodiscard]] Result<uint64_t> ParseCursor(Args args);

struct ZScanOptions {
  int64_t count = 10;
  std::optional<std::string_view> match;  ///< Absent when everything matches.
  bool no_scores = false;
};
/// What follows the cursor; checked after the key's type.
[[nodiscard]] Result<ZScanOptions> ParseZScanOptions(Args args);

}  // namespace flash::commands
