// module.cc: the entry points that the server calls when it loads and unloads the library.
//
// It wires the layers together and does nothing else; it does not know commands, types or files.
// Whatever is wrong stops the load with one line in the server's log.
// Thread: main thread, during load.
#include <span>
#include <string>
#include <string_view>

#include "base/memory.h"
#include "commands/admin.h"
#include "commands/arriving.h"
#include "commands/collections.h"
#include "commands/leaving.h"
#include "commands/migrate.h"
#include "commands/number_dialect.h"
#include "commands/strings.h"
#include "dispatch/command_spec.h"
#include "dispatch/dispatcher.h"
#include "dispatch/link_queue.h"
#include "durability/durability.h"
#include "durability/replay_command.h"
#include "eviction/evictor.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/freeing.h"
#include "server/info.h"
#include "server/settings_registry.h"
#include "server/tier_keeper.h"
#include "types/hash_type.h"
#include "types/list_type.h"
#include "types/save_support.h"
#include "types/slot_exports.h"
#include "types/string_type.h"
#include "types/zset_type.h"
#include "vk/api.h"
#include "vk/log.h"

namespace flash {
namespace {

/// Everything that counts as data comes from the server's allocator from here on.
void InstallAllocator() {
  base::InstallMemoryHooks({[](size_t bytes) { return ValkeyModule_Alloc(bytes); },
                            [](void* memory) { ValkeyModule_Free(memory); },
                            [](void* memory) { return ValkeyModule_MallocUsableSize(memory); }});
}

void OnSettingChanged(const server::SettingSpec& /*spec*/) {
  server::Engine::Get().ApplySettings();
  durability::OnSettingsChanged();
}

Result<void> OpenEngine(ValkeyModuleCtx* ctx, std::span<ValkeyModuleString* const> arguments) {
  server::Settings settings;
  if (auto done = server::LoadSettings(ctx, arguments, &settings); !done) return done;
  const Result<bool> cluster = server::ResolveClusterMode(ctx, settings.cluster_mode);
  if (!cluster) return cluster.error();
  const bool with_tier = server::WantsTier(ctx, settings);
  if (auto done = server::Engine::Open(settings, with_tier); !done) return done;
  server::Engine& engine = server::Engine::Get();
  engine.set_cluster_enabled(*cluster);
  server::BindSettings(&engine.settings(), OnSettingChanged);
  return {};
}

Result<void> Load(ValkeyModuleCtx* ctx, std::span<ValkeyModuleString* const> arguments) {
  InstallAllocator();
  // Servers take no notice of what they do not know. The last two: docs/adr/0021.
  ValkeyModule_SetModuleOptions(ctx, VALKEYMODULE_OPTIONS_HANDLE_IO_ERRORS |
                                         VALKEYMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED |
                                         VALKEYMODULE_OPTIONS_HANDLE_REPL_ASYNC_LOAD |
                                         VALKEYMODULE_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION);
  if (auto done = OpenEngine(ctx, arguments); !done) return done;
  if (auto done = dispatch::AddAclCategory(ctx); !done) return done;
  server::StartFreeing();
  if (auto done = types::RegisterStringType(ctx); !done) return done;
  if (auto done = types::RegisterHashType(ctx); !done) return done;
  if (auto done = types::RegisterListType(ctx); !done) return done;
  if (auto done = types::RegisterZSetType(ctx); !done) return done;
  for (const auto& commands :
       {commands::StringCommands(), commands::HashCommands(), commands::ListCommands(),
        commands::ZSetCommands(), commands::AdminCommands(), commands::LeavingCommands(),
        commands::ArrivingCommands(), commands::MigrateCommands(), durability::ReplayCommands(),
        dispatch::LinkQueueCommands()}) {
    if (auto done = dispatch::RegisterCommands(ctx, commands); !done) return done;
  }
  if (auto done = dispatch::Dispatcher::Start(ctx); !done) return done;
  if (auto done = types::StartSaveSupport(ctx); !done) return done;
  types::FollowSlotExports(ctx);
  commands::FollowNumberDialect();
  server::RegisterInfo(ctx);
  if (auto done = durability::Start(ctx); !done) return done;
  if (auto done = eviction::Start(ctx); !done) return done;
  if (auto done = server::StartTierKeeper(ctx); !done) return done;
  return server::StartEvents(ctx);
}

}  // namespace
}  // namespace flash

namespace {

/// major.minor.patch as MODULE LIST shows it: two digits each.
constexpr int ModuleVersion(std::string_view text) {
  int version = 0;
  int part = 0;
  for (const char c : text) {
    if (c == '.') {
      version = version * 100 + part;
      part = 0;
    } else {
      part = part * 10 + (c - '0');
    }
  }
  return version * 100 + part;
}
static_assert(ModuleVersion("1.20.3") == 12'003);

}  // namespace

extern "C" {

__attribute__((visibility("default"))) int ValkeyModule_OnLoad(ValkeyModuleCtx* ctx,
                                                               ValkeyModuleString** argv,
                                                               int argc) {
  if (ValkeyModule_Init(ctx, "flash", ModuleVersion(FLASH_VERSION), VALKEYMODULE_APIVER_1) ==
      VALKEYMODULE_ERR) {
    return VALKEYMODULE_ERR;
  }
  const flash::Result<void> loaded = flash::Load(ctx, {argv, static_cast<size_t>(argc)});
  if (!loaded) {
    // Empty where the server has said itself what is wrong with its configuration.
    const std::string& why = loaded.error().message;
    if (!why.empty()) flash::vk::Log(ctx, flash::vk::LogLevel::kWarning, "cannot load: " + why);
    if (flash::server::Engine::IsOpen()) flash::server::Engine::Close();
    return VALKEYMODULE_ERR;
  }
  flash::vk::Log(ctx, flash::vk::LogLevel::kNotice, "valkey-flash " FLASH_VERSION " loaded");
  return VALKEYMODULE_OK;
}

__attribute__((visibility("default"))) int ValkeyModule_OnUnload(ValkeyModuleCtx* /*ctx*/) {
  return VALKEYMODULE_OK;
}

}  // extern "C"
