// fake_record_store.h: a RecordStore in memory, whose puts and reads end when a test says so.
//
// For tests of the block pool: each moment between the start and the end of a put, a read and a
// move can be held. Freeing twice, reading what was freed, or an owner that forgets a record is
// caught. No device, no bytes on disk. Thread: one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "io/backend.h"
#include "store/record_store.h"

namespace flash::testing {

class FakeRecordStore final : public store::RecordStore {
 public:
  FakeRecordStore(const Options& options, store::RecordOwner* owner)
      : options_(options), owner_(*owner) {}
  ~FakeRecordStore() override;

  // --- For tests ---
  bool hold_puts = false;   ///< Else Tick finishes them.
  bool hold_reads = false;  ///< Else Tick finishes them.
  bool answer_reads_at_once = false;
  std::optional<Code> refuse_puts;
  std::optional<Code> refuse_reads;
  std::optional<Code> fail_reads;
  uint64_t room_bytes_max = ~uint64_t{0};  ///< Puts beyond are refused with kNoSpace.
  void SayWritesFail() { stats_.writes_failing = true; }
  void FinishPuts(size_t count = ~size_t{0});
  void FailPuts(Code code);
  void FinishReads();
  /// What compaction does with one record: asks, moves, tells. Returns whether it was moved.
  bool Compact(store::Place place);
  [[nodiscard]] size_t puts_inflight() const { return puts_.size(); }
  [[nodiscard]] size_t reads_inflight() const { return reads_.size(); }
  [[nodiscard]] size_t records() const { return records_.size(); }
  [[nodiscard]] store::Place PlaceOf(BlockId id) const;
  uint64_t reads_started = 0;
  uint64_t flushes = 0;
  uint64_t frozen = 0;

  // --- RecordStore ---
  void NoteWritten(std::span<const io::FileRange> /*ranges*/) override {}
  [[nodiscard]] uint32_t payload_bytes_max() const override { return 1024 * 1024 - 64; }
  [[nodiscard]] Result<void> Put(BlockId id, uint32_t ticket, Bytes payload) override;
  [[nodiscard]] Result<void> Read(store::ReadRequest* request) override;
  void Free(store::Place place) override;
  void Flush() override { ++flushes; }
  [[nodiscard]] bool IsDurable(store::Place /*place*/) const override { return flushes > 0; }
  void Tick(uint64_t budget_us) override;
  [[nodiscard]] bool WantsTick() const override { return false; }
  void RequestCompaction(uint32_t /*dead_percent_min*/) override {}
  [[nodiscard]] uint64_t passes_done() const override { return 0; }
  void Freeze() override { ++frozen; }
  void Thaw() override { --frozen; }
  [[nodiscard]] Result<store::ReadBuffer> ReadInChild(BlockId id, store::Place place,
                                                      store::SnapshotSource& source) const override;
  void ReadManyInChild(std::span<const store::RecordRef> records, store::SnapshotSource& source,
                       const VisitRecord& visit) const override;
  [[nodiscard]] bool HasRoomFor(uint64_t bytes) const override {
    return live_bytes_ + bytes <= room_bytes_max;
  }
  [[nodiscard]] uint64_t live_bytes() const override { return live_bytes_; }
  [[nodiscard]] uint64_t live_bytes_max() const override { return room_bytes_max; }
  [[nodiscard]] const Stats& stats() const override { return stats_; }
  void SetCompression(Compression /*compression*/) override {}
  void CheckInvariants() const override {}

 private:
  struct PendingPut {
    BlockId id;
    uint32_t ticket;
    std::vector<std::byte> bytes;
  };
  struct Record {
    BlockId id;
    std::vector<std::byte> bytes;
  };
  struct PendingRead {
    store::ReadRequest* request;
    std::vector<std::byte> bytes;
  };

  [[nodiscard]] store::Place NewPlace(size_t bytes);
  [[nodiscard]] store::ReadBuffer BufferOf(const std::vector<std::byte>& bytes) const;
  void Answer(const PendingRead& read);

  Options options_;
  store::RecordOwner& owner_;
  std::deque<PendingPut> puts_;
  std::deque<PendingRead> reads_;
  std::map<uint64_t, Record> records_;  // By Place::bits.
  uint64_t next_unit_ = 1;
  uint64_t live_bytes_ = 0;
  Stats stats_;
};

/// A backend on which nothing ever runs; waiting moves the clock.
class IdleBackend final : public io::Backend {
 public:
  explicit IdleBackend(base::ManualClock* clock) : clock_(*clock) {}
  std::function<void()> on_wait;  ///< Runs once per Wait, before it returns.
  uint64_t waits = 0;

  [[nodiscard]] Result<void> Submit(io::Task* /*task*/) override { return Code::kBusy; }
  void Kick() override {}
  size_t Reap(size_t /*tasks_max*/) override { return 0; }
  void Wait(uint64_t timeout_us) override {
    ++waits;
    clock_.Advance(timeout_us);
    if (on_wait) on_wait();
  }
  [[nodiscard]] int event_fd() const override { return -1; }
  [[nodiscard]] size_t inflight() const override { return 0; }
  [[nodiscard]] uint32_t alignment() const override { return 512; }
  [[nodiscard]] Stats stats() const override { return {}; }
  void SetTimeoutMs(uint32_t /*timeout_ms*/) override {}

 private:
  base::ManualClock& clock_;
};

}  // namespace flash::testing
