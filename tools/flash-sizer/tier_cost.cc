// tier_cost.cc: see tier_cost.h.
//
// Where each figure was measured: docs/sizing.md, "What it takes". Thread: any.
#include "tools/flash-sizer/tier_cost.h"

#include <algorithm>
#include <cmath>

namespace flash::tools::sizer {
namespace {

constexpr uint64_t kNativeOverheadBytes = 56;  // MEMORY USAGE of a string, less name and value.
constexpr double kColdKeyBytes = 80;           // Measured: 96 with a name of 16 bytes.
constexpr double kRecordBytes = 34;            // 1.22 of 90 to 200 bytes, 1.03 of 1 KiB.
constexpr double kRecordPayloadBytes = 4096;   // About what one record holds of a collection.

/// What the index of a collection takes of its bytes while all of it is cold.
double IndexShare(Kind kind) {
  switch (kind) {
    case Kind::kHash:
      return 0.012;
    case Kind::kList:
      return 0.004;
    case Kind::kSortedSet:
      return 0.010;
    default:
      return 0;
  }
}

}  // namespace

uint64_t PayloadBytes(const KeySample& key) {
  const uint64_t other = kNativeOverheadBytes + key.name.size();
  return key.bytes > other ? key.bytes - other : 0;
}

bool HasFlashType(Kind kind, bool unknown_fits) {
  switch (kind) {
    case Kind::kString:
    case Kind::kHash:
    case Kind::kList:
    case Kind::kSortedSet:
      return true;
    case Kind::kUnknown:
      return unknown_fits;
    default:
      return false;
  }
}

bool CanTier(const KeySample& key, bool unknown_fits) {
  return HasFlashType(key.kind, unknown_fits) && PayloadBytes(key) >= kTierBytesMin;
}

double ColdRamBytes(const KeySample& key) {
  const double index = IndexShare(key.kind) * static_cast<double>(PayloadBytes(key));
  return kColdKeyBytes + static_cast<double>(key.name.size()) + index;
}

double FlashBytes(const KeySample& key) {
  const auto payload = static_cast<double>(PayloadBytes(key));
  return payload + kRecordBytes * std::ceil(payload / kRecordPayloadBytes);
}

}  // namespace flash::tools::sizer
