// block_pool.h: all blocks of the process: their bytes while hot, their places while cold, and who
// leaves RAM next.
//
// The facade over block table, S3-FIFO, memory budget, demoter, promoter and Drive; the layers
// above use only this. A block is a run of bytes named by a BlockId. Knows neither keys nor value
// types nor Valkey, never blocks but where it says so, takes no lock. Thread: main (owner), checked
// in debug builds. Decisions: docs/adr/0004 (states), 0005 (Drive, waits, fork).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "blocks/block_owner.h"
#include "blocks/block_state.h"
#include "blocks/fetch.h"
#include "blocks/room_queue.h"
#include "io/backend.h"
#include "store/record_store.h"

namespace flash::blocks {

/// Why the main thread waited for the disk; each counted (INFO).
enum class WaitCause : uint8_t {
  kMulti,
  kScript,
  kReplication,
  kLoading,
  kDenyBlocking,
  kTracking,
  kTooManyParked,
  kMemory,
  kCallbackMiss,
  kReplanLimit,
  kSave,
  kDump,
  kHardMark,
  kDemoteCommand,
  kShutdown,
  kOther,
  kCount,
};

/// A block whose bytes are wanted in other memory.
struct BlockCopy {
  BlockId id = 0;
  MutableBytes to;  ///< As long as the block's bytes.
};

class BlockPool {
 public:
  struct Options {
    uint64_t cache_bytes = 256 * kMiB;   // High mark; hard mark is a tenth above.
    uint32_t demotion_batch = 0;         // Most blocks demoted a tick; 0: automatic.
    uint32_t demotion_inflight_max = 0;  // Most puts in flight; 0: automatic.
    uint64_t tick_us = 500;              // Work of one Drive on the main thread, about.
    // A writer waits this long without a block leaving RAM, then kNoSpace. One that holds up nobody
    // waits longer for a device that is merely slow: blocks are on their way, and no write fails.
    uint64_t room_wait_us_max = 1'000'000;
    uint64_t slow_device_wait_us_max = 10'000'000;
    bool tiering = true;  // False: no store at first (replica without tier, docs/adr/0023).
    store::RecordStore::Options store;
  };

  struct Stats {
    uint64_t cache_bytes = 0;          // The bound.
    uint64_t hot_bytes = 0;            // Payload and header of hot blocks.
    uint64_t held_bytes = 0;           // Beside blocks, see HoldBytes.
    uint64_t hot_bytes_peak = 0;       // Most of both since the bound was set.
    uint64_t pinned_bytes = 0;         // Part of hot_bytes, exempt from the bound.
    uint64_t demoting_bytes = 0;       // Part of hot_bytes.
    uint64_t table_bytes = 0;          // The block table itself.
    uint64_t policy_bytes = 0;         // The ghost of S3-FIFO.
    std::array<uint64_t, 5> blocks{};  // By BlockState (kFree: recyclable ids).
    uint64_t hits = 0, misses = 0;     // Touch of a hot block; fetch of a cold one.
    uint64_t evictions = 0;            // Blocks whose RAM copy went.
    uint64_t demotions = 0;            // Puts chosen by the policy and done.
    uint64_t demotions_inflight = 0;   // Puts accepted and not done.
    uint64_t demotion_batch_effective = 0;
    uint64_t tick_last_us = 0, tick_us_max = 0;  // Drive without its callbacks.
    uint64_t stalls = 0;                         // Writers that met the hard mark and waited.
    uint64_t room_waiters = 0;
    uint64_t fetches = 0, fetch_errors = 0, dropped_reads = 0;
    uint64_t reads_inflight = 0;
    // Cold blocks created without owner, shared ones counted per share.
    uint64_t cold_single_blocks = 0;
    uint64_t shared_blocks = 0;
    std::array<uint64_t, static_cast<size_t>(WaitCause::kCount)> waits{};
    std::array<uint64_t, static_cast<size_t>(WaitCause::kCount)> wait_us{};
    std::array<uint64_t, 4> read_us{};  // Latency of block reads: p50, p90, p99, p99.9.
  };

  /// Makes the store of a pool; `read_prefix_bytes` must be honoured.
  using StoreMaker = std::function<Result<std::unique_ptr<store::RecordStore>>(
      const store::RecordStore::Options&, store::RecordOwner*)>;
  /// The one that TieredPool::Open uses.
  [[nodiscard]] static StoreMaker RealStore(io::Backend* backend, const base::Clock* clock);
  /// Waits for the reads in flight. Fetches that still exist may be released afterwards.
  virtual ~BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // --- Blocks ---

