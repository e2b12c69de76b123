// hash_handlers.h: handlers of the hash commands, for their specs.
//
// Each may be run again from the top (docs/adr/0006). Thread: main.
#pragma once

#include "server/context.h"

namespace flash::commands {

server::Outcome HSet(server::Context& ctx);
server::Outcome HGet(server::Context& ctx);
server::Outcome HMGet(server::Context& ctx);
server::Outcome HGetAll(server::Context& ctx);
server::Outcome HDel(server::Context& ctx);
server::Outcome HExists(server::Context& ctx);
server::Outcome HLen(server::Context& ctx);

}  // namespace flash::commands
