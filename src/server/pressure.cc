// pressure.cc: see pressure.h.
//
// Thread: any.
#include "server/pressure.h"

#include <algorithm>

namespace flash::server {

namespace {

constexpr double kAimedRatio = 0.95;
constexpr double kParkingRatio = 0.97;
constexpr double kNearRatio = 0.98;

}  // namespace

bool MayPark(uint64_t maxmemory, double used_ratio) {
  const auto limit = static_cast<double>(maxmemory);
  return used_ratio * limit + static_cast<double>(kParkedClientBytes) <= kParkingRatio * limit;
}

bool IsNearLimit(double used_ratio) { return used_ratio > kNearRatio; }

uint64_t PressureLimit(const PressureInput& input) {
  if (input.maxmemory == 0) return 0;
  const double headroom = (kAimedRatio - input.used_ratio) * static_cast<double>(input.maxmemory);
  const double bound = (static_cast<double>(input.hot_bytes) + headroom) / 1.1;
  if (bound >= static_cast<double>(input.cache_bytes)) return 0;
  return static_cast<uint64_t>(std::max(bound, static_cast<double>(kPressureFloorBytes)));
}

}  // namespace flash::server
