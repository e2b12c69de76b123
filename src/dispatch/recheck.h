// recheck.h: what the server had checked when a command came, checked again before it is applied.
//
// Role, memory, slot, and pauses may have changed while a client waited. Thread: main. Decision:
// docs/adr/0006.
#pragma once

#include "dispatch/command_spec.h"

namespace flash::dispatch {

/// The error that a command which waited must be refused with by now; null if none.
[[nodiscard]] const char* RefusalOf(ValkeyModuleCtx* ctx, const CommandSpec& spec,
                                    ValkeyModuleString** argv, int argc);

}  // namespace flash::dispatch
