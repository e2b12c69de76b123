// evictor.h: keys leave a full tier as the server's eviction policy says.
//
// Works at the end of turns of the event loop, never within a command. Says how much room is wanted
// and ends keys; which, say policy and samples. Thread: main. Decision: docs/adr/0022.
#pragma once

#include "base/result.h"
#include "vk/api.h"

namespace flash::eviction {

/// Once, at load, behind the dispatcher. Errors: kUnsupported.
[[nodiscard]] Result<void> Start(ValkeyModuleCtx* ctx);

}  // namespace flash::eviction
