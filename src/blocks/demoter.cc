// demoter.cc: the demoter's loop, admission and the store's answers; see demoter.h.
//
// All bounds are on the load: hot bytes without a pin. Thread: main.
#include "blocks/demoter.h"

#include <algorithm>
#include <utility>

namespace flash::blocks {
namespace {

constexpr uint64_t kSlackMax = 4 * kMiB;
constexpr uint64_t kSlackShare = 16;
constexpr uint32_t kBatchMin = 16;
constexpr uint32_t kBatchMax = 4096;
constexpr uint32_t kInflightMax = 65536;
constexpr uint32_t kVictimSteps = 32;  // Moves within the queues between two looks at the clock.
constexpr uint64_t kClockEveryBytes = 128 * kKiB;
constexpr uint64_t kClockEvery = 8;          // Blocks between two looks at the clock.
constexpr uint64_t kSkippedDirtyMax = 1024;  // Dirty blocks passed over in a run.
constexpr uint64_t kPauseUsMin = 1000;
constexpr uint64_t kPauseUsMax = 128'000;

}  // namespace

Demoter::Demoter(const Options& options, BlockCore* core, Deliveries* deliveries,
                 const base::Clock* clock)
    : options_(options), core_(*core), clock_(*clock), room_(deliveries) {
  core_.fifo().SetCacheBytes(options.cache_bytes);
}

void Demoter::SetCacheBytes(uint64_t bytes) {
  options_.cache_bytes = bytes;
  core_.fifo().SetCacheBytes(bytes);
}

void Demoter::SetLimits(uint32_t batch, uint32_t inflight_max) {
  options_.batch = batch;
  options_.inflight_max = inflight_max;
}

uint64_t Demoter::high_mark() const {
  return pressure_bytes_ == 0 ? options_.cache_bytes
                              : std::min(options_.cache_bytes, pressure_bytes_);
}

uint32_t Demoter::inflight_max() const {
  return options_.inflight_max == 0 ? kInflightMax : options_.inflight_max;
}

uint32_t Demoter::batch_effective() const {
  if (options_.batch != 0) return options_.batch;
  const uint64_t in_half_a_tick = options_.tick_us * 500 / std::max<uint64_t>(ns_per_block_, 1);
  return static_cast<uint32_t>(std::clamp<uint64_t>(in_half_a_tick, kBatchMin, kBatchMax));
}

// --- The work of a turn
// -----------------------------------------------------------------------------

uint64_t Demoter::Goal() {
  const uint64_t high = high_mark();
  const uint64_t hard = hard_mark();
  uint64_t goal = high - std::min(high / kSlackShare, kSlackMax);
  if (wanted_bytes_ != 0 && Fits(wanted_bytes_)) wanted_bytes_ = 0;
  const uint64_t wanted = std::max(wanted_bytes_, room_.head().bytes);
  if (wanted != 0) goal = std::min(goal, hard - std::min(hard, wanted + room_.promised_bytes()));
  return goal;
}

bool Demoter::PutsPaused() const { return clock_.NowUs() < paused_until_us_; }

void Demoter::Run(uint64_t deadline_us) {
  wants_run_ = false;
  if (store_ == nullptr) return;
  const uint64_t goal = Goal();
  if (core_.sums().evictable <= goal) {
    // What is awaited is on its way, perhaps in a buffer that nothing else would fill up.
    if (room_.head().bytes != 0 || wanted_bytes_ != 0) flush_wanted_ = true;
    return;
  }
  const uint64_t began_us = clock_.NowUs();
  Progress run;
  run.batch = batch_effective();
  while (core_.sums().evictable > goal) {
    if (run.demoted >= run.batch || TimeIsUp(deadline_us, &run)) {
      wants_run_ = true;
      break;
    }
    uint32_t steps = kVictimSteps;
    const BlockId id = core_.fifo().Victim(&steps, run.passed);
    if (id == kNoBlock) {
      if (steps == 0) continue;  // Blocks earned another round; the clock decides whether to go on.
      break;                     // Everything is pinned or on its way.
    }
    if (DemoteVictim(id, &run) == Step::kStop) break;
  }
  if (run.refused_bytes != 0 && !run.any_put) PausePuts();
  MeasureBatch(began_us, run);
}

/// Looks at the clock after some blocks, or fewer large ones: their bytes are copied on this
/// thread.
bool Demoter::TimeIsUp(uint64_t deadline_us, Progress* run) const {
  if (++run->looked % kClockEvery != 0 && run->copied_bytes < kClockEveryBytes) return false;
  run->copied_bytes = 0;
  return clock_.NowUs() >= deadline_us;
}

Demoter::Step Demoter::DemoteVictim(BlockId id, Progress* run) {
  if (core_.IsPinned(id)) {
    PassOver(id, run);
    return Step::kGoOn;
  }
  if (Next(core_.table().StateOf(id), BlockEvent::kEvict)) {
    core_.Evict(id);
    ++run->demoted;
    return Step::kGoOn;
  }
  if (PutsPaused()) return PassOverDirty(id, run);
  if (core_.puts_inflight() >= inflight_max()) return Step::kStop;
  uint32_t ticket = 0;
  const Bytes stored = core_.table().HotOf(id)->stored();
  if (run->refused_bytes != 0 && stored.size() >= run->refused_bytes) return PassOverLarge(id, run);
  const Result<void> put = TryPut(id, stored, &ticket);
  if (put) {
    run->any_put = true;
    run->copied_bytes += stored.size();
    core_.StartPut(id, ticket, true);
    ++run->demoted;
    return Step::kGoOn;
  }
  // Busy: a completion will announce itself, unless the buffers are full of writes that fail.
  if (put.code() == Code::kBusy && !store_->stats().writes_failing) return Step::kStop;
  if (put.code() != Code::kNoSpace) {
    if (put.code() != Code::kBusy) PausePuts();
    return PassOverDirty(id, run);
  }
  run->refused_bytes = stored.size();
  if (refused_bytes_ == 0 || stored.size() < refused_bytes_) refused_bytes_ = stored.size();
  return PassOverLarge(id, run);
}

/// The store has no room for a block of this size: perhaps for a smaller one.
Demoter::Step Demoter::PassOverLarge(BlockId id, Progress* run) {
  if (++run->skipped_dirty > kSkippedDirtyMax) return Step::kStop;
  PassOver(id, run);
  return Step::kGoOn;
}

/// A dirty block has to stay for now; clean ones behind it can still go.
Demoter::Step Demoter::PassOverDirty(BlockId id, Progress* run) {
  const bool any_clean = core_.table().counts()[static_cast<size_t>(BlockState::kHotClean)] > 0;
  if (!any_clean || ++run->skipped_dirty > kSkippedDirtyMax) return Step::kStop;
  PassOver(id, run);
  return Step::kGoOn;
}

void Demoter::PassOver(BlockId id, Progress* run) { core_.fifo().Skip(id, &run->passed); }

Result<void> Demoter::TryPut(BlockId id, Bytes payload, uint32_t* ticket) {
  *ticket = ++next_ticket_;
  Result<void> put = store_->Put(id, *ticket, payload);
  stuck_ = !put.ok();
  return put;
}

void Demoter::PausePuts() {
  stuck_ = true;
  pause_us_ = std::clamp(pause_us_ * 2, kPauseUsMin, kPauseUsMax);
  paused_until_us_ = clock_.NowUs() + pause_us_;
}

void Demoter::MeasureBatch(uint64_t began_us, const Progress& run) {
  if (run.demoted < kClockEvery) return;
  const uint64_t ns = (clock_.NowUs() - began_us) * 1000 / run.demoted;
  ns_per_block_ = (ns_per_block_ * 7 + ns) / 8;
}

void Demoter::FlushIfWanted() {
  if (!flush_wanted_ || store_ == nullptr) return;
  // Asked before the flush: what was put by now is in a buffer that this flush sends.
  const bool last = core_.puts_inflight() == 0;
  store_->Flush();
  if (last) flush_wanted_ = false;
}

void Demoter::NoteProgress() {
  if (core_.departures() == departures_seen_) return;
  departures_seen_ = core_.departures();
  progress_us_ = clock_.NowUs();
}

bool Demoter::Stalled(uint64_t since_us, uint64_t patience_us) const {
  return clock_.NowUs() > std::max(since_us, progress_us_) + patience_us;
}

uint64_t Demoter::PatienceUs(uint64_t bytes) const {
  const bool short_of_space = frozen_ && !store_->HasRoomFor(bytes);
  const bool under_way = core_.puts_inflight() > 0 && !store_->stats().writes_failing;
  return under_way && !short_of_space ? options_.slow_device_wait_us_max
                                      : options_.room_wait_us_max;
}

bool Demoter::WaitsInVain(const RoomQueue::Head& head) const {
  if (Hopeless(head.bytes)) return true;
  if (!Stalled(head.since_us, PatienceUs(head.bytes))) return false;
  return Stalled(head.since_us, options_.slow_device_wait_us_max) || !frees_pending_();
}

void Demoter::ServeRoom() {
  NoteProgress();
  if (waits_here_ > 0) return;
  for (RoomQueue::Head head = room_.head(); head.bytes != 0; head = room_.head()) {
    if (head.bytes > options_.cache_bytes) {
      room_.AnswerHead(Code::kInvalid);
    } else if (Fits(head.bytes)) {
      room_.AnswerHead({});
    } else if (WaitsInVain(head)) {
      room_.AnswerHead(Code::kNoSpace);
    } else {
      break;
    }
  }
}

// --- Callers
// ----------------------------------------------------------------------------------------

bool Demoter::Fits(uint64_t bytes) const {
  if (store_ == nullptr) return true;
  // Under pressure the bound may be below one block: that runs alone.
  const auto fits = [this, bytes](uint64_t load) {
    return load + bytes <= hard_mark() || load == 0;
  };
  const uint64_t load = core_.sums().load;
  if (fits(load + room_.promised_bytes())) return true;
  return waits_here_ > 0 && NothingMoreLeaves() && fits(load);
}

bool Demoter::NothingMoreLeaves() const {
  if (core_.puts_inflight() > 0) return silent_;
  return stuck_ || core_.sums().evictable == 0;
}

/// Nothing that is under way, or could be begun, makes room for `bytes`.
bool Demoter::Hopeless(uint64_t bytes) const {
  return !frozen_ && NothingCanBePut(bytes) &&
         core_.table().counts()[static_cast<size_t>(BlockState::kHotClean)] == 0 &&
         (waits_here_ > 0 || !frees_pending_());
}

bool Demoter::HopelessToAwait(uint64_t bytes) const {
  return NothingCanBePut(bytes) && core_.sums().clean == 0;
}

bool Demoter::NothingCanBePut(uint64_t bytes) const {
  if (!stuck_ || core_.puts_inflight() != 0) return false;
  return !store_->HasRoomFor(bytes) || (refused_bytes_ != 0 && !store_->HasRoomFor(refused_bytes_));
}

Result<void> Demoter::Admit(uint64_t bytes) {
  if (store_ == nullptr) return {};
  if (bytes > options_.cache_bytes) return Code::kInvalid;
  if (Fits(bytes)) return {};
  if (Hopeless(bytes)) return Code::kNoSpace;
  wanted_bytes_ = std::max(wanted_bytes_, bytes);
  return Code::kBusy;
}

Demoter::WaitHere::WaitHere(Demoter* demoter, uint64_t bytes, uint64_t patience_us)
    : demoter_(*demoter),
      bytes_(bytes),
      patience_us_(patience_us),
      since_us_(demoter->clock_.NowUs()) {
  ++demoter_.waits_here_;
}

bool Demoter::WaitHere::InVain() {
  Demoter& d = demoter_;
  if (d.HopelessToAwait(bytes_)) return true;
  const bool again = d.vain_us_ != 0 && d.vain_us_ >= patience_us_ && (d.stuck_ || d.silent_);
  if (std::exchange(turned_, true) && again) return true;
  d.NoteProgress();
  const uint64_t patience_us = std::max(patience_us_, d.PatienceUs(bytes_));
  if (!d.Stalled(since_us_, patience_us)) return false;
  d.vain_us_ = patience_us;
  d.silent_ = d.core_.puts_inflight() > 0;
  return true;
}

void Demoter::WaitForRoom(uint64_t bytes, RoomWaiter* waiter) {
  ++stalls_;
  room_.Add(waiter, std::max<uint64_t>(bytes, 1), clock_.NowUs());
}

Result<BlockId> Demoter::CreateCold(Bytes payload, BlockOwner* owner) {
  const uint64_t charge = HotCharge(payload.size() + (owner != nullptr ? kOwnerBytes : 0));
  if (!Fits(charge)) {
    if (Hopeless(charge)) return Code::kNoSpace;
    wanted_bytes_ = std::max(wanted_bytes_, charge);
    return Code::kBusy;
  }
  const BlockId id = core_.Reserve();
  HotBlock* const draft = BlockCore::Draft(id, payload, owner);
  uint32_t ticket = 0;
  if (const Result<void> put = TryPut(id, draft->stored(), &ticket); !put) {
    core_.Discard(id, draft);
    return put.code();
  }
  core_.CreateDemoting(id, ticket, draft);
  return id;
}

Result<bool> Demoter::Demote(BlockId id) {
  if (store_ == nullptr) return Code::kUnsupported;
  switch (core_.table().StateOf(id)) {
    case BlockState::kFree:
      return Code::kGone;
    case BlockState::kCold:
    case BlockState::kDemoting:
      flush_wanted_ = true;
      return false;
    case BlockState::kHotClean:
      if (core_.IsPinned(id)) return Code::kBusy;
      core_.Evict(id);
      flush_wanted_ = true;
      return true;
    case BlockState::kHotDirty:
      break;
  }
  if (core_.IsPinned(id)) return Code::kBusy;
  uint32_t ticket = 0;
  if (const Result<void> put = TryPut(id, core_.table().HotOf(id)->stored(), &ticket); !put) {
    return put.code();
  }
  core_.StartPut(id, ticket, false);
  flush_wanted_ = true;
  return true;
}

void Demoter::OnUnpinned(BlockId id) {
  if (core_.table().StateOf(id) != BlockState::kHotClean || core_.IsPinned(id)) return;
  const uint64_t load = core_.sums().load;
  if (load > hard_mark() || (stuck_ && load > high_mark())) core_.Evict(id);
}

// --- The store's answers
// ----------------------------------------------------------------------------

bool Demoter::OnPut(BlockId id, uint32_t ticket, store::Place place) {
  stuck_ = false;
  vain_us_ = 0;
  silent_ = false;
  refused_bytes_ = 0;
  pause_us_ = 0;
  paused_until_us_ = 0;
  return core_.Stored(id, ticket, place);
}

void Demoter::OnPutFailed(BlockId id, uint32_t ticket, Code /*code*/) {
  silent_ = false;
  PausePuts();
  core_.PutFailed(id, ticket);
}

bool Demoter::OnCompact(BlockId id, store::Place place) {
  if (!core_.PointsAt(id, place)) return false;
  if (core_.table().StateOf(id) != BlockState::kHotClean || stuck_) return true;
  core_.LosePlace(id, place);
  return false;
}

}  // namespace flash::blocks
