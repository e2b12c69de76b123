// demoter.cc: the demoter's loop, demotions on demand and the store's answers; see demoter.h.
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

}  // namespace

void Demoter::Connect(store::RecordStore* store) {
  store_ = store;
  running_ = wants_run_ = flush_wanted_ = false;
}

void Demoter::SetLimits(uint32_t batch, uint32_t inflight_max) {
  options_.batch = batch;
  options_.inflight_max = inflight_max;
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

Demoter::Marks Demoter::MarksNow() {
  const uint64_t high = bound_.high_mark();
  const uint64_t hard = bound_.hard_mark();
  const uint64_t goal = high - std::min(high / kSlackShare, kSlackMax);
  const uint64_t wanted = gate_.WantedBytes();
  if (wanted == 0) return {.begin = high, .goal = goal};
  const uint64_t room_made = std::min(goal, hard - std::min(hard, wanted));
  return {.begin = room_made, .goal = room_made};  // Who waits does not wait for the mark.
}

void Demoter::Run(uint64_t deadline_us) {
  wants_run_ = false;
  if (store_ == nullptr) return;
  const Marks marks = MarksNow();
  const uint64_t goal = marks.goal;
  running_ = core_.sums().evictable > (running_ ? goal : marks.begin);
  if (!running_) {
    gate_.OnRoomUnderWay();
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
  running_ = core_.sums().evictable > goal;
  if (!running_) gate_.OnRoomUnderWay();
  if (run.refused_bytes != 0 && !run.any_put) health_.PausePuts();
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
  if (health_.paused()) return PassOverDirty(id, run);
  if (core_.puts_inflight() >= inflight_max()) return Step::kStop;
  uint32_t ticket = 0;
  const Bytes stored = core_.table().HotOf(id)->stored();
  if (run->refused_bytes != 0 && stored.size() >= run->refused_bytes) return PassOverLarge(id, run);
  const Result<void> put = health_.Put(id, stored, &ticket);
  if (put) {
    run->any_put = true;
    run->copied_bytes += stored.size();
    core_.StartPut(id, ticket, true);
    ++run->demoted;
    return Step::kGoOn;
  }
  // Busy: a completion will announce itself, unless the buffers are full of writes that fail.
  if (put.code() == Code::kBusy && !health_.writes_failing()) return Step::kStop;
  if (put.code() != Code::kNoSpace) {
    if (put.code() != Code::kBusy) health_.PausePuts();
    return PassOverDirty(id, run);
  }
  run->refused_bytes = stored.size();
  health_.NoteNoRoomFor(stored.size());
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

void Demoter::MeasureBatch(uint64_t began_us, const Progress& run) {
  if (run.demoted < kClockEvery) return;
  const uint64_t ns = (clock_.NowUs() - began_us) * 1000 / run.demoted;
  ns_per_block_ = (ns_per_block_ * 7 + ns) / 8;
}

void Demoter::FlushIfWanted() {
  if (std::exchange(flush_wanted_, false)) store_->Flush();
}

// --- Callers
// ----------------------------------------------------------------------------------------

Result<BlockId> Demoter::CreateCold(Bytes payload, BlockOwner* owner) {
  const uint64_t charge = HotCharge(payload.size() + (owner != nullptr ? kOwnerBytes : 0));
  if (const Result<void> admitted = gate_.AdmitCold(charge); !admitted) return admitted.code();
  const BlockId id = core_.Reserve();
  HotBlock* const draft = BlockCore::Draft(id, payload, owner);
  uint32_t ticket = 0;
  if (const Result<void> put = health_.Put(id, draft->stored(), &ticket); !put) {
    core_.Discard(id, draft);
    const bool for_now = put.code() == Code::kNoSpace && gate_.FlashRoomComes();
    return for_now ? Code::kBusy : put.code();
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
  if (const Result<void> put = health_.Put(id, core_.table().HotOf(id)->stored(), &ticket); !put) {
    return put.code();
  }
  core_.StartPut(id, ticket, false);
  flush_wanted_ = true;
  return true;
}

uint64_t Demoter::StuckBytes() {
  if (store_ == nullptr || !health_.NoRoomToPut()) return 0;
  const uint64_t evictable = core_.sums().evictable;
  return evictable - std::min(evictable, MarksNow().goal);
}

void Demoter::OnUnpinned(BlockId id) {
  if (store_ == nullptr) return;
  if (core_.table().StateOf(id) != BlockState::kHotClean || core_.IsPinned(id)) return;
  const uint64_t load = core_.sums().load;
  const bool over = load > bound_.hard_mark() || (health_.stuck() && load > bound_.high_mark());
  if (over) core_.Evict(id);
}

// --- The store's answers
// ----------------------------------------------------------------------------

bool Demoter::OnPut(BlockId id, uint32_t ticket, store::Place place) {
  health_.OnPut(ticket);
  return core_.Stored(id, ticket, place);
}

void Demoter::OnPutFailed(BlockId id, uint32_t ticket, Code /*code*/) {
  health_.OnPutFailed(ticket);
  core_.PutFailed(id, ticket);
}

bool Demoter::GiveUp(BlockId id, store::Place place) {
  if (core_.table().StateOf(id) != BlockState::kHotClean || health_.stuck()) return false;
  core_.LosePlace(id, place);
  return true;
}

}  // namespace flash::blocks
