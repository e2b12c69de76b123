// list_handlers.h: handlers of the list commands, for their specs.
//
// Each may be run again from the top (docs/adr/0006). Thread: main.
#pragma once

#include "server/context.h"

namespace flash::commands {

server::Outcome LPush(server::Context& ctx);
server::Outcome RPush(server::Context& ctx);
server::Outcome LPushX(server::Context& ctx);
server::Outcome RPushX(server::Context& ctx);
server::Outcome LPop(server::Context& ctx);
server::Outcome RPop(server::Context& ctx);
server::Outcome LLen(server::Context& ctx);
server::Outcome LRange(server::Context& ctx);
server::Outcome LIndex(server::Context& ctx);
server::Outcome LSet(server::Context& ctx);
server::Outcome LInsert(server::Context& ctx);
server::Outcome LRem(server::Context& ctx);
server::Outcome LTrim(server::Context& ctx);
server::Outcome LMove(server::Context& ctx);
server::Outcome RPopLPush(server::Context& ctx);
server::Outcome BLPop(server::Context& ctx);
server::Outcome BRPop(server::Context& ctx);
server::Outcome BLMove(server::Context& ctx);

}  // namespace flash::commands
