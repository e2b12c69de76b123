// string_handlers.h: handlers of the string commands, for their specs.
//
// Each may be run again from the top (docs/adr/0006). Thread: main.
#pragma once

#include "server/context.h"

namespace flash::commands {

server::Outcome Set(server::Context& ctx);
server::Outcome Get(server::Context& ctx);
server::Outcome MGet(server::Context& ctx);
server::Outcome MSet(server::Context& ctx);
server::Outcome Del(server::Context& ctx);

}  // namespace flash::commands
