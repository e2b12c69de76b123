// tracking.cc: see tracking.h.
//
// Thread: main.
#include "dispatch/tracking.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/flat_map.h"
#include "dispatch/filter_rule.h"
#include "server/engine.h"
#include "server/events.h"
#include "vk/string.h"

namespace flash::dispatch {
namespace {

constexpr uint64_t kWindowUs = 1'000'000;
constexpr size_t kKnownMax = 65536;

struct State {
  ValkeyModuleCommandFilter* filter = nullptr;
  base::FlatMap<bool> off;  // Clients known to have it off, by number; empty without the filter.
  uint64_t window_began_us = 0;
  uint64_t reads = 0;     // Cold reads asked about, in this window.
  uint64_t commands = 0;  // Through the filter, in this window.
  FilterRule rule;
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
  constexpr std::string_view kWord = "tracking";
  if (ValkeyModule_CommandFilterArgsCount(command) < 3) return false;
  const std::string_view word = vk::TextOf(ValkeyModule_CommandFilterArgGet(command, 1));
  return std::equal(word.begin(), word.end(), kWord.begin(), kWord.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  });
}

void OnCommand(ValkeyModuleCommandFilterCtx* command) noexcept {
  State& state = TheState();
  ++state.commands;
  if (MayBeTracking(command)) [[unlikely]] {
    state.off.Erase(ValkeyModule_CommandFilterGetClientId(command));
  }
}

void StartFilter(State* state) {
  state->filter = ValkeyModule_RegisterCommandFilter(server::DetachedContext(), OnCommand,
                                                     VALKEYMODULE_CMDFILTER_NOSELF);
}

void StopFilter(State* state) {
  ValkeyModule_UnregisterCommandFilter(server::DetachedContext(), state->filter);
  state->filter = nullptr;
  state->off = {};
}

}  // namespace

bool Tracking::IsOn(ValkeyModuleCtx* ctx) {
  State& state = TheState();
  ++state.reads;
  const uint64_t client = ValkeyModule_GetClientId(ctx);
  if (state.filter == nullptr) return AskServer(client);
  if (state.off.Find(client) != nullptr) [[likely]]
    return false;
  if (AskServer(client)) return true;
  if (state.off.size() == kKnownMax) state.off = {};  // Clients that left are not taken out.
  state.off[client] = true;
  return false;
}

void Tracking::Turn() {
  State& state = TheState();
  if (state.reads == 0 && state.filter == nullptr) [[likely]]
    return;
  const uint64_t now_us = server::Engine::Get().clock().NowUs();
  if (now_us - state.window_began_us < kWindowUs) return;
  const bool wanted = state.rule.Next(state.reads, state.commands);
  if (wanted != (state.filter != nullptr)) wanted ? StartFilter(&state) : StopFilter(&state);
  state.window_began_us = now_us;
  state.reads = state.commands = 0;
}

}  // namespace flash::dispatch
