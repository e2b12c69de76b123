// commit.cc: see commit.h.
//
// Thread: main.
#include "dispatch/commit.h"

#include "server/engine.h"
#include "vk/on_behalf.h"

namespace flash::dispatch {
namespace {

constinit CommitHook commit_hook = nullptr;

}  // namespace

void SetCommitHook(CommitHook hook) { commit_hook = hook; }

void Commit(ValkeyModuleCtx* ctx, const Effect& effect, const TypedCommand& typed,
            std::span<const KeyChange> changes) {
  if (server::Engine::Get().replaying()) return;
  const bool as_typed = effect.command == nullptr;
  const TypedCommand repeated = as_typed ? typed : TypedCommand{effect.command, effect.args};
  if (commit_hook != nullptr) commit_hook(ctx, repeated);
  for (const KeyChange& change : changes) ValkeyModule_SignalModifiedKey(ctx, change.key);
  // Verbatim is what the context's client sent, which is another command for an effect that waited.
  if (as_typed && !vk::OnBehalfOfPrimary::in_force()) {
    ValkeyModule_ReplicateVerbatim(ctx);
  } else {
    ValkeyModule_Replicate(ctx, repeated.name, "v",
                           const_cast<ValkeyModuleString**>(repeated.args.data()),  // NOLINT
                           repeated.args.size());
  }
  for (const KeyChange& change : changes) {
    ValkeyModule_NotifyKeyspaceEvent(ctx, change.event_class, change.event, change.key);
  }
}

}  // namespace flash::dispatch
