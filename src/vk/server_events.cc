// server_events.cc: see server_events.h.
//
// Thread: as there.
#include "vk/server_events.h"

#include <array>

#include "base/result.h"

namespace flash::vk {
namespace {

constexpr size_t kEvents = 32;
constexpr size_t kListenersMax = 4;

struct Listeners {
  std::array<ValkeyModuleEventCallback, kListenersMax> callbacks{};
  size_t count = 0;
};
constinit std::array<Listeners, kEvents> all{};

void CallAll(ValkeyModuleCtx* ctx, ValkeyModuleEvent event, uint64_t sub, void* data) {
  const Listeners& listeners = all[event.id];
  for (size_t i = 0; i < listeners.count; ++i) listeners.callbacks[i](ctx, event, sub, data);
}

}  // namespace

bool Listen(ValkeyModuleCtx* ctx, ValkeyModuleEvent event, ValkeyModuleEventCallback callback) {
  FLASH_CHECK(event.id < kEvents);
  Listeners& listeners = all[event.id];
  FLASH_CHECK(listeners.count < kListenersMax);
  if (listeners.count == 0 &&
      ValkeyModule_SubscribeToServerEvent(ctx, event, CallAll) != VALKEYMODULE_OK) {
    return false;
  }
  listeners.callbacks[listeners.count++] = callback;
  return true;
}

}  // namespace flash::vk
