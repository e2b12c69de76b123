// recheck.h: what the server had checked when a command came, checked again before it is applied.
//
// Role, memory, slot, and pauses may have changed while a client waited. Thread: main. Decision:
// docs/adr/0006.
#pragma once

#include "dispatch/command_spec.h"

namespace flash::dispatch {

namespace internal {
inline constinit const char* write_refusal = nullptr;
inline constinit bool effects_wait = false;
inline constinit bool writes_looked_at = false;  // One of the two.
}  // namespace internal

/// The error that commands which write are refused with now, whoever sends them but the primary;
/// null: they are not. The text must stay.
inline void RefuseWrites(const char* error) {
  internal::write_refusal = error;
  internal::writes_looked_at = error != nullptr || internal::effects_wait;
}
/// Do effects of the replication link wait, which a command of its may have to stand behind?
inline void SetEffectsWait(bool wait) {
  internal::effects_wait = wait;
  internal::writes_looked_at = wait || internal::write_refusal != nullptr;
}
/// Is there something to be looked at before a command that writes runs? Costs one load.
[[nodiscard]] inline bool WritesAreLookedAt() { return internal::writes_looked_at; }
[[nodiscard]] inline const char* WriteRefusal() { return internal::write_refusal; }

/// The error that a command which waited must be refused with by now; null if none.
[[nodiscard]] const char* RefusalOf(ValkeyModuleCtx* ctx, const CommandSpec& spec,
                                    ValkeyModuleString** argv, int argc);

}  // namespace flash::dispatch
