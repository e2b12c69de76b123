// server_events.h: several listeners for one event of the server.
//
// The server keeps one callback for each event and module: a second subscription would silently
// replace the first. Here they are called one after the other, in the order in which they came.
// Knows no event. Thread: main; a forked child for its own events.
#pragma once

#include <initializer_list>

#include "base/result.h"
#include "vk/api.h"

namespace flash::vk {

struct Subscription {
  ValkeyModuleEvent event;
  ValkeyModuleEventCallback callback = nullptr;
};

/// For good. Errors: kUnsupported (the server does not offer one of the events).
[[nodiscard]] Result<void> Listen(ValkeyModuleCtx* ctx,
                                  std::initializer_list<Subscription> subscriptions);

}  // namespace flash::vk
