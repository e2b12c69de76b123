// collections.h: the commands on hashes, lists and sorted sets, for registration.
//
// Each behaves as the server's own command of that name; what differs is in docs/commands.md.
// Thread: main, at load.
#pragma once

#include <span>

#include "dispatch/command_spec.h"

namespace flash::commands {

[[nodiscard]] std::span<const dispatch::CommandEntry> HashCommands();
[[nodiscard]] std::span<const dispatch::CommandEntry> ListCommands();
[[nodiscard]] std::span<const dispatch::CommandEntry> ZSetCommands();

}  // namespace flash::commands
