// transfers.h: writes and syncs that are waited for, on one device, for a limited time.
//
// A write that did not come back in time keeps its memory: whoever owns that memory asks idle()
// before using it, or the place it was meant for, again. Nothing is tried a second time. Knows
// nothing of what is written. Thread: the one that made the device.
#pragma once

#include <memory>
#include <span>

#include "base/clock.h"
#include "base/result.h"
#include "io/device.h"

namespace flash::log {

class Transfers {
 public:
  /// `clock` outlives this.
  Transfers(std::unique_ptr<io::Device> device, const base::Clock* clock)
      : device_(std::move(device)), clock_(clock) {}
  /// A device that still holds a write is left behind with it.
  ~Transfers();
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  /// Starts all of `requests` (tokens are set here) and waits for them, `timeout_us` altogether.
  /// Errors: kIo (also for a short one), kNoSpace, kTimeout.
  [[nodiscard]] Result<void> Run(std::span<io::Request> requests, uint64_t timeout_us);
  /// Syncs the file. Errors: kIo, kTimeout.
  [[nodiscard]] Result<void> Sync(uint64_t timeout_us);

  /// Whether nothing is under way, after a look.
  [[nodiscard]] bool idle();

 private:
  struct Wait;
  void Take(Wait& wait, uint64_t wait_us);

  std::unique_ptr<io::Device> device_;
  const base::Clock* clock_;
  uint64_t tokens_ = 0;
};

}  // namespace flash::log
