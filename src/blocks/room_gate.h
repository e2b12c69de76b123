// room_gate.h: who may bring bytes in below the hard mark, who waits for it, and how much room that
// wants.
//
// Admits, keeps the line of writers and the promises to them, and says when waiting is pointless.
// Makes no room itself: the demoter asks what is wanted. Thread: main. Decision: docs/adr/0005.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "base/clock.h"
#include "blocks/block_core.h"
#include "blocks/cache_bound.h"
#include "blocks/put_health.h"
#include "blocks/room_queue.h"

namespace flash::blocks {

class RoomGate {
 public:
  /// All outlive the gate.
  struct Parts {
    const CacheBound* bound = nullptr;
    const BlockCore* core = nullptr;
    PutHealth* health = nullptr;
    Deliveries* deliveries = nullptr;
    const base::Clock* clock = nullptr;
  };

  explicit RoomGate(const Parts& parts)
      : bound_(*parts.bound),
        core_(*parts.core),
        health_(*parts.health),
        clock_(*parts.clock),
        line_(parts.deliveries) {}

  /// Where nothing ever leaves, everything is let in.
  void SetTiering(bool tiering) { tiering_ = tiering; }
  void SetFreesPending(std::function<bool()> pending) { frees_pending_ = std::move(pending); }

  // --- Writers
  // ------------------------------------------------------------------------------------

  /// See BlockPool::Admit. While somebody is in line, only those who wait on this thread get past.
  [[nodiscard]] Result<void> Admit(uint64_t bytes) {
    if (HasRoom(bytes)) [[likely]]
      return {};
    return AdmitBesideOthers(bytes);
  }
  /// Would Admit let so many bytes in at once, with nobody in line? False tells nothing.
  [[nodiscard]] bool HasRoom(uint64_t bytes) const {
    return line_.empty() && bytes <= bound_.cache_bytes() &&
           core_.sums().load + line_.promised_bytes() + bytes <= bound_.hard_mark();
  }
  /// For a block that goes straight to flash, also past the line: kBusy or kNoSpace, whatever its
  /// size.
  [[nodiscard]] Result<void> AdmitCold(uint64_t bytes);
  [[nodiscard]] RoomGrant Grant(uint64_t bytes) { return line_.Grant(bytes); }
  /// See BlockPool::WaitForRoom.
  void WaitForRoom(uint64_t bytes, RoomWaiter* waiter);
  void Forget(RoomWaiter* waiter) { line_.Forget(waiter); }
  /// Answers writers in line. Once per turn.
  void ServeLine();

  /// The store may have room soon though nothing that is there leaves: what is freed makes it, and
  /// nobody waits on this thread, where that would not be seen.
  [[nodiscard]] bool FlashRoomComes() const {
    return waits_here_ == 0 && !health_.frozen() && frees_pending_();
  }

  /// Somebody waits on this thread. No grant can be used up before he goes on, so none is given,
  /// and once nothing more can leave RAM those that live do not count against him: that would be a
  /// circle. The bound is passed by what is granted, for a moment.
  class WaitHere {
   public:
    WaitHere(RoomGate* gate, uint64_t bytes, uint64_t patience_us);
    WaitHere(const WaitHere&) = delete;
    WaitHere& operator=(const WaitHere&) = delete;
    ~WaitHere() { --gate_.waits_here_; }
    /// Asked between turns: waiting longer for `bytes` is pointless. Where a wait of that patience
    /// ended so, the next lasts one turn, until something could be put again.
    [[nodiscard]] bool InVain();

   private:
    RoomGate& gate_;
    uint64_t bytes_;
    uint64_t patience_us_;
    uint64_t since_us_;
    bool turned_ = false;
  };

  // --- What is wanted
  // -----------------------------------------------------------------------------

  /// Room that has to be made below the hard mark, promises included; 0: nobody waits.
  [[nodiscard]] uint64_t WantedBytes();
  /// All of it is free or on its way out of RAM.
  void OnRoomUnderWay();

  [[nodiscard]] uint64_t stalls() const { return stalls_; }
  void CountStall() { ++stalls_; }
  [[nodiscard]] size_t waiters() const { return line_.count(); }

 private:
  /// What is done so that the wait of the first in line ends, whoever else brings bytes in.
  struct First {
    uint64_t number = 0;  // Its own in the queue.
    /// Room that whoever passes the line leaves alone: as much as all have taken who passed.
    uint64_t kept_bytes = 0;
    /// Had been demoted in time, but what others brought in since was on its way when it had left:
    /// so much more has to leave.
    uint64_t overtaken_bytes = 0;
    bool under_way = false;
    uint32_t last_ticket = 0;  // Of the puts that were to make its room.
  };

  [[nodiscard]] Result<void> AdmitBesideOthers(uint64_t bytes);
  /// Up to date.
  [[nodiscard]] First& TheFirst();
  /// `kept_bytes`: room below the hard mark that is left alone.
  [[nodiscard]] bool Fits(uint64_t bytes, uint64_t kept_bytes) const;
  /// Beside or past the line.
  [[nodiscard]] bool LetIn(uint64_t bytes);
  /// kBusy, and remembers that `bytes` are wanted; kNoSpace, where that is hopeless.
  [[nodiscard]] Code Refuse(uint64_t bytes);
  /// Nothing that is under way, or could be begun, makes room for `bytes`.
  [[nodiscard]] bool Hopeless(uint64_t bytes) const;
  /// The same while this thread waits: no pin goes meanwhile, the waiter's own least of all, and no
  /// end of a child is noticed.
  [[nodiscard]] bool HopelessToAwait(uint64_t bytes) const;
  /// The first in line.
  [[nodiscard]] bool WaitsInVain(const RoomQueue::Head& head) const;

  const CacheBound& bound_;
  const BlockCore& core_;
  PutHealth& health_;
  const base::Clock& clock_;
  RoomQueue line_;
  First first_;
  std::function<bool()> frees_pending_ = [] { return false; };
  uint64_t refused_bytes_ = 0;  // Largest that was refused, until it would fit.
  uint64_t stalls_ = 0;
  int waits_here_ = 0;  // WaitHeres that live.
  bool tiering_ = false;
};

}  // namespace flash::blocks
