// recheck.cc: see recheck.h.
//
// Thread: main.
#include "dispatch/recheck.h"

#include <cerrno>

#include "dispatch/errors.h"

namespace flash::dispatch {
namespace {

/// Would the server still give this node the command? Asked of its own redirection, which knows
/// that of a slot on the move some keys may be elsewhere already, by a dry run (D): the command is
/// not called, so no statistics and no MONITOR tell of it.
bool OwnsKeys(ValkeyModuleCtx* ctx, const CommandSpec& spec, ValkeyModuleString** argv, int argc) {
  // A reply says nothing: 9.x gives an empty one, which must not be looked at, where 8.x gives
  // none.
  errno = 0;
  ValkeyModuleCallReply* const reply =
      ValkeyModule_Call(ctx, spec.name, "vED", argv + 1, static_cast<size_t>(argc - 1));
  const bool owns = errno == 0;
  if (reply != nullptr) ValkeyModule_FreeCallReply(reply);
  return owns;
}

}  // namespace

const char* RefusalOf(ValkeyModuleCtx* ctx, const CommandSpec& spec, ValkeyModuleString** argv,
                      int argc) {
  // A server is a cluster's node or not from its start to its end.
  static const bool clustered = (vk::ContextFlags(ctx) & VALKEYMODULE_CTX_FLAGS_CLUSTER) != 0;
  if (!spec.writes() && !clustered) return nullptr;
  const uint32_t flags = vk::ContextFlags(ctx);
  const auto has = [flags](uint32_t flag) { return (flags & flag) != 0; };
  if (spec.writes()) {
    if (has(VALKEYMODULE_CTX_FLAGS_REPLICA) && has(VALKEYMODULE_CTX_FLAGS_READONLY)) {
      return errors::kReadOnly;
    }
    if (ValkeyModule_AvoidReplicaTraffic() != 0) return errors::kPaused;
    if (WriteRefusal() != nullptr) return WriteRefusal();
    // With an eviction policy the server frees memory before the next command.
    if (spec.denied_when_oom() && has(VALKEYMODULE_CTX_FLAGS_OOM) &&
        !has(VALKEYMODULE_CTX_FLAGS_EVICT)) {
      return errors::kOutOfMemory;
    }
  }
  if (!clustered || has(VALKEYMODULE_CTX_FLAGS_REPLICA)) return nullptr;
  return OwnsKeys(ctx, spec, argv, argc) ? nullptr : errors::kSlotMoved;
}

}  // namespace flash::dispatch
