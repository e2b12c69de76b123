// on_native.h: the commands that do more on native keys than run the server's own (fallback.h).
//
// Only with flash.native-fallback. Thread: main. Decision: docs/adr/0019.
#pragma once

#include "dispatch/context.h"

namespace flash::commands {

/// MGET of keys of which some are native strings: each value from where it is.
dispatch::Outcome MGetOnNative(dispatch::Context& ctx);
/// HSET with its clause.
dispatch::Outcome HSetOnNative(dispatch::Context& ctx);
/// DEL of keys, of which some may be native. WRONGTYPE, and nothing is deleted, if one is of a type
/// that has no FLASH form.
dispatch::Outcome DelOnNative(dispatch::Context& ctx);

}  // namespace flash::commands
