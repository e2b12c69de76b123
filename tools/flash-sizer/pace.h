// pace.h: how fast commands may go to a server, so that sampling does not hurt its clients.
//
// A ceiling in commands a second, and a rate below it that halves when the server answers slowly
// and grows again while it does not. Knows nothing of what the commands are. Thread: one owner.
#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"

namespace flash::tools::sizer {

class Pace {
 public:
  /// Waits so many microseconds, or less if the user wants to end.
  using Sleep = std::function<void(uint64_t us)>;

  Pace(double commands_per_sec_max, const base::Clock& clock, Sleep sleep);

  /// Waits until `commands` more may be sent.
  void Await(uint64_t commands);

  /// Says how long the round trip of `commands` took; adapts the rate.
  void Took(uint64_t commands, uint64_t us);

  [[nodiscard]] double commands_per_sec() const { return rate_; }
  /// How often the server was found slow.
  [[nodiscard]] uint64_t slowdowns() const { return slowdowns_; }

 private:
  const double rate_max_;
  const base::Clock& clock_;
  const Sleep sleep_;
  double rate_;
  double usual_us_ = 0;   // A round trip's time on this server while it is not busy.
  uint64_t next_us_ = 0;  // Nothing is sent before.
  uint64_t slowdowns_ = 0;
};

}  // namespace flash::tools::sizer
