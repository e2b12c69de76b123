// filter_rule.h: is a command filter worth what it costs? By windows of time.
//
// A filter costs each command of every client some nanoseconds, and saves work for a few. So one
// is there only while it pays. One that has paid may come back at once: loads come and go. One
// that never did rests for longer each time. Knows neither filters nor clocks. Thread: any one.
#pragma once

#include <algorithm>
#include <cstdint>

namespace flash::dispatch {

class FilterRule {
 public:
  static constexpr uint64_t kSavedMin = 256;  // In a window, for a filter to be worth anything.
  /// What is saved once pays for so many commands that pass the filter.
  static constexpr uint64_t kCommandsPerSaved = 32;
  static constexpr uint32_t kRestMax = 60;  // Windows.

  /// A window has ended in which `saved` times a filter saved work, or would have, and `commands`
  /// passed it (0 without one). True: there is to be one in the next window.
  [[nodiscard]] bool Next(uint64_t saved, uint64_t commands) {
    const bool many = saved >= kSavedMin;
    if (!filters_) return filters_ = rest_ == 0 ? many : Rested();
    if (many && saved * kCommandsPerSaved >= commands) {
      rest_after_ = 0;
      return true;
    }
    rest_ = rest_after_;
    rest_after_ = std::min(kRestMax, std::max(1U, rest_after_ * 2));
    return filters_ = false;
  }

 private:
  bool Rested() {
    --rest_;
    return false;
  }

  bool filters_ = false;
  uint32_t rest_ = 0;        // Windows that have still to pass without a filter.
  uint32_t rest_after_ = 1;  // The next rest, should the filter end without having paid.
};

}  // namespace flash::dispatch