  /// Largest payload of one block.
  [[nodiscard]] virtual uint32_t block_bytes_max() const = 0;

  /// A new hot block of `bytes` (1 to block_bytes_max) uninitialised bytes; fill it before the next
  /// pool call. Never fails and never evicts within the call: ask Admit first. `owner` may be null.
  [[nodiscard]] virtual BlockId Create(uint32_t bytes, MutableBytes* to_fill,
                                       BlockOwner* owner = nullptr) = 0;

  /// A new block that goes straight to flash. It is kDemoting, readable like any hot block, until
  /// its put is done and it is kCold (kHotDirty should the put fail). Without tiering it is simply
  /// hot. Errors: kBusy (drive, retry), kNoSpace.
  [[nodiscard]] virtual Result<BlockId> CreateCold(Bytes payload, BlockOwner* owner = nullptr) = 0;

  [[nodiscard]] virtual BlockState StateOf(BlockId id) const = 0;
  [[nodiscard]] virtual bool IsHot(BlockId id) const = 0;

  /// Asks the processor for what tells where the block is; some instructions later Prefetch costs
  /// little. In a large keyspace each of the two is a miss of all caches.
  virtual void PrefetchEntry(BlockId /*id*/) const {}
  /// Asks the processor for the first bytes of a block, if it is hot.
  virtual void Prefetch(BlockId /*id*/) const {}

  /// The bytes of a hot block; valid until the next pool call that can evict (Drive and the waiting
  /// ones, Resize, Free, Demote, the end of a Fetch).
  [[nodiscard]] virtual Bytes Read(BlockId id) const = 0;

  /// While quiet, Touch is Read: whoever only plans a command does not use its blocks.
  virtual void SetQuiet(bool /*quiet*/) {}

  /// Read, and says so to the eviction policy: one use by a command. Counts a hit, unless it is the
  /// use for which a fetch under way counted a miss.
  [[nodiscard]] virtual Bytes Touch(BlockId id) = 0;

  /// The bytes of a hot block, about to be changed in place: the block becomes dirty. Not for
  /// shared blocks. Valid as those of Read.
  [[nodiscard]] virtual MutableBytes Write(BlockId id) = 0;

  /// Write with a new size; the common prefix of the bytes stays.
  [[nodiscard]] virtual MutableBytes Resize(BlockId id, uint32_t bytes) = 0;

  /// One more holder of the block (COPY). Each holder frees once. O(1).
  virtual void Share(BlockId id) = 0;
  [[nodiscard]] virtual bool IsShared(BlockId id) const = 0;

  /// Whom the hot, unshared block belongs to from now on; null: a single block. Counts as a write
  /// and ends views of the block. An owner must outlive its blocks.
  virtual void SetOwner(BlockId /*id*/, BlockOwner* /*owner*/) {}

  /// Ends one holder's share; the last ends the block. Reads in flight are dropped when they
  /// arrive.
  virtual void Free(BlockId id) = 0;

  /// Bytes the block takes: RAM while hot, flash (record) while cold. For MEMORY USAGE.
  [[nodiscard]] virtual uint64_t FootprintOf(BlockId id) const = 0;

  /// Cold, and on flash, not only in a write buffer.
  [[nodiscard]] virtual bool IsOnFlash(BlockId id) const {
    return StateOf(id) == BlockState::kCold;
  }

  // --- Fetching ---

  /// Brings all of `ids` to RAM and pins them. Reads run in parallel, one per block whoever asks.
  /// `on_ready` runs once, from Drive, when nothing is missing or a read failed; never from within
  /// Start. Granted whole and in order from the pin budget (half the cache); a larger set runs
  /// alone. Who waits for a second set must not hold a first one: ask for the whole set again.
  [[nodiscard]] virtual Fetch StartFetch(std::span<const BlockId> ids,
                                         std::function<void()> on_ready) = 0;

  /// The same for whoever will wait for it on this thread before anybody else runs: at once, ahead
  /// of other reads and beside the pin budget, so no more than a portion of the cache together.
  [[nodiscard]] virtual Fetch StartFetchAhead(std::span<const BlockId> ids) = 0;

