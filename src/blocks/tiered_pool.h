// tiered_pool.h: the BlockPool of the module: the parts put together, one turn of Drive, waiting.
//
// Also the store's RecordOwner: its questions go to the demoter and the core. What the functions do
// is said in block_pool.h. Thread: main. Decision: docs/adr/0005.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "blocks/block_core.h"
#include "blocks/block_pool.h"
#include "blocks/cache_bound.h"
#include "blocks/deliveries.h"
#include "blocks/demoter.h"
#include "blocks/promoter.h"
#include "blocks/put_health.h"
#include "blocks/room_gate.h"

namespace flash::blocks {

class TieredPool final : public BlockPool, private store::RecordOwner {
 public:
  /// Opens a store over `backend` (null without tiering) and a pool over it. Both outlive the pool.
  [[nodiscard]] static Result<std::unique_ptr<TieredPool>> Open(const Options& options,
                                                                io::Backend* backend,
                                                                const base::Clock* clock);
  /// The same with a store of the caller's making. For tests.
  [[nodiscard]] static Result<std::unique_ptr<TieredPool>> OpenWith(const Options& options,
                                                                    io::Backend* backend,
                                                                    const base::Clock* clock,
                                                                    const StoreMaker& maker);
  TieredPool(const Options& options, const base::Clock* clock);
  ~TieredPool() override;

  /// Where the record of a cold or clean block is; nothing in other states. For the simulator.
  [[nodiscard]] std::optional<store::Place> PlaceOf(BlockId id) const;

  [[nodiscard]] uint32_t block_bytes_max() const override;
  [[nodiscard]] BlockId Create(uint32_t bytes, MutableBytes* to_fill,
                               BlockOwner* owner = nullptr) override;
  [[nodiscard]] Result<BlockId> CreateCold(Bytes payload, BlockOwner* owner = nullptr) override;
  [[nodiscard]] BlockState StateOf(BlockId id) const override { return table_.StateOf(id); }
  [[nodiscard]] bool IsHot(BlockId id) const override { return table_.IsHot(id); }
  [[nodiscard]] Bytes Read(BlockId id) const override {
    const HotBlock* hot = table_.HotOf(id);
    return hot->bytes();
  }
  void SetQuiet(bool quiet) override { quiet_ = quiet; }
  [[nodiscard]] Bytes Touch(BlockId id) override {
    HotBlock* hot = table_.HotOf(id);
    if (quiet_) [[unlikely]]
      return hot->bytes();
    const bool was_miss = table_.Has(id, BlockTable::Flag::kHeld) && core_.TakeMiss(id);
    if (was_miss) [[unlikely]]
      return hot->bytes();
    ++stats_.hits;
    const uint32_t uses = hot->uses();
    if (uses < HotBlock::kUsesMax) hot->set_uses(uses + 1);
    return hot->bytes();
  }
  void PrefetchEntry(BlockId id) const override { table_.Prefetch(id); }
  void Prefetch(BlockId id) const override {
    if (table_.IsHot(id)) __builtin_prefetch(table_.HotOf(id));
  }
  [[nodiscard]] MutableBytes Write(BlockId id) override { return core_.Write(id)->bytes(); }
  [[nodiscard]] MutableBytes Resize(BlockId id, uint32_t bytes) override;
  void Share(BlockId id) override { core_.Share(id); }
  [[nodiscard]] bool IsShared(BlockId id) const override {
    return table_.Has(id, BlockTable::Flag::kShared);
  }
  void SetOwner(BlockId id, BlockOwner* owner) override { core_.SetOwner(id, owner); }
  void Free(BlockId id) override;
  [[nodiscard]] uint64_t FootprintOf(BlockId id) const override;
  [[nodiscard]] bool IsOnFlash(BlockId id) const override;

  [[nodiscard]] Fetch StartFetch(std::span<const BlockId> ids,
                                 std::function<void()> on_ready) override;
  [[nodiscard]] Fetch StartFetchAhead(std::span<const BlockId> ids) override;
  [[nodiscard]] Fetch FetchNow(std::span<const BlockId> ids, WaitCause cause) override;
  [[nodiscard]] Result<void> ReadDetached(BlockId id, DetachedDone done) override;
  [[nodiscard]] Result<void> CopyNow(BlockId id, WaitCause cause,
                                     std::vector<std::byte>* into) override;
  [[nodiscard]] Result<void> CopyNow(std::span<const BlockCopy> copies, WaitCause cause) override;
  [[nodiscard]] Result<void> CopyInChild(BlockId id, store::SnapshotSource& source,
                                         std::vector<std::byte>* into) const override;
  void CopyMany(std::span<const BlockId> ids, store::SnapshotSource& source,
                const VisitBytes& visit) const override;
  [[nodiscard]] BlockId block_ids_end() const override { return table_.end(); }
  void ForEachColdSingle(uint64_t offset_begin, uint64_t offset_end,
                         const VisitCold& visit) const override;
  [[nodiscard]] uint64_t OffsetOf(BlockId id) const override { return table_.PlaceOf(id).offset(); }
  void CountWait(WaitCause cause, uint64_t wait_us) override {
    ++stats_.waits[static_cast<size_t>(cause)];
    stats_.wait_us[static_cast<size_t>(cause)] += wait_us;
  }

