// zset_parts.h: ranges of sorted sets, replies with scores, and pops, for several commands.
//
// Knows no single command. Thread: main.
#pragma once

#include "commands/collection_parts.h"
#include "commands/parse_list.h"
#include "commands/parse_zset.h"
#include "commands/parse_zset_range.h"
#include "types/zset_type.h"

namespace flash::commands {

using dispatch::ZSetKey;
using values::ZSetValue;

inline constexpr int kZSetClass = VALKEYMODULE_NOTIFY_ZSET;

/// A set up to this size with members up to that one: natively in a form that is scanned at once,
/// keeps scores as text, and knows no minus zero.
inline constexpr uint64_t kSmallSize = 128;
inline constexpr uint64_t kSmallMemberBytes = 64;

/// Elements of ascending ranks [begin, end).
struct Ranks {
  uint64_t begin = 0;
  uint64_t end = 0;
  [[nodiscard]] uint64_t count() const { return end - begin; }
};

/// Where a range by score or member lies; blocks that it takes to know are named.
[[nodiscard]] Ranks RanksOf(const ScoreRange& range, ZSetKey& key, Missing* missing);
[[nodiscard]] Ranks RanksOf(const LexRange& range, ZSetKey& key, Missing* missing);

/// What ZRANGE selects, LIMIT applied; with something missing it means nothing.
[[nodiscard]] Ranks RanksOf(const ZRangeRequest& request, ZSetKey& key, Missing* missing);

enum class ZEnd : uint8_t { kMin, kMax };

/// What TakeRanked needs, likewise; true: that is more than a command pins, and not all is named.
[[nodiscard]] bool IsLongTakeRanked(ZSetKey& key, ZEnd end, uint64_t count, Missing* missing);

/// What TakeRanked needs, which has to follow before the set is used otherwise.
void PlanTakeRanked(ZSetKey& key, ZEnd end, uint64_t count, Missing* missing);

/// Replies `count` members with scores, the outermost first, each pair as an array if `nested`, and
/// takes them off. Commit after.
void TakeRanked(Context& ctx, ZSetKey& key, ZEnd end, uint64_t count, bool nested);

/// Replies one member, and its score.
void ReplyScored(Context& ctx, double score, const Element& member, bool nested);

}  // namespace flash::commands
