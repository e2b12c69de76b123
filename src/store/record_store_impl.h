// record_store_impl.h: the record store put together from its parts.
//
// Staging, two streams, table and compactor do the work; this decides the order in which a Tick
// gives them the thread, and does the reads. Knows neither keys nor values nor Valkey. Thread: one
// owner; ReadWork on an I/O thread touches its request and constants alone. Decision:
// docs/adr/0002.
#pragma once

#include <memory>
#include <optional>
#include <thread>

#include "store/compactor.h"
#include "store/log_writer.h"
#include "store/put_stage.h"
#include "store/record_store.h"
#include "store/segment_table.h"

namespace flash::store {

class RecordStoreImpl final : public RecordStore {
 public:
  RecordStoreImpl(const Options& options, uint32_t segment_bytes, io::Backend* backend,
                  const base::Clock* clock, RecordOwner* owner);
  ~RecordStoreImpl() override;

  void NoteWritten(std::span<const io::FileRange> ranges) override;
  [[nodiscard]] uint32_t payload_bytes_max() const override { return payload_bytes_max_; }
  [[nodiscard]] Result<void> Put(BlockId id, uint32_t ticket, Bytes payload) override;
  [[nodiscard]] Result<void> Read(ReadRequest* request) override;
  void Free(Place place) override;
  void Flush() override;
  [[nodiscard]] bool IsDurable(Place place) const override;
  void Tick(uint64_t budget_us) override;
  [[nodiscard]] bool WantsTick() const override;
  void RequestCompaction(uint32_t dead_percent_min) override;
  [[nodiscard]] uint64_t passes_done() const override;
  void Freeze() override;
  void Thaw() override;
  [[nodiscard]] Result<ReadBuffer> ReadInChild(BlockId id, Place place,
                                               SnapshotSource& source) const override;
  void ReadManyInChild(std::span<const RecordRef> records, SnapshotSource& source,
                       const VisitRecord& visit) const override;
  [[nodiscard]] bool HasRoomFor(uint64_t bytes) const override;
  [[nodiscard]] uint64_t live_bytes() const override { return table_.totals().live * kUnitBytes; }
  [[nodiscard]] uint64_t live_bytes_max() const override;
  [[nodiscard]] const Stats& stats() const override;
  void SetCompression(Compression compression) override;
  void CheckInvariants() const override;

 private:
  static void ReadWork(io::Task& task, MutableBytes io_bytes) noexcept;
  static void UnpackWork(io::Task& task, MutableBytes io_bytes) noexcept;
  static void KeepResult(ReadRequest& request, const Result<ReadBuffer>& result);
  static void OnRead(io::Task& task) noexcept;

  void CheckThread() const { FLASH_DCHECK(std::this_thread::get_id() == thread_); }
  [[nodiscard]] ChecksumContext ContextOf(Place place) const;
  [[nodiscard]] bool IsReadingEnough(uint32_t bytes) const;
  [[nodiscard]] Result<void> ReadFromFlash(ReadRequest* request);
  [[nodiscard]] Result<void> UnpackElsewhere(ReadRequest* request, const RecordHeader& header,
                                             const WriteBuffer& buffer);
  [[nodiscard]] Result<void> SubmitRead(ReadRequest* request);
  /// A record that lies in a write buffer.
  [[nodiscard]] Result<ReadBuffer> ReadFromMemory(BlockId id, Place place,
                                                  const WriteBuffer& buffer) const;
  /// True: the owner's own read found what is long to unpack, and an I/O thread does that now.
  [[nodiscard]] bool UnpackFound(ReadRequest* request);
  void FinishRead(ReadRequest& request);
  /// Gives ready records their places until `deadline_us`.
  void PlaceStaged(uint64_t deadline_us);
  /// Ships the write buffers once everything that a Flush was about is in one.
  void ShipFlushed();
  void KickIfSubmitted(bool submitted);
  /// Can a fresh record of `bytes` get a place now, or after what compaction will do?
  [[nodiscard]] bool CanPlace(uint32_t bytes) const;
  void SealDeadOpenSegments();
  [[nodiscard]] uint32_t tasks_inflight() const;

  const Options options_;
  const uint32_t alignment_;
  const uint32_t payload_bytes_max_;
  io::Backend* backend_;
  const base::Clock* clock_;
  RecordOwner* owner_;
  std::thread::id thread_;

  SegmentTable table_;
  LogWriter writer_;
  PutStage stage_;
  Compactor compactor_;
  mutable PageMemory child_scratch_;  // Untouched, and so without cost, but while saving.

  // Put numbers (PutStage::added) up to which a Flush wants write buffers shipped: of the one that
  // is waited for, and of the last that was asked for meanwhile.
  std::optional<uint64_t> flush_to_;
  std::optional<uint64_t> flush_next_;
  bool waiting_for_write_ = false;
  uint32_t reads_inflight_ = 0;
  uint64_t inflight_read_bytes_ = 0;
  mutable Stats stats_;
};

}  // namespace flash::store
