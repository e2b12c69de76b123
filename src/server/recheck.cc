// recheck.cc: see recheck.h.
//
// Thread: main.
#include "server/recheck.h"

#include "server/errors.h"
#include "vk/call_reply.h"

namespace flash::server {
namespace {

/// Does this node still own the slot of `key`? Asked of the server's own redirection, by a command
/// that changes nothing.
bool OwnsSlot(ValkeyModuleCtx* ctx, ValkeyModuleString* key) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "EXISTS", "sE", key));
  return !reply.is_error();
}

}  // namespace

const char* RefusalOf(ValkeyModuleCtx* ctx, const CommandSpec& spec, ValkeyModuleString** argv,
                      int argc) {
  // A server is a cluster's node or not from its start to its end.
  static const bool clustered = (vk::ContextFlags(ctx) & VALKEYMODULE_CTX_FLAGS_CLUSTER) != 0;
  if (!spec.write && !clustered) return nullptr;
  const uint32_t flags = vk::ContextFlags(ctx);
  const auto has = [flags](uint32_t flag) { return (flags & flag) != 0; };
  if (spec.write) {
    if (has(VALKEYMODULE_CTX_FLAGS_REPLICA) && has(VALKEYMODULE_CTX_FLAGS_READONLY)) {
      return errors::kReadOnly;
    }
    if (ValkeyModule_AvoidReplicaTraffic() != 0) return errors::kPaused;
    // With an eviction policy the server frees memory before the next command.
    if (spec.deny_oom && has(VALKEYMODULE_CTX_FLAGS_OOM) && !has(VALKEYMODULE_CTX_FLAGS_EVICT)) {
      return errors::kOutOfMemory;
    }
  }
  if (!clustered || has(VALKEYMODULE_CTX_FLAGS_REPLICA)) return nullptr;
  ValkeyModuleString* key = nullptr;
  ForEachKey(spec, argv, argc, [&key, argv](int index) {
    if (key == nullptr) key = argv[index];  // All keys of a command are in one slot.
  });
  return key == nullptr || OwnsSlot(ctx, key) ? nullptr : errors::kSlotMoved;
}

}  // namespace flash::server
