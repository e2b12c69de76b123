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

/// A command with its arguments as typed.
struct TypedCommand {
  const char* name = nullptr;
  std::span<ValkeyModuleString* const> args;
};

/// Tells everybody of `changes`, which `effect` (or the command as typed) repeats elsewhere. While
/// a log is replayed there is nobody to tell.
void Commit(ValkeyModuleCtx* ctx, const Effect& effect, const TypedCommand& typed,
            std::span<const KeyChange> changes);

/// Told of each commit, with what repeats the change, before anybody else is. One; at load.
using CommitHook = void (*)(ValkeyModuleCtx* ctx, const TypedCommand& effect);
void SetCommitHook(CommitHook hook);

}  // namespace flash::dispatch