  /// The same, waiting on this thread. Counted by cause, if it had to wait.
  [[nodiscard]] virtual Fetch FetchNow(std::span<const BlockId> ids, WaitCause cause) = 0;

  /// Reads one block's bytes past the cache: nothing is promoted or counted as hot. `done` runs
  /// once, from Drive; the block may be freed meanwhile (then kGone). Errors: kBusy.
  using DetachedDone = std::function<void(Result<std::span<const std::byte>>)>;
  [[nodiscard]] virtual Result<void> ReadDetached(BlockId id, DetachedDone done) = 0;

  /// Copies the bytes of a block, hot or cold, waiting on this thread, past the cache (SAVE, DUMP).
  /// Errors: kCorrupt, kIo, kTimeout; kGone.
  [[nodiscard]] virtual Result<void> CopyNow(BlockId id, WaitCause cause,
                                             std::vector<std::byte>* into) = 0;
  /// The same for many, all reads in flight at once. Upon an error some may have been copied.
  [[nodiscard]] virtual Result<void> CopyNow(std::span<const BlockCopy> copies,
                                             WaitCause cause) = 0;

  /// The bytes of a block in a forked child: hot from the child's memory, cold through `source`.
  /// Errors: kCorrupt, kIo. Fork-safe: meant for the child.
  [[nodiscard]] virtual Result<void> CopyInChild(BlockId id, store::SnapshotSource& source,
                                                 std::vector<std::byte>* into) const = 0;

  /// The bytes of many blocks, hot or cold, past the cache: `visit` runs once for each with its
  /// index in `ids`, in the order that reads them fastest; the bytes are valid during the call.
  /// Errors, to `visit`: kCorrupt, kIo, kTimeout. Fork-safe: meant for the child; also for the
  /// server itself, since nothing moves meanwhile: the visitor must not call the pool.
  using VisitBytes = std::function<void(size_t index, Result<Bytes> bytes)>;
  virtual void CopyMany(std::span<const BlockId> ids, store::SnapshotSource& source,
                        const VisitBytes& visit) const = 0;

  /// Behind the highest id that was ever given out.
  [[nodiscard]] virtual BlockId block_ids_end() const = 0;
  /// Calls `visit` for each block that is cold, has one holder and no owner: the strings and the
  /// collections of one block. One pass over the block table. Fork-safe.
  using VisitCold = std::function<void(BlockId id, uint64_t offset)>;
  virtual void ForEachColdSingle(uint64_t offset_begin, uint64_t offset_end,
                                 const VisitCold& visit) const = 0;
  /// Where the record of a cold block lies, to sort by. Fork-safe.
  [[nodiscard]] virtual uint64_t OffsetOf(BlockId id) const = 0;
  /// The main thread waited for the disk elsewhere, on account of `cause`.
  virtual void CountWait(WaitCause cause, uint64_t wait_us) = 0;

  // --- Room ---

  /// May a command add `bytes` of hot data now? Errors: kBusy, the hard mark is reached:
  /// WaitForRoom, or AwaitRoom; kNoSpace, nothing can be demoted (tier full or failing); kInvalid,
  /// more than the whole cache: use CreateCold.
  [[nodiscard]] virtual Result<void> Admit(uint64_t bytes) = 0;

  /// Admit, waiting on this thread while something leaves RAM. The grant is as WaitForRoom's.
  /// Errors: kNoSpace, kInvalid.
  [[nodiscard]] virtual Result<RoomGrant> AwaitRoom(uint64_t bytes, WaitCause cause) = 0;

  /// The same for whoever asks by CreateCold, or in several ways: `attempt` runs until it answers
  /// something else than kBusy, which is returned. Where nothing leaves RAM it waits for
  /// `patience_us` at least. Errors: its own; kNoSpace, waiting longer for `bytes` is pointless.
  using Attempt = std::function<Result<void>()>;
  [[nodiscard]] virtual Result<void> AwaitRoomFor(uint64_t bytes, WaitCause cause,
                                                  const Attempt& attempt,
                                                  uint64_t patience_us = 0) = 0;

  /// Hot bytes that should leave RAM and cannot, because the store has no room for them: nothing
  /// but freeing hot blocks makes room then.
  [[nodiscard]] virtual uint64_t StuckBytes() = 0;

  /// Somebody holds the block in RAM; it cannot be demoted.
  [[nodiscard]] virtual bool IsPinned(BlockId id) const = 0;

