// clock.h: monotonic time as a value that tests and the simulator can replace.
//
// Nothing below server/ asks the operating system for time directly, so that a seed decides
// everything. Thread: any.
#pragma once

#include <cstdint>
#include <ctime>

namespace flash::base {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Microseconds since an arbitrary start; never goes back.
  [[nodiscard]] virtual uint64_t NowUs() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] uint64_t NowUs() const override {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000 +
           static_cast<uint64_t>(now.tv_nsec) / 1000;
  }
};

/// Time that moves only when told to: simulator and tests.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] uint64_t NowUs() const override { return now_us_; }
  void Advance(uint64_t us) { now_us_ += us; }

 private:
  uint64_t now_us_ = 1;
};

}  // namespace flash::base
