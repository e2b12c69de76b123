// arriving.h: FLASH.ADOPT and FLASH.ADOPT.SCAN, the way in: native values become ours.
//
// What an operator does with them: docs/arriving.md. Decision: docs/adr/0019. Thread: main.
#pragma once

#include <span>

#include "dispatch/command_spec.h"

namespace flash::commands {

[[nodiscard]] std::span<const dispatch::CommandEntry> ArrivingCommands();

}  // namespace flash::commands
