// block_core.cc: each event of docs/adr/0004 with its side effects; see block_core.h.
//
// The order within each function: out of the sums, the transition, memory and place, back into the
// sums. What is released or freed follows from the state that the table answered, nothing else.
// Thread: main.
#include "blocks/block_core.h"

#include <algorithm>
#include <cstring>

#include "base/memory.h"

namespace flash::blocks {

BlockCore::~BlockCore() {
  for (BlockId id = 1; table_.Knows(id); ++id) {
    if (table_.IsHot(id)) base::Release(table_.HotOf(id));
  }
}

void BlockCore::Connect(store::RecordStore* store, HeldListener* listener) {
  store_ = store;
  listener_ = listener;
}

void BlockCore::Count(BlockId id, bool in) {
  if (!table_.IsHot(id)) return;
  const uint64_t charge = table_.HotOf(id)->charge();
  const uint64_t delta = in ? charge : uint64_t{0} - charge;
  const bool pinned = IsPinned(id);
  const BlockState state = table_.StateOf(id);
  const bool demoting = state == BlockState::kDemoting;
  sums_.hot += delta;
  NotePeak();
  if (demoting) sums_.demoting += delta;
  if (pinned) {
    sums_.pinned += delta;
  } else {
    sums_.load += delta;
    if (!demoting) sums_.evictable += delta;
    if (state == BlockState::kHotClean) sums_.clean += delta;
  }
}

// --- Life
// -----------------------------------------------------------------------------------------

namespace {

HotBlock* NewHot(BlockId id, uint32_t bytes, BlockOwner* owner) {
  const uint32_t owner_bytes = owner != nullptr ? kOwnerBytes : 0;
  auto* hot = static_cast<HotBlock*>(base::Allocate(kHotHeaderBytes + bytes + owner_bytes));
  hot->Init(id, bytes);
  hot->set_owner(owner);
  return hot;
}

}  // namespace

void BlockCore::Begin(BlockId id, HotBlock* hot, BlockEvent event) {
  table_.Apply(id, event);
  table_.Point(id, hot);
  table_.Set(id, Flag::kOwned, hot->owner() != nullptr);
  Recount(id);
}

BlockId BlockCore::Create(uint32_t bytes, BlockOwner* owner) {
  const BlockId id = table_.Allocate();
  Begin(id, NewHot(id, bytes, owner), BlockEvent::kCreate);
  fifo_.InsertNew(id);
  return id;
}

HotBlock* BlockCore::Draft(BlockId id, Bytes payload, BlockOwner* owner) {
  HotBlock* draft = NewHot(id, static_cast<uint32_t>(payload.size()), owner);
  std::memcpy(draft->payload(), payload.data(), payload.size());
  return draft;
}

void BlockCore::Discard(BlockId id, HotBlock* draft) {
  base::Release(draft);
  table_.Recycle(id);
}

void BlockCore::CreateDemoting(BlockId id, uint32_t ticket, HotBlock* draft) {
  Begin(id, draft, BlockEvent::kCreateCold);
  puts_[id] = Put{ticket, Queue::kSmall, false};
}

void BlockCore::SetOwner(BlockId id, BlockOwner* owner) {
  if (table_.HotOf(id)->owner() == owner) return;
  Refit(id, table_.HotOf(id)->size(), owner);
  table_.Set(id, Flag::kOwned, owner != nullptr);
}

uint64_t BlockCore::HoldersOf(BlockId id) const {
  return table_.Has(id, Flag::kShared) ? extra_holders_.at(id) + uint64_t{1} : 1;
}

void BlockCore::Share(BlockId id) {
  FLASH_CHECK(table_.StateOf(id) != BlockState::kFree);
  uint32_t& extra = extra_holders_[id];
  FLASH_CHECK(extra < UINT32_MAX);
  ++extra;
  table_.Set(id, Flag::kShared, true);
  if (table_.StateOf(id) == BlockState::kCold && !table_.Has(id, Flag::kOwned)) {
    ++cold_single_blocks_;
  }
}

void BlockCore::Free(BlockId id) {
  const BlockState state = table_.StateOf(id);
  FLASH_CHECK(state != BlockState::kFree);
  const bool cold = state == BlockState::kCold;
  if (cold && !table_.Has(id, Flag::kOwned)) --cold_single_blocks_;
  if (table_.Has(id, Flag::kShared)) {
    const auto extra = extra_holders_.find(id);
    if (--extra->second == 0) {
      extra_holders_.erase(extra);
      table_.Set(id, Flag::kShared, false);
    }
    return;
  }
  if (cold) {
    const store::Place place = table_.PlaceOf(id);
    table_.Apply(id, BlockEvent::kFree);
    store_->Free(place);
    fifo_.Forget(id);
  } else {
    HotBlock* hot = table_.HotOf(id);
    Uncount(id);
    fifo_.Remove(id);
    if (state == BlockState::kDemoting) DropTicket(id);
    table_.Apply(id, BlockEvent::kFree);
    if (state == BlockState::kHotClean) store_->Free(hot->place());
    ReleaseMemory(hot);
  }
  table_.Set(id, Flag::kOwned, false);
  table_.Point(id, nullptr);
  if (table_.Has(id, Flag::kHeld)) {
    RefreshPinBytes(id);
    listener_->OnHeldFreed(id);
  } else {
    table_.Recycle(id);
  }
}

void BlockCore::ReleaseMemory(HotBlock* hot) {
  base::Release(hot);
  ++departures_;
}

// --- Changes of the bytes
// ---------------------------------------------------------------------------

HotBlock* BlockCore::MakeDirty(BlockId id) {
  FLASH_CHECK(!table_.Has(id, Flag::kShared));
  const BlockState before = table_.StateOf(id);
  HotBlock* hot = table_.HotOf(id);
  Uncount(id);
  const BlockState after = table_.Apply(id, BlockEvent::kWrite);
  if (after == BlockState::kHotDirty) {
    if (before == BlockState::kHotClean) store_->Free(hot->place());
    if (before == BlockState::kDemoting) fifo_.Return(id, DropTicket(id));
  }
  Recount(id);
  return hot;
}

HotBlock* BlockCore::Resize(BlockId id, uint32_t bytes) {
  return Refit(id, bytes, table_.HotOf(id)->owner());
}

HotBlock* BlockCore::Refit(BlockId id, uint32_t bytes, BlockOwner* owner) {
  HotBlock* hot = Write(id);
  const uint64_t charge_before = hot->charge();
  const uint32_t owner_bytes = owner != nullptr ? kOwnerBytes : 0;
  const size_t whole = kHotHeaderBytes + bytes + owner_bytes;
  Uncount(id);
  // A block that grows often still fits what the allocator gave; one that shrinks gives it back.
  if (charge_before > HotCharge(bytes + owner_bytes) || base::UsableSize(hot) < whole) {
    // The links are ids, so the neighbours in the queue need not know that the block moved.
    auto* moved = static_cast<HotBlock*>(base::Allocate(whole));
    const size_t kept = kHotHeaderBytes + std::min(hot->size(), bytes);
    std::memcpy(static_cast<void*>(moved), hot, kept);
    base::Release(hot);
    hot = moved;
    table_.Point(id, hot);
  }
  hot->set_size(bytes);
  hot->set_owner(owner);
  fifo_.Resized(id, charge_before);
  Recount(id);
  if (IsPinned(id)) RefreshPinBytes(id);
  return hot;
}

// --- To flash and back
// ------------------------------------------------------------------------------

void BlockCore::StartPut(BlockId id, uint32_t ticket, bool by_policy) {
  Uncount(id);
  const Queue from = fifo_.Remove(id);
  table_.Apply(id, BlockEvent::kDemote);
  puts_[id] = Put{ticket, from, by_policy};
  Recount(id);
}

Queue BlockCore::DropTicket(BlockId id) {
  const Queue from = puts_.At(id).from;
  puts_.Erase(id);
  return from;
}

bool BlockCore::Stored(BlockId id, uint32_t ticket, store::Place place) {
  const BlockEvent event = IsPinned(id) ? BlockEvent::kStoredPinned : BlockEvent::kStored;
  // The state tells an orphan whose block was written to or freed; the ticket, one whose block is
  // being put again.
  if (!Next(table_.StateOf(id), event)) return false;
  const Put* const put = puts_.Find(id);
  if (put != nullptr && put->ticket != ticket) return false;

  HotBlock* hot = table_.HotOf(id);
  Uncount(id);
  fifo_.Remove(id);  // It is in none: blocks leave their queue when their put starts.
  const BlockState after = table_.Apply(id, event);
  const bool by_policy = put != nullptr && put->by_policy;
  const Queue from = put != nullptr ? DropTicket(id) : Queue::kSmall;
  demotions_ += by_policy ? 1 : 0;
  if (after == BlockState::kCold) {
    TurnCold(id, hot, place);
    if (by_policy && from == Queue::kSmall) fifo_.Remember(id);
  } else {
    hot->set_place(place);
    fifo_.Return(id, from);
    Recount(id);
  }
  return true;
}

bool BlockCore::PutFailed(BlockId id, uint32_t ticket) {
  if (!Next(table_.StateOf(id), BlockEvent::kPutFailed)) return false;
  if (puts_.At(id).ticket != ticket) return false;
  Uncount(id);
  table_.Apply(id, BlockEvent::kPutFailed);
  fifo_.Return(id, DropTicket(id));
  Recount(id);
  return true;
}

void BlockCore::Evict(BlockId id) {
  HotBlock* hot = table_.HotOf(id);
  Uncount(id);
  if (fifo_.Remove(id) == Queue::kSmall) fifo_.Remember(id);
  table_.Apply(id, BlockEvent::kEvict);
  TurnCold(id, hot, hot->place());
}

/// The state says kCold already: the RAM copy goes, the place takes its stead.
void BlockCore::TurnCold(BlockId id, HotBlock* hot, store::Place place) {
  BlockOwner* const owner = hot->owner();
  table_.Point(id, place);
  ReleaseMemory(hot);
  ++evictions_;
  NoteTemperature(id, owner, true);
}

void BlockCore::Promote(BlockId id, store::ReadBuffer buffer) {
  auto* hot = reinterpret_cast<HotBlock*>(buffer.memory);
  hot->InitStored(id, buffer.payload_bytes, table_.Has(id, Flag::kOwned));
  hot->set_place(table_.PlaceOf(id));
  table_.Apply(id, BlockEvent::kPromote);
  table_.Point(id, hot);
  fifo_.InsertPromoted(id);
  Recount(id);
  if (IsPinned(id)) RefreshPinBytes(id);
  NoteTemperature(id, hot->owner(), false);
}

void BlockCore::NoteTemperature(BlockId id, BlockOwner* owner, bool cold) {
  if (owner != nullptr) {
    owner->OnTemperature(id, cold);
  } else if (cold) {
    cold_single_blocks_ += HoldersOf(id);
  } else {
    cold_single_blocks_ -= HoldersOf(id);
  }
}

bool BlockCore::PointsAt(BlockId id, store::Place place) const {
  if (!table_.Knows(id)) return false;
  switch (table_.StateOf(id)) {
    case BlockState::kCold:
      return table_.PlaceOf(id) == place;
    case BlockState::kHotClean:
      return table_.HotOf(id)->place() == place;
    default:
      return false;
  }
}

void BlockCore::LosePlace(BlockId id, store::Place place) {
  FLASH_CHECK(table_.StateOf(id) == BlockState::kHotClean && PointsAt(id, place));
  Uncount(id);
  table_.Apply(id, BlockEvent::kPlaceLost);
  Recount(id);
  store_->Free(place);
}

bool BlockCore::Move(BlockId id, store::Place from, store::Place to) {
  if (!PointsAt(id, from)) return false;
  if (table_.StateOf(id) == BlockState::kCold) {
    table_.Point(id, to);
  } else {
    table_.HotOf(id)->set_place(to);
  }
  return true;
}

// --- Holding ids and pinning bytes
// ------------------------------------------------------------------

void BlockCore::AddReference(BlockId id) {
  ++holds_[id].references;
  table_.Set(id, Flag::kHeld, true);
}

void BlockCore::DropReference(BlockId id) {
  Hold& hold = holds_.At(id);
  if (--hold.references > 0) return;
  FLASH_CHECK(hold.pins == 0);
  holds_.Erase(id);
  table_.Set(id, Flag::kHeld, false);
  if (table_.StateOf(id) == BlockState::kFree) table_.Recycle(id);
}

bool BlockCore::IsPinned(BlockId id) const {
  return table_.Has(id, Flag::kHeld) && holds_.At(id).pins > 0;
}

uint64_t BlockCore::PinBytesOf(BlockId id) const {
  if (table_.IsHot(id)) return table_.HotOf(id)->charge();
  if (table_.StateOf(id) == BlockState::kCold) return HotCharge(table_.PlaceOf(id).bytes());
  return 0;
}

void BlockCore::RefreshPinBytes(BlockId id) {
  Hold& hold = holds_.At(id);
  pin_bytes_ -= hold.pin_bytes;
  hold.pin_bytes = hold.pins > 0 ? PinBytesOf(id) : 0;
  pin_bytes_ += hold.pin_bytes;
}

// Only the first pin and the end of the last one change a sum.

void BlockCore::Pin(BlockId id) {
  Hold& hold = holds_.At(id);
  if (hold.pins > 0) {
    ++hold.pins;
    return;
  }
  Uncount(id);
  hold.pins = 1;
  Recount(id);
  RefreshPinBytes(id);
}

void BlockCore::Unpin(BlockId id) {
  Hold& hold = holds_.At(id);
  FLASH_CHECK(hold.pins > 0);
  if (hold.pins > 1) {
    --hold.pins;
    return;
  }
  Uncount(id);
  hold.pins = 0;
  Recount(id);
  RefreshPinBytes(id);
}

bool BlockCore::TakeMiss(BlockId id) {
  Hold& hold = holds_.At(id);
  if (hold.misses == 0) return false;
  --hold.misses;
  return true;
}

}  // namespace flash::blocks
