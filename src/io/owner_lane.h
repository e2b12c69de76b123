// owner_lane.h: small reads that the owner hands to the device itself.
//
// A lone read gains nothing from an I/O thread, and two wake-ups of sleeping threads cost as much
// as the device; where threads share few CPUs the same holds for many. What was added is handed
// over by Kick, once per turn of the owner, and in a long turn by the eighth read already: the
// device works while the owner does. That reads have ended shows at an eventfd that the
// kernel writes. Verifying and unpacking are the owner's then, so reads are small, and few. Knows
// neither I/O threads nor records. Thread: the owner. Decision: docs/adr/0003, 0026.
#pragma once

#include <memory>

#include "base/clock.h"
#include "io/device.h"
#include "io/task_runner.h"

namespace flash::io {

class OwnerLane {
 public:
  /// Fewer reads at a time cost more calls and doorbells than the device's head start gives.
  static constexpr uint32_t kHandOver = 8;

  /// For up to `reads_max` reads at a time, at least 1. Null: the device cannot be made or cannot
  /// tell of completions by an eventfd; all reads go to the threads then.
  [[nodiscard]] static std::unique_ptr<OwnerLane> Make(DeviceFactory* factory,
                                                       const base::Clock* clock,
                                                       uint32_t reads_max);
  ~OwnerLane();
  OwnerLane(const OwnerLane&) = delete;
  OwnerLane& operator=(const OwnerLane&) = delete;

  /// Is there room for this task? A read that timed out keeps its place until the device answers.
  [[nodiscard]] bool Takes(const Task& task) const;
  /// Hands over what was added, too, once it is kHandOver reads.
  void Add(Task* task);
  /// Hands what was added since the last Kick to the device, in one call of it.
  void Kick();
  /// Looks what the device has finished. Never blocks.
  void Look();
  /// The next finished task, or null: of those seen.
  [[nodiscard]] Task* PopFinished();

  [[nodiscard]] bool HasFinished() const { return !finished_.empty(); }

  /// Accepted and not popped.
  [[nodiscard]] size_t inflight() const { return inflight_; }
  /// Readable after a completion until somebody empties it (DrainEventFd): it says "look", no more.
  [[nodiscard]] int event_fd() const { return event_fd_; }
  void SetTimeoutMs(uint32_t timeout_ms) { runner_.SetTimeoutMs(timeout_ms); }
  void AddStats(Backend::Stats& stats) const { runner_.AddStats(stats); }

  /// Forgets the task. Ends `lane` if the device answers before `deadline` (CLOCK_REALTIME);
  /// leaves it and its buffers to the process if not.
  static void Close(std::unique_ptr<OwnerLane> lane, const timespec& deadline);

 private:
  OwnerLane(std::unique_ptr<Device> device, int event_fd, const base::Clock* clock,
            uint32_t reads_max);

  int event_fd_;
  uint32_t reads_max_;
  TaskRunner runner_;
  TaskList finished_;
  size_t inflight_ = 0;
  uint32_t added_ = 0;  // Since the last Kick.
};

}  // namespace flash::io
