// list_handlers.h: handlers of the list commands, for their specs.
//
// Each may be run again from the top (docs/adr/0006). Thread: main.
#pragma once

#include "dispatch/context.h"

namespace flash::commands {

dispatch::Outcome LPush(dispatch::Context& ctx);
dispatch::Outcome RPush(dispatch::Context& ctx);
dispatch::Outcome LPushX(dispatch::Context& ctx);
dispatch::Outcome RPushX(dispatch::Context& ctx);
dispatch::Outcome LPop(dispatch::Context& ctx);
dispatch::Outcome RPop(dispatch::Context& ctx);
dispatch::Outcome LLen(dispatch::Context& ctx);
dispatch::Outcome LRange(dispatch::Context& ctx);
dispatch::Outcome LIndex(dispatch::Context& ctx);
dispatch::Outcome LSet(dispatch::Context& ctx);
dispatch::Outcome LInsert(dispatch::Context& ctx);
dispatch::Outcome LRem(dispatch::Context& ctx);
dispatch::Outcome LTrim(dispatch::Context& ctx);
dispatch::Outcome LMove(dispatch::Context& ctx);
dispatch::Outcome RPopLPush(dispatch::Context& ctx);
dispatch::Outcome BLPop(dispatch::Context& ctx);
dispatch::Outcome BRPop(dispatch::Context& ctx);
dispatch::Outcome BLMove(dispatch::Context& ctx);

}  // namespace flash::commands
