// durability.h: the module's own log, put to work: who keeps the data set's changes, and since
// when.
//
// With the server's AOF on, the AOF is the log and nothing of ours is written; with it off, the
// module keeps its own, unless flash.wal is no. Never both, but while one takes over from the
// other. Thread: main. Decisions: docs/adr/0014, 0015; for operators: docs/durability.md.
#pragma once

#include "base/result.h"
#include "vk/api.h"

namespace flash::durability {

/// Opens the log if there is to be one, and hangs into the server's events. At load, after the
/// types, before server::StartEvents. Errors, one line for people: kLocked, kForeign, kInvalid,
/// kNoSpace, kIo, kUnsupported.
[[nodiscard]] Result<void> Start(ValkeyModuleCtx* ctx);

/// Counts changes to keys of ours, conversions excepted.
[[nodiscard]] uint64_t ChangesSoFar();
/// FLASH.DRAIN has left no key of ours, unless there was a change since that count.
void NoteDrained(uint64_t changes);

/// A setting of ours changed; takes effect before the reply to the change leaves.
void OnSettingsChanged();

}  // namespace flash::durability
