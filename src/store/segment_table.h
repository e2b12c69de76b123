// segment_table.h: which segment is in what state, and exactly how many live bytes each holds.
//
// Every change of a segment goes through here and keeps the totals exact. Pure bookkeeping: knows
// neither buffers nor files nor owners, and does no I/O. All counts are in units of kUnitBytes.
// Thread: one owner. Decision: docs/adr/0002.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "store/place.h"

namespace flash::store {

using SegmentIndex = uint32_t;

enum class SegmentState : uint8_t {
  kFree,
  kOpen,  ///< A stream appends to it.
  kSealed,
  kVictim,   ///< Compaction is reading it.
  kWaiting,  ///< No live record, but a reader, a write or a forked child still needs it.
  kBad,      ///< Quarantined (live records that cannot be read), or given up after failed writes.
};
inline constexpr size_t kSegmentStateCount = 6;

class SegmentTable {
 public:
  struct Options {
    uint64_t capacity_bytes = 0;
    uint32_t segment_bytes = 0;  // A power of two.
    uint32_t reserve_segments = 4;
    uint32_t first_segment_skip_bytes = 4096;  // The superblock's page, in segment 0.
  };

  struct Totals {
    uint64_t live = 0;     // Of all segments.
    uint64_t dead = 0;     // Appended and no longer live; sealed segments and victims.
    uint64_t written = 0;  // Consumed, padding included; all segments but free ones.
    std::array<uint64_t, kSegmentStateCount> segments{};
    uint64_t freed = 0;     // Times a segment became free.
    uint64_t prepared = 0;  // Written to the file at least once, in this life or an earlier one.
  };

  /// A segment qualifies as a victim when this fraction of it (1 / n) is dead.
  static constexpr uint32_t kVictimDeadDivisor = 32;
  /// Or, sealed early, when no more than this fraction of it is live.
  static constexpr uint32_t kVictimLiveDivisor = 4;
  static constexpr uint8_t kWriteFailuresMax = 3;

  explicit SegmentTable(const Options& options);

  // --- Geometry
  // -----------------------------------------------------------------------------------

  /// The segment size for a file of `capacity_bytes`, which is at least 16 MiB.
  [[nodiscard]] static uint32_t ChooseSegmentBytes(uint64_t capacity_bytes);
  [[nodiscard]] uint32_t count() const { return static_cast<uint32_t>(segments_.size()); }
  [[nodiscard]] uint32_t segment_bytes() const { return options_.segment_bytes; }
  [[nodiscard]] uint32_t reserve() const { return options_.reserve_segments; }
  [[nodiscard]] SegmentIndex SegmentOf(uint64_t offset) const {
    return static_cast<SegmentIndex>(offset >> segment_shift_);
  }
  /// File offsets of the first byte that records may use, and of the end.
  [[nodiscard]] uint64_t BeginOf(SegmentIndex segment) const;
  [[nodiscard]] uint64_t EndOf(SegmentIndex segment) const {
    return (uint64_t{segment} + 1) << segment_shift_;
  }
  [[nodiscard]] uint32_t segment_units() const {
    return static_cast<uint32_t>(options_.segment_bytes / kUnitBytes);
  }

  // --- Life of a segment
  // --------------------------------------------------------------------------

  /// Opens the segment that has been free for longest, with a new sequence number. Nullopt: none,
  /// or only the reserve is left and `from_reserve` is false.
  [[nodiscard]] std::optional<SegmentIndex> Open(bool from_reserve);
  /// An open segment gets nothing more appended.
  void Seal(SegmentIndex segment);
  void BeginVictim(SegmentIndex segment);
  /// The victim's walk ended. `complete`: all of it was read, so what is still live cannot be:
  /// quarantine.
  void EndVictim(SegmentIndex segment, bool complete);
  /// A write to the segment failed while others succeed: the third time it is given up once empty.
  void NoteWriteFailure(SegmentIndex segment);
  /// `units` of the segment, from its beginning on, are known to have been written to the file.
  void NotePrepared(SegmentIndex segment, uint32_t units);

  // --- Records
  // ------------------------------------------------------------------------------------

  /// A record of `units` was appended at the end and is live.
  void AppendLive(SegmentIndex segment, uint32_t units);
  /// The record appended last is taken back, as if it had never been.
  void RollBack(SegmentIndex segment, uint32_t units);
  /// `units` were consumed by padding.
  void AppendPadding(SegmentIndex segment, uint32_t units);
  /// One live record's end.
  void Free(SegmentIndex segment, uint32_t units);

  // --- Users
  // --------------------------------------------------------------------------------------

