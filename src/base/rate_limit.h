// rate_limit.h: says at most once in ten seconds that something happens, and how often it did.
//
// For lines in a log whose cause may come back thousands of times a second. Knows neither the log
// nor the clock: times come in. Thread: one owner.
#pragma once

#include <cstdint>
#include <optional>

namespace flash::base {

class RateLimit {
 public:
  static constexpr uint64_t kQuietUs = 10'000'000;

  /// It happened at `now_us`. A number: it is to be said now, and so many were left unsaid before
  /// it.
  [[nodiscard]] std::optional<uint64_t> Happened(uint64_t now_us) {
    if (said_ && now_us - said_us_ < kQuietUs) {
      ++unsaid_;
      return std::nullopt;
    }
    const uint64_t unsaid = unsaid_;
    said_ = true;
    said_us_ = now_us;
    unsaid_ = 0;
    return unsaid;
  }

 private:
  bool said_ = false;
  uint64_t said_us_ = 0;
  uint64_t unsaid_ = 0;
};

}  // namespace flash::base
