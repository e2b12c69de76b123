// demoter.h: keeps the hot bytes within their bound: what leaves RAM, when, and who waits for it.
//
// Asks S3-FIFO for victims, evicts clean ones, has the store put dirty ones, adapts to what store
// and clock allow, refuses and parks writers at the hard mark. Knows nothing of reads. Thread:
// main. Decision: docs/adr/0005.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "blocks/block_core.h"
#include "blocks/room_queue.h"

namespace flash::blocks {

class Demoter {
 public:
  struct Options {
    uint64_t cache_bytes = 0;
    uint32_t batch = 0;
    uint32_t inflight_max = 0;
    uint64_t tick_us = 0;
    uint64_t room_wait_us_max = 0;
    uint64_t slow_device_wait_us_max = 0;
  };

  Demoter(const Options& options, BlockCore* core, Deliveries* deliveries,
          const base::Clock* clock);

  void Connect(store::RecordStore* store) { store_ = store; }

  // --- Settings
  // -----------------------------------------------------------------------------------

  void SetCacheBytes(uint64_t bytes);
  void SetPressureLimit(uint64_t bytes) { pressure_bytes_ = bytes; }
  void SetFreesPending(std::function<bool()> pending) { frees_pending_ = std::move(pending); }
  void SetLimits(uint32_t batch, uint32_t inflight_max);
  void SetFrozen(bool frozen) {
    frozen_ = frozen;
    vain_us_ = 0;
  }
  [[nodiscard]] uint64_t cache_bytes() const { return options_.cache_bytes; }
  /// The bound in force: the setting, or the pressure limit where that is lower.
  [[nodiscard]] uint64_t high_mark() const;
  [[nodiscard]] uint64_t hard_mark() const { return high_mark() + high_mark() / 10; }

  // --- The work of a turn
  // -------------------------------------------------------------------------

  /// Demotes until the bound holds, at most a batch, at most until `deadline_us`.
  void Run(uint64_t deadline_us);
  /// Answers writers in line.
  void ServeRoom();
  /// Once per turn, after the store's own work: partly filled buffers of demanded demotions leave.
  void FlushIfWanted();
  /// The last Run stopped for time or batch, not for want of work.
  [[nodiscard]] bool wants_run() const { return wants_run_; }
  [[nodiscard]] bool flush_wanted() const { return flush_wanted_; }

  // --- Callers
  // ------------------------------------------------------------------------------------

  [[nodiscard]] Result<void> Admit(uint64_t bytes);
  [[nodiscard]] RoomGrant Grant(uint64_t bytes) { return room_.Grant(bytes); }

  /// Somebody waits on this thread. No grant can be used up before he goes on, so none is given,
  /// and once nothing more can leave RAM those that live do not count against him: that would be a
  /// circle. The bound is passed by what is granted, for a moment.
  class WaitHere {
   public:
    WaitHere(Demoter* demoter, uint64_t bytes, uint64_t patience_us);
    WaitHere(const WaitHere&) = delete;
    WaitHere& operator=(const WaitHere&) = delete;
    ~WaitHere() { --demoter_.waits_here_; }
    /// Asked between turns: waiting longer for `bytes` is pointless. Where a wait of that patience
    /// ended so, the next lasts one turn, until something could be put again.
    [[nodiscard]] bool InVain();

   private:
    Demoter& demoter_;
    uint64_t bytes_;
    uint64_t patience_us_;
    uint64_t since_us_;
    bool turned_ = false;
  };

  [[nodiscard]] Result<BlockId> CreateCold(Bytes payload, BlockOwner* owner);
  [[nodiscard]] Result<bool> Demote(BlockId id);
  void WaitForRoom(uint64_t bytes, RoomWaiter* waiter);
  void Forget(RoomWaiter* waiter) { room_.Forget(waiter); }

  /// The last pin of a block went: a clean one beyond the bound leaves at once.
  void OnUnpinned(BlockId id);

  // --- The store's answers
  // ------------------------------------------------------------------------

