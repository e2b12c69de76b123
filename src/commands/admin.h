// admin.h: FLASH.DEBUG.STATE, FLASH.DEBUG.DEMOTE, FLASH.COMPACTION.TRIGGER, FLASH.COMPACTION.STATS.
//
// Knows values only as lists of blocks. Thread: main. For clients: docs/commands.md.
#pragma once

#include <span>

#include "dispatch/command_spec.h"

namespace flash::commands {

[[nodiscard]] std::span<const dispatch::CommandEntry> AdminCommands();

}  // namespace flash::commands
