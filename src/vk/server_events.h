// server_events.h: several listeners for one event of the server.
//
// The server keeps one callback for each event and module: a second subscription would silently
// replace the first. Here they are called one after the other, in the order in which they came.
// Knows no event. Thread: main; a forked child for its own events.
#pragma once

#include "vk/api.h"

namespace flash::vk {

/// At load. False: the server does not offer the event.
[[nodiscard]] bool Listen(ValkeyModuleCtx* ctx, ValkeyModuleEvent event,
                          ValkeyModuleEventCallback callback);

}  // namespace flash::vk
