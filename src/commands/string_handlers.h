// string_handlers.h: handlers of the string commands, for their specs.
//
// Each may be run again from the top (docs/adr/0006). Thread: main.
#pragma once

#include "dispatch/context.h"

namespace flash::commands {

dispatch::Outcome Set(dispatch::Context& ctx);
dispatch::Outcome Get(dispatch::Context& ctx);
dispatch::Outcome MGet(dispatch::Context& ctx);
dispatch::Outcome MSet(dispatch::Context& ctx);
dispatch::Outcome Del(dispatch::Context& ctx);
/// Deletes what is of a type of ours; the reply counts `deleted` keys besides.
dispatch::Outcome DelOurs(dispatch::Context& ctx, long long deleted);

}  // namespace flash::commands
