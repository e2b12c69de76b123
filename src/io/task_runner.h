// task_runner.h: runs tasks against one Device: the part that every Backend shares.
//
// Reads first, coalesced where ranges meet, each into a buffer of the runner's; then the work of
// large reads that came, writes and computes, in slices, so that none of them delays a small read
// by much. Continues short transfers, gives up
// on reads that got no answer in time and keeps their buffers until the device lets go of them.
// Knows neither threads nor records. Thread: one owner, except stats. Decision: docs/adr/0003.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "io/backend.h"
#include "io/device.h"
#include "io/read_buffers.h"
#include "io/task_list.h"

namespace flash::io {

class TaskRunner {
 public:
  struct Options {
    // Together the transfers on the device at one time: reads by their buffers, and writes.
    uint32_t small_buffers = 128;
    uint32_t large_buffers_max = 8;
    uint32_t writes_max = 16;
    uint32_t background_slice_us = 100;  // Own work between two polls, but of small reads.
    uint32_t background_slice_tasks = 8;
  };

  TaskRunner(std::unique_ptr<Device> device, const base::Clock* clock, const Options& options);
  ~TaskRunner();

  /// Takes a task; it starts in a later Step.
  void Add(Task* task);

  /// Starts what can start and appends tasks that ended to `finished`. With nothing else to do
  /// waits up to `wait_us` for the device or its Wake.
  void Step(uint64_t wait_us, TaskList& finished);

  /// The limit of a read, counted from Task::submitted_us. 0: none.
  void SetTimeoutMs(uint32_t timeout_ms);

  /// Forgets every task, without `done`; transfers already on the device run to their end unseen.
  void Abandon();

  [[nodiscard]] bool HasBackgroundWork() const {
    return !arrived_.empty() || !urgent_computes_.empty() || !computes_.empty() || CanWrite();
  }
  /// Destroys the device, on the thread that made it; afterwards only AddStats may be called.
  void CloseDevice() { device_.reset(); }

  /// Transfers on the device, abandoned ones included.
  [[nodiscard]] size_t transfers() const { return transfers_inflight_; }
  [[nodiscard]] Device* device() { return device_.get(); }

  /// Adds this runner's counters to `stats`. Thread: any.
  void AddStats(Backend::Stats& stats) const;

 private:
  struct Transfer {
    Op op = Op::kRead;
    uint64_t offset = 0;
    std::byte* data = nullptr;
    uint32_t bytes = 0;
    uint32_t done_bytes = 0;
    uint32_t retries = 0;
    bool arrived = false;  // Off the device; the work of its tasks is still to do.
    TaskList tasks = {};
  };

  /// A counter written by the owner alone.
  class Counter {
   public:
    void Add(uint64_t amount) {
      value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    [[nodiscard]] uint64_t value() const { return value_.load(std::memory_order_relaxed); }

   private:
    std::atomic<uint64_t> value_{0};
  };

  void SubmitRefused();
  void StartReads(TaskList& pending, uint32_t buffer_bytes);
  void StartRead(Task* const* group, size_t count);
  void StartWrite(Task* task);
  [[nodiscard]] bool CanWrite() const {
    return !writes_.empty() && writes_inflight_ < options_.writes_max;
  }
  void RunBackground(TaskList& finished);
  /// Does the work of one task of the large read that came first.
  void RunArrived(TaskList& finished);
  [[nodiscard]] bool RunCompute(TaskList& finished);
  void Reap(uint64_t wait_us, TaskList& finished);
  void OnCompletion(const Completion& completion, TaskList& finished);
  [[nodiscard]] bool Continue(uint32_t index, int32_t result);
  void Submit(uint32_t index);
  void Finish(uint32_t index, int32_t error, TaskList& finished);
  void FinishRead(Task* task, const Transfer& transfer, int32_t error);
  void Release(uint32_t index);
  [[nodiscard]] uint32_t TakeTransfer();
  void ExpireReads(uint64_t now_us, TaskList& finished);
  [[nodiscard]] uint64_t ExpireIn(TaskList& tasks, uint64_t now_us, TaskList& finished);

  Options options_;
  ReadBuffers buffers_;
  std::unique_ptr<Device> device_;  // Behind buffers_: it must let go of them first.
  const base::Clock* clock_;

  TaskList small_reads_, large_reads_, writes_, urgent_computes_, computes_;
  std::vector<Transfer> transfers_;  // Token = index.
  std::vector<uint32_t> transfers_free_;
  std::vector<uint32_t> refused_;  // The device's queue was full; submitted again at the next Step.
  std::deque<uint32_t> arrived_;   // Large reads, in the order in which they came.
  size_t transfers_inflight_ = 0;
  uint32_t writes_inflight_ = 0;
  uint64_t timeout_us_ = 0;
  uint64_t expiry_check_us_ = ~uint64_t{0};  // No read expires before this.

  Counter reads_, read_bytes_, device_writes_, write_bytes_, coalesced_, read_errors_,
      write_errors_, timeouts_;
};

}  // namespace flash::io
