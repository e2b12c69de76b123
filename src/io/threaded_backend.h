// threaded_backend.h: the Backend of a running server: N I/O threads with a Device each.
//
// The owner's side of the queues: which thread gets a task, how many may be out, and the one
// eventfd that tells of finished tasks. No lock and no allocation on the owner's path; a system
// call only to wake a thread that sleeps. Small reads that are alone, or where CPUs are few all of
// them, go past the threads (owner_lane.h). Knows neither devices nor records. After a fork the
// child must not use it. Thread: the owner. Decision: docs/adr/0003, 0026.
#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "io/backend.h"
#include "io/io_thread.h"
#include "io/owner_lane.h"

namespace flash::io {

class ThreadedBackend final : public Backend {
 public:
  struct Options {
    uint32_t threads = 1;               // 1 to 256.
    uint32_t background_threads = ~0U;  // So many of them write and compute; at least 1.
    uint32_t entries = 256;             // Transfers on the device per thread, at least 16.
    uint32_t reads_max = 1024;          // Per thread, accepted and not done.
    uint32_t background_max = 128;      // Per thread, writes and computes.
    uint32_t spread_reads = 24;         // A thread gets this many before the next one is woken.
    uint32_t stop_ms_max = 2000;        // How long the destructor waits for devices.
    // Small reads that the owner hands to the device itself at a time while no thread has any, if
    // devices can: 1, only such as come alone; 0, none.
    uint32_t owner_reads_max = 1;
    void (*before_sleep)() = nullptr;  // Tests: see IoThread::Options.
  };

  /// Starts the threads and waits until each has its device. `factory` may end afterwards; `clock`
  /// may not. Errors: the factory's.
  [[nodiscard]] static Result<std::unique_ptr<ThreadedBackend>> Start(const Options& options,
                                                                      DeviceFactory* factory,
                                                                      const base::Clock* clock);

  /// Ends the threads. Tasks not done are forgotten without `done`, and may go when this returns.
  /// When a device does not answer within stop_ms_max, its thread and buffers are left behind for
  /// the rest of the process.
  ~ThreadedBackend() override;
  ThreadedBackend(const ThreadedBackend&) = delete;
  ThreadedBackend& operator=(const ThreadedBackend&) = delete;

  [[nodiscard]] Result<void> Submit(Task* task) override;
  void Kick() override;
  size_t Reap(size_t tasks_max) override;
  void Wait(uint64_t timeout_us) override;
  [[nodiscard]] int event_fd() const override { return bell_->fd(); }
  [[nodiscard]] int owner_event_fd() const override {
    return owner_lane_ == nullptr ? -1 : owner_lane_->event_fd();
  }
  [[nodiscard]] size_t inflight() const override { return inflight_ + owner_inflight(); }
  [[nodiscard]] uint32_t alignment() const override { return alignment_; }
  [[nodiscard]] Stats stats() const override;
  void SetTimeoutMs(uint32_t timeout_ms) override;

  /// What `entries` transfers per thread are used for.
  [[nodiscard]] static TaskRunner::Options RunnerOptions(uint32_t entries);

 private:
  static constexpr uint32_t kLoneReadsForOwner = 4;

  struct Lane {
    std::unique_ptr<IoThread> thread;
    uint32_t reads = 0;       // Pushed and not popped.
    uint32_t background = 0;  // Likewise.
    bool pushed = false;      // Since the last Kick.
  };

  ThreadedBackend(const Options& options, const base::Clock* clock);
  [[nodiscard]] Lane* LaneForRead();
  [[nodiscard]] Lane* LaneForBackground();
  [[nodiscard]] size_t owner_inflight() const {
    return owner_lane_ == nullptr ? 0 : owner_lane_->inflight();
  }
  [[nodiscard]] bool GoesToOwner(const Task& task);
  [[nodiscard]] size_t DrainOwner(size_t tasks_max);
  [[nodiscard]] bool AnyFinished() const;
  [[nodiscard]] size_t Drain(size_t tasks_max);

  Options options_;
  const base::Clock* clock_;
  pid_t owner_pid_;
  std::shared_ptr<OwnerBell> bell_;
  std::vector<Lane> lanes_;
  std::unique_ptr<OwnerLane> owner_lane_;     // Null: all reads go to the threads.
  size_t inflight_ = 0;                       // In the threads.
  size_t reads_inflight_ = 0;                 // Part of it.
  uint32_t lone_reads_ = kLoneReadsForOwner;  // In a row, up to that.
  size_t next_drained_ = 0;                   // Lane that the next Drain begins with.
  size_t read_lane_ = 0;                      // Lane that reads go to until it has enough.
  uint32_t alignment_ = 0;
};

}  // namespace flash::io
