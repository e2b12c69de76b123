// value_counters.h: what the values layer counts, for INFO.
//
// Plain numbers (and who is still to be asked for them), owned by whoever owns the engine and
// passed down by reference. Thread: main.
#pragma once

#include <cstdint>
#include <unordered_set>

namespace flash::values {

class Family;

struct ValueCounters {
  uint64_t resident_tiny_bytes = 0;   ///< RAM of values under 64 bytes, outside the cache bound.
  uint64_t resident_tiny_values = 0;  ///< How many there are, those inside the pointer included.
  /// Values of several blocks with a cold one; exact after SettleTiered (family.h).
  uint64_t tiered_multi_block_values = 0;
  /// Families that have changed since.
  std::unordered_set<Family*> unsettled;
};

}  // namespace flash::values
