// promoter.h: brings cold blocks to RAM for whoever needs them: one read per block, pins, pin
// budget.
//
// Also reads past the cache. Knows neither commands nor who leaves RAM; an unpinned block is the
// demoter's. Never waits: BlockPool does, around Turn.
// Thread: main. Decision: docs/adr/0005.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>

#include "base/clock.h"
#include "base/few.h"
#include "base/flat_map.h"
#include "blocks/block_core.h"
#include "blocks/cache_bound.h"
#include "blocks/deliveries.h"
#include "blocks/demoter.h"
#include "blocks/fetch.h"
#include "blocks/latency_histogram.h"

namespace flash::blocks {

struct Fetch::State final : Delivery {
  Promoter* promoter = nullptr;  // Null: the pool ended first.
  State* previous = nullptr;     // In the promoter's list of all.
  State* next = nullptr;
  base::Few<BlockId, 1> ids;
  std::function<void()> on_ready;
  size_t missing = 0;    // Reads that have not arrived.
  bool urgent = false;   // The main thread waits for it.
  bool pending = false;  // In line for its pins.
  bool granted = false;
  bool ready = false;
  bool due = false;        // Its on_ready is queued.
  bool abandoned = false;  // The handle is gone.
  std::optional<Code> failure;

  void Deliver() override;
  void Discard() override {
    due = false;
    DeleteIfDone();
  }
  void DeleteIfDone();
};

class Promoter final : public BlockCore::HeldListener {
 public:
  using DetachedDone = std::function<void(Result<std::span<const std::byte>>)>;

  Promoter(BlockCore* core, const CacheBound* bound, Demoter* demoter, Deliveries* deliveries,
           const base::Clock* clock)
      : core_(*core),
        bound_(*bound),
        demoter_(*demoter),
        deliveries_(*deliveries),
        clock_(*clock) {}
  ~Promoter() override;
  Promoter(const Promoter&) = delete;
  Promoter& operator=(const Promoter&) = delete;

  void Connect(store::RecordStore* store) { store_ = store; }

  /// `urgent`: granted out of turn and beyond the budget, since the main thread waits.
  [[nodiscard]] Fetch Start(std::span<const BlockId> ids, std::function<void()> on_ready,
                            bool urgent);
  [[nodiscard]] Result<void> ReadDetached(BlockId id, DetachedDone done);

  /// Retries what the store refused as busy and grants pins to those in line.
  void Turn();

  /// Fetches in line that a release may have made room for, or reads to retry.
  [[nodiscard]] bool wants_turn() const { return unpinned_since_turn_ && !pending_.empty(); }
  [[nodiscard]] size_t reads_inflight() const { return reads_inflight_; }
  /// No read is under way, or about to be.
  [[nodiscard]] bool reads_nothing() const {
    return reads_inflight_ == 0 && reads_.empty() && busy_.empty();
  }

  void OnHeldFreed(BlockId id) override;

  [[nodiscard]] const LatencyHistogram& latencies() const { return latencies_; }
  [[nodiscard]] uint64_t fetches() const { return fetches_; }
  [[nodiscard]] uint64_t misses() const { return misses_; }
  [[nodiscard]] uint64_t fetch_errors() const { return fetch_errors_; }
  [[nodiscard]] uint64_t dropped_reads() const { return dropped_reads_; }

 private:
  friend class Fetch;
  friend struct Fetch::State;
  struct PromotingRead;
  struct DetachedRead;

  [[nodiscard]] bool FitsBudget(const Fetch::State& state) const;
  /// The first in line did not fit when last asked, and there has not been more room since.
  [[nodiscard]] bool StillUnfit() const {
    return unfit_ && core_.pin_bytes() >= unfit_->pin_bytes &&
           bound_.high_mark() <= unfit_->high_mark;
  }
  void Enlist(Fetch::State* state);
  void Delist(Fetch::State* state);
  void Grant(Fetch::State* state);
  void Await(BlockId id, Fetch::State* state);
  /// Offers a read to the store, which may answer, and so end, it at once. False: refused for now.
  [[nodiscard]] bool Submit(PromotingRead* read);
  void OnRead(PromotingRead* read, Result<store::ReadBuffer> result);
  void OnDetachedRead(DetachedRead* read, Result<store::ReadBuffer> result);
  void TellWaiter(Fetch::State* state, std::optional<Code> failure);
  void MakeReady(Fetch::State* state);
  void Release(Fetch::State* state);

  BlockCore& core_;
  const CacheBound& bound_;
  Demoter& demoter_;
  Deliveries& deliveries_;
  const base::Clock& clock_;
  store::RecordStore* store_ = nullptr;
  struct Unfit {
    uint64_t pin_bytes;
    uint64_t high_mark;
  };

  base::FlatMap<PromotingRead*> reads_;  // Of blocks that still want them.
  std::list<PromotingRead*> busy_;       // Refused as busy; the urgent ones first.
  std::deque<Fetch::State*> pending_;    // In line for pins.
  std::optional<Unfit> unfit_;           // Of the first of them.
  Fetch::State* states_ = nullptr;       // All of them.
  bool unpinned_since_turn_ = false;
  size_t reads_inflight_ = 0;  // Accepted by the store.
  uint64_t fetches_ = 0;
  uint64_t misses_ = 0;
  uint64_t fetch_errors_ = 0;
  uint64_t dropped_reads_ = 0;
  LatencyHistogram latencies_;
};

}  // namespace flash::blocks
