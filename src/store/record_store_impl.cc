// record_store_impl.cc: see record_store_impl.h. A Tick works in this order: writes (buffers come
// back), places for staged puts, staging on its way, compaction, writes again; compaction gets at
// least half of the budget when it has work. Thread: one owner. Reads: record_store_reads.cc.
#include "store/record_store_impl.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace flash::store {
namespace {

constexpr uint64_t kCapacityBytesMin = 16 * kMiB;
constexpr uint64_t kCapacityBytesMax = 64 * kTiB;
constexpr uint32_t kSegmentBytesMin = 64 * kKiB;
constexpr uint32_t kSegmentBytesMax = 64 * kMiB;
constexpr uint32_t kReserveSegments = 4;  // Two per stream.
constexpr uint32_t kClockCheckRecords = 16;
/// So many of the smallest payloads that may be copied by an I/O thread are worth a task.
constexpr uint32_t kCopyTaskPayloads = 16;
constexpr int kDrainWaits = 100;
constexpr uint64_t kDrainWaitUs = 100'000;

uint32_t PayloadBytesOf(uint32_t segment_bytes) {
  return std::min(kPayloadBytesMax, segment_bytes / 2 - 64);
}

}  // namespace

void RecordStore::Stats::AddSums(const Stats& other) {
  for (uint64_t Stats::*const sum :
       {&Stats::puts, &Stats::put_raw_bytes, &Stats::put_stored_bytes, &Stats::moved_records,
        &Stats::moved_bytes, &Stats::device_bytes_written, &Stats::compaction_runs,
        &Stats::compaction_bytes_reclaimed, &Stats::checksum_errors, &Stats::read_errors,
        &Stats::write_errors, &Stats::read_timeouts, &Stats::segments_quarantined,
        &Stats::compaction_read_errors, &Stats::unreadable_pages}) {
    this->*sum += other.*sum;
  }
}

uint32_t RecordStore::PayloadBytesMax(const Options& options) {
  if (options.segment_bytes == 0 && options.capacity_bytes == 0) return kPayloadBytesMax;
  const uint32_t segment_bytes = options.segment_bytes != 0
                                     ? options.segment_bytes
                                     : SegmentTable::ChooseSegmentBytes(options.capacity_bytes);
  return PayloadBytesOf(segment_bytes);
}

Result<std::unique_ptr<RecordStore>> RecordStore::Open(const Options& options, io::Backend* backend,
                                                       const base::Clock* clock,
                                                       RecordOwner* owner) {
  if (options.capacity_bytes < kCapacityBytesMin || options.capacity_bytes > kCapacityBytesMax) {
    return Error{Code::kInvalid, "the capacity must be between 16 MiB and 64 TiB"};
  }
  const uint32_t segment_bytes = options.segment_bytes != 0
                                     ? options.segment_bytes
                                     : SegmentTable::ChooseSegmentBytes(options.capacity_bytes);
  if (!std::has_single_bit(segment_bytes) || segment_bytes < kSegmentBytesMin ||
      segment_bytes > kSegmentBytesMax || options.capacity_bytes / segment_bytes < 16) {
    return Error{Code::kInvalid,
                 "the segment size must be a power of two from 64 KiB to 64 MiB, and at most a "
                 "sixteenth of the capacity"};
  }
  if (options.write_buffers_per_stream == 0) {
    return Error{Code::kInvalid, "a stream needs at least one write buffer"};
  }
  std::unique_ptr<RecordStore> store =
      std::make_unique<RecordStoreImpl>(options, segment_bytes, backend, clock, owner);
  return store;
}

