// leaving.h: FLASH.CONVERT and FLASH.DRAIN, the way out: values become native ones.
//
// What an operator does with them: docs/leaving.md. Decision: docs/adr/0016. Thread: main.
#pragma once

#include <span>

#include "dispatch/command_spec.h"

namespace flash::commands {

[[nodiscard]] std::span<const dispatch::CommandEntry> LeavingCommands();

}  // namespace flash::commands
