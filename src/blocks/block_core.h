// block_core.h: what happens to memory, places, queues and sums when a block changes its state.
//
// Everything between the bare table and the parts that decide (demoter, promoter): each function
// here is one event of docs/adr/0004 with all its side effects. Neither waits nor chooses. Thread:
// main; CopyInChild's way through it also in a forked child.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "base/flat_map.h"
#include "blocks/block_owner.h"
#include "blocks/block_table.h"
#include "blocks/s3_fifo.h"
#include "store/record_store.h"

namespace flash::blocks {

class BlockCore {
 public:
  /// Charges of hot blocks, in bytes.
  struct Sums {
    uint64_t hot = 0;
    uint64_t hot_peak = 0;  ///< Most of it and of what is held, since ResetPeak.
    uint64_t pinned = 0;
    uint64_t demoting = 0;
    uint64_t load = 0;       ///< Hot and not pinned: what the cache bound is about.
    uint64_t evictable = 0;  ///< Part of load, not on its way out.
    uint64_t clean = 0;      ///< Part of evictable that can leave without a write.
  };

  /// Told when a block ended whose id somebody holds.
  class HeldListener {
   public:
    virtual ~HeldListener() = default;
    virtual void OnHeldFreed(BlockId id) = 0;
  };

  explicit BlockCore(BlockTable* table) : table_(*table), fifo_(table) {}
  ~BlockCore();
  BlockCore(const BlockCore&) = delete;
  BlockCore& operator=(const BlockCore&) = delete;

  void Connect(store::RecordStore* store, HeldListener* listener);

  [[nodiscard]] const BlockTable& table() const { return table_; }
  [[nodiscard]] S3Fifo& fifo() { return fifo_; }
  [[nodiscard]] const S3Fifo& fifo() const { return fifo_; }
  [[nodiscard]] const Sums& sums() const { return sums_; }
  /// RAM taken beside blocks, for the peak.
  void SetHeld(uint64_t bytes) {
    held_ = bytes;
    NotePeak();
  }
  void ResetPeak() { sums_.hot_peak = sums_.hot + held_; }

  // --- Life
  // ---------------------------------------------------------------------------------------

  /// kCreate: a new dirty block of uninitialised bytes in the small queue.
  [[nodiscard]] BlockId Create(uint32_t bytes, BlockOwner* owner);

  /// kCreateCold in two steps, since the put must be accepted under the new id first.
  [[nodiscard]] BlockId Reserve() { return table_.Allocate(); }
  /// What the block will be, before it is one: for the put. Either call ends it.
  [[nodiscard]] static HotBlock* Draft(BlockId id, Bytes payload, BlockOwner* owner);
  void Discard(BlockId id, HotBlock* draft);
  void CreateDemoting(BlockId id, uint32_t ticket, HotBlock* draft);

  /// kWrite, if it changes anything: a record names its block's owner.
  void SetOwner(BlockId id, BlockOwner* owner);
  /// What the owner's word takes behind the payload in the block's record.
  [[nodiscard]] uint32_t OwnerBytesOf(BlockId id) const {
    return table_.Has(id, Flag::kOwned) ? kOwnerBytes : 0;
  }
  void Share(BlockId id);

  /// kFree, once the last holder came.
  void Free(BlockId id);

  // --- Changes of the bytes
  // -------------------------------------------------------------------------

  /// kWrite.
  HotBlock* Write(BlockId id) {
    if (table_.IsDirtyAlone(id)) [[likely]]
      return table_.HotOf(id);
    return MakeDirty(id);
  }
  HotBlock* Resize(BlockId id, uint32_t bytes);

  // --- To flash and back
  // ----------------------------------------------------------------------------