RecordStoreImpl::RecordStoreImpl(const Options& options, uint32_t segment_bytes,
                                 io::Backend* backend, const base::Clock* clock, RecordOwner* owner)
    : options_(options),
      alignment_(backend->alignment()),
      payload_bytes_max_(PayloadBytesOf(segment_bytes)),
      backend_(backend),
      clock_(clock),
      owner_(owner),
      thread_(std::this_thread::get_id()),
      table_({.capacity_bytes = options.capacity_bytes,
              .segment_bytes = segment_bytes,
              .reserve_segments = kReserveSegments}),
      // Half a segment, so that a failed buffer fits any segment, the first one too.
      writer_({.buffers_per_stream = options.write_buffers_per_stream,
               .buffer_bytes = std::min(kRecordBytesMax, segment_bytes / 2),
               .hash_seed = options.hash_seed,
               .retry_backoff_us_max = options.retry_backoff_us_max},
              &table_, backend, clock, owner),
      stage_({.payload_bytes_max = payload_bytes_max_,
              .compress = options.compression == Compression::kLz4,
              .copy_task_bytes_min = kCopyTaskPayloads * options.late_copy_bytes_min,
              .copied =
                  [this](const LatePayload& late) {
                    writer_.stream(StreamKind::kFresh).EndLate(late);
                  }},
             backend),
      compactor_({.table = &table_,
                  .writer = &writer_,
                  .backend = backend,
                  .clock = clock,
                  .owner = owner},
                 options.hash_seed),
      child_scratch_(kRecordBytesMax + 2 * size_t{alignment_}) {}

RecordStoreImpl::~RecordStoreImpl() {
  for (int i = 0; i < kDrainWaits && tasks_inflight() > 0; ++i) {
    backend_->Kick();
    backend_->Wait(kDrainWaitUs);
    backend_->Reap(~size_t{0});
  }
  writer_.LeakInflight();
  if (stage_.copies_inflight() > 0) writer_.stream(StreamKind::kFresh).LeakMemory();
  stage_.LeakInflight();
  compactor_.LeakInflight();
}

uint32_t RecordStoreImpl::tasks_inflight() const {
  return writer_.tasks_inflight() + stage_.tasks_inflight() + compactor_.tasks_inflight() +
         reads_inflight_;
}

void RecordStoreImpl::NoteWritten(std::span<const io::FileRange> ranges) {
  // Segments are written front to back, in earlier lives too, so a sum says how far.
  std::vector<uint64_t> bytes(table_.count());
  for (const io::FileRange& range : ranges) {
    const uint64_t end = range.offset + range.bytes;
    for (SegmentIndex i = table_.SegmentOf(range.offset);
         i < table_.count() && uint64_t{i} * table_.segment_bytes() < end; ++i) {
      const uint64_t from = std::max(range.offset, table_.BeginOf(i));
      const uint64_t to = std::min(end, table_.EndOf(i));
      bytes[i] += to > from ? to - from : 0;
    }
  }
  for (SegmentIndex i = 0; i < table_.count(); ++i) {
    table_.NotePrepared(i, static_cast<uint32_t>(bytes[i] / kUnitBytes));
  }
}

// --- Puts ---------------------------------------------------------------------------------------

bool RecordStoreImpl::CanPlace(uint32_t bytes) const {
  return table_.free_beyond_reserve() > 0 ||
         writer_.stream(StreamKind::kFresh).RemainingBytes() >= bytes || compactor_.CanHelp();
}

Result<void> RecordStoreImpl::Put(BlockId id, uint32_t ticket, Bytes payload) {
  CheckThread();
  if (id == kNoBlock || id > kBlockIdMax || payload.empty() ||
      payload.size() > payload_bytes_max_) {
    return Code::kInvalid;
  }
  if (!CanPlace(RecordBytes(static_cast<uint32_t>(payload.size())))) return Code::kNoSpace;
  return stage_.Add(id, ticket, payload);
}

