// server_setting.h: the server's own settings.
//
// CONFIG tells of all of them. An operator may have hidden it (rename-command), from modules too;
// then INFO tells of a few. Costs as much as these commands: for load time and rare events. Thread:
// main.
#pragma once

#include <string>

#include "vk/api.h"

namespace flash::vk {

/// Its value as CONFIG GET gives it; empty if nobody tells. From INFO where CONFIG is hidden:
/// appendonly, maxmemory, maxmemory-policy.
[[nodiscard]] std::string ServerSetting(ValkeyModuleCtx* ctx, const char* name);

/// False: the server refused.
[[nodiscard]] bool SetServerSetting(ValkeyModuleCtx* ctx, const char* name, const char* value);

/// Does CONFIG answer?
[[nodiscard]] bool ConfigAnswers(ValkeyModuleCtx* ctx);

}  // namespace flash::vk
