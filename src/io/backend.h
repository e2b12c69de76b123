// backend.h: how the main thread has I/O and compression done elsewhere, without locks and without
// waiting.
//
// The owner submits tasks; an I/O thread does the device transfer and the task's own work; the
// owner reaps. ThreadedBackend has N threads with a Device each; InlineBackend does all on the
// owner's thread, in an order decided by a seed, for the simulator. Knows neither records nor
// blocks. Thread: all of Backend on the owner thread; Task::work on any I/O thread. Decision:
// docs/adr/0003.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace flash::io {

/// One unit of work, allocated and kept alive by the submitter until `done` ran. Derive to add
/// state.
///
/// kRead: transfers [offset, offset + bytes), at most 1 MiB and 8 KiB, into a buffer of the
/// backend's, then calls `work` with it; other reads may share those bytes, so `work` must not
/// change them. kWrite: calls `work` (to fill in checksums) with {data, bytes}, then writes them at
/// `offset`. kCompute: calls `work` with an empty span; no transfer.
/// One call of `work` should take no longer than some 100 us, because reads wait for it: a kCompute
/// with more to do says so and is called again.
/// A short transfer is continued by the backend; only an error or the end of the file remains
/// visible.
struct Task {
  enum class Kind : uint8_t { kRead, kWrite, kCompute };
  using Work = void (*)(Task& task, MutableBytes io_bytes) noexcept;
  using Done = void (*)(Task& task) noexcept;

  Kind kind = Kind::kCompute;
  std::byte* data = nullptr;  // kWrite only: aligned, unchanged but by `work` until done.
  uint64_t offset = 0;        // Multiple of Backend::alignment().
  uint32_t bytes = 0;         // Multiple of Backend::alignment().
  bool urgent = false;        // kCompute only: somebody waits for it; goes before others.
  bool more = false;          // kCompute only, set by `work`: call it again, after reads.
  Work work = nullptr;        // I/O thread. Not called for a read that failed. May be null.
  Done done = nullptr;        // Owner thread, from Reap; exactly once per accepted task.
  /// 0, or a negative errno of the transfer; -ETIMEDOUT: a read got no answer within the limit (its
  /// `work` has not run and never will); -ENODATA: the file ended. Set before `done`.
  int32_t result = 0;

  uint64_t submitted_us = 0;     // Set by Submit.
  Task* backend_next = nullptr;  // The backend's own.
};

class Backend {
 public:
  struct Stats {
    uint64_t device_reads = 0;  // Transfers, not tasks: coalesced reads count once.
    uint64_t device_read_bytes = 0;
    uint64_t device_writes = 0;
    uint64_t device_write_bytes = 0;
    uint64_t coalesced_reads = 0;  // Tasks served by another task's transfer.
    uint64_t read_errors = 0;
    uint64_t write_errors = 0;
    uint64_t timeouts = 0;
    uint64_t buffer_bytes = 0;  // I/O buffers of all threads, outside used_memory.
  };

  virtual ~Backend() = default;

  /// Takes a task. Errors: kInvalid, a read that is too large; kBusy, its queue is full: Reap (or
  /// Wait, then Reap) and retry. Writes and computes have their own share of the queues, so that
  /// reads can always be submitted beside them.
  [[nodiscard]] virtual Result<void> Submit(Task* task) = 0;

  /// Wakes the I/O threads for what was submitted since the last Kick. Once per batch, not per
  /// task.
  virtual void Kick() = 0;

  /// Runs `done` of up to `tasks_max` finished tasks; returns how many. Never blocks.
  virtual size_t Reap(size_t tasks_max) = 0;

  /// Blocks until a task may be reapable or `timeout_us` passed; with nothing in flight it is a
  /// sleep. The synchronous paths only.
  virtual void Wait(uint64_t timeout_us) = 0;

  /// Readable when tasks finished since the last Reap; -1 if there is none (InlineBackend).
  [[nodiscard]] virtual int event_fd() const = 0;

  /// A second descriptor of the same meaning, for reads that the owner hands to the device itself;
  /// -1 if there are none. Whoever polls it empties it (DrainEventFd) before he reaps.
  [[nodiscard]] virtual int owner_event_fd() const { return -1; }

  /// Accepted and not yet done.
  [[nodiscard]] virtual size_t inflight() const = 0;
  [[nodiscard]] virtual uint32_t alignment() const = 0;
  [[nodiscard]] virtual Stats stats() const = 0;

  /// Time after which an unanswered read is given up; its buffer stays with the device until it
  /// answers.
  virtual void SetTimeoutMs(uint32_t timeout_ms) = 0;
};

}  // namespace flash::io
