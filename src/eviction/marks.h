// marks.h: from how many live bytes on flash keys are evicted, down to how many, and how long a
// turn.
//
// Pure arithmetic. Thread: any. Decision: docs/adr/0022.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"

namespace flash::eviction {

inline constexpr uint64_t kSliceUsMin = 500;
inline constexpr uint64_t kSliceUsMax = 5000;

struct Marks {
  uint64_t low = 0;     // Down to here.
  uint64_t high = 0;    // Begins above.
  uint64_t urgent = 0;  // Takes all the time it may.

  /// `live_bytes_max`: the most that can be live at all.
  [[nodiscard]] static Marks Of(uint64_t live_bytes_max) {
    Marks marks;
    marks.high = live_bytes_max / 10 * 9;
    marks.low = marks.high - std::min(live_bytes_max / 64, 64 * kMiB);
    marks.urgent = marks.high + (live_bytes_max - marks.high) / 2;
    return marks;
  }

  /// What a turn may take for it.
  [[nodiscard]] uint64_t SliceUs(uint64_t live_bytes) const {
    if (live_bytes <= high) return kSliceUsMin;
    if (live_bytes >= urgent) return kSliceUsMax;
    return kSliceUsMin + (kSliceUsMax - kSliceUsMin) * (live_bytes - high) / (urgent - high);
  }
};

}  // namespace flash::eviction
