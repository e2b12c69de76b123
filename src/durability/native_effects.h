// native_effects.h: what the server's own commands, expiry and eviction do to keys of ours, as
// effects.
//
// By events about keys, databases, and notifications; muted while a handler of ours runs, whose
// Commit tells. Knows the order in which servers report RENAME, MOVE and COPY. Thread: main.
// Decision: docs/adr/0015.
#pragma once

#include "base/result.h"
#include "durability/journal.h"
#include "vk/api.h"

namespace flash::durability {

/// Subscribes; once, at load. `on_replay` runs inside a notification when RunInNotification is
/// called. Errors: kUnsupported.
[[nodiscard]] Result<void> StartNativeEffects(ValkeyModuleCtx* ctx, Journal* journal,
                                              void (*on_replay)(ValkeyModuleCtx*));

/// When the first log is begun: who keeps none is not slowed down by notifications.
void FollowNotifications(ValkeyModuleCtx* ctx);

/// Runs `on_replay` inside a notification of its own: there the server lets no key expire.
void RunInNotification(ValkeyModuleCtx* ctx);

/// While data loads nothing that happens to keys is an effect.
void MuteNativeEffects(bool mute);

}  // namespace flash::durability
