// record_store.h: an append-only store of immutable byte records in one flash file.
//
// A record is put once, read any number of times, freed once, never changed in place. The store
// knows neither keys nor data types nor Valkey; the block table above holds each record's place and
// answers, through RecordOwner, whether a record still counts. Bytes on disk:
// docs/format/segment.md. Why a log and not a free list: docs/adr/0002. Thread: every call and
// callback on the owner thread (checked).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "io/backend.h"
#include "io/written_ranges.h"
#include "store/place.h"

namespace flash::store {

/// What the store asks of the block table. Calls upward go through these alone. None may call back
/// into Put, Read or Compact; Free is allowed.
class RecordOwner {
 public:
  virtual ~RecordOwner() = default;

  /// The put of `id` with `ticket` has a place and is readable from now on (from a write buffer at
  /// first). False: the owner no longer wants it (written to or freed meanwhile); the store then
  /// forgets it.
  [[nodiscard]] virtual bool OnPut(BlockId id, uint32_t ticket, Place place) = 0;

  /// The put could not be done (kNoSpace, kIo): the block stays where it was.
  virtual void OnPutFailed(BlockId id, uint32_t ticket, Code code) = 0;

  /// Does `id` still point at `place`?
  [[nodiscard]] virtual bool IsLive(BlockId id, Place place) const = 0;

  /// The live record of `id` at `place` is to be moved: its segment is reclaimed, or the write of
  /// its buffer failed. An owner with the bytes in RAM may Free(place) instead: true if it did.
  [[nodiscard]] virtual bool GiveUp(BlockId id, Place place) = 0;

  /// The live record of `id` is now at `to`; only if the owner still points at `from` (returns
  /// false if not, and the store forgets the copy). `from` counts as freed. Follows GiveUp, or
  /// comes alone when a write buffer whose write failed is sent elsewhere.
  [[nodiscard]] virtual bool OnMoved(BlockId id, Place from, Place to) = 0;
};

/// Memory of one record's bytes after a read: `prefix_bytes` uninitialised bytes, then the payload,
/// in one allocation from base::Allocate that the receiver owns (release it or keep it as a hot
/// block).
struct ReadBuffer {
  std::byte* memory = nullptr;
  uint32_t payload_bytes = 0;
};

/// How a snapshot reads the file, in a forked child or in the server itself: without the backend's
/// rings and threads, into buffers of the caller's.
class SnapshotSource {
 public:
  /// A range of the file and the memory it is read to; aligned in address, offset and length.
  struct Range {
    uint64_t offset = 0;
    MutableBytes into;
  };

  virtual ~SnapshotSource() = default;
  /// Fills `into` (aligned in address and length) from `offset` (aligned). Errors: kIo, kTimeout.
  [[nodiscard]] virtual Result<void> ReadAt(uint64_t offset, MutableBytes into) = 0;

  /// Starts to fill several ranges at once; their memory stays valid until Finish. As it is here:
  /// reads them now, one by one.
  virtual void Start(std::span<const Range> ranges);
  /// Waits for the ranges started first. Errors: kIo, some of them could not be read, each may be
  /// tried by itself; kTimeout, the device does not answer and may write to the memory of anything
  /// started at any time: leave it mapped.
  [[nodiscard]] virtual Result<void> Finish();

 private:
  std::deque<Result<void>> outcomes_;
};

/// A record and whose it is.
struct RecordRef {
  BlockId id = kNoBlock;
  Place place;
};

class RecordStore;

/// One read. Allocated by the caller, alive until `done`; may be reused afterwards.
struct ReadRequest : io::Task {
  using ReadDone = void (*)(ReadRequest& request, Result<ReadBuffer> result) noexcept;
  BlockId id = kNoBlock;
  Place place;
  ReadDone read_done = nullptr;  // Owner thread; exactly once. Errors: kCorrupt, kIo, kTimeout.

