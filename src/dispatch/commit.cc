// commit.cc: see commit.h.
//
// Thread: main.
#include "dispatch/commit.h"

#include "server/engine.h"

namespace flash::dispatch {
namespace {

constinit CommitHook commit_hook = nullptr;

}  // namespace

void SetCommitHook(CommitHook hook) { commit_hook = hook; }

void Commit(ValkeyModuleCtx* ctx, const Effect& effect, const TypedCommand& typed,
            std::span<const KeyChange> changes) {
  if (server::Engine::Get().replaying()) return;
  const bool as_typed = effect.command == nullptr;
  if (commit_hook != nullptr) {
    commit_hook(ctx, as_typed ? typed : TypedCommand{effect.command, effect.args});
  }
  for (const KeyChange& change : changes) ValkeyModule_SignalModifiedKey(ctx, change.key);
  if (as_typed) {
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
