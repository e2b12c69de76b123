// tracking.cc: see tracking.h.
//
// Thread: main.
#include "dispatch/tracking.h"

#include "base/flat_map.h"
#include "base/words.h"
#include "server/paying_filter.h"
#include "vk/string.h"

namespace flash::dispatch {
namespace {

constexpr size_t kKnownMax = 65536;

void OnCommand(ValkeyModuleCommandFilterCtx* command) noexcept;

struct State {
  /// Saves asking about the client of a cold read.
  server::PayingFilter filter{OnCommand, {.saved_min = 256, .commands_per_saved = 32}};
  base::FlatMap<bool> off;  // Clients known to have it off, by number; empty without the filter.
};

State& TheState() {
  static State state;
  return state;
}

bool AskServer(uint64_t client) {
  ValkeyModuleClientInfo info = VALKEYMODULE_CLIENTINFO_INITIALIZER_V1;
  if (ValkeyModule_GetClientInfoById(&info, client) != VALKEYMODULE_OK) return false;
  return (info.flags & VALKEYMODULE_CLIENTINFO_FLAG_TRACKING) != 0;
}

/// CLIENT TRACKING, by whatever name the server knows CLIENT: subcommands cannot be renamed.
bool MayBeTracking(ValkeyModuleCommandFilterCtx* command) {
  if (ValkeyModule_CommandFilterArgsCount(command) < 3) return false;
  return base::IsWord(vk::TextOf(ValkeyModule_CommandFilterArgGet(command, 1)), "tracking");
}

void OnCommand(ValkeyModuleCommandFilterCtx* command) noexcept {
  State& state = TheState();
  state.filter.CountCommand();
  if (MayBeTracking(command)) [[unlikely]] {
    state.off.Erase(ValkeyModule_CommandFilterGetClientId(command));
  }
}

}  // namespace

bool Tracking::IsOn(ValkeyModuleCtx* ctx) {
  State& state = TheState();
  state.filter.CountSaved();
  const uint64_t client = ValkeyModule_GetClientId(ctx);
  if (!state.filter.installed()) return AskServer(client);
  if (state.off.Find(client) != nullptr) [[likely]]
    return false;
  if (AskServer(client)) return true;
  if (state.off.size() == kKnownMax) state.off = {};  // Clients that left are not taken out.
  state.off[client] = true;
  return false;
}

void Tracking::Turn() {
  State& state = TheState();
  if (state.filter.Turn()) state.off = {};
}

}  // namespace flash::dispatch
