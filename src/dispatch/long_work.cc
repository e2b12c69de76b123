// long_work.cc: see long_work.h.
//
// A job that waits for its blocks, or for room, is asked again after each Drive. Thread: main.
#include "dispatch/long_work.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "dispatch/pause_points.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/freeing.h"
#include "server/value_env.h"

namespace flash::dispatch {
namespace {

using blocks::BlockPool;
using blocks::WaitCause;
using values::Missing;

constexpr uint64_t kPortionBytesMin = 64 * kKiB;
constexpr uint64_t kPortionBytesMax = kMiB;
/// No room for so long: there is none.
constexpr uint64_t kStuckUs = 10'000'000;
/// The cache gives way to a reply within this, or cannot.
constexpr uint64_t kCacheGivesWayUs = 1'000'000;

/// Room below the hard mark that there has to be before a portion is fetched: it comes on top of
/// what is hot, and others write until it has come. Whoever only reads goes on without it.
uint64_t FetchRoomBytes() { return PortionBytes(); }

/// The bound does not count pins; whoever adds to the cache while it holds a portion of them does.
uint64_t StepRoomBytes(uint64_t bytes) { return bytes + PortionBytes(); }

BlockPool& Pool() { return server::Engine::Get().pool(); }

}  // namespace

uint64_t PortionBytes() {
  return std::clamp(server::CacheBytesInForce() / 16, kPortionBytesMin, kPortionBytesMax);
}

bool IsLongWork(const values::Collection& value, uint64_t elements) {
  if (elements > kElementsAtOnce) return true;
  // Fewer elements than fit a portion one by one lie in no more leaves than that.
  const uint64_t leaves = PortionBytes() / server::TheEnv().leaf_bytes_max;
  return elements > leaves && value.HasMoreLeavesThan(leaves);
}

bool IsMoreThanPortion(Missing* missing) {
  if (missing->empty()) return false;
  const values::Env& env = server::TheEnv();
  const uint64_t most = PortionBytes();
  uint64_t bytes = 0;
  for (const BlockId id : missing->cold()) {
    bytes += std::max<uint64_t>(env.leaf_bytes_max, env.store.FootprintOf(id));
    if (bytes > most) return true;
  }
  return false;
}

// --- LongJob
// ----------------------------------------------------------------------------------------

LongJob::LongJob(std::shared_ptr<LongWork> work, std::function<void()> done)
    : work_(std::move(work)), done_(std::move(done)) {}

void LongJob::Cancel() {
  cancelled_ = true;
  pins_.Release();
}

LongJob::Progress LongJob::Finish(std::optional<Code> failure) {
  failure_ = failure;
  pins_.Release();
  done_();
  return Progress::kDone;
}

LongJob::Progress LongJob::Step(uint64_t deadline_us) {
  if (cancelled_) return Progress::kDone;
  if (!copies_.blocks.empty()) {
    const auto waits = Copy();
    if (waits) return *waits;
    if (failure_) return Finish(failure_);
  }
  if (pins_.started()) {
    if (!pins_.ready()) return Progress::kWaiting;
    if (Result<void> read = pins_.outcome(); !read) return Finish(read.code());
  }
  if (!lacking_.empty()) return Fetch();
  if (begun_ && IsHeld(PausePoint::kPortion)) return Progress::kMore;
  begun_ = true;
  const base::Clock& clock = server::Engine::Get().clock();
  for (;;) {
    if (const uint64_t bytes = work_->room_bytes(); bytes != 0) {
      const auto room = Room(StepRoomBytes(bytes));
      if (!room) return Progress::kMore;
      if (!*room) return Finish(Code::kNoSpace);
    }
    if (!HasMemory()) return Progress::kMore;
    Missing missing;
    switch (work_->Step(deadline_us, &missing)) {
      case LongWork::Progress::kMore:
        if (clock.NowUs() >= deadline_us) return Progress::kMore;
        continue;
      case LongWork::Progress::kDone:
        return Finish(work_->failure());
      case LongWork::Progress::kCopies:
        BeginCopies();
        return Progress::kMore;
      case LongWork::Progress::kMissing:
        break;
    }
    // Others may need what the last portion held.
    pins_.Release();
    lacking_ = missing.ids();
    return Fetch();
  }
}

bool LongJob::HasMemory() {
  const uint64_t bytes = work_->memory_bytes();
  if (bytes == 0 || !waits_for_memory_ || server::HasMemoryFor(bytes)) {
    short_since_us_ = 0;
    return true;
  }
  const uint64_t now_us = server::Engine::Get().clock().NowUs();
  if (short_since_us_ == 0) short_since_us_ = now_us;
  waits_for_memory_ = now_us - short_since_us_ <= kCacheGivesWayUs;
  return false;
}

std::optional<Result<void>> LongJob::Room(uint64_t bytes) {
  Result<void> admitted = Pool().Admit(bytes);
  if (!admitted && admitted.code() == Code::kBusy) {
    Pool().Drive(BlockPool::Deliver::kQueueOnly);  // Clean blocks leave at once.
    admitted = Pool().Admit(bytes);
  }
  const uint64_t now_us = server::Engine::Get().clock().NowUs();
  if (admitted) {
    stuck_since_us_ = 0;
  } else if (stuck_since_us_ == 0) {
    stuck_since_us_ = now_us;
  }
  if (admitted || admitted.code() != Code::kBusy) return admitted;
  if (now_us - stuck_since_us_ <= kStuckUs) return std::nullopt;
  return Result<void>(Code::kNoSpace);
}

LongJob::Progress LongJob::Fetch() {
  if (!Room(FetchRoomBytes())) return Progress::kMore;
  pins_ = Pool().StartFetch(std::exchange(lacking_, {}), [] {});
  return pins_.ready() ? Progress::kMore : Progress::kWaiting;
}

// --- Copies
// ---------------------------------------------------------------------------------------------

void LongJob::BeginCopies() {
  copies_ = work_->TakeCopies();
  next_copy_ = 0;
  if (copies_.past_the_cache) return;
  pins_.Release();
  for (const BlockCopy& copy : copies_.blocks) lacking_.push_back(copy.id);
}

std::optional<LongJob::Progress> LongJob::Copy() {
  if (!copies_.past_the_cache) {
    if (!lacking_.empty()) return Fetch();
    if (!pins_.ready()) return Progress::kWaiting;
    if (Result<void> read = pins_.outcome(); read) {
      CopyHot();
    } else {
      failure_ = read.code();
    }
  } else {
    while (!failure_ && next_copy_ < copies_.blocks.size() &&
           CopyPast(copies_.blocks[next_copy_])) {
      ++next_copy_;
    }
    // The store may be busy with others: asked again after the next Drive.
    if (copies_inflight_ > 0) return Progress::kWaiting;
    if (!failure_ && next_copy_ < copies_.blocks.size()) return Progress::kWaiting;
  }
  copies_.blocks.clear();
  return std::nullopt;
}

void LongJob::CopyHot() {
  for (const BlockCopy& copy : copies_.blocks) {
    const Bytes bytes = Pool().Touch(copy.id);
    FLASH_CHECK(bytes.size() == copy.to.size());
    std::memcpy(copy.to.data(), bytes.data(), bytes.size());
  }
}

bool LongJob::CopyPast(const BlockCopy& copy) {
  if (Pool().IsHot(copy.id)) {
    const Bytes bytes = Pool().Read(copy.id);
    FLASH_CHECK(bytes.size() == copy.to.size());
    std::memcpy(copy.to.data(), bytes.data(), bytes.size());
    return true;
  }
  auto self = shared_from_this();
  const MutableBytes to = copy.to;
  const auto came = [self, to](Result<std::span<const std::byte>> read) {
    --self->copies_inflight_;
    if (!read) {
      self->failure_ = read.code();
    } else if (!self->cancelled_) {
      FLASH_CHECK(read->size() == to.size());
      std::memcpy(to.data(), read->data(), to.size());
    }
  };
  if (Result<void> started = Pool().ReadDetached(copy.id, came); !started) {
    if (started.code() != Code::kBusy) failure_ = started.code();
    return false;
  }
  ++copies_inflight_;
  return true;
}

Result<void> LongJob::CopyNow(WaitCause cause) {
  copies_ = work_->TakeCopies();
  const std::vector<BlockCopy> blocks = std::exchange(copies_.blocks, {});
  if (!copies_.past_the_cache) {
    pins_.Release();
    std::vector<BlockId> ids;
    ids.reserve(blocks.size());
    for (const BlockCopy& copy : blocks) ids.push_back(copy.id);
    AwaitFetchRoomNow();
    pins_ = Pool().FetchNow(ids, cause);
    if (Result<void> read = pins_.outcome(); !read) return read.code();
  }
  return Pool().CopyNow(blocks, cause);
}

// --- Waiting on this thread
// ------------------------------------------------------------------------------

void LongJob::AwaitFetchRoomNow() {
  if (Pool().Admit(FetchRoomBytes())) return;
  static_cast<void>(Pool().AwaitRoom(FetchRoomBytes(), WaitCause::kHardMark));
}

void LongJob::AwaitMemoryNow() {
  const uint64_t bytes = work_->memory_bytes();
  if (bytes == 0 || !waits_for_memory_ || server::HasMemoryFor(bytes)) return;
  waits_for_memory_ = Pool().DriveUntil(
      WaitCause::kMemory, [bytes] { return server::HasMemoryFor(bytes); }, kCacheGivesWayUs);
}

bool LongJob::AwaitRoom(uint64_t bytes) {
  const auto await = [bytes] {
    return Pool().Admit(bytes) || Pool().AwaitRoom(bytes, WaitCause::kHardMark);
  };
  if (await()) return true;
  // What a script deleted before is room, too.
  pins_.Release();
  return server::FinishFrees() && await();
}

Result<void> LongJob::RunNow(WaitCause cause) {
  // What was acknowledged once goes above the bound rather than being lost.
  const bool must_apply = cause == WaitCause::kReplication || cause == WaitCause::kLoading ||
                          server::Engine::Get().replaying();
  for (bool done = false; !done && !failure_;) {
    const uint64_t room = work_->room_bytes() == 0 ? 0 : StepRoomBytes(work_->room_bytes());
    if (room != 0 && !AwaitRoom(room) && !must_apply) {
      failure_ = Code::kNoSpace;
      break;
    }
    AwaitMemoryNow();
    Missing missing;
    Result<void> outcome;
    switch (work_->Step(std::numeric_limits<uint64_t>::max(), &missing)) {
      case LongWork::Progress::kMore:
        if (room != 0) pins_.Release();
        break;
      case LongWork::Progress::kDone:
        failure_ = work_->failure();
        done = true;
        break;
      case LongWork::Progress::kCopies:
        outcome = CopyNow(cause);
        break;
      case LongWork::Progress::kMissing:
        pins_.Release();
        AwaitFetchRoomNow();
        pins_ = Pool().FetchNow(missing.ids(), cause);
        outcome = pins_.outcome();
        break;
    }
    if (!outcome) failure_ = outcome.code();
  }
  pins_.Release();
  return outcome();
}

Result<void> LongJob::outcome() const {
  if (failure_) return *failure_;
  return {};
}

// --- Clone
// ------------------------------------------------------------------------------------------

Clone::~Clone() {
  if (word_ != 0) server::FreeCollection(kind_, word_);
}

uint64_t Clone::Take() { return std::exchange(word_, 0); }

}  // namespace flash::dispatch
