// settings_registry.h: how settings come in from the server, and how CONFIG SET reaches the module.
//
// loadmodule arguments are parsed first and become the registered defaults; what the configuration
// file, LOADEX CONFIG or CONFIG SET say therefore wins, and a CONFIG REWRITE keeps it. The rows are
// settings_table.h's. Thread: main.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "server/settings_table.h"
#include "vk/api.h"

namespace flash::server {

/// Fills `into` from loadmodule arguments and the configuration, registering all settings with the
/// server. `into` must stay until Bind. Errors, one line for people: kInvalid; empty where the
/// server has already logged which setting is wrong.
[[nodiscard]] Result<void> LoadSettings(ValkeyModuleCtx* ctx,
                                        std::span<ValkeyModuleString* const> arguments,
                                        Settings* into);

/// Whether the server is part of a cluster, if `mode` agrees. Errors: kInvalid, it says otherwise.
[[nodiscard]] Result<bool> ResolveClusterMode(ValkeyModuleCtx* ctx, ClusterMode mode);

/// From now on `in_force` is what CONFIG GET shows; immutable settings refuse another value;
/// `on_change` runs after each change of another.
void BindSettings(Settings* in_force, void (*on_change)(const SettingSpec& spec));

}  // namespace flash::server