  void AddReader(SegmentIndex segment);
  void DropReader(SegmentIndex segment);
  /// A write buffer is bound to the segment, until its write succeeded or it was bound elsewhere.
  void AddWriter(SegmentIndex segment);
  void DropWriter(SegmentIndex segment);
  void Freeze();
  void Thaw();

  // --- Questions
  // ----------------------------------------------------------------------------------

  [[nodiscard]] SegmentState state(SegmentIndex segment) const { return segments_[segment].state; }
  [[nodiscard]] uint64_t sequence(SegmentIndex segment) const {
    return segments_[segment].sequence;
  }
  [[nodiscard]] uint32_t live(SegmentIndex segment) const { return segments_[segment].live; }
  [[nodiscard]] uint32_t dead(SegmentIndex segment) const {
    return segments_[segment].appended - segments_[segment].live;
  }
  /// File offset behind the last byte consumed in the segment's present life.
  [[nodiscard]] uint64_t WrittenEnd(SegmentIndex segment) const {
    return BeginOf(segment) + segments_[segment].consumed * kUnitBytes;
  }
  [[nodiscard]] uint32_t free_count() const { return free_count_; }
  /// Segments that fresh puts may still open.
  [[nodiscard]] uint32_t free_beyond_reserve() const {
    return free_count_ > reserve() ? free_count_ - reserve() : 0;
  }
  /// The best victim: fewest live units, then longest so. Nullopt: none qualifies.
  [[nodiscard]] std::optional<SegmentIndex> PickVictim() const;
  /// May compaction take this one at all, whatever it would gain? A quarantined one may be tried
  /// again.
  [[nodiscard]] bool CanBeVictim(SegmentIndex segment) const;
  [[nodiscard]] uint64_t last_sequence() const { return last_sequence_; }
  /// Written units of the segments that existed at Freeze; 0 when thawed.
  [[nodiscard]] uint64_t frozen_units() const { return frozen_units_; }
  [[nodiscard]] bool IsFrozen(SegmentIndex segment) const { return Frozen(segments_[segment]); }
  /// Is any sealed or waiting segment held back by a write or a reader only?
  [[nodiscard]] bool AnyHeldByUsers() const { return held_by_users_ > 0; }
  /// Reads under way.
  [[nodiscard]] uint64_t readers() const { return readers_; }
  [[nodiscard]] const Totals& totals() const { return totals_; }
  [[nodiscard]] uint64_t memory_bytes() const;

  /// Recomputes every total and list; ends the process on a difference.
  void CheckInvariants() const;

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr uint32_t kBuckets = 257;  // By live * 256 / segment units.

  struct Segment {
    uint64_t sequence = 0;
    uint32_t live = 0;
    uint32_t appended = 0;  // By records, dead or alive.
    uint32_t consumed = 0;  // By records and padding.
    uint32_t prepared = 0;  // From the beginning on; stays when the segment becomes free.
    uint32_t readers = 0;
    uint32_t previous = kNone, next = kNone;  // In a bucket of victims, or in the free list.
    uint16_t bucket = 0;                      // Valid while listed.
    uint8_t writers = 0;
    uint8_t write_failures = 0;
    SegmentState state = SegmentState::kFree;
    bool listed = false;  // In a bucket.
    bool unreadable = false;
  };
  struct List {
    uint32_t first = kNone, last = kNone;
  };

  /// Changes a segment by `change`, then settles it; the totals follow.
  template <typename F>
  void Update(SegmentIndex index, F change);
  void Count(const Segment& segment, bool add);
  /// Moves the segment to the state and the bucket that it now belongs in.
  void Settle(SegmentIndex index);
  void PushBack(List& list, SegmentIndex index);
  void Remove(List& list, SegmentIndex index);
  [[nodiscard]] bool Frozen(const Segment& segment) const {
    return frozen_ && segment.sequence <= frozen_sequence_;
  }
  [[nodiscard]] bool Qualifies(const Segment& segment) const;
  [[nodiscard]] bool HeldByUsers(const Segment& segment) const;
  [[nodiscard]] uint32_t BucketOf(const Segment& segment) const;

  Options options_;
  int segment_shift_ = 0;
  std::vector<Segment> segments_;
  std::array<List, kBuckets> victims_{};
  List free_;
  uint32_t free_count_ = 0;
  uint64_t last_sequence_ = 0;
  bool frozen_ = false;
  uint64_t frozen_sequence_ = 0;
  uint64_t frozen_units_ = 0;
  uint64_t held_by_users_ = 0;
  uint64_t readers_ = 0;
  Totals totals_;
};

}  // namespace flash::store
