// commit.h: the one place through which every change of a value passes, after it was made.
//
// Keys are signalled as modified, the effect is replicated, events are sent, in this order. Knows
// no single command. Thread: main.
#pragma once

#include <span>

#include "vk/api.h"

namespace flash::dispatch {

/// One changed key and the event that tells of it.
struct KeyChange {
  ValkeyModuleString* key = nullptr;
  const char* event = nullptr;
  int event_class = VALKEYMODULE_NOTIFY_GENERIC;
};

/// What replicas and the AOF do instead of the command.
struct Effect {
  const char* command = nullptr;  // Null: the command as typed, which says the same.
  std::span<ValkeyModuleString* const> args;
};

/// Tells everybody of `changes`, which `effect` (or the command as typed) repeats elsewhere.
void Commit(ValkeyModuleCtx* ctx, const Effect& effect, std::span<const KeyChange> changes);

}  // namespace flash::dispatch