void RecordStoreImpl::PlaceStaged(uint64_t deadline_us) {
  waiting_for_write_ = false;
  WriteStream& fresh = writer_.stream(StreamKind::kFresh);
  uint32_t count = 0;
  while (const PutStage::Staged* staged = stage_.Front()) {
    if (++count % kClockCheckRecords == 0 && clock_->NowUs() >= deadline_us) return;
    const RecordHeader header = staged->header;
    const uint32_t ticket = staged->ticket;
    Place place;
    const bool is_late = header.stored_bytes >= options_.late_copy_bytes_min;
    LatePayload late;
    const AppendStatus status = is_late ? fresh.AppendLate(header, staged->stored, &place, &late)
                                        : fresh.Append(header, staged->stored, &place);
    if (status == AppendStatus::kNoBuffer ||
        (status == AppendStatus::kNoSegment && compactor_.CanHelp())) {
      waiting_for_write_ = true;
      stage_.CopyNow();
      return;
    }
    if (status == AppendStatus::kNoSegment) {
      stage_.Pop();
      owner_->OnPutFailed(header.id(), ticket, Code::kNoSpace);
    } else if (owner_->OnPut(header.id(), ticket, place)) {
      ++stats_.puts;
      stats_.put_raw_bytes += header.raw_bytes;
      stats_.put_stored_bytes += place.bytes();
      is_late ? stage_.PopLate(late) : stage_.Pop();
    } else {
      fresh.RollBack(place);
      stage_.Pop();
    }
  }
}

void RecordStoreImpl::Free(Place place) {
  CheckThread();
  table_.Free(table_.SegmentOf(place.offset()), place.units());
}

void RecordStoreImpl::Flush() {
  CheckThread();
  (flush_to_ ? flush_next_ : flush_to_) = stage_.added();
  bool submitted = stage_.Ship();
  ShipFlushed();
  submitted |= writer_.TakeSubmitted();
  KickIfSubmitted(submitted);
}

void RecordStoreImpl::ShipFlushed() {
  if (!flush_to_ || stage_.popped() < *flush_to_) return;
  writer_.stream(StreamKind::kFresh).CloseFilling();
  writer_.stream(StreamKind::kSurvivor).CloseFilling();
  writer_.Pump();
  flush_to_ = std::exchange(flush_next_, std::nullopt);
  if (flush_to_ && stage_.popped() >= *flush_to_) flush_to_.reset();
}

bool RecordStoreImpl::IsDurable(Place place) const { return writer_.Find(place) == nullptr; }

// --- Housekeeping -------------------------------------------------------------------------------

void RecordStoreImpl::Tick(uint64_t budget_us) {
  CheckThread();
  const uint64_t now_us = clock_->NowUs();
  const uint64_t deadline_us = now_us + budget_us;
  writer_.Pump();
  PlaceStaged(compactor_.WantsRun() ? now_us + budget_us / 2 : deadline_us);
  bool submitted = stage_.Ship();
  if (stage_.HasReady() && !waiting_for_write_) PlaceStaged(deadline_us);
  ShipFlushed();
  compactor_.Run(deadline_us);
  // What waited for a segment may have got one.
  if (stage_.HasReady() && waiting_for_write_) PlaceStaged(deadline_us);
  writer_.Pump();
  submitted |= writer_.TakeSubmitted();
  submitted |= stage_.TakeSubmitted();
  submitted |= compactor_.TakeSubmitted();
  KickIfSubmitted(submitted);
}

void RecordStoreImpl::KickIfSubmitted(bool submitted) {
  if (submitted) backend_->Kick();
}

bool RecordStoreImpl::WantsTick() const {
  return (stage_.HasReady() && !waiting_for_write_) || stage_.HasUnshipped() ||
         writer_.WantsPump() || compactor_.WantsRun();
}

void RecordStoreImpl::RequestCompaction(uint32_t dead_percent_min) {
  CheckThread();
  SealDeadOpenSegments();
  compactor_.Request(dead_percent_min);
}

void RecordStoreImpl::SealDeadOpenSegments() {
  // A pass looks at sealed segments only. Without segments to spare, what is open stays open.
  for (const StreamKind kind : {StreamKind::kFresh, StreamKind::kSurvivor}) {
    WriteStream& stream = writer_.stream(kind);
    if (!stream.open() || table_.dead(*stream.open()) == 0) continue;
    if (table_.free_beyond_reserve() < 2 || table_.IsFrozen(*stream.open())) continue;
    stream.SealOpen();
  }
}

uint64_t RecordStoreImpl::passes_done() const { return compactor_.counters().passes_done; }

void RecordStoreImpl::Freeze() {
  CheckThread();
  compactor_.Abort();
  table_.Freeze();
}

void RecordStoreImpl::Thaw() {
  CheckThread();
  table_.Thaw();
}

