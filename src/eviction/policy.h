// policy.h: what the server's maxmemory-policy says about a full tier.
//
// Pure: text in, decisions out. Knows neither keys nor the server. Thread: any. Decision:
// docs/adr/0022.
#pragma once

#include <cstdint>
#include <string_view>

namespace flash::eviction {

struct Policy {
  /// What keys are compared by. kNothing: none are evicted.
  enum class By : uint8_t { kNothing, kIdleTime, kFrequency, kExpiry, kChance };

  By by = By::kNothing;
  bool volatile_only = false;
  uint32_t samples = 5;

  [[nodiscard]] bool evicts() const { return by != By::kNothing; }
};

/// Of the values of `maxmemory-policy` and `maxmemory-samples`. A policy that is not known evicts
/// nothing.
[[nodiscard]] Policy ParsePolicy(std::string_view policy, std::string_view samples);

}  // namespace flash::eviction
