// pressure.cc: see pressure.h.
//
// Thread: any.
#include "server/pressure.h"

#include <algorithm>
#include <limits>

namespace flash::server {

namespace {

constexpr double kAimedRatio = 0.95;
constexpr double kParkingRatio = 0.97;
constexpr double kNearRatio = 0.98;

}  // namespace

bool MayPark(uint64_t maxmemory, double used_ratio) {
  return MayTake(maxmemory, used_ratio, kParkedClientBytes);
}

bool MayTake(uint64_t maxmemory, double used_ratio, uint64_t bytes) {
  const auto limit = static_cast<double>(maxmemory);
  return used_ratio * limit + static_cast<double>(bytes) <= kParkingRatio * limit;
}

uint64_t ReplyBytesMax(const PressureInput& input, uint64_t setting, uint64_t built_bytes) {
  constexpr uint64_t kShare = 64;
  if (setting != 0) return std::max(setting, kReplyBytesFloor);
  if (input.maxmemory == 0) return std::numeric_limits<uint64_t>::max();
  const double can_leave =
      static_cast<double>(input.hot_bytes) - static_cast<double>(kPressureFloorBytes);
  const double left = (kParkingRatio - input.used_ratio) * static_cast<double>(input.maxmemory) +
                      std::max(can_leave, 0.0);
  const uint64_t bytes = built_bytes + static_cast<uint64_t>(std::max(left, 0.0));
  return std::max({bytes, kReplyBytesFloor, input.maxmemory / kShare});
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
