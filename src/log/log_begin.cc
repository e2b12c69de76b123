// log_begin.cc: where the log goes on: a new one, one that was found, or behind a tail that is cut.
//
// Each time under a new generation, which both superblocks carry before a frame does: so nothing
// that an earlier opening left behind, however whole, can be read as a continuation. Thread: the
// owner, private functions with the lock held.
#include <algorithm>

#include "log/log.h"

namespace flash::log {

/// Whether no device holds a write of the log before, which could come down on the new one.
Result<void> Log::CanTakeOver() {
  if (!own_->idle() || !thread_idle_) {
    return Error{Code::kBusy,
                 "log " + storage_->name() + ": the device still holds a write; try again later"};
  }
  return {};
}

Result<void> Log::WriteSuperblocks(Lock& lock, LogSuperblock superblock, Transfers& transfers) {
  superblock.segment_bytes = segment_bytes_;
  superblock.counter = superblock_.counter;
  struct alignas(kPageBytes) Aligned {
    Page page;
  };
  const auto aligned = std::make_shared<Aligned>();
  const uint64_t timeout_us = options_.io_timeout_us;
  counters_.bytes_written += 2 * kPageBytes;
  counters_.writes += 2;
  lock.unlock();
  Result<void> written;
  // The older one first: one of them is whole at any moment. Both, so that each alone is enough.
  for (int i = 0; i < 2 && written; ++i) {
    ++superblock.counter;
    aligned->page = EncodeLogSuperblock(superblock);
    io::Request request = {.op = io::Op::kWrite,
                           .offset = superblock.counter % 2 * kPageBytes,
                           .data = aligned->page.data(),
                           .bytes = kPageBytes,
                           .durable = true};
    written = transfers.Run({&request, 1}, timeout_us);
  }
  lock.lock();
  LookAt(transfers);
  if (!written) {
    // A write that never came back still reads the page.
    if (written.code() == Code::kTimeout) late_pages_.push_back(aligned);
    return Fail(written.error());
  }
  superblock_ = superblock;
  has_superblock_ = true;
  return {};
}

Result<void> Log::StartAt(Lock& lock, LogSuperblock superblock, const Stage::Head& head) {
  superblock.state = FileState::kOpen;
  superblock.durable = head.previous_end;
  superblock.last_lsn = head.last_lsn;
  superblock.current.generation = head.origin.generation;
  // Not before the first segment, or what an older generation left in its place would count.
  superblock.current.tail =
      std::max(head.previous_end, superblock.current.first_number * uint64_t{segment_bytes_});
  // What is known to be lacking is told before anything is written.
  if (slots_.free() < 1) {
    return Error{Code::kNoSpace, "log " + storage_->name() + ": no room to begin: " + room_error_};
  }
  // What was found may be in a cache only, and is about to be called durable.
  const uint64_t timeout_us = options_.io_timeout_us;
  ++counters_.syncs;
  lock.unlock();
  auto synced = own_->Sync(timeout_us);
  lock.lock();
  if (!synced) return Fail(synced.error());
  if (auto written = WriteSuperblocks(lock, superblock, *own_); !written) return written;
  state_ = State::kOpen;
  failure_ = {};
  origin_ = head.origin;
  stage_->Begin(head);
  appended_ = durable_ = stage_->mark();
  oldest_end_us_ = undurable_since_us_ = 0;
  cut_wanted_.reset();
  scanned_.clear();
  wanted_.notify_one();
  return {};
}

/// Finds where the segments of `chain` lie: once, because a Begin that fails has lost them.
void Log::KeepSlotsOf(const Chain& chain) {
  if (chain.id == kept_id_) return;
  kept_id_ = chain.id;
  previous_slots_.clear();
  if (const Scanned* scanned = ScannedOf(chain.id)) {
    for (const ScannedSegment& segment : scanned->segments) {
      previous_slots_.push_back(segment.slot);
    }
  } else if (stage_ != nullptr) {
    for (const Segment& segment : stage_->segments()) previous_slots_.push_back(segment.slot);
  }
}

Result<void> Log::Begin(Lsn base) {
  Lock lock(mutex_);
  const Baton writing(this, lock, &Log::writing_);
  const Baton keeping(this, lock, &Log::keeping_);
  if (!writing.held() || !keeping.held()) {
    return Error{Code::kBusy, "the log thread waits for the device"};
  }
  if (auto can = CanTakeOver(); !can) return can;
  state_ = State::kIdle;
  LogSuperblock block = superblock_;
  ++block.generation;
  if (has_superblock_ && (superblock_.previous.none() || cut_wanted_)) {
    // The log before stays until a snapshot of this one stands.
    block.previous = superblock_.current;
  }
  KeepSlotsOf(block.previous);
  slots_.Reset(static_cast<uint32_t>(
      (std::max(storage_->bytes(), kSegmentsOffset) - kSegmentsOffset) / segment_bytes_));
  for (const uint32_t slot : previous_slots_) FLASH_CHECK(slots_.TakeThis(slot));
  stage_ = std::make_unique<Stage>(segment_bytes_, &slots_);
  // The log before keeps its place, so the bound must not keep the new one from beginning.
  Reserve(lock, options_.file_bytes_max + (uint64_t{options_.segments_ahead} + 1) * segment_bytes_);
  const auto slot = slots_.Take();
  if (!slot) {
    return Fail({Code::kNoSpace, "no room to begin a new log: " + room_error_});
  }
  const uint64_t number = 1;
  block.current = {
      .id = storage_->NewId(), .first_number = number, .first_slot = *slot, .cut_lsn = base};
  awaits_base_ = !block.previous.none() || base > 0;
  return StartAt(lock, block,
                 {.origin = {.id = block.current.id, .generation = block.generation},
                  .last_lsn = base,
                  .number = number,
                  .slot = *slot,
                  .previous_end = number * segment_bytes_});
}

Result<void> Log::Resume(const LogId& id, Lsn snapshot) {
  Lock lock(mutex_);
  const Baton keeping(this, lock, &Log::keeping_);
  if (!keeping.held()) return Error{Code::kBusy, "the log thread waits for the device"};
  const Scanned* scanned = ScannedOf(id);
  if (scanned == nullptr) {
    return Error{Code::kGone, "log " + storage_->name() + ": the snapshot belongs to another log"};
  }
  LogSuperblock block = superblock_;
  ++block.generation;
  block.current = scanned->chain;
  // What the log lacks only the snapshot holds.
  if (snapshot > scanned->last_lsn) block.current.cut_lsn = snapshot;
  block.previous = {};
  previous_slots_.clear();
  kept_id_ = {};
  slots_.Reset(static_cast<uint32_t>((storage_->bytes() - kSegmentsOffset) / segment_bytes_));
  stage_ = std::make_unique<Stage>(segment_bytes_, &slots_);
  uint64_t number = scanned->chain.first_number;
  uint32_t slot = scanned->chain.first_slot;
  bool sound = true;
  for (const ScannedSegment& segment : scanned->segments) {
    sound = sound && slots_.TakeThis(segment.slot);
    stage_->segments().push_back({.number = segment.number,
                                  .slot = segment.slot,
                                  .first_lsn = segment.first_lsn,
                                  .within_frame = segment.within_frame});
    number = segment.number + 1;
    slot = segment.next_slot;
  }
  if (!sound || !slots_.TakeThis(slot)) {
    stage_.reset();
    return Error{Code::kCorrupt, "log " + storage_->name() + ": two segments in one place"};
  }
  Reserve(lock, options_.file_bytes_max);
  awaits_base_ = false;
  const Stage::Head head = {.origin = {.id = id, .generation = block.generation},
                            .last_lsn = std::max(scanned->last_lsn, snapshot),
                            .number = number,
                            .slot = slot,
                            .previous_end = scanned->end};
  return StartAt(lock, block, head);
}

Result<void> Log::CutTail(Lock& lock) {
  // What was committed and not yet written goes first.
  const bool durable = options_.sync == SyncMode::kAlways;
  if (auto written = WriteOut(lock, *own_, durable); !written) return written;
  const Baton writing(this, lock, &Log::writing_);
  const Baton keeping(this, lock, &Log::keeping_);
  if (!writing.held() || !keeping.held()) {
    return Fail({Code::kTimeout, "the log thread waits for the device"});
  }
  if (state_ != State::kOpen) return failure_;
  state_ = State::kIdle;
  const Stage::Mark mark = stage_->mark();
  std::deque<Segment>& segments = stage_->segments();
  // Segments that hold nothing before the cut are given back; the first of them, whose place the
  // one before names, or the one that would have come, is begun again.
  uint64_t number = segments.back().number + 1;
  uint32_t slot = stage_->next_slot();
  while (!segments.empty() && segments.back().number * segment_bytes_ >= mark.unit_end) {
    slots_.Release(slot);
    number = segments.back().number;
    slot = segments.back().slot;
    segments.pop_back();
  }
  LogSuperblock block = superblock_;
  ++block.generation;
  auto cut_wanted = cut_wanted_;
  auto started = StartAt(lock, block,
                         {.origin = {.id = origin_.id, .generation = block.generation},
                          .last_lsn = mark.lsn,
                          .number = number,
                          .slot = slot,
                          .previous_end = mark.unit_end});
  cut_wanted_ = cut_wanted;
  return started;
}

}  // namespace flash::log
