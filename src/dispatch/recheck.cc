// recheck.cc: see recheck.h.
//
// Thread: main.
#include "dispatch/recheck.h"

#include <utility>
#include <vector>

#include "dispatch/errors.h"
#include "vk/call_reply.h"

namespace flash::dispatch {
namespace {

/// Would the server still give this node a command with these keys? Asked of its own redirection,
/// by a command that changes nothing: while a slot moves, some of its keys may be elsewhere
/// already.
bool OwnsKeys(ValkeyModuleCtx* ctx, std::vector<ValkeyModuleString*> keys) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "EXISTS", "vE", keys.data(), keys.size()));
  return !reply.is_error();
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
    // With an eviction policy the server frees memory before the next command.
    if (spec.denied_when_oom() && has(VALKEYMODULE_CTX_FLAGS_OOM) &&
        !has(VALKEYMODULE_CTX_FLAGS_EVICT)) {
      return errors::kOutOfMemory;
    }
  }
  if (!clustered || has(VALKEYMODULE_CTX_FLAGS_REPLICA)) return nullptr;
  std::vector<ValkeyModuleString*> keys;
  ForEachKey(spec, argv, argc, [&keys, argv](int index) { keys.push_back(argv[index]); });
  return keys.empty() || OwnsKeys(ctx, std::move(keys)) ? nullptr : errors::kSlotMoved;
}

}  // namespace flash::dispatch
