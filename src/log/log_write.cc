// log_write.cc: effects into the stage, and from there to the device, by the owner or by the log
// thread.
//
// One of them writes at a time (the baton), without the lock, so that the owner can go on appending
// meanwhile. Thread: as log.h says; private functions are called with the lock held.
#include <algorithm>
#include <chrono>

#include "log/log.h"

namespace flash::log {

Lsn Log::Add(Bytes effect) {
  const Lsn lsn = BeginEffect(effect.size());
  AddBytes(effect);
  return lsn;
}

Lsn Log::BeginEffect(uint64_t bytes) {
  Lock lock(mutex_);
  FLASH_CHECK(stage_ != nullptr);
  return stage_->BeginEffect(bytes);
}

void Log::AddBytes(Bytes part) {
  Lock lock(mutex_);
  while (!part.empty()) {
    const size_t count = std::min<size_t>(part.size(), stage_->buffer_bytes());
    stage_->AddBytes(part.first(count));
    part = part.subspan(count);
    if (stage_->buffers_used() > options_.buffers) RelieveBuffers(lock);
  }
}

void Log::EndUnit() {
  Lock lock(mutex_);
  stage_->EndUnit();
  NoteEndedUnit(lock);
}

Lsn Log::AddGrouped(Bytes effect) {
  Lock lock(mutex_);
  FLASH_CHECK(stage_ != nullptr);
  FLASH_CHECK(effect.size() <= stage_->buffer_bytes());
  const Lsn lsn = stage_->AddGrouped(effect);
  NoteEndedUnit(lock);
  return lsn;
}

void Log::NoteEndedUnit(Lock& lock) {
  if (stage_->buffers_used() > options_.buffers) RelieveBuffers(lock);
  const bool watched = commit_age_max_us_ != 0 && stage_->has_ended_units();
  if (!watched || oldest_end_us_ != 0) return;
  oldest_end_us_ = clock_->NowUs();
  if (undurable_since_us_ == 0) undurable_since_us_ = oldest_end_us_;
}

Error Log::Fail(const Error& error) {
  if (state_ != State::kFailed) {
    failure_ = {error.code, "log " + storage_->name() + ": " + error.message};
    state_ = State::kFailed;
  }
  if (stage_ != nullptr) stage_->Stop();
  changed_.notify_all();
  return failure_;
}

Log::Baton::Baton(Log* log, Lock& lock, bool Log::*which) : log_(log), which_(which) {
  const auto limit = std::chrono::microseconds(log->options_.io_timeout_us);
  held_ = log->changed_.wait_for(lock, limit, [&] { return !(log->*which); });
  if (held_) log->*which = true;
}

Log::Baton::~Baton() {
  if (!held_) return;
  log_->*which_ = false;
  log_->changed_.notify_all();
}

/// The log thread's device is nobody else's to ask.
void Log::LookAt(Transfers& transfers) {
  if (&transfers != own_.get()) thread_idle_ = transfers.idle();
}

Result<void> Log::WriteOut(Lock& lock, Transfers& transfers, bool durable) {
  const Baton baton(this, lock, &Log::writing_);
  if (!baton.held()) return Fail({Code::kTimeout, "the log thread waits for the device"});
  if (state_ != State::kOpen) return failure_;
  const std::vector<Stage::Run> runs = stage_->Take();
  const Stage::Mark mark = stage_->mark();
  std::vector<io::Request> requests;
  requests.reserve(runs.size());
  for (const Stage::Run& run : runs) {
    requests.push_back({.op = io::Op::kWrite,
                        .offset = run.file_offset,
                        .data = run.data,
                        .bytes = run.bytes,
                        .durable = durable});
    counters_.bytes_written += run.bytes;
    ++counters_.writes;
  }
  const uint64_t timeout_us = options_.io_timeout_us;
  lock.unlock();
  auto written = transfers.Run(requests, timeout_us);
  lock.lock();
  LookAt(transfers);
  if (!written) return Fail(written.error());
  if (state_ == State::kFailed) return failure_;
  stage_->Written();
  appended_ = mark;
  if (durable) {
    durable_ = mark;
    stage_->SetDurable(mark.position);
    undurable_since_us_ = stage_->has_ended_units() ? clock_->NowUs() : 0;
  }
  return {};
}

Result<void> Log::SyncAll(Lock& lock, Transfers& transfers) {
  const Stage::Mark mark = appended_;
  const uint64_t generation = origin_.generation;
  const uint64_t timeout_us = options_.io_timeout_us;
  ++counters_.syncs;
  lock.unlock();
  auto synced = transfers.Sync(timeout_us);
  lock.lock();
  LookAt(transfers);
  // The owner may have begun another log meanwhile, to which this says nothing.
  if (generation != origin_.generation || state_ == State::kIdle) return {};
  if (!synced) return Fail(synced.error());
  if (state_ == State::kFailed) return failure_;
  if (mark.position > durable_.position) {
    durable_ = mark;
    stage_->SetDurable(mark.position);
  }
  synced_at_us_ = clock_->NowUs();
  return {};
}

void Log::RelieveBuffers(Lock& lock) {
  if (state_ == State::kFailed) return;
  if (options_.sync == SyncMode::kAlways || !options_.thread) {
    stage_->Spill();
    // A failure is kept, and told by Commit.
    [[maybe_unused]] auto written = WriteOut(lock, *own_, options_.sync == SyncMode::kAlways);
    return;
  }
  ++counters_.waits_for_buffers;
  stage_->Spill();
  wanted_.notify_one();
  const auto limit = std::chrono::microseconds(options_.io_timeout_us);
  const bool relieved = changed_.wait_for(lock, limit, [&] {
    return state_ == State::kFailed || stage_->buffers_used() <= options_.buffers;
  });
  if (!relieved) [[maybe_unused]]
    const Error told = Fail({Code::kTimeout, "the device does not keep up"});
}

Result<void> Log::Commit() {
  Lock lock(mutex_);
  owner_commits_ = true;
  Result<void> done = CommitEnded(lock);
  owner_commits_ = false;
  // Durable, or the owner's concern from here on.
  undurable_since_us_ = 0;
  return done;
}

Result<void> Log::CommitEnded(Lock& lock) {
  if (state_ == State::kFailed) return failure_;
  if (state_ != State::kOpen || !stage_->has_ended_units()) return {};
  if (stage_->full()) return Fail({Code::kNoSpace, "no segment was left for what was appended"});
  stage_->MarkAll();
  oldest_end_us_ = 0;
  ++counters_.commits;
  if (options_.sync == SyncMode::kAlways) return WriteOut(lock, *own_, true);
  wanted_.notify_one();
  return {};
}

Result<void> Log::Discard() {
  Lock lock(mutex_);
  if (state_ == State::kFailed) return failure_;
  if (state_ != State::kOpen) return {};
  oldest_end_us_ = undurable_since_us_ = 0;
  if (stage_->Discard()) return {};
  return CutTail(lock);
}

Result<void> Log::SetSync(SyncMode mode) {
  Lock lock(mutex_);
  const bool stricter = mode == SyncMode::kAlways && options_.sync != SyncMode::kAlways;
  if (stricter && state_ == State::kOpen) {
    if (auto written = WriteOut(lock, *own_, false); !written) return written;
    if (auto synced = SyncAll(lock, *own_); !synced) return synced;
  }
  options_.sync = mode;
  return {};
}

Result<void> Log::Close() {
  Lock lock(mutex_);
  if (state_ == State::kFailed) return failure_;
  if (state_ != State::kOpen) return {};
  const Baton baton(this, lock, &Log::keeping_);
  if (!baton.held()) return Fail({Code::kTimeout, "the log thread waits for the device"});
  if (stage_->full()) return Fail({Code::kNoSpace, "no segment was left for what was appended"});
  stage_->MarkAll();
  if (auto written = WriteOut(lock, *own_, true); !written) return written;
  if (auto synced = SyncAll(lock, *own_); !synced) return synced;
  LogSuperblock block = superblock_;
  block.state = FileState::kClosed;
  block.durable =
      std::max(durable_.unit_end, block.current.first_number * uint64_t{segment_bytes_});
  block.last_lsn = durable_.lsn;
  if (auto kept = WriteSuperblocks(lock, block, *own_); !kept) return kept;
  state_ = State::kIdle;
  stage_->Stop();
  return {};
}

void Log::SetIoTimeout(uint64_t us) {
  const Lock lock(mutex_);
  options_.io_timeout_us = us;
}

void Log::SetFileBytesMax(uint64_t bytes) {
  const Lock lock(mutex_);
  options_.file_bytes_max = bytes;
  room_error_.clear();
  wanted_.notify_one();
}

void Log::SetCommitAgeMax(uint64_t us, void (*overdue)()) {
  const Lock lock(mutex_);
  commit_age_max_us_ = us;
  overdue_ = overdue;
  if (us == 0) oldest_end_us_ = undurable_since_us_ = 0;
  if (overdue != nullptr && options_.thread && !watch_.joinable()) {
    watch_ = std::thread([this] { Watch(); });
  }
  wanted_.notify_one();
  watched_.notify_one();
}

}  // namespace flash::log
