// pace.cc: see pace.h.
//
// Additive increase, multiplicative decrease, as TCP does (RFC 5681): a server that is shared by
// several careful clients is left with room by all of them.
#include "tools/flash-sizer/pace.h"

#include <algorithm>

namespace flash::tools::sizer {
namespace {

constexpr double kRateMin = 50;
constexpr double kSlowFactor = 3;
constexpr double kSlowUsMin = 5000;  // Below, a difference is noise.
constexpr double kGrowth = 0.02;     // Of the ceiling, for each round trip that was not slow.

}  // namespace

Pace::Pace(double commands_per_sec_max, const base::Clock& clock, Sleep sleep)
    : rate_max_(std::max(commands_per_sec_max, kRateMin)),
      clock_(clock),
      sleep_(std::move(sleep)),
      rate_(std::max(commands_per_sec_max / 10, kRateMin)) {}

void Pace::Await(uint64_t commands) {
  const uint64_t now_us = clock_.NowUs();
  if (next_us_ > now_us) sleep_(next_us_ - now_us);
  const auto share_us = static_cast<uint64_t>(static_cast<double>(commands) * 1e6 / rate_);
  next_us_ = std::max(next_us_, clock_.NowUs()) + share_us;
}

void Pace::Took(uint64_t commands, uint64_t us) {
  const auto taken_us = static_cast<double>(us);
  if (usual_us_ == 0) usual_us_ = taken_us;
  // Per round trip, not per command: most of it is the way there and back.
  if (commands > 0 && taken_us > kSlowUsMin && taken_us > kSlowFactor * usual_us_) {
    rate_ = std::max(rate_ / 2, kRateMin);
    slowdowns_++;
    usual_us_ *= 1.05;  // A network that has become slower for good is the usual one in time.
    return;
  }
  rate_ = std::min(rate_ + kGrowth * rate_max_, rate_max_);
  usual_us_ += (taken_us - usual_us_) / 16;
}

}  // namespace flash::tools::sizer
