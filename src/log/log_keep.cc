// log_keep.cc: the log thread: it writes and syncs for `everysec` and `no`, reserves segments ahead
// and cuts.
//
// Without a thread (tests, the simulator) Tick does the same with the owner's device. Thread: the
// log thread, with the lock held.
#include <algorithm>
#include <chrono>

#include "log/log.h"

namespace flash::log {
namespace {

// How often the thread looks at clocks when nobody calls it.
constexpr auto kTick = std::chrono::milliseconds(50);
constexpr uint64_t kRetryUs = 1'000'000;  // Growing a file that could not grow.

/// Often enough for units that may not become older than that.
std::chrono::microseconds TickFor(uint64_t commit_age_max_us) {
  constexpr std::chrono::microseconds kShortest = std::chrono::milliseconds(2);
  if (commit_age_max_us == 0) return kTick;
  return std::clamp<std::chrono::microseconds>(std::chrono::microseconds(commit_age_max_us / 8),
                                               kShortest, kTick);
}

}  // namespace

Result<void> Log::StartThread() {
  Result<void> ready;
  bool known = false;
  thread_ = std::thread([&] {
    auto device = storage_->MakeDevice();
    Lock lock(mutex_);
    known = true;
    if (!device) {
      ready = device.error();
      changed_.notify_all();
      return;
    }
    changed_.notify_all();
    lock.unlock();
    Transfers transfers(std::move(device).Take(), clock_);
    lock.lock();
    while (!stop_) {
      wanted_.wait_for(lock, TickFor(commit_age_max_us_), [&] { return stop_ || NeedsKeeping(); });
      if (!stop_) Keep(lock, transfers);
    }
    thread_idle_ = transfers.idle();
  });
  Lock lock(mutex_);
  changed_.wait(lock, [&] { return known; });
  return ready;
}

bool Log::NeedsKeeping() const {
  if (state_ != State::kOpen) return false;
  if (options_.sync != SyncMode::kAlways && stage_->has_marked()) return true;
  return room_wanted_ > 0 && WantsSegment();
}

/// At twice the age others are told of what the owner did: then it is too late. Not the log
/// thread's business, which may itself be waiting for the device.
void Log::Watch() {
  Lock lock(mutex_);
  while (!stop_) {
    if (commit_age_max_us_ == 0) {
      watched_.wait(lock);
      continue;
    }
    watched_.wait_for(lock, TickFor(commit_age_max_us_));
    if (stop_ || undurable_since_us_ == 0 || owner_commits_ || commit_age_max_us_ == 0) continue;
    if (clock_->NowUs() - undurable_since_us_ < commit_age_max_us_ * 7 / 4) continue;
    undurable_since_us_ = 0;
    void (*const overdue)() = overdue_;
    lock.unlock();
    overdue();
    lock.lock();
  }
}

void Log::Tick() {
  FLASH_CHECK(!options_.thread);
  Lock lock(mutex_);
  Keep(lock, *own_);
}

bool Log::IsOld(uint64_t now_us) const {
  return commit_age_max_us_ > 0 && oldest_end_us_ > 0 &&
         now_us - oldest_end_us_ >= commit_age_max_us_;
}

void Log::Keep(Lock& lock, Transfers& transfers) {
  LookAt(transfers);
  if (state_ != State::kOpen) return;
  const uint64_t now_us = clock_->NowUs();
  // What fails here stops the log; the owner hears it from its next Commit.
  if (options_.sync != SyncMode::kAlways) {
    if (stage_->has_marked() && !WriteOut(lock, transfers, false)) return;
  } else if (IsOld(now_us)) {
    stage_->MarkAll();
    oldest_end_us_ = 0;
    if (!WriteOut(lock, transfers, true)) return;
  }
  const bool due = options_.sync == SyncMode::kEverySecond &&
                   appended_.position > durable_.position &&
                   now_us - synced_at_us_ >= options_.sync_interval_us;
  if (due && !SyncAll(lock, transfers)) return;
  Reserve(lock, options_.file_bytes_max);
  if (state_ == State::kOpen && cut_wanted_) CutNow(lock, transfers);
}

bool Log::WantsSegment() const {
  if (slots_.free() < options_.segments_ahead + 1) return true;
  return room_wanted_ > 0 && stage_->room_bytes() < room_wanted_;
}

void Log::Reserve(Lock& lock, uint64_t file_bytes_max) {
  const Baton baton(this, lock, &Log::growing_);
  if (!baton.held()) return;
  const bool failed_lately = !room_error_.empty() && clock_->NowUs() - room_error_at_us_ < kRetryUs;
  while (WantsSegment() && !failed_lately && !stop_) {
    const uint64_t wanted = kSegmentsOffset + (uint64_t{slots_.count()} + 1) * segment_bytes_;
    Result<void> grown;
    if (wanted > file_bytes_max) {
      grown = Error{Code::kNoSpace, "the log has reached its size of " +
                                        std::to_string(options_.file_bytes_max) + " bytes"};
    } else {
      lock.unlock();
      grown = storage_->Grow(wanted);
      lock.lock();
      growing_late_ = false;
      counters_.bytes_written += segment_bytes_;
    }
    if (!grown) {
      room_error_ = grown.error().message;
      room_error_at_us_ = clock_->NowUs();
      room_wanted_ = 0;
      changed_.notify_all();
      return;
    }
    room_error_.clear();
    slots_.Grow(static_cast<uint32_t>((storage_->bytes() - kSegmentsOffset) / segment_bytes_));
    changed_.notify_all();
  }
  if (WantsSegment()) return;
  room_wanted_ = 0;
  room_error_.clear();  // Of earlier: cutting has made room since.
}

bool Log::MakeRoom(uint64_t bytes) {
  Lock lock(mutex_);
  if (state_ != State::kOpen) return false;
  // Headers of pieces, and the padding of a few commits.
  const uint64_t wanted = bytes + bytes / 256 + 2 * uint64_t{stage_->buffer_bytes()};
  if (stage_->room_bytes() >= wanted) return true;
  room_wanted_ = std::max(room_wanted_, wanted);
  if (!options_.thread) {
    Reserve(lock, options_.file_bytes_max);
    return stage_->room_bytes() >= wanted;
  }
  if (!room_error_.empty() && clock_->NowUs() - room_error_at_us_ < kRetryUs) return false;
  // Once is enough to wait in vain: the owner has others to serve.
  if (growing_late_) return false;
  wanted_.notify_one();
  const auto limit = std::chrono::microseconds(options_.io_timeout_us);
  const bool answered = changed_.wait_for(lock, limit, [&] {
    return state_ != State::kOpen || room_wanted_ == 0 || stage_->room_bytes() >= wanted;
  });
  if (!answered && growing_) {
    growing_late_ = true;
    room_error_ = "the file system did not answer within " +
                  std::to_string(options_.io_timeout_us / 1000) + " ms";
    room_error_at_us_ = clock_->NowUs();
  }
  return answered && state_ == State::kOpen && stage_->room_bytes() >= wanted;
}

void Log::Cut(Lsn lsn) {
  const Lock lock(mutex_);
  if (state_ == State::kIdle) return;
  cut_wanted_ = std::max(cut_wanted_.value_or(0), lsn);
  wanted_.notify_one();
}

void Log::CutNow(Lock& lock, Transfers& transfers) {
  const Baton baton(this, lock, &Log::keeping_);
  if (!baton.held() || state_ != State::kOpen || !cut_wanted_) return;
  const Lsn lsn = *cut_wanted_;
  // A log that is shorter than what it says was cut could not be told from one that lost its tail.
  if (appended_.lsn < lsn) return;
  if (durable_.lsn < lsn && !SyncAll(lock, transfers)) return;
  if (durable_.lsn < lsn) return;
  std::deque<Segment>& segments = stage_->segments();
  size_t dropped = 0;
  while (dropped + 1 < segments.size()) {
    const Segment& next = segments[dropped + 1];
    if (next.within_frame ? next.first_lsn > lsn : next.first_lsn > lsn + 1) break;
    ++dropped;
  }
  LogSuperblock block = superblock_;
  block.current.cut_lsn = std::max(block.current.cut_lsn, lsn);
  block.current.first_number = segments[dropped].number;
  block.current.first_slot = segments[dropped].slot;
  // The first segment may not be written yet, and an older generation's be in its place.
  block.current.tail =
      std::max(block.current.tail, block.current.first_number * uint64_t{segment_bytes_});
  block.previous = {};
  block.durable = std::max(durable_.position, block.durable);
  if (!WriteSuperblocks(lock, block, transfers)) return;
  cut_wanted_.reset();
  awaits_base_ = false;
  // Only now: until both superblocks say so, either could send a reader there.
  for (; dropped > 0; --dropped) {
    slots_.Release(segments.front().slot);
    segments.pop_front();
  }
  for (const uint32_t slot : previous_slots_) slots_.Release(slot);
  previous_slots_.clear();
  kept_id_ = {};
}

}  // namespace flash::log