  // The store's own, between Read and read_done.
  RecordStore* store = nullptr;
  uint64_t sequence = 0;
  std::vector<std::byte> record;  // To be unpacked by an I/O thread.
  ReadBuffer buffer;
  Code failure = Code::kIo;
  bool failed = false;
};

class RecordStore {
 public:
  enum class Compression : uint8_t { kNone, kLz4 };

  struct Options {
    uint64_t capacity_bytes = 0;            // Required; at least 16 MiB.
    uint32_t segment_bytes = 0;             // 0: chosen from the capacity; else a power of two.
    uint32_t write_buffers_per_stream = 4;  // Each at most 1 MiB.
    /// Payloads from here on may be copied into write buffers by I/O threads; see PutStage.
    uint32_t late_copy_bytes_min = 4u << 10;
    uint32_t inflight_read_bytes_max = 32u << 20;
    uint32_t read_prefix_bytes = 0;  // Room the owner wants before the payload of each ReadBuffer.
    Compression compression = Compression::kLz4;
    uint64_t hash_seed = 0;  // Mixed into every checksum; random per opening.
    uint64_t retry_backoff_us_max = 5'000'000;
  };

  struct Stats {
    uint64_t capacity_bytes = 0;
    uint64_t used_bytes = 0;  // Live records. used + free = capacity, always.
    uint64_t free_bytes = 0;
    uint64_t dead_bytes = 0;      // Part of free: in sealed segments, back after compaction.
    uint64_t reserved_bytes = 0;  // Part of free: kept for compaction.
    uint64_t frozen_bytes = 0;    // Written bytes of segments kept for a child.
    uint64_t prepared_bytes = 0;  // Of the file, written at least once, ever; see NoteWritten.
    uint64_t segments_free = 0, segments_open = 0, segments_sealed = 0, segments_waiting = 0,
             segments_bad = 0;
    uint64_t segment_bytes = 0;
    uint64_t puts = 0, put_raw_bytes = 0, put_stored_bytes = 0;  // Accepted by the owner.
    uint64_t moved_records = 0, moved_bytes = 0;
    uint64_t device_bytes_written = 0;  // Everything, padding included: wear.
    uint64_t compaction_runs = 0, compaction_bytes_reclaimed = 0;
    uint64_t checksum_errors = 0, read_errors = 0, write_errors = 0, read_timeouts = 0;
    uint64_t buffer_bytes = 0;            // Write and staging buffers.
    uint64_t buffered_records_bytes = 0;  // Records readable from a buffer, not yet on flash.
    uint64_t segments_quarantined = 0;    // Times compaction left live records it could not read.
    uint64_t compaction_read_errors = 0;  // Failed reads of victims; tried again.
    uint64_t unreadable_pages = 0;  // Of victims, gone past after they failed again and again.
    bool writes_failing = false;    // The last device write failed; retried with back-off.

    /// Adds what counts up for ever of `other`: an earlier store's.
    void AddSums(const Stats& other);
  };

  /// The payload_bytes_max of a store with these options, before there is one.
  [[nodiscard]] static uint32_t PayloadBytesMax(const Options& options);

  /// Uses [0, capacity) of the backend's file; nothing that was there is kept. Errors: kInvalid.
  [[nodiscard]] static Result<std::unique_ptr<RecordStore>> Open(const Options& options,
                                                                 io::Backend* backend,
                                                                 const base::Clock* clock,
                                                                 RecordOwner* owner);
  virtual ~RecordStore() = default;

  /// These ranges of the file were written before it was opened: they count as prepared.
  virtual void NoteWritten(std::span<const io::FileRange> ranges) = 0;

  /// Largest payload of one record: 1 MiB less a header, less on a small file.
  [[nodiscard]] virtual uint32_t payload_bytes_max() const = 0;

  /// Starts to store a copy of `payload` (1 to payload_bytes_max) for `id`. `ticket` comes back in
  /// OnPut or OnPutFailed, exactly once, from Tick or a later Drive, never from within Put. Errors,
  /// nothing started: kBusy (buffers full: retry after completions), kNoSpace (compaction cannot
  /// make room now), kInvalid.
  [[nodiscard]] virtual Result<void> Put(BlockId id, uint32_t ticket, Bytes payload) = 0;

