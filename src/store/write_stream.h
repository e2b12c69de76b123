// write_stream.h: one series of segments being appended to, through buffers that serve reads
// meanwhile.
//
// A stream has one open segment and a few buffers. Records are appended to the buffer that is
// filling; a closed buffer is one chunk at a known place in the file and waits for its write. The
// stream only decides where bytes go: log_writer.h writes them. Knows neither compression nor why a
// record is appended. Thread: one owner; SealBuffer on an I/O thread. Decision: docs/adr/0002.
// Bytes: docs/format/segment.md.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "io/backend.h"
#include "store/late_payload.h"
#include "store/page_memory.h"
#include "store/record_format.h"
#include "store/record_store.h"
#include "store/segment_table.h"

namespace flash::store {

class LogWriter;

enum class StreamKind : uint8_t { kFresh, kSurvivor };

/// A chunk in memory. The task's data, offset and bytes are those of its write.
struct WriteBuffer : io::Task {
  enum class State : uint8_t {
    kIdle,
    kFilling,  ///< The stream appends to it; bound to a range that begins at `offset`.
    kClosed,   ///< Waits to be submitted.
    kWriting,
    kFailed,  ///< Its write failed, or its segment was given up: wants another range.
  };
  State state = State::kIdle;
  StreamKind stream = StreamKind::kFresh;
  uint32_t used = 0;
  SegmentIndex segment = 0;
  ChecksumContext context;
  std::vector<LatePayload> late;  // In the order of `to`; not written before it is empty.
  LogWriter* writer = nullptr;    // Set by it, for Task::done.

  /// Is the byte at file offset `at` one of a record in here?
  [[nodiscard]] bool Holds(uint64_t at) const {
    return state != State::kIdle && at >= offset && at < offset + used;
  }
  /// A record in here, which begins at file offset `at`: its header, and where its payload is now.
  [[nodiscard]] Bytes HeaderAt(uint64_t at) const {
    return {data + (at - offset), kRecordHeaderBytes};
  }
  [[nodiscard]] const std::byte* PayloadAt(uint64_t at) const;
};

/// Buffers that wait for their writes, in this order.
using ClosedBuffers = std::deque<WriteBuffer*>;

enum class AppendStatus : uint8_t {
  kOk,
  kNoBuffer,   ///< All buffers wait for their writes.
  kNoSegment,  ///< No segment may be opened.
};

class WriteStream {
 public:
  struct Options {
    StreamKind kind = StreamKind::kFresh;
    uint32_t buffers = 4;
    uint32_t buffer_bytes = 1u << 20;
    uint32_t alignment = 4096;
    uint64_t hash_seed = 0;
  };

  /// Buffers that are closed are put at the end of `closed`. Task::done of the buffers is for
  /// whoever writes them to set. Both outlive the stream.
  WriteStream(const Options& options, SegmentTable* table, ClosedBuffers* closed);

  /// Appends a record; it is live, and readable through its buffer. Only if kOk.
  [[nodiscard]] AppendStatus Append(const RecordHeader& header, const std::byte* stored,
                                    Place* place);
  /// The same, but for the payload: the caller has it copied from `late->from`, which is `stored`
  /// and stays as it is until then, to `late->to`, and then calls EndLate. Unless it is rolled
  /// back.
  [[nodiscard]] AppendStatus AppendLate(const RecordHeader& header, const std::byte* stored,
                                        Place* place, LatePayload* late);
  void EndLate(const LatePayload& late);
  /// Takes back the record appended last.
  void RollBack(Place place);

  /// Closes the filling buffer, if it holds anything, at the next multiple of the alignment.
  void CloseFilling();
  /// Ends appending to the open segment.
  void SealOpen();

  /// Gives a failed buffer the next free range, in another segment if need be (the reserve
  /// included), and tells the owner of its live records. False: there is none.
  [[nodiscard]] bool Retarget(WriteBuffer& buffer, RecordOwner& owner);

  /// A write to `segment` failed: no more is appended to it, and a buffer filling for it fails as
  /// well.
  void GiveUp(SegmentIndex segment);

  /// The buffer's write succeeded: it may be used again.
  void Release(WriteBuffer& buffer);

  [[nodiscard]] std::optional<SegmentIndex> open() const { return open_; }
  /// Bytes that still fit the open segment, at least.
  [[nodiscard]] uint64_t RemainingBytes() const;
  [[nodiscard]] const std::vector<std::unique_ptr<WriteBuffer>>& buffers() const {
    return buffers_;
  }
  [[nodiscard]] std::vector<std::unique_ptr<WriteBuffer>>& buffers() { return buffers_; }
  [[nodiscard]] uint64_t memory_bytes() const { return memory_.size(); }

  /// Gives up the buffers that a hung backend still holds: their memory stays mapped for good.
  void LeakInflight();
  /// The same of all their memory: the backend may still copy into it.
  void LeakMemory() { memory_.Leak(); }

 private:
  [[nodiscard]] WriteBuffer* TakeIdle();
  [[nodiscard]] bool OpenNext(bool from_reserve);
  void Bind(WriteBuffer& buffer);
  /// Makes the filling buffer one that has room for a record of `bytes`.
  [[nodiscard]] AppendStatus MakeRoom(uint32_t bytes);
  /// Takes the next bytes of the filling buffer for a live record, and returns where they are.
  [[nodiscard]] std::byte* Take(const RecordHeader& header, Place* place);

  Options options_;
  size_t buffer_step_;  // From one buffer to the next.
  SegmentTable* table_;
  ClosedBuffers* closed_;
  PageMemory memory_;  // Of all buffers, in huge pages; not MADV_DONTFORK: a child reads it.
  std::vector<std::unique_ptr<WriteBuffer>> buffers_;
  std::optional<SegmentIndex> open_;
  WriteBuffer* filling_ = nullptr;  // Bound to the end of *open_.
};

}  // namespace flash::store
