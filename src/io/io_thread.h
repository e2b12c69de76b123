// io_thread.h: one I/O thread: a Device, a TaskRunner, and the rings to and from the owner.
//
// The only place where two threads meet. Each side publishes first and looks second, with a
// read-modify-write on one word in between, so no wake-up is lost and none is made that nobody
// needs. Knows neither how tasks are distributed nor what they do. Thread: each member says which.
// Decision: docs/adr/0003.
#pragma once

#include <pthread.h>

#include <atomic>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "io/device.h"
#include "io/spsc_ring.h"
#include "io/task_runner.h"

namespace flash::io {

/// The owner's one bell for all I/O threads: written at most once between two times the owner asks.
class OwnerBell {
 public:
  OwnerBell();
  ~OwnerBell();
  OwnerBell(const OwnerBell&) = delete;
  OwnerBell& operator=(const OwnerBell&) = delete;

  /// I/O thread, after pushing finished tasks: rings if the owner asked to be told.
  void TasksFinished();

  /// Owner: asks to be told. Whatever was finished before this the owner sees by looking
  /// afterwards.
  void Ask();
  /// Owner: makes fd() unreadable again if it was rung.
  void Clear();
  /// Owner: makes fd() readable, for work it leaves to its next turn.
  void RingMyself();
  /// Owner: whether fd() will become readable, or is, without another Ask.
  [[nodiscard]] bool asked() const { return asked_ || rings_ > 0; }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  std::atomic<uint32_t> wanted_{0};
  int fd_;
  bool asked_ = false;  // Owner's: Ask since the last Clear.
  uint64_t rings_ = 0;  // Owner's: writes to fd_ that it knows of and has not read back.
};

class IoThread {
 public:
  struct Options {
    uint32_t index = 0;
    uint32_t reads_max = 1024;      // Ring sizes: the owner never has more than these in here.
    uint32_t background_max = 128;  // Writes and computes.
    TaskRunner::Options runner;
    void (*before_sleep)() = nullptr;  // Tests: runs between looking for tasks and saying "asleep".
  };

  /// Owner. Starts the thread, which makes its device from `factory`; `clock` outlives the thread.
  IoThread(const Options& options, DeviceFactory* factory, const base::Clock* clock,
           std::shared_ptr<OwnerBell> bell);
  /// Owner, after Join only.
  ~IoThread() = default;
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  /// Owner. Waits until the device is made. Errors: the factory's; the thread has then ended.
  [[nodiscard]] Result<void> WaitReady();

  /// Owner. The caller keeps count, so the ring has room.
  void Push(Task* task);
  /// Owner. Wakes the thread if it sleeps and may not have seen what was pushed.
  void Kick();
  /// Owner. Null: nothing finished.
  [[nodiscard]] Task* PopFinished();
  [[nodiscard]] bool HasFinished() const { return !finished_.empty(); }

  void SetTimeoutMs(uint32_t timeout_ms);
  void AddStats(Backend::Stats& stats) const { runner_->AddStats(stats); }
  [[nodiscard]] uint32_t alignment() const { return alignment_; }

  /// Owner. Tells the thread to end: tasks are forgotten, transfers on the device awaited.
  void Stop();
  /// Owner, after Stop. Ends `thread`. When its device does not answer before `deadline`
  /// (CLOCK_REALTIME), leaves both to themselves: they go when the device answers, or with the
  /// process.
  static void Join(std::unique_ptr<IoThread> thread, const timespec& deadline);

 private:
  static void* Main(void* self);
  void Run();
  void Loop();
  void TakeTasks();

  const Options options_;
  DeviceFactory* const factory_;
  const base::Clock* const clock_;
  const std::shared_ptr<OwnerBell> bell_;

  pthread_t thread_{};
  bool started_ = false;
  std::atomic<uint32_t> ready_{0};
  std::optional<Error> failure_;      // Before ready_.
  std::optional<TaskRunner> runner_;  // Likewise; the thread's, but for stats.
  Device* device_ = nullptr;          // Likewise; the owner calls only Wake.
  uint32_t alignment_ = 0;            // Likewise.

  SpscRing<Task*> reads_;
  SpscRing<Task*> background_;
  SpscRing<Task*> finished_;
  std::atomic<uint32_t> asleep_{0};
  std::atomic<uint32_t> stop_{0};
  std::atomic<uint32_t> timeout_ms_{0};
  std::atomic<uint32_t> parted_{0};  // 1 when thread or owner is through; the second one deletes.
};

}  // namespace flash::io
