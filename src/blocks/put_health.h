// put_health.h: how puts are doing: is the store taking them, and is anything leaving RAM?
//
// Makes every put and remembers what became of it; from that it tells how long who waits should
// have patience, and when nothing more will leave. Knows neither victims nor who waits. Thread:
// main. Decision: docs/adr/0005.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "blocks/block_core.h"

namespace flash::blocks {

class PutHealth {
 public:
  struct Options {
    uint64_t room_wait_us_max = 0;         // See BlockPool::Options.
    uint64_t slow_device_wait_us_max = 0;  // The same.
  };

  PutHealth(const Options& options, const BlockCore* core, const base::Clock* clock)
      : options_(options), core_(*core), clock_(*clock) {}

  /// Of a new store there is nothing to suspect. Null: there is none, and no put is made.
  void Connect(store::RecordStore* store);
  /// A child keeps the space of what is freed.
  void SetFrozen(bool frozen);

  // --- What happens
  // -------------------------------------------------------------------------------

  /// Offers the bytes to the store under a new ticket. Errors: the store's.
  [[nodiscard]] Result<void> Put(BlockId id, Bytes payload, uint32_t* ticket);
  void OnPut(uint32_t ticket);
  void OnPutFailed(uint32_t ticket);
  /// The store had no room for a block of this size.
  void NoteNoRoomFor(uint64_t bytes);
  /// Dirty blocks stay for a while, longer each time until a put succeeds.
  void PausePuts();
  /// Looks whether blocks have left RAM: at the end of each turn, and before Stalled is asked.
  void NoteDepartures();
  /// Somebody waited on this thread for so long and nothing moved.
  void NoteWaitInVain(uint64_t patience_us);

  // --- What follows from it
  // -----------------------------------------------------------------------

  [[nodiscard]] bool frozen() const { return frozen_; }
  [[nodiscard]] uint32_t last_ticket() const { return last_ticket_; }
  /// Has every put up to that ticket ended? They end in order.
  [[nodiscard]] bool Ended(uint32_t ticket) const {
    return core_.puts_inflight() == 0 || static_cast<int32_t>(ended_ticket_ - ticket) >= 0;
  }
  /// The last put was refused or failed.
  [[nodiscard]] bool stuck() const { return stuck_; }
  [[nodiscard]] bool paused() const { return clock_.NowUs() < paused_until_us_; }
  /// A write of the device failed, and it is being probed.
  [[nodiscard]] bool writes_failing() const { return store_->stats().writes_failing; }
  /// No put is under way, the last one came to nothing, and the store has no room for `bytes` or
  /// for what would have to leave for them.
  [[nodiscard]] bool NothingCanBePut(uint64_t bytes) const;
  /// The last put was refused for want of room, and there still is none for its like.
  [[nodiscard]] bool NoRoomToPut() const {
    return stuck_ && refused_bytes_ != 0 && !store_->HasRoomFor(refused_bytes_);
  }
  /// Nothing is on its way out of RAM, or what is has been for too long, and nothing else can go.
  [[nodiscard]] bool NothingMoreLeaves() const;
  /// How long a writer that wants `bytes` waits though nothing leaves RAM.
  [[nodiscard]] uint64_t PatienceUs(uint64_t bytes) const;
  [[nodiscard]] uint64_t patience_us_max() const { return options_.slow_device_wait_us_max; }
  /// Nothing has left RAM since `since_us`, or for `patience_us`.
  [[nodiscard]] bool Stalled(uint64_t since_us, uint64_t patience_us) const;
  /// Somebody waited on this thread with that patience in vain, and nothing has moved since.
  [[nodiscard]] bool WaitsAgainInVain(uint64_t patience_us) const;

 private:
  const Options options_;
  const BlockCore& core_;
  const base::Clock& clock_;
  store::RecordStore* store_ = nullptr;
  uint32_t last_ticket_ = 0;
  uint32_t ended_ticket_ = 0;
  bool frozen_ = false;
  bool stuck_ = false;
  bool silent_ = false;           // What was on its way when a wait ended in vain still is.
  uint64_t vain_us_ = 0;          // See NoteWaitInVain; since a put last succeeded.
  uint64_t refused_bytes_ = 0;    // Smallest that had no room, since a put last succeeded; 0: none.
  uint64_t pause_us_ = 0;         // Grows with each pause.
  uint64_t paused_until_us_ = 0;  // Until then dirty blocks stay.
  uint64_t departures_seen_ = 0;
  uint64_t progress_us_ = 0;  // When a block last left RAM.
};

}  // namespace flash::blocks
