// threaded_backend.cc: distribution, counting and the bell; see threaded_backend.h.
// Reads fill one thread before the next is woken, since a wake-up costs more than a read's own
// work; writes and computes go to the other end, so that few reads share a thread with them.
// Thread: the owner.
#include "io/threaded_backend.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "io/wait.h"

namespace flash::io {
namespace {

// A write or compute keeps a thread about as busy as this many reads.
constexpr uint32_t kBackgroundWeight = 8;

}  // namespace

TaskRunner::Options ThreadedBackend::RunnerOptions(uint32_t entries) {
  TaskRunner::Options runner;
  runner.writes_max = std::clamp(entries / 4, 1U, 16U);
  runner.large_buffers_max = std::clamp(entries / 4, 1U, 8U);
  runner.small_buffers = std::clamp(
      entries - std::min(entries, runner.writes_max + runner.large_buffers_max), 1U, 128U);
  return runner;
}

ThreadedBackend::ThreadedBackend(const Options& options, const base::Clock* clock)
    : options_(options),
      clock_(clock),
      owner_pid_(getpid()),
      bell_(std::make_shared<OwnerBell>()),
      lanes_(options.threads) {}

Result<std::unique_ptr<ThreadedBackend>> ThreadedBackend::Start(const Options& options,
                                                                DeviceFactory* factory,
                                                                const base::Clock* clock) {
  FLASH_CHECK(options.threads >= 1 && options.threads <= 256);
  FLASH_CHECK(options.background_threads >= 1);
  // raw new: private constructor
  std::unique_ptr<ThreadedBackend> backend(new ThreadedBackend(options, clock));
  for (uint32_t i = 0; i < options.threads; ++i) {
    const IoThread::Options thread{.index = i,
                                   .reads_max = options.reads_max,
                                   .background_max = options.background_max,
                                   .runner = RunnerOptions(options.entries),
                                   .before_sleep = options.before_sleep};
    backend->lanes_[i].thread = std::make_unique<IoThread>(thread, factory, clock, backend->bell_);
  }
  Result<void> outcome;
  for (Lane& lane : backend->lanes_) {
    // All are waited for, whatever the first says: the factory may end when this returns.
    if (auto ready = lane.thread->WaitReady(); !ready) outcome = ready.error();
  }
  if (!outcome) return outcome.error();
  backend->alignment_ = backend->lanes_[0].thread->alignment();
  if (options.owner_reads_max > 0) {
    backend->owner_lane_ = OwnerLane::Make(factory, clock, options.owner_reads_max);
  }
  return backend;
}

ThreadedBackend::~ThreadedBackend() {
  if (getpid() != owner_pid_) {
    // A forked child has the memory of the threads but not the threads.
    for (Lane& lane : lanes_) [[maybe_unused]] IoThread* left = lane.thread.release();
    [[maybe_unused]] OwnerLane* left = owner_lane_.release();
    return;
  }
  for (Lane& lane : lanes_) lane.thread->Stop();
  timespec deadline{};
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += options_.stop_ms_max / 1000;
  deadline.tv_nsec += static_cast<long>(options_.stop_ms_max % 1000) * 1'000'000;
  if (deadline.tv_nsec >= 1'000'000'000) {
    deadline.tv_nsec -= 1'000'000'000;
    ++deadline.tv_sec;
  }
  for (Lane& lane : lanes_) IoThread::Join(std::move(lane.thread), deadline);
  if (owner_lane_ != nullptr) OwnerLane::Close(std::move(owner_lane_), deadline);
}

ThreadedBackend::Lane* ThreadedBackend::LaneForRead() {
  const auto load = [](const Lane& lane) {
    return lane.reads + lane.background * kBackgroundWeight;
  };
  Lane* lane = &lanes_[read_lane_];
  if (lanes_.size() == 1 || load(*lane) < options_.spread_reads) {
    return lane->reads < options_.reads_max ? lane : nullptr;
  }
  lane = nullptr;
  for (Lane& other : lanes_) {
    if (other.reads >= options_.reads_max) continue;
    if (lane == nullptr || load(other) < load(*lane)) lane = &other;
  }
  if (lane != nullptr) read_lane_ = static_cast<size_t>(lane - lanes_.data());
  return lane;
}

ThreadedBackend::Lane* ThreadedBackend::LaneForBackground() {
  // The last ones, and ties go to the last of them: reads begin with the first.
  const size_t count = std::min<size_t>(options_.background_threads, lanes_.size());
  Lane* lane = nullptr;
  for (size_t i = lanes_.size() - count; i < lanes_.size(); ++i) {
    if (lane == nullptr || lanes_[i].background <= lane->background) lane = &lanes_[i];
  }
  return lane->background < options_.background_max ? lane : nullptr;
}

/// With others under way the threads are awake, and do more for the owner than they cost. Where
/// they have CPUs of their own that is from the second read on; and where reads come in bunches the
/// first of each is alone only for a moment: the past tells.
bool ThreadedBackend::GoesToOwner(const Task& task) {
  const bool lone = reads_inflight_ == 0 && owner_inflight() == 0;
  lone_reads_ = lone ? std::min(lone_reads_ + 1, kLoneReadsForOwner) : 0;
  if (owner_lane_ == nullptr || reads_inflight_ > 0 || !owner_lane_->Takes(task)) return false;
  return options_.owner_reads_max > 1 || lone_reads_ == kLoneReadsForOwner;
}

Result<void> ThreadedBackend::Submit(Task* task) {
  FLASH_CHECK(task->offset % alignment_ == 0 && task->bytes % alignment_ == 0);
  const bool read = task->kind == Task::Kind::kRead;
  if (read && task->bytes > ReadBuffers::kLargeBytes) return Code::kInvalid;
  if (read && GoesToOwner(*task)) {
    task->result = 0;
    task->submitted_us = clock_->NowUs();
    owner_lane_->Add(task);
    return {};
  }
  Lane* lane = read ? LaneForRead() : LaneForBackground();
  if (lane == nullptr) return Code::kBusy;
  task->result = 0;
  task->submitted_us = clock_->NowUs();
  lane->thread->Push(task);
  ++(read ? lane->reads : lane->background);
  lane->pushed = true;
  ++inflight_;
  reads_inflight_ += read ? 1 : 0;
  return {};
}

void ThreadedBackend::Kick() {
  if (owner_lane_ != nullptr) owner_lane_->Kick();
  for (Lane& lane : lanes_) {
    if (!lane.pushed) continue;
    lane.pushed = false;
    lane.thread->Kick();
  }
  // Asked before anything can be missed; what was finished already rings at once.
  if (inflight_ == 0 || bell_->asked()) return;
  bell_->Ask();
  if (AnyFinished()) bell_->RingMyself();
}

bool ThreadedBackend::AnyFinished() const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [](const Lane& lane) { return lane.thread->HasFinished(); });
}

