// hash_handlers.h: handlers of the hash commands, for their specs.
//
// Each may be run again from the top (docs/adr/0006). Thread: main.
#pragma once

#include "dispatch/context.h"

namespace flash::commands {

dispatch::Outcome HSet(dispatch::Context& ctx);
dispatch::Outcome HGet(dispatch::Context& ctx);
dispatch::Outcome HMGet(dispatch::Context& ctx);
dispatch::Outcome HGetAll(dispatch::Context& ctx);
dispatch::Outcome HDel(dispatch::Context& ctx);
dispatch::Outcome HExists(dispatch::Context& ctx);
dispatch::Outcome HLen(dispatch::Context& ctx);

}  // namespace flash::commands
