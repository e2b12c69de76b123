// strings.h: the commands on strings: FLASH.SET, GET, MGET, MSET, DEL.
//
// Each behaves as the server's own command of that name; what differs is in docs/commands.md.
// Thread: main.
#pragma once

#include <span>

#include "dispatch/command_spec.h"

namespace flash::commands {

[[nodiscard]] std::span<const dispatch::CommandEntry> StringCommands();

}  // namespace flash::commands
