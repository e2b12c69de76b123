// strays.cc: see strays.h.
//
// Thread: main.
#include "durability/strays.h"

#include "durability/replay_native.h"
#include "durability/slot_lines.h"
#include "vk/call_reply.h"

namespace flash::durability {
namespace {

constexpr long long kKeysTogether = 100;

uint64_t DeleteKeysOf(ValkeyModuleCtx* ctx, long long slot) {
  uint64_t deleted = 0;
  while (true) {
    const vk::CallReply keys(
        ValkeyModule_Call(ctx, "CLUSTER", "cll", "GETKEYSINSLOT", slot, kKeysTogether));
    if (keys.type() != VALKEYMODULE_REPLY_ARRAY) return deleted;
    const size_t count = ValkeyModule_CallReplyLength(keys.get());
    for (size_t i = 0; i < count; ++i) {
      size_t bytes = 0;
      const char* const name = ValkeyModule_CallReplyStringPtr(
          ValkeyModule_CallReplyArrayElement(keys.get(), i), &bytes);
      if (name == nullptr) return deleted;
      DeleteKey(ctx, {name, bytes});
      ++deleted;
    }
    if (count == 0) return deleted;
  }
}

}  // namespace

uint64_t DropStrays(ValkeyModuleCtx* ctx) {
  if ((vk::ContextFlags(ctx) & VALKEYMODULE_CTX_FLAGS_CLUSTER) == 0) return 0;
  const vk::CallReply nodes(ValkeyModule_Call(ctx, "CLUSTER", "c", "NODES"));
  const SlotSet strange = SlotsOfOthers(nodes.text());
  if (strange.none()) return 0;
  const int selected = ValkeyModule_GetSelectedDb(ctx);
  uint64_t deleted = 0;
  for (int db = 0; ValkeyModule_SelectDb(ctx, db) == VALKEYMODULE_OK; ++db) {
    if (ValkeyModule_DbSize(ctx) == 0) continue;
    for (size_t slot = 0; slot < strange.size(); ++slot) {
      if (strange[slot]) deleted += DeleteKeysOf(ctx, static_cast<long long>(slot));
    }
  }
  ValkeyModule_SelectDb(ctx, selected);
  return deleted;
}

}  // namespace flash::durability
