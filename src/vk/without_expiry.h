// without_expiry.h: runs something where the server lets no key expire.
//
// Keys whose time is over are opened there as if it were not, as for commands of the primary on a
// replica. The server does so in notifications of key space events alone, so one is sent that
// nobody else can subscribe to. What is done belongs to the unit of execution around the call.
// Thread: main.
#pragma once

#include "vk/api.h"

namespace flash::vk {

/// Calls `work` with a context of its own. False: the server refused, and nothing ran.
bool RunWithoutExpiry(ValkeyModuleCtx* ctx, void (*work)(ValkeyModuleCtx* ctx));

}  // namespace flash::vk
