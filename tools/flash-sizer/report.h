// report.h: everything that a report says, as numbers; the renderers (markdown.cc, html.cc,
// json.cc) only put it into words.
//
// Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/flash-sizer/sample.h"
#include "tools/flash-sizer/statistics.h"

namespace flash::tools::sizer {

/// Keys of one type or prefix.
struct GroupRow {
  std::string name;
  uint64_t sampled_keys = 0;
  double keys = 0;   ///< Estimated, all servers.
  double bytes = 0;  ///< Likewise.
  Range cold;        ///< Share of the group's bytes that could leave RAM now.
  double cold_bytes = 0;
  double hot_bytes = 0;    ///< Would be in the cache.
  double fixed_bytes = 0;  ///< Cannot tier: the type, or values too small.
};

/// Share of memory that can tier and is at least so idle (or used so rarely).
struct CurvePoint {
  uint32_t threshold = 0;  ///< Seconds of idle time, or the counter.
  Range share;
  double ram_bytes = 0;    ///< What the servers would keep if that share were on flash.
  double flash_share = 0;  ///< That share of the bytes that can tier.
};

struct Prices {
  double ram_gib_month = 0;
  double flash_gib_month = 0;
  std::string currency = "$";
};

struct CostEstimate {
  Prices prices;
  double now = 0;
  double with_tier = 0;  ///< RAM and flash.
  double with_tier_flash = 0;
};

struct Sizing {
  bool other_known = false;
  double other_bytes = 0;  ///< Server's memory that is no key: tables, buffers.
  double ram_now_bytes = 0;
  Range ram_bytes;                  ///< With the tier; high is at the low end of the cold share.
  Range saved_share;                ///< Of ram_now_bytes.
  double tier_bytes = 0;            ///< Bytes in keys that can tier, hot or cold.
  double flash_bytes = 0;           ///< Of their values.
  uint64_t cache_size_bytes = 0;    ///< flash.cache-size-bytes, all primaries together.
  uint64_t capacity_bytes = 0;      ///< flash.capacity-bytes, likewise.
  double cooling_keys_per_sec = 0;  ///< Keys that turn cold a second; LRU only.
};

enum class Verdict : uint8_t { kWorthIt, kNotWorthIt, kCannotTell };

struct Report {
  std::vector<ServerFacts> servers;
  std::vector<Stratum> strata;
  std::vector<std::string> notes;
  Heat heat = Heat::kIdleSeconds;
  uint32_t cold_after_sec = 0;
  uint32_t cold_frequency = 0;
  uint64_t seed = 0;
  bool interrupted = false;

  uint64_t sampled_keys = 0;
  uint64_t sampled_bytes = 0;
  uint64_t stretches = 0;
  uint64_t commands = 0;
  uint64_t vanished_keys = 0;
  uint64_t slowdowns = 0;
  double keys = 0;
  double bytes = 0;       ///< MEMORY USAGE of all keys, estimated.
  bool complete = false;  ///< Every key was seen: there is no sampling error.

  ShareEstimate cold;  ///< Of all bytes in keys: can tier, and is cold.
  std::vector<CurvePoint> curve;
  std::vector<GroupRow> types;
  std::vector<GroupRow> prefixes;
  Sizing sizing;
  std::optional<CostEstimate> cost;
  Verdict verdict = Verdict::kCannotTell;
  std::vector<std::string> reasons;
};

}  // namespace flash::tools::sizer
