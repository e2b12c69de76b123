// migrate.h: FLASH.MIGRATE and FLASH.MIGRATE.PROBE: keys move to another server.
//
// Thread: main. Decision: docs/adr/0017.
#pragma once

#include <span>

#include "dispatch/command_spec.h"

namespace flash::commands {

[[nodiscard]] std::span<const dispatch::CommandEntry> MigrateCommands();

}  // namespace flash::commands
