// events.h: what the server tells the module while it runs, and how that moves the block pool.
//
// Completions of the I/O threads (an eventfd in the server's event loop), the turns of that loop,
// its cron, forks, loading, shutdown, changed settings. Knows no command and no value type: those
// hang in through the hooks below. Decision: docs/adr/0005. Thread: main.
//
// Code that runs inside a command, a script or while data loads may see Drive run, and values
// freed, at any call of the server's that enters its event loop (loading functions above all): no
// view of block bytes outlives one.
#pragma once

#include "base/result.h"
#include "vk/api.h"

namespace flash::server {

/// Subscribes to everything. Once, at load, last: nothing after it may fail. Errors: kUnsupported.
[[nodiscard]] Result<void> StartEvents(ValkeyModuleCtx* ctx);

/// A server that has nothing to load, or whose clients are served already, never tells of an end:
/// from a command on, unless data loads, the module is ready.
void NoteNothingLoads(ValkeyModuleCtx* ctx);

/// Is a synchronisation under way that loads the new data beside the old, which stays if it fails?
[[nodiscard]] bool LoadsBesideOldData();

/// A descriptor in the server's event loop that, written to (eventfd), has it turn. Thread: any,
/// once StartEvents has returned.
[[nodiscard]] int WakeFd();

/// The engine's tier was opened, or is about to be closed: its completions come from now on, or do
/// not any more. Errors: kUnsupported, the event loop is full; the tier works, at cron's pace.
[[nodiscard]] Result<void> WatchTier();
void UnwatchTier();

/// Called about ten times a second and once per turn of the event loop, outside commands, scripts
/// and loading; as a unit of execution, so it may write. Up to four; at load.
using TurnHook = void (*)(ValkeyModuleCtx* ctx);
void AddTurnHook(TurnHook hook);

/// Has the event loop turn, and its hooks run, within about a millisecond: for work that goes on
/// without a completion to announce it.
void TurnSoon(ValkeyModuleCtx* ctx);

/// Does a forked child live that may read the tier file? And how many have been born so far.
[[nodiscard]] bool ChildLives(ValkeyModuleCtx* ctx);
[[nodiscard]] uint64_t ChildrenBorn();

/// What goes around all of it, for whoever keeps a log: at most once; at load.
struct TurnFrame {
  /// At the first turn, behind everything that was loaded and before any client.
  TurnHook first = nullptr;
  /// At the end of each turn, behind every other hook: no reply of the turn has left yet.
  TurnHook last = nullptr;
};
void SetTurnFrame(const TurnFrame& frame);

/// The bound that memory pressure puts on the cache now; 0: none.
[[nodiscard]] uint64_t PressureLimitInForce();
/// Bytes that may be hot, as things are.
[[nodiscard]] uint64_t CacheBytesInForce();

/// Waits, at the limit, for blocks to leave: for a tenth of a second at most, and rarely where that
/// frees nothing. Between two commands and between turns: no block's bytes are in use.
void EaseMemory();

/// Is there memory for one more waiting client, for which the server keeps buffers, before it comes
/// near its maxmemory? Where there is none, the cache gives way from now on.
[[nodiscard]] bool HasMemoryToPark();
/// The same for `bytes` of a reply; true also when the cache has nothing left to give.
[[nodiscard]] bool HasMemoryFor(uint64_t bytes);

/// The largest reply that may be put together now, of which so much is in memory already; see
/// pressure.h and flash.max-reply-bytes.
[[nodiscard]] uint64_t ReplyBytesMax(uint64_t built_bytes);

/// A context for callbacks that are given none. No writes, no replication under it.
[[nodiscard]] ValkeyModuleCtx* DetachedContext();

}  // namespace flash::server
