// filter_rule.h: is a command filter worth what it costs? By windows of time.
//
// A filter costs each command of every client some nanoseconds, and saves work for a few. So one
// is there only while it pays. One that has paid may come back at once: loads come and go. One
// that never did rests for longer each time. Knows neither filters nor clocks. Thread: any one.
#pragma once

#include <algorithm>
#include <cstdint>

namespace flash::server {

class FilterRule {
 public:
  struct Options {
    uint64_t saved_min = 0;  ///< In a window, for a filter to be worth anything.
    /// What is saved once pays for so many commands that pass the filter.
    uint64_t commands_per_saved = 0;
    /// It stays for so many windows in a row that do not pay.
    uint32_t windows_kept = 0;
  };
  static constexpr uint32_t kRestMax = 60;  // Windows.

  explicit constexpr FilterRule(const Options& options) : options_(options) {}

  /// There is none, and `saved` is enough for one before the window has ended: end it.
  [[nodiscard]] bool WantsOneNow(uint64_t saved) const {
    return !filters_ && rest_ == 0 && saved >= options_.saved_min;
  }

  /// A window has ended in which `saved` times a filter saved work, or would have, and `commands`
  /// passed it (0 without one). True: there is to be one in the next window.
  [[nodiscard]] bool Next(uint64_t saved, uint64_t commands) {
    const bool many = saved >= options_.saved_min;
    if (!filters_) return filters_ = rest_ == 0 ? many : Rested();
    if (many && saved * options_.commands_per_saved >= commands) {
      rest_after_ = kept_ = 0;
      return true;
    }
    if (kept_++ < options_.windows_kept) return true;
    kept_ = 0;
    rest_ = rest_after_;
    rest_after_ = std::min(kRestMax, std::max(1U, rest_after_ * 2));
    return filters_ = false;
  }

 private:
  bool Rested() {
    --rest_;
    return false;
  }

  Options options_;
  bool filters_ = false;
  uint32_t kept_ = 0;        // Windows in a row, the last ones, that did not pay.
  uint32_t rest_ = 0;        // Windows that have still to pass without a filter.
  uint32_t rest_after_ = 1;  // The next rest, should the filter end without having paid.
};

}  // namespace flash::server
