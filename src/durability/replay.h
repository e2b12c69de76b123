// replay.h: applies effects of a log to the key space, one after the other.
//
// Runs inside a notification, where no key expires. Commands of ours go through the server to
// their handlers, as on a replica. A native key in the way of an effect goes: when the effect was
// made, the key was none or one of ours. Knows no log. Thread: main. Decision: docs/adr/0015.
#pragma once

#include <span>

#include "base/result.h"
#include "durability/effect.h"
#include "types/limbo.h"
#include "vk/api.h"

namespace flash::durability {

/// Gives dropped keys back to the key space, with an expiry that is over.
void ReviveDropped(ValkeyModuleCtx* ctx, std::span<const types::DroppedKey> dropped);

/// Errors: kCorrupt, the effect does not fit the data; the message says how.
[[nodiscard]] Result<void> ApplyEffect(ValkeyModuleCtx* ctx, const Effect& effect);

}  // namespace flash::durability
