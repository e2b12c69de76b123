// put_stage.h: the waiting room between Put and a place: batches of payload copies, compressed
// off-thread.
//
// Put copies a payload into the batch that is filling; the batch ships when full or told to, is
// compressed on an I/O thread, in pieces between which that thread turns to reads, and its records
// then come out at the front one by one. What a batch then has to copy into write buffers is an I/O
// thread's work too, if it is worth a task. Bounded: a fixed number of batches. Knows neither
// segments nor owners. Thread: one owner; a batch's work on an I/O thread touches that batch, and
// what it copies to. Decision: docs/adr/0002.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "io/backend.h"
#include "store/late_payload.h"
#include "store/page_memory.h"
#include "store/piece_packer.h"
#include "store/record_format.h"

namespace flash::store {

class PutStage {
 public:
  /// Payload bytes compressed at a time.
  static constexpr uint32_t kPieceBytes = PiecePacker::kPieceBytes;

  struct Options {
    uint32_t batches = 4;
    uint32_t ship_bytes = 256 * kKiB;  // A batch ships when it holds this much,
    uint32_t ship_records = 1024;      // or this many.
    uint32_t payload_bytes_max = kPayloadBytesMax;
    bool compress = true;
    uint32_t copy_task_bytes_min = 64 * kKiB;  // Less is copied by the owner.
    /// Told of each payload of PopLate when it is in its place. Owner thread.
    std::function<void(const LatePayload& late)> copied = nullptr;
  };

  /// A record that is ready for a place.
  struct Staged {
    uint32_t ticket = 0;
    RecordHeader header;
    const std::byte* stored = nullptr;
  };

  /// `backend` outlives the stage.
  PutStage(const Options& options, io::Backend* backend);
  ~PutStage();
  PutStage(const PutStage&) = delete;
  PutStage& operator=(const PutStage&) = delete;

  /// Copies `payload`. Errors: kBusy, every batch is in use.
  [[nodiscard]] Result<void> Add(BlockId id, uint32_t ticket, Bytes payload);

  /// Sends what waits on its way. Returns true if anything was submitted (kick the backend).
  bool Ship();

  /// The record added first, if it is ready: records come out in the order of Add. Valid until Pop.
  [[nodiscard]] const Staged* Front();
  void Pop();
  /// The same, with the stored bytes, `late.from`, still to be copied: an I/O thread does it when
  /// all records of the batch are out, or this thread at once where that is less work.
  void PopLate(const LatePayload& late);
  /// Copies here and now what is not on its way yet: who waits for a write buffer must not wait for
  /// records that cannot come out before he has it.
  void CopyNow();
  /// Whether anything was submitted by Pop or PopLate since the last call.
  [[nodiscard]] bool TakeSubmitted() { return std::exchange(submitted_, false); }

  /// Records added so far / taken out so far.
  [[nodiscard]] uint64_t added() const { return added_; }
  [[nodiscard]] uint64_t popped() const { return popped_; }
  /// Record bytes between Add and Pop, not counting what compression may save.
  [[nodiscard]] uint64_t pending_bytes() const { return pending_bytes_; }
  [[nodiscard]] bool HasReady() const { return !shipped_.empty() && shipped_.front()->ready; }
  [[nodiscard]] bool HasUnshipped() const { return filling_ != nullptr || !full_.empty(); }
  [[nodiscard]] uint32_t tasks_inflight() const { return inflight_; }
  /// Part of them: batches that an I/O thread copies from.
  [[nodiscard]] uint32_t copies_inflight() const { return copies_inflight_; }
  [[nodiscard]] uint64_t buffer_bytes() const;
  void SetCompress(bool compress) { options_.compress = compress; }

  /// Gives up the memory of batches that a hung backend still holds, so that it stays mapped.
  void LeakInflight();

 private:
  struct Batch : io::Task {
    PutStage* stage = nullptr;
    PageMemory raw, packed;
    std::vector<Staged> records;
    uint32_t raw_used = 0;
    size_t next = 0;        // First record not popped.
    size_t compressed = 0;  // Records that the task is through with.
    uint32_t packed_used = 0;
    bool packing = false;                 // `packer` is at the next one.
    bool has_large = false;               // A record larger than a piece.
    std::unique_ptr<PiecePacker> packer;  // Made for the first batch with one, and kept.
    std::vector<LatePayload> late;        // Of records popped.
    uint32_t late_bytes = 0;
    size_t late_done = 0;    // Of them, copied by the task.
    uint32_t late_used = 0;  // Of the one that is next, bytes copied.
    bool inflight = false;
    bool ready = false;
  };

  static void CompressPiece(io::Task& task, MutableBytes io_bytes) noexcept;
  [[nodiscard]] static bool PackPiece(Batch& batch);
  static void KeepPacked(Batch& batch, uint32_t packed);
  static void OnCompressed(io::Task& task) noexcept;
  static void CopyPiece(io::Task& task, MutableBytes io_bytes) noexcept;
  static void OnCopied(io::Task& task) noexcept;
  void CopyHere(Batch& batch);
  void EndCopies(Batch& batch);
  void CloseFilling();
  /// All records of the batch are out.
  void Finish(Batch* batch);
  void Recycle(Batch* batch);

  Options options_;
  io::Backend* backend_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::vector<Batch*> idle_;
  Batch* filling_ = nullptr;
  std::deque<Batch*> full_;     // Refused by the backend's queue so far, or about to be submitted.
  std::deque<Batch*> shipped_;  // In the order of Ship, ready or not.
  uint32_t inflight_ = 0;
  uint32_t copies_inflight_ = 0;
  bool submitted_ = false;
  uint64_t added_ = 0, popped_ = 0, pending_bytes_ = 0;
};

}  // namespace flash::store
