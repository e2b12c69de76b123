// tier_cost.h: what a key costs on the tier: which keys go there, what of a cold one stays in RAM,
// what it takes on flash.
//
// The figures are those measured for valkey-flash (README.md, docs/performance.md, docs/sizing.md),
// not of the server that is looked at. Thread: any.
#pragma once

#include <cstdint>

#include "tools/flash-sizer/sample.h"

namespace flash::tools::sizer {

inline constexpr uint64_t kTierBytesMin = 64;    ///< Smaller values stay in RAM.
inline constexpr double kHotKeyExtraBytes = 40;  ///< RAM of a hot key above the native one's.
inline constexpr double kCacheMargin = 1.10;     ///< Most hot bytes seen, of the cache's size.
inline constexpr double kLiveShare = 0.77;       ///< Of the capacity; fuller means more writing.

/// Bytes of the value: MEMORY USAGE without the name and the server's bookkeeping.
[[nodiscard]] uint64_t PayloadBytes(const KeySample& key);

/// There is a FLASH type for it (kUnknown: only if `unknown_fits`).
[[nodiscard]] bool HasFlashType(Kind kind, bool unknown_fits);

/// It would leave RAM when cold.
[[nodiscard]] bool CanTier(const KeySample& key, bool unknown_fits);

/// RAM of the key while its value is on flash.
[[nodiscard]] double ColdRamBytes(const KeySample& key);

/// Flash for its value, without compression.
[[nodiscard]] double FlashBytes(const KeySample& key);

}  // namespace flash::tools::sizer