  [[nodiscard]] Result<void> Admit(uint64_t bytes) override { return gate_.Admit(bytes); }
  [[nodiscard]] bool HasRoom(uint64_t bytes) const { return gate_.HasRoom(bytes); }
  [[nodiscard]] Result<RoomGrant> AwaitRoom(uint64_t bytes, WaitCause cause) override;
  [[nodiscard]] Result<void> AwaitRoomFor(uint64_t bytes, WaitCause cause, const Attempt& attempt,
                                          uint64_t patience_us = 0) override;
  [[nodiscard]] uint64_t StuckBytes() override { return demoter_.StuckBytes(); }
  [[nodiscard]] bool IsPinned(BlockId id) const override { return core_.IsPinned(id); }
  void WaitForRoom(uint64_t bytes, RoomWaiter* waiter) override;
  void Forget(RoomWaiter* waiter) override { gate_.Forget(waiter); }
  [[nodiscard]] Result<bool> Demote(BlockId id) override { return demoter_.Demote(id); }

  void Drive(Deliver deliver) override;
  bool DriveUntil(WaitCause cause, const std::function<bool()>& satisfied,
                  uint64_t timeout_us = 0) override;
  [[nodiscard]] bool WantsDrive() const override;

  void HoldBytes(int64_t bytes, int64_t pinned_bytes) override;
  void SetCacheBytes(uint64_t bytes) override;
  void SetPressureLimit(uint64_t bytes) override { bound_.SetPressureLimit(bytes); }
  void SetFreesPending(std::function<bool()> pending) override {
    gate_.SetFreesPending(std::move(pending));
  }
  void SetDemotionLimits(uint32_t batch, uint32_t inflight_max) override {
    demoter_.SetLimits(batch, inflight_max);
  }
  void Freeze() override;
  void Thaw() override;
  [[nodiscard]] bool tiering() const override { return store_ != nullptr && !retired_; }
  [[nodiscard]] bool has_store() const override { return store_ != nullptr; }
  [[nodiscard]] store::RecordStore& store() override;
  [[nodiscard]] Result<void> OpenStore(io::Backend* backend, const StoreMaker& maker) override;
  void Retire() override;
  void Resume() override;
  [[nodiscard]] bool MayCloseStore() const override;
  void CloseStore() override;
  [[nodiscard]] bool ComesDown() const override { return bound_.descends(); }
  [[nodiscard]] const store::RecordStore::Stats& store_stats() override;
  void RequestCompaction(uint32_t dead_percent_min) override;
  [[nodiscard]] uint64_t passes_done() const override;
  [[nodiscard]] const Stats& stats() override;

 private:
  // --- store::RecordOwner ---
  [[nodiscard]] bool OnPut(BlockId id, uint32_t ticket, store::Place place) override;
  void OnPutFailed(BlockId id, uint32_t ticket, Code code) override;
  [[nodiscard]] bool IsLive(BlockId id, store::Place place) const override;
  [[nodiscard]] bool GiveUp(BlockId id, store::Place place) override;
  [[nodiscard]] bool OnMoved(BlockId id, store::Place from, store::Place to) override;

  /// Steps 1 to 5 of docs/adr/0005.
  void Turn();
  void RunCallbacks();
  struct CopyRead;
  /// Copies a hot block, or begins to read a cold one; false: the store is busy.
  [[nodiscard]] bool BeginCopy(CopyRead* read);
  /// Everything that was not copied yet. The reads have ended when it returns.
  [[nodiscard]] Result<void> CopyAll(std::span<CopyRead> reads, WaitCause cause);
  void Connect(store::RecordStore* store);
  [[nodiscard]] uint64_t CountOf(BlockState state) const {
    return table_.counts()[static_cast<size_t>(state)];
  }
  /// Retired, and nothing is left on flash but copies of hot blocks.
  [[nodiscard]] bool OnlyPlacesLeft() const;
  /// Makes clean blocks dirty, some at a time.
  void GiveUpPlaces(uint64_t deadline_us);
  void CheckThread() const { FLASH_DCHECK(std::this_thread::get_id() == owner_thread_); }

  BlockTable table_;  // First: the hot path needs nothing else.
  Stats stats_;
  bool quiet_ = false;
  const base::Clock& clock_;
  io::Backend* backend_ = nullptr;  // The store's.
  Deliveries deliveries_;
  BlockCore core_;
  CacheBound bound_;
  PutHealth health_;
  RoomGate gate_;
  Demoter demoter_;
  Promoter promoter_;
  const store::RecordStore::Options store_options_;
  const uint32_t block_bytes_max_;
  std::unique_ptr<store::RecordStore> store_;
  bool retired_ = false;
  BlockId places_cursor_ = kNoBlock;  // Of GiveUpPlaces.
  bool any_past_ = false;
  store::RecordStore::Stats past_sums_;  // Of stores that were closed.
  uint64_t past_passes_ = 0;
  store::RecordStore::Stats store_stats_;
  const std::thread::id owner_thread_ = std::this_thread::get_id();
  const uint64_t tick_us_;
  uint64_t read_us_of_ = 0;  // Reads that stats_.read_us is about.
  bool turning_ = false;
  bool delivering_ = false;
};

}  // namespace flash::blocks
