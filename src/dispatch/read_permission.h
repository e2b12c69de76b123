// read_permission.h: may the caller of a command read a key that its key specs only say it writes?
//
// For FLASH.SET with GET. The server's own SET says so by a callback that no module has, and the
// one that modules have (getkeys-api) makes cluster clients ask for the keys of every call. Knows
// no command. Thread: main.
#pragma once

#include "dispatch/context.h"

namespace flash::dispatch {

/// True where the server would not check at all (replication, loading). One selector of the user's
/// rules must allow the command as well as reading and writing the key. A refusal is in ACL LOG.
[[nodiscard]] bool MayReadToo(const Context& ctx, int key);

}  // namespace flash::dispatch
