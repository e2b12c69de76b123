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

/// Called about ten times a second and once per turn of the event loop, outside commands, scripts
/// and loading; as a unit of execution, so it may write. Up to four; at load.
using TurnHook = void (*)(ValkeyModuleCtx* ctx);
void AddTurnHook(TurnHook hook);

/// The bound that memory pressure puts on the cache now; 0: none.
[[nodiscard]] uint64_t PressureLimitInForce();

/// Is there memory for one more waiting client, for which the server keeps buffers, before it comes
/// near its maxmemory? Where there is none, the cache gives way from now on.
[[nodiscard]] bool HasMemoryToPark();

/// A context for callbacks that are given none. No writes, no replication under it.
[[nodiscard]] ValkeyModuleCtx* DetachedContext();

}  // namespace flash::server
