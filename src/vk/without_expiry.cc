// without_expiry.cc: see without_expiry.h.
//
// Thread: main.
#include "vk/without_expiry.h"

#include <utility>

#include "vk/string.h"

namespace flash::vk {
namespace {

/// A class of events that the server has not, so neither clients nor other modules ask for it.
constexpr int kOwnClass = 1 << 30;
static_assert(kOwnClass > _VALKEYMODULE_NOTIFY_NEXT);

using Work = void (*)(ValkeyModuleCtx* ctx);
constinit Work pending = nullptr;

int OnEvent(ValkeyModuleCtx* ctx, int /*type*/, const char* /*event*/,
            ValkeyModuleString* /*key*/) noexcept {
  if (const Work work = std::exchange(pending, nullptr); work != nullptr) work(ctx);
  return VALKEYMODULE_OK;
}

/// Every subscriber costs each event of the server's a look: none before it is needed.
bool Subscribe(ValkeyModuleCtx* ctx) {
  static constinit bool subscribed = false;
  subscribed = subscribed ||
               ValkeyModule_SubscribeToKeyspaceEvents(ctx, kOwnClass, OnEvent) == VALKEYMODULE_OK;
  return subscribed;
}

}  // namespace

bool RunWithoutExpiry(ValkeyModuleCtx* ctx, Work work) {
  if (!Subscribe(ctx)) return false;
  pending = work;
  const String no_key = String::Copy("");
  ValkeyModule_NotifyKeyspaceEvent(ctx, kOwnClass, "flash.without-expiry", no_key.get());
  return std::exchange(pending, nullptr) == nullptr;
}

}  // namespace flash::vk
