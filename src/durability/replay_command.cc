// replay_command.cc: see replay_command.h.
//
// Thread: main.
#include "durability/replay_command.h"

#include "server/engine.h"
#include "vk/string.h"

namespace flash::durability {
namespace {

bool ArityFits(int arity, int argc) { return arity < 0 ? argc >= -arity : argc == arity; }

int Apply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept {
  if (!server::Engine::Get().replaying()) {
    return ValkeyModule_ReplyWithError(ctx, "ERR only the module itself applies its log");
  }
  const dispatch::CommandEntry* const entry = dispatch::FindCommand(vk::TextOf(argv[1]));
  if (entry == nullptr || !ArityFits(entry->spec->arity, argc - 1)) {
    return ValkeyModule_ReplyWithError(ctx, "ERR no command that this version knows");
  }
  return entry->function(ctx, argv + 1, argc - 1);
}

constexpr dispatch::ArgSpec kArguments[] = {{.name = "command"},
                                            {.name = "arg", .optional = true, .multiple = true}};

constexpr dispatch::CommandSpec kSpec = {
    .name = kReplayCommand,
    .arity = -2,
    .flags = "write admin",
    .acl = "admin dangerous slow",
    .args = kArguments,
    .summary = "For the module's own use while it recovers from its log; an error otherwise.",
    .complexity = "That of the command.",
    .group = "admin"};

constexpr dispatch::CommandEntry kEntries[] = {{&kSpec, Apply}};

}  // namespace

std::span<const dispatch::CommandEntry> ReplayCommands() { return kEntries; }

}  // namespace flash::durability
