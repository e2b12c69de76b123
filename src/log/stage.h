// stage.h: effects become pieces in buffers that are ready to be written; where they go is decided
// here, too.
//
// A buffer is up to 1 MiB of one segment. It is filled from the front and written in runs of whole
// pages: what a write has carried is never written again, because a torn second write would take
// acknowledged frames with it; so each Mark ends with padding to a page. Knows neither devices nor
// threads. Thread: one at a time (the log's lock). Format: docs/format/log.md.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "log/log_format.h"
#include "log/slot_pool.h"

namespace flash::log {

/// A segment of the log being appended to.
struct Segment {
  uint64_t number = 0;
  uint32_t slot = 0;
  Lsn first_lsn = 0;
  bool within_frame = false;
};

class Stage {
 public:
  struct Head {
    Origin origin;
    Lsn last_lsn = 0;
    uint64_t number = 0;  // Of the segment to begin.
    uint32_t slot = 0;    // Taken.
    uint64_t previous_end = 0;
  };
  /// Up to where: the end of the last piece; the last whole unit's last effect and its end.
  struct Mark {
    uint64_t position = 0;
    Lsn lsn = 0;
    uint64_t unit_end = 0;
  };
  struct Run {
    uint64_t file_offset = 0;
    std::byte* data = nullptr;
    uint32_t bytes = 0;
  };

  Stage(uint32_t segment_bytes, SlotPool* slots);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  /// Goes on at `head`, with nothing in the buffers.
  void Begin(const Head& head);

  Lsn BeginEffect(uint64_t bytes);
  void AddBytes(Bytes part);
  void EndUnit();
  /// An effect that is a unit. Units that are added so one behind the other share a frame, as long
  /// as nothing is marked in between; they count as ended.
  Lsn AddGrouped(Bytes effect);

  /// Everything so far may be written. Of a unit that has not ended, a part may be too: it is void
  /// until its last piece is there.
  void MarkAll();
  /// What fills whole buffers may be written, although it was not marked.
  void Spill();
  /// Forgets what was added since the last MarkAll. False: some of it may be on its way to the disk
  /// already, or a unit was marked in part: the tail must be cut at mark().unit_end.
  [[nodiscard]] bool Discard();

  /// From now on effects are counted and thrown away.
  void Stop() { full_ = true; }

  /// Takes what may be written and was not taken before.
  [[nodiscard]] std::vector<Run> Take();
  [[nodiscard]] bool has_marked() const;
  /// Everything taken was written: its buffers are free.
  void Written();
  /// What pieces claim from now on.
  void SetDurable(uint64_t position) { durable_ = position; }

  [[nodiscard]] const Mark& mark() const { return mark_; }
  [[nodiscard]] Lsn last_lsn() const { return last_lsn_; }
  [[nodiscard]] uint64_t piece_end() const { return piece_end_; }
  /// Nothing was added since the last mark.
  [[nodiscard]] bool clean() const { return !frame_open_ && unit_lsn_ == mark_.lsn; }
  [[nodiscard]] bool has_ended_units() const { return grouping_ || unit_lsn_ != mark_.lsn; }
  [[nodiscard]] size_t buffers_used() const { return buffers_.size(); }
  [[nodiscard]] uint32_t buffer_bytes() const { return buffer_bytes_; }
  /// Stopped, or no slot was left for a segment: what was added since is lost.
  [[nodiscard]] bool full() const { return full_; }
  /// Bytes of pieces that fit before another slot is needed, slots that are reserved included.
  [[nodiscard]] uint64_t room_bytes() const;
  /// Segments begun, oldest first; whoever cuts takes them off the front.
  [[nodiscard]] std::deque<Segment>& segments() { return segments_; }
  [[nodiscard]] uint32_t next_slot() const { return next_slot_; }
  /// Gives its memory up without freeing it: a device may still read it.
  void Leak();

 private:
  struct FreeMemory {
    void operator()(std::byte* memory) const;
  };
  using Memory = std::unique_ptr<std::byte[], FreeMemory>;
  struct Buffer {
    Memory memory;
    uint64_t position = 0;  // Of its first byte.
    uint64_t file_offset = 0;
    uint32_t filled = 0;
    uint32_t marked = 0;  // Up to here it may be written; whole pages.
    uint32_t taken = 0;
    bool closed = false;
  };

  [[nodiscard]] bool NextBuffer();
  [[nodiscard]] bool NextSegment();
  void OpenBuffer(uint64_t position);
  Lsn AppendEffect(uint64_t bytes);
  [[nodiscard]] bool OpenPiece();
  void ClosePiece(bool last);
  void Pad(Buffer& buffer);
  [[nodiscard]] uint32_t piece_room() const;
  [[nodiscard]] uint64_t FileOffset(uint64_t position) const;

  const uint32_t segment_bytes_;
  const uint32_t buffer_bytes_;
  SlotPool* slots_;
  Origin origin_;
  std::deque<Segment> segments_;
  uint32_t next_slot_ = 0;  // Taken for the segment behind the last one.
  bool begun_ = false;      // The head's segment has its first buffer.
  std::deque<Buffer> buffers_;
  std::vector<Memory> spare_;

  Lsn last_lsn_ = 0;
  Lsn unit_lsn_ = 0;       // The last effect of the last unit that ended.
  uint64_t unit_end_ = 0;  // And where that unit ends.
  uint64_t durable_ = 0;
  uint64_t piece_end_ = 0;  // Of the last piece sealed.
  Mark mark_;
  size_t buffers_since_mark_ = 0;
  bool spilled_ = false;
  bool marked_within_frame_ = false;
  bool full_ = false;

  bool frame_open_ = false;
  bool grouping_ = false;  // The open frame may end here: it holds whole units.
  Lsn frame_lsn_ = 0;
  uint32_t frame_effects_ = 0;
  uint32_t frame_pieces_ = 0;
  uint64_t effect_left_ = 0;
  bool piece_open_ = false;
  uint32_t piece_at_ = 0;     // In the last buffer.
  uint32_t piece_bytes_ = 0;  // Of payload.
};

}  // namespace flash::log
