// demoter.h: keeps the hot bytes within their bound: which blocks leave RAM, when, and how.
//
// Asks S3-FIFO for victims, evicts clean ones, has the store put dirty ones, within a turn's time.
// How much has to go it learns from the bound and from the gate; what the store takes, from the
// health of puts. Knows nothing of reads. Thread: main. Decision: docs/adr/0005.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "blocks/block_core.h"
#include "blocks/cache_bound.h"
#include "blocks/put_health.h"
#include "blocks/room_gate.h"

namespace flash::blocks {

class Demoter {
 public:
  struct Options {
    uint32_t batch = 0;
    uint32_t inflight_max = 0;
    uint64_t tick_us = 0;
  };
  /// All outlive the demoter.
  struct Parts {
    const CacheBound* bound = nullptr;
    BlockCore* core = nullptr;
    PutHealth* health = nullptr;
    RoomGate* gate = nullptr;
    const base::Clock* clock = nullptr;
  };

  Demoter(const Options& options, const Parts& parts)
      : options_(options),
        bound_(*parts.bound),
        core_(*parts.core),
        health_(*parts.health),
        gate_(*parts.gate),
        clock_(*parts.clock) {}

  /// Null: nothing leaves RAM any more.
  void Connect(store::RecordStore* store);
  void SetLimits(uint32_t batch, uint32_t inflight_max);

  // --- The work of a turn
  // -------------------------------------------------------------------------

  /// Begins once the bound is passed and then demotes down to the slack below it: at most a batch a
  /// turn, at most until `deadline_us`.
  void Run(uint64_t deadline_us);
  /// Once per turn: has the store get to flash what Demote was asked for in it.
  void FlushIfWanted();
  /// The last Run stopped for time or batch, not for want of work.
  [[nodiscard]] bool wants_run() const { return wants_run_; }

  // --- Callers
  // ------------------------------------------------------------------------------------

  /// See BlockPool.
  [[nodiscard]] Result<BlockId> CreateCold(Bytes payload, BlockOwner* owner);
  [[nodiscard]] Result<bool> Demote(BlockId id);

  /// See BlockPool.
  [[nodiscard]] uint64_t StuckBytes();

  /// The last pin of a block went: a clean one beyond the bound leaves at once.
  void OnUnpinned(BlockId id);

  // --- The store's answers
  // ------------------------------------------------------------------------

  [[nodiscard]] bool OnPut(BlockId id, uint32_t ticket, store::Place place);
  void OnPutFailed(BlockId id, uint32_t ticket, Code code);
  [[nodiscard]] bool GiveUp(BlockId id, store::Place place);

  [[nodiscard]] uint32_t batch_effective() const;

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

  /// Evictable bytes above which a run begins, and down to which it goes.
  struct Marks {
    uint64_t begin = 0;
    uint64_t goal = 0;
  };
  [[nodiscard]] Marks MarksNow();
  [[nodiscard]] uint32_t inflight_max() const;
  Step DemoteVictim(BlockId id, Progress* run);
  [[nodiscard]] bool TimeIsUp(uint64_t deadline_us, Progress* run) const;
  void PassOver(BlockId id, Progress* run);
  Step PassOverDirty(BlockId id, Progress* run);
  Step PassOverLarge(BlockId id, Progress* run);
  void MeasureBatch(uint64_t began_us, const Progress& run);

  Options options_;
  const CacheBound& bound_;
  BlockCore& core_;
  PutHealth& health_;
  RoomGate& gate_;
  const base::Clock& clock_;
  store::RecordStore* store_ = nullptr;
  bool running_ = false;  // Between a beginning and its goal, over any number of turns.
  bool wants_run_ = false;
  bool flush_wanted_ = false;     // Demote was called since the last flush.
  uint64_t ns_per_block_ = 1000;  // Measured cost of a demotion on this thread.
};

}  // namespace flash::blocks