bool RecordStoreImpl::HasRoomFor(uint64_t bytes) const {
  uint64_t room = writer_.stream(StreamKind::kFresh).RemainingBytes() +
                  uint64_t{table_.free_beyond_reserve()} * table_.segment_bytes();
  if (compactor_.CanHelp()) {
    // Compaction leaves up to 1/32 of each segment dead.
    const SegmentTable::Totals& totals = table_.totals();
    const uint64_t sealed = totals.segments[static_cast<size_t>(SegmentState::kSealed)];
    const uint64_t kept = sealed * table_.segment_units() / SegmentTable::kVictimDeadDivisor;
    room += totals.dead > kept ? (totals.dead - kept) * kUnitBytes : 0;
  }
  return room >= bytes + RecordBytes(0) + stage_.pending_bytes();
}

uint64_t RecordStoreImpl::live_bytes_max() const {
  constexpr uint64_t kOpenSegments = 2;  // One of each stream.
  const uint64_t lost = table_.totals().segments[static_cast<size_t>(SegmentState::kBad)];
  const uint64_t kept_back = table_.reserve() + kOpenSegments + lost;
  const uint64_t units =
      (table_.count() - std::min<uint64_t>(table_.count(), kept_back)) * table_.segment_units();
  return (units - units / SegmentTable::kVictimDeadDivisor) * kUnitBytes;
}

const RecordStore::Stats& RecordStoreImpl::stats() const {
  const SegmentTable::Totals& totals = table_.totals();
  const auto segments = [&totals](SegmentState state) {
    return totals.segments[static_cast<size_t>(state)];
  };
  const Compactor::Counters& compaction = compactor_.counters();
  stats_.capacity_bytes = options_.capacity_bytes;
  stats_.used_bytes = totals.live * kUnitBytes;
  stats_.free_bytes = stats_.capacity_bytes - stats_.used_bytes;
  stats_.dead_bytes = totals.dead * kUnitBytes;
  stats_.reserved_bytes =
      uint64_t{std::min(table_.free_count(), table_.reserve())} * table_.segment_bytes();
  stats_.frozen_bytes = table_.frozen_units() * kUnitBytes;
  stats_.prepared_bytes = totals.prepared * kUnitBytes;
  stats_.segments_free = segments(SegmentState::kFree);
  stats_.segments_open = segments(SegmentState::kOpen);
  stats_.segments_sealed = segments(SegmentState::kSealed) + segments(SegmentState::kVictim);
  stats_.segments_waiting = segments(SegmentState::kWaiting);
  stats_.segments_bad = segments(SegmentState::kBad);
  stats_.segment_bytes = table_.segment_bytes();
  stats_.moved_records = compaction.moved_records;
  stats_.moved_bytes = compaction.moved_bytes;
  stats_.device_bytes_written = writer_.counters().bytes_submitted;
  stats_.compaction_runs = compaction.runs;
  stats_.compaction_bytes_reclaimed = compaction.reclaimed_bytes;
  stats_.write_errors = writer_.counters().errors;
  stats_.segments_quarantined = compaction.quarantined;
  stats_.compaction_read_errors = compaction.read_errors;
  stats_.unreadable_pages = compaction.unreadable_pages;
  stats_.buffer_bytes = writer_.buffer_bytes() + stage_.buffer_bytes() + compactor_.buffer_bytes();
  stats_.buffered_records_bytes = writer_.buffered_records_bytes();
  stats_.writes_failing = writer_.failing();
  return stats_;
}

void RecordStoreImpl::SetCompression(Compression compression) {
  stage_.SetCompress(compression == Compression::kLz4);
}

void RecordStoreImpl::CheckInvariants() const {
  table_.CheckInvariants();
  writer_.CheckInvariants();
  const Stats& now = stats();
  FLASH_CHECK(now.used_bytes + now.free_bytes == now.capacity_bytes);
  FLASH_CHECK(now.segments_free + now.segments_open + now.segments_sealed + now.segments_waiting +
                  now.segments_bad ==
              table_.count());
  FLASH_CHECK((inflight_read_bytes_ == 0) == (reads_inflight_ == 0));
}

}  // namespace flash::store