  [[nodiscard]] bool OnPut(BlockId id, uint32_t ticket, store::Place place);
  void OnPutFailed(BlockId id, uint32_t ticket, Code code);
  [[nodiscard]] bool OnCompact(BlockId id, store::Place place);

  // --- Counts
  // -------------------------------------------------------------------------------------

  [[nodiscard]] uint32_t batch_effective() const;
  [[nodiscard]] uint64_t stalls() const { return stalls_; }
  void CountStall() { ++stalls_; }
  [[nodiscard]] size_t room_waiters() const { return room_.count(); }

 private:
  /// What a run may still do; see Run.
  struct Progress {
    uint32_t batch = 0;
    uint64_t looked = 0;
    S3Fifo::Passed passed;
    uint64_t skipped_dirty = 0;
    uint64_t refused_bytes = 0;  // Smallest payload for which the store had no room.
    bool any_put = false;
    uint64_t demoted = 0;
    uint64_t copied_bytes = 0;  // Since the last look at the clock.
  };
  enum class Step : uint8_t { kGoOn, kStop };

  [[nodiscard]] uint64_t Goal();
  [[nodiscard]] bool Fits(uint64_t bytes) const;
  [[nodiscard]] bool Hopeless(uint64_t bytes) const;
  /// The same while this thread waits: no pin goes meanwhile, the waiter's own least of all, and no
  /// end of a child is noticed.
  [[nodiscard]] bool HopelessToAwait(uint64_t bytes) const;
  [[nodiscard]] bool NothingCanBePut(uint64_t bytes) const;
  /// Nothing is on its way out of RAM, or what is has been for too long, and nothing else can go.
  [[nodiscard]] bool NothingMoreLeaves() const;
  /// Nothing has left RAM since `since_us`, or for `patience_us`.
  [[nodiscard]] bool Stalled(uint64_t since_us, uint64_t patience_us) const;
  /// The first in line.
  [[nodiscard]] bool WaitsInVain(const RoomQueue::Head& head) const;
  /// How long a writer waits so for `bytes`.
  [[nodiscard]] uint64_t PatienceUs(uint64_t bytes) const;
  void NoteProgress();
  [[nodiscard]] bool PutsPaused() const;
  [[nodiscard]] uint32_t inflight_max() const;
  Step DemoteVictim(BlockId id, Progress* run);
  [[nodiscard]] bool TimeIsUp(uint64_t deadline_us, Progress* run) const;
  void PassOver(BlockId id, Progress* run);
  Step PassOverDirty(BlockId id, Progress* run);
  Step PassOverLarge(BlockId id, Progress* run);
  [[nodiscard]] Result<void> TryPut(BlockId id, Bytes payload, uint32_t* ticket);
  void PausePuts();
  void MeasureBatch(uint64_t began_us, const Progress& run);

  Options options_;
  BlockCore& core_;
  const base::Clock& clock_;
  store::RecordStore* store_ = nullptr;
  RoomQueue room_;
  std::function<bool()> frees_pending_ = [] { return false; };
  uint64_t pressure_bytes_ = 0;
  uint64_t wanted_bytes_ = 0;  // Refused by Admit or CreateCold: the goal makes room for it.
  uint32_t next_ticket_ = 0;
  bool frozen_ = false;
  bool wants_run_ = false;
  bool flush_wanted_ = false;
  bool stuck_ = false;            // The last put was refused or failed.
  bool silent_ = false;           // What was on its way when a wait ended in vain still is.
  uint64_t vain_us_ = 0;          // So long somebody waited on this thread in vain, see WaitHere.
  uint64_t refused_bytes_ = 0;    // As Progress's, since a put last succeeded; 0: none.
  uint64_t pause_us_ = 0;         // Grows with each refusal for want of room.
  uint64_t paused_until_us_ = 0;  // Until then dirty blocks stay.
  uint64_t ns_per_block_ = 1000;  // Measured cost of a demotion on this thread.
  uint64_t departures_seen_ = 0;
  uint64_t progress_us_ = 0;  // When a block last left RAM.
  uint64_t stalls_ = 0;
  int waits_here_ = 0;  // WaitHeres that live.
};

}  // namespace flash::blocks
