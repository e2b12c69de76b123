// promoter.cc: fetches, the reads they share, and pins; see promoter.h.
//
// The store may answer a read from within the call that starts it, so nothing is touched after that
// call that the answer could have ended. Thread: main.
#include "blocks/promoter.h"

#include <algorithm>
#include <utility>

#include "base/memory.h"

namespace flash::blocks {

/// The one read of a cold block on its way to RAM. Holds the id. Owns itself until it arrived.
struct Promoter::PromotingRead final : store::ReadRequest {
  Promoter* promoter = nullptr;
  base::Few<Fetch::State*, 1> waiters;
  uint64_t started_us = 0;
  bool dropped = false;  // The block was freed: nobody wants the bytes.
  std::optional<std::list<PromotingRead*>::iterator> in_line;  // In busy_.
};

/// A read past the cache; its callback runs when Drive delivers it.
struct Promoter::DetachedRead final : store::ReadRequest, Delivery {
  Promoter* promoter = nullptr;
  DetachedDone callback;
  uint32_t owner_bytes = 0;  // Behind the payload, when the read began.
  Result<store::ReadBuffer> arrived = Code::kIo;

  void Deliver() override {
    const std::unique_ptr<DetachedRead> self(this);
    // The reference keeps the id from being another block's; kFree says that this one ended.
    const bool gone = promoter->core_.table().StateOf(id) == BlockState::kFree;
    promoter->core_.DropReference(id);
    if (gone) {
      callback(Code::kGone);
    } else if (!arrived) {
      callback(arrived.error());
    } else {
      callback(Bytes{arrived->memory + kHotHeaderBytes, arrived->payload_bytes - owner_bytes});
    }
    if (arrived) base::Release(arrived->memory);
  }
  void Discard() override {
    const std::unique_ptr<DetachedRead> self(this);
    promoter->core_.DropReference(id);
    if (arrived) base::Release(arrived->memory);
  }
};

// --- Fetch, the handle
// ------------------------------------------------------------------------------

Fetch::Fetch(Fetch&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

Fetch& Fetch::operator=(Fetch&& other) noexcept {
  if (this != &other) {
    Release();
    state_ = std::exchange(other.state_, nullptr);
  }
  return *this;
}

Fetch::~Fetch() { Release(); }

bool Fetch::ready() const { return state_ != nullptr && state_->ready; }

Result<void> Fetch::outcome() const {
  FLASH_CHECK(ready());
  if (state_->failure) return *state_->failure;
  return {};
}

bool Fetch::whole() const {
  FLASH_CHECK(ready());
  if (state_->failure || state_->promoter == nullptr) return false;
  const BlockTable& table = state_->promoter->core_.table();
  return std::all_of(state_->ids.begin(), state_->ids.end(),
                     [&table](BlockId id) { return table.IsHot(id); });
}

void Fetch::Release() {
  State* state = std::exchange(state_, nullptr);
  if (state == nullptr) return;
  if (state->promoter != nullptr) {
    state->promoter->Release(state);
  } else {
    delete state;
  }
}

void Fetch::State::Deliver() {
  due = false;
  if (abandoned) {
    DeleteIfDone();
    return;
  }
  const std::function<void()> callback = std::move(on_ready);
  callback();  // May release the handle, and so delete this.
}

void Fetch::State::DeleteIfDone() {
  if (!abandoned || due || pending || missing != 0) return;
  promoter->Delist(this);
  delete this;
}

Promoter::~Promoter() {
  while (Fetch::State* state = states_) {
    Delist(state);
    state->promoter = nullptr;
    if (state->abandoned) delete state;
  }
  for (PromotingRead* read : busy_) delete read;
}

// --- Fetches
// ----------------------------------------------------------------------------------------

void Promoter::Enlist(Fetch::State* state) {
  state->promoter = this;
  state->next = std::exchange(states_, state);
  if (state->next != nullptr) state->next->previous = state;
}

void Promoter::Delist(Fetch::State* state) {
  (state->previous != nullptr ? state->previous->next : states_) = state->next;
  if (state->next != nullptr) state->next->previous = state->previous;
}

Fetch Promoter::Start(std::span<const BlockId> ids, std::function<void()> on_ready, bool urgent) {
  ++fetches_;
  auto owned = std::make_unique<Fetch::State>();
  Fetch::State* state = owned.release();
  Enlist(state);
  state->on_ready = std::move(on_ready);
  state->urgent = urgent;
  for (const BlockId id : ids) {
    if (core_.table().StateOf(id) == BlockState::kFree) continue;
    core_.AddReference(id);
    state->ids.push_back(id);
  }
  if (urgent || (pending_.empty() && FitsBudget(*state))) {
    Grant(state);
  } else {
    state->pending = true;
    pending_.push_back(state);
  }
  return Fetch(state);
}

bool Promoter::FitsBudget(const Fetch::State& state) const {
  if (core_.pin_bytes() == 0) return true;
  uint64_t bytes = core_.pin_bytes();
  for (const BlockId id : state.ids) {
    if (!core_.IsPinned(id)) bytes += core_.PinBytesOf(id);
  }
  return bytes <= bound_.high_mark() / 2;
}

void Promoter::Grant(Fetch::State* state) {
  state->granted = true;
  for (const BlockId id : state->ids) core_.Pin(id);
  state->missing = 1;  // So that reads answered at once do not finish it before all were begun.
  for (const BlockId id : state->ids) {
    if (core_.table().StateOf(id) == BlockState::kCold) Await(id, state);
  }
  --state->missing;
  if (state->missing == 0 && !state->ready) MakeReady(state);
}

void Promoter::Await(BlockId id, Fetch::State* state) {
  ++misses_;
  ++state->missing;
  core_.AddMiss(id);
  if (PromotingRead* const* found = reads_.Find(id)) {
    PromotingRead* read = *found;
    read->waiters.push_back(state);
    if (state->urgent && read->in_line) busy_.splice(busy_.begin(), busy_, *read->in_line);
    return;
  }
  auto owned = std::make_unique<PromotingRead>();
  PromotingRead* read = owned.release();
  read->promoter = this;
  read->id = id;
  read->started_us = clock_.NowUs();
  read->waiters.push_back(state);
  read->read_done = [](store::ReadRequest& request, Result<store::ReadBuffer> result) noexcept {
    auto* arrived = static_cast<PromotingRead*>(&request);
    --arrived->promoter->reads_inflight_;
    arrived->promoter->OnRead(arrived, std::move(result));
  };
  reads_[id] = read;
  core_.AddReference(id);
  const bool its_turn = state->urgent || busy_.empty();
  if (its_turn && Submit(read)) return;
  read->in_line = busy_.insert(its_turn ? busy_.begin() : busy_.end(), read);
}

bool Promoter::Submit(PromotingRead* read) {
  read->place = core_.table().PlaceOf(read->id);
  ++reads_inflight_;
  const Result<void> accepted = store_->Read(read);
  if (accepted) return true;
  --reads_inflight_;
  if (accepted.code() == Code::kBusy) return false;
  OnRead(read, accepted.error());
  return true;
}

void Promoter::Turn() {
  unpinned_since_turn_ = false;
  while (!busy_.empty()) {
    const auto place = busy_.begin();
    PromotingRead* read = *place;
    if (read->dropped) {
      core_.DropReference(read->id);
      delete read;
    } else if (read->in_line.reset(); !Submit(read)) {
      read->in_line = place;
      break;
    }
    busy_.erase(place);
  }
  while (!pending_.empty()) {
    Fetch::State* state = pending_.front();
    if (!state->abandoned) {
      if (StillUnfit()) break;
      if (!FitsBudget(*state)) {
        unfit_ = Unfit{core_.pin_bytes(), bound_.high_mark()};
        break;
      }
    }
    unfit_.reset();
    pending_.pop_front();
    state->pending = false;
    if (state->abandoned) {
      state->DeleteIfDone();
    } else {
      Grant(state);
    }
  }
}

void Promoter::OnRead(PromotingRead* read, Result<store::ReadBuffer> result) {
  const std::unique_ptr<PromotingRead> self(read);
  const BlockId id = read->id;
  if (read->dropped) {
    ++dropped_reads_;
    if (result) base::Release(result->memory);
    core_.DropReference(id);
    return;
  }
  reads_.Erase(id);
  std::optional<Code> failure;
  if (result) {
    latencies_.Add(clock_.NowUs() - read->started_us);
    core_.Promote(id, *result);
  } else {
    ++fetch_errors_;
    failure = result.code();
  }
  for (Fetch::State* state : read->waiters) TellWaiter(state, failure);
  if (result) demoter_.OnUnpinned(id);  // All who wanted it may have left.
  core_.DropReference(id);
}

void Promoter::OnHeldFreed(BlockId id) {
  unfit_.reset();  // It may be one of the blocks that did not fit.
  PromotingRead* const* const found = reads_.Find(id);
  if (found == nullptr) return;
  PromotingRead* const read = *found;
  reads_.Erase(id);
  read->dropped = true;
  for (Fetch::State* state : std::exchange(read->waiters, {})) TellWaiter(state, std::nullopt);
}

void Promoter::TellWaiter(Fetch::State* state, std::optional<Code> failure) {
  --state->missing;
  if (state->abandoned) {
    state->DeleteIfDone();
    return;
  }
  if (failure && !state->failure) state->failure = failure;
  if (!state->ready && (state->missing == 0 || failure)) MakeReady(state);
}

void Promoter::MakeReady(Fetch::State* state) {
  state->ready = true;
  if (!state->on_ready) return;
  state->due = true;
  deliveries_.Add(state);
}

void Promoter::Release(Fetch::State* state) {
  state->abandoned = true;
  const base::Few<BlockId, 1> ids = std::exchange(state->ids, {});
  for (const BlockId id : ids) {
    if (state->granted) {
      core_.Unpin(id);
      demoter_.OnUnpinned(id);
    }
    core_.DropReference(id);
  }
  unpinned_since_turn_ = unpinned_since_turn_ || state->granted || state->pending;
  state->DeleteIfDone();
}

// --- Reads past the cache
// -----------------------------------------------------------------------------

Result<void> Promoter::ReadDetached(BlockId id, DetachedDone done) {
  const BlockState state = core_.table().StateOf(id);
  if (state == BlockState::kFree) return Code::kGone;
  auto owned = std::make_unique<DetachedRead>();
  owned->promoter = this;
  owned->callback = std::move(done);
  owned->id = id;
  if (state != BlockState::kCold) {
    const Bytes bytes = core_.table().HotOf(id)->bytes();
    auto* memory = static_cast<std::byte*>(base::Allocate(kHotHeaderBytes + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), memory + kHotHeaderBytes);
    owned->arrived = store::ReadBuffer{memory, static_cast<uint32_t>(bytes.size())};
    core_.AddReference(id);
    deliveries_.Add(owned.release());
    return {};
  }
  owned->place = core_.table().PlaceOf(id);
  owned->owner_bytes = core_.OwnerBytesOf(id);
  owned->read_done = [](store::ReadRequest& request, Result<store::ReadBuffer> result) noexcept {
    auto* read = static_cast<DetachedRead*>(&request);
    read->promoter->OnDetachedRead(read, std::move(result));
  };
  // An answer from within Read is queued, so the object outlives the call either way.
  core_.AddReference(id);
  ++reads_inflight_;
  Result<void> accepted = store_->Read(owned.get());
  if (!accepted) {
    --reads_inflight_;
    core_.DropReference(id);
    return accepted;
  }
  static_cast<void>(owned.release());
  return {};
}

void Promoter::OnDetachedRead(DetachedRead* read, Result<store::ReadBuffer> result) {
  --reads_inflight_;
  read->arrived = std::move(result);
  deliveries_.Add(read);
}

}  // namespace flash::blocks
