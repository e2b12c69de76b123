// admin.h: FLASH.DEBUG.STATE, FLASH.DEBUG.DEMOTE, FLASH.COMPACTION.TRIGGER, FLASH.COMPACTION.STATS.
//
// Knows values only as lists of blocks. Thread: main. For clients: docs/commands.md.
#pragma once

#include <span>

#include "server/command_spec.h"

namespace flash::commands {

/// What to register. Call StartAdmin too.
[[nodiscard]] std::span<const server::CommandEntry> AdminCommands();

/// Hooks the commands that wait into the event loop. Once, at load.
void StartAdmin();

}  // namespace flash::commands
