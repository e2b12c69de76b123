// replay_command.h: FLASH.DEBUG.APPLY, by which a replay runs commands of ours.
//
// To the server it has no keys, so it runs on a node of a cluster whatever its state, where calls
// of modules go by slots otherwise. For everybody else, and at any other time, it is an error.
// Thread: main. Decision: docs/adr/0015.
#pragma once

#include <span>

#include "dispatch/command_spec.h"

namespace flash::durability {

inline constexpr const char* kReplayCommand = "FLASH.DEBUG.APPLY";

[[nodiscard]] std::span<const dispatch::CommandEntry> ReplayCommands();

}  // namespace flash::durability
