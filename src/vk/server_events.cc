// server_events.cc: see server_events.h.
//
// Thread: as there.
#include "vk/server_events.h"

#include <array>
#include <string>

namespace flash::vk {
namespace {

constexpr size_t kEvents = 32;
constexpr size_t kListenersMax = 8;

struct Listeners {
  std::array<ValkeyModuleEventCallback, kListenersMax> callbacks{};
  size_t count = 0;
};
constinit std::array<Listeners, kEvents> all{};

void CallAll(ValkeyModuleCtx* ctx, ValkeyModuleEvent event, uint64_t sub, void* data) {
  const Listeners& listeners = all[event.id];
  for (size_t i = 0; i < listeners.count; ++i) listeners.callbacks[i](ctx, event, sub, data);
}

bool ListenTo(ValkeyModuleCtx* ctx, const Subscription& wanted) {
  FLASH_CHECK(wanted.event.id < kEvents);
  Listeners& listeners = all[wanted.event.id];
  FLASH_CHECK(listeners.count < kListenersMax);
  if (listeners.count == 0 &&
      ValkeyModule_SubscribeToServerEvent(ctx, wanted.event, CallAll) != VALKEYMODULE_OK) {
    return false;
  }
  listeners.callbacks[listeners.count++] = wanted.callback;
  return true;
}

}  // namespace

Result<void> Listen(ValkeyModuleCtx* ctx, std::initializer_list<Subscription> subscriptions) {
  for (const Subscription& wanted : subscriptions) {
    if (ListenTo(ctx, wanted)) continue;
    return Error{Code::kUnsupported,
                 "the server does not offer event " + std::to_string(wanted.event.id)};
  }
  return {};
}

}  // namespace flash::vk
