// tiered_pool_drive.cc: one turn of Drive, its callbacks, and waiting on the main thread.
//
// Thread: main. Decision: docs/adr/0005.
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "blocks/tiered_pool.h"

namespace flash::blocks {
namespace {

constexpr size_t kReapPortion = 64;         // Tasks between two looks at the clock.
constexpr uint64_t kWaitUsMax = 1000;       // One wait for the disk; then everything is looked at.
constexpr int kDrainWaitsMax = 10'000;      // At the end of the pool: about ten seconds.
constexpr size_t kCallbackPortion = 16;     // Callbacks between two looks at the clock.
constexpr uint64_t kCallbackUsMax = 2'000;  // Callbacks of one Drive.

}  // namespace

TieredPool::~TieredPool() {
  // Reads in flight point at the pool; they end, at the latest, by the backend's time limit.
  for (int i = 0; i < kDrainWaitsMax && promoter_.reads_inflight() > 0; ++i) {
    backend_->Kick();
    backend_->Wait(kWaitUsMax);
    backend_->Reap(kReapPortion);
    store_->Tick(tick_us_);
  }
  deliveries_.DiscardAll();
  store_.reset();
}

void TieredPool::Turn() {
  CheckThread();
  FLASH_CHECK(!turning_);  // A BlockOwner called the pool.
  turning_ = true;
  const uint64_t began_us = clock_.NowUs();
  const uint64_t deadline_us = began_us + tick_us_;
  // First: who is let in by what leaves in this turn must not find the mark lower than before.
  if (bound_.descends()) [[unlikely]]
    bound_.Descend(core_.sums().load, gate_.WantedBytes());
  if (backend_ != nullptr) {
    while (backend_->Reap(kReapPortion) == kReapPortion && clock_.NowUs() < deadline_us) {
    }
  }
  if (store_ != nullptr) store_->Tick(tick_us_);
  promoter_.Turn();
  demoter_.Run(deadline_us);
  demoter_.FlushIfWanted();
  if (OnlyPlacesLeft()) [[unlikely]]
    GiveUpPlaces(deadline_us);
  gate_.ServeLine();
  if (backend_ != nullptr) backend_->Kick();
  stats_.tick_last_us = clock_.NowUs() - began_us;
  stats_.tick_us_max = std::max(stats_.tick_us_max, stats_.tick_last_us);
  turning_ = false;
}

bool TieredPool::OnPut(BlockId id, uint32_t ticket, store::Place place) {
  return demoter_.OnPut(id, ticket, place);
}

void TieredPool::OnPutFailed(BlockId id, uint32_t ticket, Code code) {
  demoter_.OnPutFailed(id, ticket, code);
}

bool TieredPool::IsLive(BlockId id, store::Place place) const { return core_.PointsAt(id, place); }

bool TieredPool::GiveUp(BlockId id, store::Place place) { return demoter_.GiveUp(id, place); }

bool TieredPool::OnMoved(BlockId id, store::Place from, store::Place to) {
  return core_.Move(id, from, to);
}

void TieredPool::Drive(Deliver deliver) {
  Turn();
  if (deliver == Deliver::kCallbacks && !delivering_) RunCallbacks();
}

void TieredPool::RunCallbacks() {
  delivering_ = true;
  const uint64_t deadline_us = clock_.NowUs() + kCallbackUsMax;
  for (size_t left = deliveries_.count(), done = 1; left > 0 && deliveries_.count() > 0;
       --left, ++done) {
    deliveries_.RunOne();
    if (done % kCallbackPortion == 0 && clock_.NowUs() >= deadline_us) break;
  }
  delivering_ = false;
}

bool TieredPool::DriveUntil(WaitCause cause, const std::function<bool()>& satisfied,
                            uint64_t timeout_us) {
  if (satisfied()) return true;
  ++stats_.waits[static_cast<size_t>(cause)];
  if (cause == WaitCause::kHardMark) gate_.CountStall();
  const uint64_t began_us = clock_.NowUs();
  bool done = false;
  for (;;) {
    Turn();
    done = satisfied();
    const uint64_t waited_us = clock_.NowUs() - began_us;
    if (done || (timeout_us != 0 && waited_us >= timeout_us)) break;
    if (backend_ == nullptr || demoter_.wants_run()) continue;
    const uint64_t left_us = timeout_us == 0 ? kWaitUsMax : timeout_us - waited_us;
    backend_->Kick();
    backend_->Wait(std::min(left_us, kWaitUsMax));
  }
  stats_.wait_us[static_cast<size_t>(cause)] += clock_.NowUs() - began_us;
  return done;
}

Result<void> TieredPool::AwaitRoomFor(uint64_t bytes, WaitCause cause, const Attempt& attempt,
                                      uint64_t patience_us) {
  RoomGate::WaitHere wait(&gate_, bytes, patience_us);
  Result<void> outcome = Code::kBusy;
  const auto settled = [&] {
    outcome = attempt();
    if (outcome || outcome.code() != Code::kBusy) return true;
    if (!wait.InVain()) return false;
    outcome = attempt();  // What is promised to others counts less from now on.
    if (!outcome && outcome.code() == Code::kBusy) outcome = Code::kNoSpace;
    return true;
  };
  DriveUntil(cause, settled, 0);
  return outcome;
}

Result<RoomGrant> TieredPool::AwaitRoom(uint64_t bytes, WaitCause cause) {
  const auto admit = [&] { return gate_.Admit(bytes); };
  if (Result<void> admitted = AwaitRoomFor(bytes, cause, admit, 0); !admitted) {
    return admitted.code();
  }
  return gate_.Grant(bytes);
}

/// A copy that the main thread waits for, and its read if it takes one; lives on its stack.
struct TieredPool::CopyRead final : store::ReadRequest {
  MutableBytes to;
  std::vector<std::byte>* into = nullptr;  // Instead of `to`, where the size is not known.
  uint32_t owner_bytes = 0;                // Behind the payload, when the read began.
  bool ended = false;
  Result<void> outcome;

