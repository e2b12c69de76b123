// policy.cc: see policy.h.
//
// Thread: any.
#include "eviction/policy.h"

#include <algorithm>
#include <charconv>

namespace flash::eviction {
namespace {

constexpr uint32_t kSamplesMax = 64;  // The server takes any number; a turn is bounded.

}  // namespace

Policy ParsePolicy(std::string_view policy, std::string_view samples) {
  using By = Policy::By;
  struct Name {
    std::string_view text;
    By by;
    bool volatile_only;
  };
  constexpr Name kNames[] = {
      {"allkeys-lru", By::kIdleTime, false},  {"allkeys-lfu", By::kFrequency, false},
      {"allkeys-random", By::kChance, false}, {"volatile-lru", By::kIdleTime, true},
      {"volatile-lfu", By::kFrequency, true}, {"volatile-random", By::kChance, true},
      {"volatile-ttl", By::kExpiry, true},
  };
  Policy result;
  for (const Name& name : kNames) {
    if (name.text != policy) continue;
    result.by = name.by;
    result.volatile_only = name.volatile_only;
  }
  uint32_t number = 0;
  const auto parsed = std::from_chars(samples.data(), samples.data() + samples.size(), number);
  if (parsed.ec == std::errc() && number > 0) result.samples = std::min(number, kSamplesMax);
  return result;
}

}  // namespace flash::eviction
