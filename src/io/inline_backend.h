// inline_backend.h: a Backend that does everything on the owner's thread, when told to.
//
// The same TaskRunner as behind the I/O threads, but stepped by Reap and Wait. With a seed, the
// order in which tasks start and end and how many do so per Reap are drawn at random, so that the
// simulator meets the interleavings that threads would produce, repeatably. Knows neither records
// nor blocks. Thread: one owner. Decision: docs/adr/0003.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "io/backend.h"
#include "io/device.h"
#include "io/task_runner.h"

namespace flash::io {

class InlineBackend final : public Backend {
 public:
  struct Options {
    std::optional<uint64_t> seed;   // None: first in, first out, all that Reap asks for.
    uint32_t reads_max = 1024;      // Accepted and not done; one more is kBusy.
    uint32_t background_max = 256;  // Writes and computes, likewise.
    TaskRunner::Options runner;
    /// Called by a Wait that finds nothing able to end, with the microseconds it may still take. A
    /// test on a ManualClock advances it here. Without it such a Wait waits for the device.
    std::function<void(uint64_t wait_us)> on_idle;
  };

  /// `clock` judges timeouts and outlives the backend.
  InlineBackend(std::unique_ptr<Device> device, const base::Clock* clock, Options options);
  ~InlineBackend() override;

  [[nodiscard]] Result<void> Submit(Task* task) override;
  void Kick() override {}
  size_t Reap(size_t tasks_max) override;
  void Wait(uint64_t timeout_us) override;
  [[nodiscard]] int event_fd() const override { return -1; }
  [[nodiscard]] size_t inflight() const override { return reads_ + background_; }
  [[nodiscard]] uint32_t alignment() const override { return alignment_; }
  [[nodiscard]] Stats stats() const override;
  void SetTimeoutMs(uint32_t timeout_ms) override { runner_.SetTimeoutMs(timeout_ms); }

  /// The device, for tests that steer it.
  [[nodiscard]] Device* device() { return runner_.device(); }

 private:
  void Start(size_t count);
  void Step(uint64_t wait_us);

  Options options_;
  const base::Clock* clock_;
  base::Random random_;
  TaskRunner runner_;
  uint32_t alignment_;
  std::vector<Task*> queued_;
  std::vector<Task*> finished_;
  size_t reads_ = 0;
  size_t background_ = 0;
};

}  // namespace flash::io
