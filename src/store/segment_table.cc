// segment_table.cc: see segment_table.h. Every mutation is Update(): take the segment out of the
// totals, change it, settle its state and bucket, put it back. CheckInvariants does the same sums
// from scratch. Thread: one owner. Decision: docs/adr/0002.
#include "store/segment_table.h"

#include <algorithm>
#include <bit>

namespace flash::store {
namespace {

constexpr uint64_t kSegmentBytesMin = 256 * kKiB;
constexpr uint64_t kSegmentBytesMax = 64 * kMiB;

}  // namespace

SegmentTable::SegmentTable(const Options& options)
    : options_(options), segment_shift_(std::countr_zero(options.segment_bytes)) {
  FLASH_CHECK(std::has_single_bit(options.segment_bytes));
  segments_.resize(options.capacity_bytes / options.segment_bytes);
  for (SegmentIndex index = 0; index < count(); ++index) {
    PushBack(free_, index);
    Count(segments_[index], true);
  }
  free_count_ = count();
}

uint32_t SegmentTable::ChooseSegmentBytes(uint64_t capacity_bytes) {
  const uint64_t wanted = std::bit_floor(capacity_bytes / 512);
  const uint64_t clamped = std::clamp(wanted, kSegmentBytesMin, kSegmentBytesMax);
  return static_cast<uint32_t>(std::min(clamped, std::bit_floor(capacity_bytes / 64)));
}

uint64_t SegmentTable::BeginOf(SegmentIndex segment) const {
  return (uint64_t{segment} << segment_shift_) +
         (segment == 0 ? options_.first_segment_skip_bytes : 0);
}

template <typename F>
void SegmentTable::Update(SegmentIndex index, F change) {
  Segment& segment = segments_[index];
  Count(segment, false);
  change(segment);
  Settle(index);
  Count(segment, true);
}

void SegmentTable::Count(const Segment& segment, bool add) {
  const uint64_t sign = add ? 1 : ~uint64_t{0};
  totals_.live += sign * segment.live;
  if (segment.state == SegmentState::kSealed || segment.state == SegmentState::kVictim) {
    totals_.dead += sign * (segment.appended - segment.live);
  }
  if (segment.state != SegmentState::kFree) totals_.written += sign * segment.consumed;
  totals_.segments[static_cast<size_t>(segment.state)] += sign;
  if (HeldByUsers(segment)) held_by_users_ += sign;
}

bool SegmentTable::HeldByUsers(const Segment& segment) const {
  if (Frozen(segment)) return false;
  if (segment.state == SegmentState::kWaiting) return true;
  return segment.state == SegmentState::kSealed && segment.writers > 0 && Qualifies(segment);
}

bool SegmentTable::Qualifies(const Segment& segment) const {
  return segment.appended - segment.live >= segment_units() / kVictimDeadDivisor ||
         segment.live <= segment_units() / kVictimLiveDivisor;
}

uint32_t SegmentTable::BucketOf(const Segment& segment) const {
  return static_cast<uint32_t>(uint64_t{segment.live} * (kBuckets - 1) / segment_units());
}

void SegmentTable::Settle(SegmentIndex index) {
  Segment& segment = segments_[index];
  const bool ended = segment.state == SegmentState::kSealed ||
                     segment.state == SegmentState::kWaiting ||
                     (segment.state == SegmentState::kBad && segment.unreadable);
  const bool list_now = segment.state == SegmentState::kSealed && segment.live > 0 &&
                        segment.writers == 0 && !Frozen(segment) && Qualifies(segment);
  if (segment.listed && (!list_now || BucketOf(segment) != segment.bucket)) {
    Remove(victims_[segment.bucket], index);
    segment.listed = false;
  }
  if (list_now && !segment.listed) {
    segment.bucket = static_cast<uint16_t>(BucketOf(segment));
    PushBack(victims_[segment.bucket], index);
    segment.listed = true;
  }
  if (!ended || segment.live > 0) return;
  segment.state = SegmentState::kWaiting;
  if (segment.readers > 0 || segment.writers > 0 || Frozen(segment)) return;
  segment.appended = segment.consumed = 0;
  segment.unreadable = false;
  if (segment.write_failures >= kWriteFailuresMax) {
    segment.state = SegmentState::kBad;
    return;
  }
  segment.state = SegmentState::kFree;
  PushBack(free_, index);
  ++free_count_;
  ++totals_.freed;
}

std::optional<SegmentIndex> SegmentTable::Open(bool from_reserve) {
  if (free_count_ == 0 || (!from_reserve && free_beyond_reserve() == 0)) return std::nullopt;
  const SegmentIndex index = free_.first;
  Remove(free_, index);
  --free_count_;
  Update(index, [this](Segment& segment) {
    segment.state = SegmentState::kOpen;
    segment.sequence = ++last_sequence_;
  });
  return index;
}

void SegmentTable::Seal(SegmentIndex segment) {
  FLASH_CHECK(state(segment) == SegmentState::kOpen);
  Update(segment, [](Segment& s) { s.state = SegmentState::kSealed; });
}

bool SegmentTable::CanBeVictim(SegmentIndex index) const {
  const Segment& segment = segments_[index];
  const bool ended = segment.state == SegmentState::kSealed ||
                     (segment.state == SegmentState::kBad && segment.unreadable);
  return ended && segment.writers == 0 && !Frozen(segment);
}

void SegmentTable::BeginVictim(SegmentIndex segment) {
  FLASH_CHECK(CanBeVictim(segment));
  Update(segment, [](Segment& s) { s.state = SegmentState::kVictim; });
}

void SegmentTable::EndVictim(SegmentIndex segment, bool complete) {
  FLASH_CHECK(state(segment) == SegmentState::kVictim);
  Update(segment, [complete](Segment& s) {
    s.unreadable = s.live > 0 && (complete || s.unreadable);
    s.state = s.unreadable ? SegmentState::kBad : SegmentState::kSealed;
  });
}

void SegmentTable::NoteWriteFailure(SegmentIndex segment) {
  Update(segment, [](Segment& s) {
    if (s.write_failures < kWriteFailuresMax) ++s.write_failures;
  });
}

void SegmentTable::NotePrepared(SegmentIndex index, uint32_t units) {
  Segment& segment = segments_[index];
  if (units <= segment.prepared) return;
  totals_.prepared += units - segment.prepared;
  segment.prepared = units;
}

void SegmentTable::AppendLive(SegmentIndex segment, uint32_t units) {
  FLASH_DCHECK(state(segment) == SegmentState::kOpen);
  Update(segment, [units](Segment& s) {
    s.live += units;
    s.appended += units;
    s.consumed += units;
  });
}

void SegmentTable::RollBack(SegmentIndex segment, uint32_t units) {
  FLASH_CHECK(state(segment) == SegmentState::kOpen && live(segment) >= units);
  Update(segment, [units](Segment& s) {
    s.live -= units;
    s.appended -= units;
    s.consumed -= units;
  });
}

void SegmentTable::AppendPadding(SegmentIndex segment, uint32_t units) {
  Update(segment, [units](Segment& s) { s.consumed += units; });
}

void SegmentTable::Free(SegmentIndex segment, uint32_t units) {
  FLASH_CHECK(live(segment) >= units);
  Update(segment, [units](Segment& s) { s.live -= units; });
}

void SegmentTable::AddReader(SegmentIndex segment) {
  FLASH_DCHECK(state(segment) != SegmentState::kFree);
  ++readers_;
  ++segments_[segment].readers;  // Changes no total: a segment in use only becomes more so.
}

void SegmentTable::DropReader(SegmentIndex segment) {
  FLASH_CHECK(segments_[segment].readers > 0);
  --readers_;
  Update(segment, [](Segment& s) { --s.readers; });
}

void SegmentTable::AddWriter(SegmentIndex segment) {
  Update(segment, [](Segment& s) { ++s.writers; });
}

void SegmentTable::DropWriter(SegmentIndex segment) {
  FLASH_CHECK(segments_[segment].writers > 0);
  Update(segment, [](Segment& s) { --s.writers; });
}

void SegmentTable::Freeze() {
  for (const Segment& segment : segments_) Count(segment, false);
  frozen_ = true;
  frozen_sequence_ = last_sequence_;
  for (SegmentIndex index = 0; index < count(); ++index) {
    FLASH_CHECK(segments_[index].state != SegmentState::kVictim);
    Settle(index);
    Count(segments_[index], true);
  }
  frozen_units_ = totals_.written;
}

void SegmentTable::Thaw() {
  for (const Segment& segment : segments_) Count(segment, false);
  frozen_ = false;
  frozen_units_ = 0;
  for (SegmentIndex index = 0; index < count(); ++index) {
    Settle(index);
    Count(segments_[index], true);
  }
}

std::optional<SegmentIndex> SegmentTable::PickVictim() const {
  for (const List& list : victims_) {
    if (list.first != kNone) return list.first;
  }
  return std::nullopt;
}

uint64_t SegmentTable::memory_bytes() const {
  return sizeof(*this) + segments_.capacity() * sizeof(Segment);
}

void SegmentTable::PushBack(List& list, SegmentIndex index) {
  Segment& segment = segments_[index];
  segment.previous = list.last;
  segment.next = kNone;
  (list.last == kNone ? list.first : segments_[list.last].next) = index;
  list.last = index;
}

void SegmentTable::Remove(List& list, SegmentIndex index) {
  Segment& segment = segments_[index];
  (segment.previous == kNone ? list.first : segments_[segment.previous].next) = segment.next;
  (segment.next == kNone ? list.last : segments_[segment.next].previous) = segment.previous;
  segment.previous = segment.next = kNone;
}

void SegmentTable::CheckInvariants() const {
  SegmentTable sums(*this);
  sums.totals_ = Totals{};
  sums.held_by_users_ = 0;
  uint64_t listed = 0, readers = 0, prepared = 0;
  for (SegmentIndex index = 0; index < count(); ++index) {
    const Segment& segment = segments_[index];
    sums.Count(segment, true);
    FLASH_CHECK(segment.live <= segment.appended && segment.appended <= segment.consumed);
    FLASH_CHECK(BeginOf(index) + segment.consumed * kUnitBytes <= EndOf(index));
    const bool empty_state =
        segment.state == SegmentState::kFree || segment.state == SegmentState::kWaiting;
    FLASH_CHECK(!empty_state || segment.live == 0);
    FLASH_CHECK(segment.state != SegmentState::kSealed || segment.live > 0);
    FLASH_CHECK(segment.state != SegmentState::kFree ||
                (segment.readers == 0 && segment.writers == 0 && segment.consumed == 0));
    readers += segment.readers;
    prepared += segment.prepared;
    FLASH_CHECK(BeginOf(index) + segment.prepared * kUnitBytes <= EndOf(index));
    listed += segment.listed ? 1 : 0;
    const bool should_list = segment.state == SegmentState::kSealed && CanBeVictim(index) &&
                             Qualifies(segment);  // Being sealed, it is not empty.
    FLASH_CHECK(segment.listed == should_list);
  }
  FLASH_CHECK(sums.totals_.live == totals_.live && sums.totals_.dead == totals_.dead);
  FLASH_CHECK(sums.totals_.written == totals_.written && prepared == totals_.prepared);
  FLASH_CHECK(sums.totals_.segments == totals_.segments);
  FLASH_CHECK(sums.held_by_users_ == held_by_users_ && readers == readers_);
  FLASH_CHECK(totals_.segments[static_cast<size_t>(SegmentState::kFree)] == free_count_);
  uint64_t in_buckets = 0;
  for (uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
    for (uint32_t at = victims_[bucket].first; at != kNone; at = segments_[at].next) {
      FLASH_CHECK(segments_[at].listed && segments_[at].bucket == bucket);
      FLASH_CHECK(BucketOf(segments_[at]) == bucket);
      ++in_buckets;
    }
  }
  FLASH_CHECK(in_buckets == listed);
}

}  // namespace flash::store