  /// Queues `waiter` until `bytes` fit, which then are its own until it lets the grant go; first
  /// come, first served. Who holds a grant must not wait for anything else: others would wait for
  /// it. Forget withdraws the waiter.
  virtual void WaitForRoom(uint64_t bytes, RoomWaiter* waiter) = 0;
  virtual void Forget(RoomWaiter* waiter) = 0;

  /// Demotes one block now, whatever the policy thinks (FLASH.DEBUG.DEMOTE). False: already cold or
  /// on its way. Drive then flushes what was put until now, so that IsOnFlash comes true. Errors:
  /// kBusy (also: pinned), kNoSpace; kGone; kUnsupported: no tiering.
  [[nodiscard]] virtual Result<bool> Demote(BlockId id) = 0;

  // --- Drive ---

  enum class Deliver : uint8_t {
    kCallbacks,  ///< From the event loop: on_ready, DetachedDone and OnRoom run.
    kQueueOnly,  ///< Inside a command, a script, loading: they stay queued for the next kCallbacks.
  };

  /// Submits, reaps and dispatches everything that is due, demotes and compacts within the tick's
  /// budget. Callable from anywhere on the main thread, also from a callback (then kQueueOnly).
  virtual void Drive(Deliver deliver) = 0;

  /// Drives (kQueueOnly), waiting for the disk, until `satisfied` or `timeout_us` (0: none). False:
  /// timed out. Counted by cause, if it had to wait.
  virtual bool DriveUntil(WaitCause cause, const std::function<bool()>& satisfied,
                          uint64_t timeout_us = 0) = 0;

  /// True when Drive has work that no completion will announce (demotion cut short, callbacks due,
  /// pins released): call soon.
  [[nodiscard]] virtual bool WantsDrive() const = 0;

  // --- Settings and events ---

  /// `bytes` more (fewer, where negative) of RAM are taken beside blocks by values under
  /// construction, and by blocks that they have pinned; the bound counts both as if they were hot.
  virtual void HoldBytes(int64_t bytes, int64_t pinned_bytes) = 0;
  virtual void SetCacheBytes(uint64_t bytes) = 0;
  /// Lowers the effective cache bound while the server itself is short of memory; 0: no limit.
  virtual void SetPressureLimit(uint64_t bytes) = 0;
  /// `pending` is asked before somebody hears that there is no room: are blocks that nobody uses
  /// still to be freed, beside this thread or later on it? Then he waits for that. Not called while
  /// this thread waits.
  virtual void SetFreesPending(std::function<bool()> pending) = 0;
  virtual void SetDemotionLimits(uint32_t batch, uint32_t inflight_max) = 0;
  virtual void Freeze() = 0;  ///< A child was forked.
  virtual void Thaw() = 0;    ///< No child lives.

  // --- The store, and being without one: docs/adr/0023 ---

  /// May blocks leave RAM?
  [[nodiscard]] virtual bool tiering() const = 0;
  [[nodiscard]] virtual bool has_store() const = 0;
  /// Only while there is one.
  [[nodiscard]] virtual store::RecordStore& store() = 0;

  /// Puts a store over `backend` in, where there is none. Hot bytes beyond the bound leave RAM from
  /// now on, and writers are let in meanwhile. Errors: the maker's; nothing changed.
  [[nodiscard]] virtual Result<void> OpenStore(io::Backend* backend, const StoreMaker& maker) = 0;
  /// Nothing more goes to flash; what is there stays readable until it is freed or read.
  virtual void Retire() = 0;
  /// As it was before Retire.
  virtual void Resume() = 0;
  /// Retired, and nothing needs the store any more: no block, no read or write under way, no child.
  [[nodiscard]] virtual bool MayCloseStore() const = 0;
  /// Only then.
  virtual void CloseStore() = 0;
  /// Hot bytes of a time without bound are still on their way out.
  [[nodiscard]] virtual bool ComesDown() const = 0;

  /// Of the store there is, with the sums of those before; sizes are 0 without one.
  [[nodiscard]] virtual const store::RecordStore::Stats& store_stats() = 0;
  /// As of RecordStore; without one a pass has nothing to do, and is over at once.
  virtual void RequestCompaction(uint32_t dead_percent_min) = 0;
  [[nodiscard]] virtual uint64_t passes_done() const = 0;

  [[nodiscard]] virtual const Stats& stats() = 0;

 protected:
  BlockPool() = default;
};

}  // namespace flash::blocks