  void Take(Bytes payload) {
    if (into != nullptr) {
      into->assign(payload.begin(), payload.end());
    } else {
      FLASH_CHECK(payload.size() == to.size());
      std::memcpy(to.data(), payload.data(), payload.size());
    }
  }
  void End(Result<void> how) {
    outcome = std::move(how);
    ended = true;
  }
};

bool TieredPool::BeginCopy(CopyRead* read) {
  const BlockState state = table_.StateOf(read->id);
  if (state != BlockState::kCold) {
    if (state != BlockState::kFree) read->Take(Read(read->id));
    read->End(state == BlockState::kFree ? Result<void>(Code::kGone) : Result<void>());
    return true;
  }
  read->place = table_.PlaceOf(read->id);
  read->owner_bytes = core_.OwnerBytesOf(read->id);  // What was read stays as it was then.
  read->read_done = [](store::ReadRequest& request, Result<store::ReadBuffer> result) noexcept {
    auto& own = static_cast<CopyRead&>(request);
    if (!result) return own.End(result.error());
    const std::byte* payload = result->memory + kHotHeaderBytes;
    own.Take({payload, result->payload_bytes - own.owner_bytes});
    base::Release(result->memory);
    own.End({});
  };
  const Result<void> accepted = store_->Read(read);
  if (accepted) return true;
  if (accepted.code() == Code::kBusy) return false;
  read->End(accepted.error());
  return true;
}

Result<void> TieredPool::CopyAll(std::span<CopyRead> reads, WaitCause cause) {
  // Those that find the store busy are offered again after each turn; a fetch under way may promote
  // a block meanwhile.
  size_t next = 0;
  size_t first_open = 0;
  DriveUntil(
      cause,
      [&] {
        while (next < reads.size() && BeginCopy(&reads[next])) ++next;
        while (first_open < next && reads[first_open].ended) ++first_open;
        return first_open == reads.size();
      },
      0);
  for (const CopyRead& read : reads) {
    if (!read.outcome) return read.outcome.error();
  }
  return {};
}

Result<void> TieredPool::CopyNow(BlockId id, WaitCause cause, std::vector<std::byte>* into) {
  CopyRead read;
  read.id = id;
  read.into = into;
  return CopyAll({&read, 1}, cause);
}

Result<void> TieredPool::CopyNow(std::span<const BlockCopy> copies, WaitCause cause) {
  std::vector<CopyRead> reads(copies.size());
  for (size_t i = 0; i < copies.size(); ++i) {
    reads[i].id = copies[i].id;
    reads[i].to = copies[i].to;
  }
  return CopyAll(reads, cause);
}

bool TieredPool::WantsDrive() const {
  return demoter_.wants_run() || promoter_.wants_turn() || deliveries_.count() > 0 ||
         (store_ != nullptr && store_->WantsTick()) ||
         (OnlyPlacesLeft() && CountOf(BlockState::kHotClean) > 0);
}

}  // namespace flash::blocks
