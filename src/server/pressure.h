// pressure.h: how much of the cache may stay in RAM while the server itself nears its maxmemory.
//
// An allkeys policy frees memory by deleting keys, noeviction by refusing writes; demoting a block
// instead loses nothing. So the cache gives way before the server's limit is met. Pure arithmetic;
// the figures come from events.cc. Decision: docs/adr/0005. Thread: any.
#pragma once

#include <cstdint>

namespace flash::server {

struct PressureInput {
  uint64_t maxmemory = 0;    // 0: no limit.
  double used_ratio = 0;     // Counted memory / maxmemory, as eviction sees it.
  uint64_t hot_bytes = 0;    // Of the cache; part of the counted memory.
  uint64_t cache_bytes = 0;  // The setting.
};

/// Smallest bound that pressure alone imposes.
inline constexpr uint64_t kPressureFloorBytes = 1u << 20;

/// The cache bound for now; 0 where the setting itself is tight enough.
///
/// The cache may hold what it holds now plus the distance to 95 % of maxmemory (the 5 % are for
/// what grows between two looks: keys, clients' buffers), less a tenth, by which hot bytes may
/// exceed their bound. It is computed long before memory is short, so that a burst of writes meets
/// the bound and not the server's limit.
[[nodiscard]] uint64_t PressureLimit(const PressureInput& input);

/// What the server keeps for a client that a module has blocked, about: two clients of the
/// module's, with a reply buffer each.
inline constexpr uint64_t kParkedClientBytes = 36 * 1024;

/// May one more client wait? Up to a point beyond the one that the cache heads for: what waiting
/// clients take, blocks give up in the next turn.
[[nodiscard]] bool MayPark(uint64_t maxmemory, double used_ratio);
/// The same for `bytes` of something else that blocks can give way to.
[[nodiscard]] bool MayTake(uint64_t maxmemory, double used_ratio, uint64_t bytes);

/// Replies up to this size are never refused, nor looked at.
inline constexpr uint64_t kReplyBytesFloor = 1u << 20;

/// The largest reply that may be put together now, of which `built_bytes` are in memory already.
/// `setting`: flash.max-reply-bytes; 0: what maxmemory leaves when the cache has given way, and a
/// 64th of it in any case.
[[nodiscard]] uint64_t ReplyBytesMax(const PressureInput& input, uint64_t setting,
                                     uint64_t built_bytes);

/// Is the limit so near that the next command might be refused, or cost a key? Something took
/// memory at one stroke then: the keyspace's table when it doubles, a transaction's arguments.
[[nodiscard]] bool IsNearLimit(double used_ratio);

}  // namespace flash::server