size_t ThreadedBackend::Drain(size_t tasks_max) {
  size_t count = 0;
  for (size_t i = 0; i < lanes_.size() && count < tasks_max; ++i) {
    Lane& lane = lanes_[(next_drained_ + i) % lanes_.size()];
    while (count < tasks_max) {
      Task* task = lane.thread->PopFinished();
      if (task == nullptr) break;
      const bool read = task->kind == Task::Kind::kRead;
      --(read ? lane.reads : lane.background);
      reads_inflight_ -= read ? 1 : 0;
      --inflight_;
      ++count;
      if (task->done != nullptr) task->done(*task);
    }
  }
  next_drained_ = (next_drained_ + 1) % lanes_.size();
  return count;
}

size_t ThreadedBackend::DrainOwner(size_t tasks_max) {
  if (owner_lane_ == nullptr) return 0;
  owner_lane_->Look();
  size_t count = 0;
  while (count < tasks_max) {
    Task* task = owner_lane_->PopFinished();
    if (task == nullptr) break;
    ++count;
    if (task->done != nullptr) task->done(*task);
  }
  return count;
}

size_t ThreadedBackend::Reap(size_t tasks_max) {
  bell_->Clear();
  size_t count = DrainOwner(tasks_max);
  // Their sign may be gone already.
  if (owner_lane_ != nullptr && owner_lane_->HasFinished()) bell_->RingMyself();
  count += Drain(tasks_max - count);
  while (inflight_ > 0 && count < tasks_max) {
    // Asked first and looked afterwards, so a task finished in between is seen or rings.
    bell_->Ask();
    const size_t more = Drain(tasks_max - count);
    if (more == 0) return count;
    count += more;
  }
  if (inflight_ > 0) {
    bell_->Ask();
    if (AnyFinished()) bell_->RingMyself();
  }
  return count;
}

void ThreadedBackend::Wait(uint64_t timeout_us) {
  // With nothing in flight this is a sleep: whoever waits may wait for a moment to come.
  if (AnyFinished()) return;
  Kick();
  if (owner_inflight() == 0) {
    WaitReadable(bell_->fd(), timeout_us);
    return;
  }
  if (owner_lane_->HasFinished()) return;
  // Kept readable by a completion that a Reap met first, it would end every later wait at once.
  if (WaitReadable(bell_->fd(), owner_lane_->event_fd(), timeout_us)) {
    DrainEventFd(owner_lane_->event_fd());
  }
}

Backend::Stats ThreadedBackend::stats() const {
  Stats stats;
  for (const Lane& lane : lanes_) lane.thread->AddStats(stats);
  if (owner_lane_ != nullptr) owner_lane_->AddStats(stats);
  return stats;
}

void ThreadedBackend::SetTimeoutMs(uint32_t timeout_ms) {
  for (Lane& lane : lanes_) lane.thread->SetTimeoutMs(timeout_ms);
  if (owner_lane_ != nullptr) owner_lane_->SetTimeoutMs(timeout_ms);
}

}  // namespace flash::io