  /// kDemote: a put with `ticket` was accepted. `by_policy`: the ghost is to remember it.
  void StartPut(BlockId id, uint32_t ticket, bool by_policy);
  /// kStored or kStoredPinned; false: an orphan.
  [[nodiscard]] bool Stored(BlockId id, uint32_t ticket, store::Place place);
  /// kPutFailed; false: an orphan.
  bool PutFailed(BlockId id, uint32_t ticket);
  /// kEvict.
  void Evict(BlockId id);
  /// kPromote; takes the memory.
  void Promote(BlockId id, store::ReadBuffer buffer);
  /// kPlaceLost, if the block is clean with that place.
  void LosePlace(BlockId id, store::Place place);
  [[nodiscard]] bool PointsAt(BlockId id, store::Place place) const;
  [[nodiscard]] bool Move(BlockId id, store::Place from, store::Place to);

  // --- Holding ids and pinning bytes
  // ----------------------------------------------------------------

  void AddReference(BlockId id);
  void DropReference(BlockId id);
  /// Under a reference of the caller's.
  void Pin(BlockId id);
  void Unpin(BlockId id);
  [[nodiscard]] bool IsPinned(BlockId id) const;
  /// Bytes that the blocks with a pin take or, while cold, are thought to take.
  [[nodiscard]] uint64_t pin_bytes() const { return pin_bytes_; }
  [[nodiscard]] uint64_t PinBytesOf(BlockId id) const;
  /// A fetch of the held block was a miss / a touch of it came: was that the touch of a miss?
  void AddMiss(BlockId id) { ++holds_[id].misses; }
  [[nodiscard]] bool TakeMiss(BlockId id);

  // --- Counts
  // -------------------------------------------------------------------------------------

  [[nodiscard]] size_t puts_inflight() const { return puts_.size(); }
  [[nodiscard]] uint64_t cold_single_blocks() const { return cold_single_blocks_; }
  [[nodiscard]] uint64_t shared_blocks() const { return extra_holders_.size(); }
  [[nodiscard]] uint64_t evictions() const { return evictions_; }
  /// Puts chosen by the policy that the store finished and the block took.
  [[nodiscard]] uint64_t demotions() const { return demotions_; }
  /// Grows whenever a block's bytes leave RAM, for whatever reason.
  [[nodiscard]] uint64_t departures() const { return departures_; }

 private:
  struct Put {
    uint32_t ticket = 0;
    Queue from = Queue::kSmall;
    bool by_policy = false;
  };
  struct Hold {
    uint32_t references = 0;
    uint32_t pins = 0;
    uint32_t misses = 0;
    uint64_t pin_bytes = 0;
  };
  using Flag = BlockTable::Flag;

  void Begin(BlockId id, HotBlock* hot, BlockEvent event);
  HotBlock* MakeDirty(BlockId id);
  HotBlock* Refit(BlockId id, uint32_t bytes, BlockOwner* owner);
  void ReleaseMemory(HotBlock* hot);
  /// Takes the block out of the sums, or puts it back: around each change of state, pins or size.
  void Uncount(BlockId id) { Count(id, false); }
  void Recount(BlockId id) { Count(id, true); }
  void Count(BlockId id, bool in);
  void TurnCold(BlockId id, HotBlock* hot, store::Place place);
  void NoteTemperature(BlockId id, BlockOwner* owner, bool cold);
  void RefreshPinBytes(BlockId id);
  void NotePeak() { sums_.hot_peak = std::max(sums_.hot_peak, sums_.hot + held_); }
  Queue DropTicket(BlockId id);
  [[nodiscard]] uint64_t HoldersOf(BlockId id) const;

  BlockTable& table_;
  S3Fifo fifo_;
  store::RecordStore* store_ = nullptr;
  HeldListener* listener_ = nullptr;
  Sums sums_;
  base::FlatMap<Put> puts_;                              // Blocks in kDemoting.
  base::FlatMap<Hold> holds_;                            // Blocks with Flag::kHeld.
  std::unordered_map<BlockId, uint32_t> extra_holders_;  // Blocks with Flag::kShared.
  uint64_t pin_bytes_ = 0;
  uint64_t held_ = 0;
  uint64_t cold_single_blocks_ = 0;
  uint64_t evictions_ = 0;
  uint64_t demotions_ = 0;
  uint64_t departures_ = 0;
};

}  // namespace flash::blocks
