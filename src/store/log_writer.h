// log_writer.h: gets the chunks of both streams written, whatever the device does.
//
// Submits closed buffers; after a failed write gives buffers other places and probes the device
// with one write at a time, further and further apart, until one succeeds. No buffer is forgotten
// before its bytes are on flash. Knows neither compression nor compaction. Thread: one owner.
// Decision: docs/adr/0002.
#pragma once

#include <array>
#include <deque>

#include "base/clock.h"
#include "io/backend.h"
#include "store/write_stream.h"

namespace flash::store {

class LogWriter {
 public:
  struct Options {
    uint32_t buffers_per_stream = 4;
    uint32_t buffer_bytes = 1u << 20;
    uint64_t hash_seed = 0;
    uint64_t retry_backoff_us_max = 5'000'000;
  };

  struct Counters {
    uint64_t bytes_submitted = 0;  // Retries included.
    uint64_t errors = 0;
  };

  LogWriter(const Options& options, SegmentTable* table, io::Backend* backend,
            const base::Clock* clock, RecordOwner* owner);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  [[nodiscard]] WriteStream& stream(StreamKind kind) { return streams_[static_cast<size_t>(kind)]; }
  [[nodiscard]] const WriteStream& stream(StreamKind kind) const {
    return streams_[static_cast<size_t>(kind)];
  }

  /// Submits what can be submitted and retries what is due. The caller kicks if TakeSubmitted().
  void Pump();
  /// Whether anything was submitted since the last call.
  [[nodiscard]] bool TakeSubmitted() { return std::exchange(submitted_, false); }
  /// Would Pump do something now?
  [[nodiscard]] bool WantsPump() const;

  /// The buffer that holds the record at `place`; null: it is on flash.
  [[nodiscard]] const WriteBuffer* Find(Place place) const;

  [[nodiscard]] bool failing() const { return failing_; }
  [[nodiscard]] uint32_t tasks_inflight() const { return inflight_; }
  /// May a buffer come back without anything being freed first?
  [[nodiscard]] bool CanProgress() const;
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] uint64_t buffer_bytes() const;
  [[nodiscard]] uint64_t buffered_records_bytes() const;

  /// Gives up the buffers that a hung backend still holds: their memory stays mapped for good.
  void LeakInflight();
  void CheckInvariants() const;

 private:
  /// Task::done of a write.
  static void OnWritten(io::Task& task) noexcept;
  void OnSuccess(WriteBuffer& buffer);
  void OnFailure(WriteBuffer& buffer, bool was_probe);
  [[nodiscard]] bool Submit(WriteBuffer& buffer);
  /// Moves failed buffers, at most `count`, to new places and in front of the closed ones;
  /// those of which nothing is wanted any more are done with.
  void RetargetFailed(size_t count);
  /// Is there a record in this buffer that the owner does not give up?
  [[nodiscard]] bool AnyKept(const WriteBuffer& buffer);
  /// A failed buffer waits for a segment, and none was freed since it found none.
  [[nodiscard]] bool IsStuck() const;
  void Probe();
  /// Is there a buffer to be written next, and nothing more to be copied into it?
  [[nodiscard]] bool HasWhole() const { return !closed_.empty() && closed_.front()->late.empty(); }

  static constexpr uint64_t kBackoffUsMin = 100'000;

  Options options_;
  SegmentTable* table_;
  io::Backend* backend_;
  const base::Clock* clock_;
  RecordOwner* owner_;
  ClosedBuffers closed_;
  std::array<WriteStream, 2> streams_;
  std::deque<WriteBuffer*> failed_;
  uint32_t inflight_ = 0;
  bool submitted_ = false;

  bool failing_ = false;                // The last write that ended failed.
  const WriteBuffer* probe_ = nullptr;  // In flight while failing.
  uint64_t retry_at_us_ = 0;
  std::optional<uint64_t> stuck_at_freed_;  // Totals::freed when no segment was left for a buffer.
  uint64_t backoff_us_ = 0;
  Counters counters_;
};

}  // namespace flash::store
