// key_score.h: may this key be evicted, and how much sooner than others?
//
// Asks the server how it was used, without using it. Thread: main. Decision: docs/adr/0022.
#pragma once

#include <cstdint>
#include <optional>

#include "eviction/policy.h"
#include "vk/api.h"

namespace flash::eviction {

/// What there is too little of.
enum class Wanted : uint8_t {
  kNothing,
  kFlash,  ///< Keys with any block make room.
  kRam,    ///< Only those that are wholly in RAM do.
};

/// The more, the sooner it goes. Nothing: it stays, whatever happens. `key` is open for reading at
/// least, and was opened without a touch.
[[nodiscard]] std::optional<uint64_t> ScoreOf(ValkeyModuleKey* key, const Policy& policy,
                                              Wanted wanted);

}  // namespace flash::eviction