  /// Reads and verifies one live record; the caller kicks the backend, once per batch. A record
  /// still in a write buffer may be answered from within Read. The bytes survive a Free or a move
  /// issued meanwhile. Errors: kBusy (retry after completions).
  [[nodiscard]] virtual Result<void> Read(ReadRequest* request) = 0;

  /// Ends a record's life, at once and infallibly. `place` as last told by OnPut or OnMoved.
  virtual void Free(Place place) = 0;

  /// What was put or moved until now gets to flash soon, in partly filled buffers if need be
  /// (FLASH.DEBUG.DEMOTE); else write buffers go when full, staging at the next Tick. Once is
  /// enough; what is put afterwards is not hurried.
  virtual void Flush() = 0;

  /// Is the record at `place` on flash, not only in a write buffer?
  [[nodiscard]] virtual bool IsDurable(Place place) const = 0;

  /// Housekeeping: ships staging buffers, retries writes, compacts as far as needed. Bounded: about
  /// `budget_us` microseconds of the calling thread. Call once per event loop turn and after Reap.
  virtual void Tick(uint64_t budget_us) = 0;

  /// True when a Tick now would get something done that no completion announces (records waiting
  /// for a place, a retry that is due, compaction): call it soon again.
  [[nodiscard]] virtual bool WantsTick() const = 0;

  /// Asks for a pass over all segments of whose records at least `dead_percent_min` percent (0: any
  /// byte) are dead, each at most once; runs inside Tick. `passes_done()` counts up at its end.
  /// Asked during a pass: another follows it.
  virtual void RequestCompaction(uint32_t dead_percent_min = 0) = 0;
  [[nodiscard]] virtual uint64_t passes_done() const = 0;

  /// A child was forked / none lives any more. While frozen, segments that existed at the fork are
  /// neither moved nor reused.
  virtual void Freeze() = 0;
  virtual void Thaw() = 0;

  /// Reads the record of `id` at `place` in a forked child, from the child's copy of the write
  /// buffers or through `source`, which must not share anything with the parent but the file.
  /// Touches no thread, ring or lock. The places must be those of the fork. Errors: kCorrupt, kIo.
  /// Fork-safe: meant for the child.
  [[nodiscard]] virtual Result<ReadBuffer> ReadInChild(BlockId id, Place place,
                                                       SnapshotSource& source) const = 0;

  /// Reads many records likewise, in the order in which they lie: neighbours by one read, several
  /// reads at once, the next while the last ones are visited, in at most 10 MiB of buffers. Calls
  /// `visit` once for each with its index in `records`; the bytes are valid during the call.
  /// Errors, to `visit`: as ReadInChild, and kTimeout. Also in the parent, as long as nothing else
  /// of the store is called meanwhile.
  using VisitRecord = std::function<void(size_t index, Result<Bytes> payload)>;
  virtual void ReadManyInChild(std::span<const RecordRef> records, SnapshotSource& source,
                               const VisitRecord& visit) const = 0;

  /// Would a put of `bytes` more be accepted sooner or later without anything being freed?
  [[nodiscard]] virtual bool HasRoomFor(uint64_t bytes) const = 0;

  /// Bytes of all live records, and about the most that they can be: what no segment is kept back
  /// from, less what compaction leaves dead.
  [[nodiscard]] virtual uint64_t live_bytes() const = 0;
  [[nodiscard]] virtual uint64_t live_bytes_max() const = 0;

  [[nodiscard]] virtual const Stats& stats() const = 0;
  virtual void SetCompression(Compression compression) = 0;

  /// Recomputes every total from the segments and buffers; ends the process on a difference. Tests
  /// and the simulator; slow.
  virtual void CheckInvariants() const = 0;
};

}  // namespace flash::store
