// recheck.h: what the server had checked when a command came, checked again before it is applied.
//
// Role, memory, slot, and pauses may have changed while a client waited. Thread: main. Decision:
// docs/adr/0006.
#pragma once

#include "dispatch/command_spec.h"

namespace flash::dispatch {

namespace internal {
inline constinit const char* write_refusal = nullptr;
}

/// The error that commands which write are refused with now, whoever sends them but the primary;
/// null: they are not. The text must stay.
inline void RefuseWrites(const char* error) { internal::write_refusal = error; }
/// Costs one load.
[[nodiscard]] inline const char* WriteRefusal() { return internal::write_refusal; }

/// The error that a command which waited must be refused with by now; null if none.
[[nodiscard]] const char* RefusalOf(ValkeyModuleCtx* ctx, const CommandSpec& spec,
                                    ValkeyModuleString** argv, int argc);

}  // namespace flash::dispatch
