// commit.cc: see commit.h.
//
// Thread: main.
#include "dispatch/commit.h"

namespace flash::dispatch {

void Commit(ValkeyModuleCtx* ctx, const Effect& effect, std::span<const KeyChange> changes) {
  for (const KeyChange& change : changes) ValkeyModule_SignalModifiedKey(ctx, change.key);
  if (effect.command == nullptr) {
    ValkeyModule_ReplicateVerbatim(ctx);
  } else {
    ValkeyModule_Replicate(ctx, effect.command, "v",
                           const_cast<ValkeyModuleString**>(effect.args.data()),  // NOLINT
                           effect.args.size());
  }
  for (const KeyChange& change : changes) {
    ValkeyModule_NotifyKeyspaceEvent(ctx, change.event_class, change.event, change.key);
  }
}

}  // namespace flash::dispatch
