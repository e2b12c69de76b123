// admin.cc: the admin commands, and the clients that wait for a demotion or a compaction.
//
// A waiting client is parked and looked after once per turn of the event loop; where a client
// cannot be parked the command drives the pool itself, which is counted. Thread: main.
#include "commands/admin.h"

#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "commands/demotion.h"
#include "dispatch/errors.h"
#include "dispatch/waiting_clients.h"
#include "server/engine.h"
#include "server/events.h"
#include "vk/call_reply.h"
#include "vk/string.h"

namespace flash::commands {
namespace {

using dispatch::Answer;
using dispatch::IsError;
using dispatch::ReplyAnswer;
using dispatch::WaitingClients;
using server::Engine;

constexpr Answer kChildLives =
    "ERR a snapshot or another child process reads the flash file, and a transaction or script "
    "cannot wait for its end; nothing was compacted";

void NoteEvicted(ValkeyModuleCtx* ctx, ValkeyModuleString* key) {
  ValkeyModule_NotifyKeyspaceEvent(ctx, VALKEYMODULE_NOTIFY_GENERIC, "flash.evict", key);
}

// --- Commands
// -------------------------------------------------------------------------------------

int DebugState(ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) {
  switch (Engine::Get().state()) {
    case server::ModuleState::kRecovering:
      return ValkeyModule_ReplyWithSimpleString(ctx, "recovering");
    case server::ModuleState::kReady:
      return ValkeyModule_ReplyWithSimpleString(ctx, "ready");
    case server::ModuleState::kError:
      break;
  }
  return ValkeyModule_ReplyWithSimpleString(ctx, "error");
}

int DebugRecovering(ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) {
  if (Engine::Get().state() == server::ModuleState::kRecovering) {
    return ValkeyModule_ReplyWithError(ctx, dispatch::errors::kRecovering);
  }
  return ValkeyModule_ReplyWithSimpleString(ctx, "OK");
}

int DebugInfo(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) {
  const vk::CallReply reply(
      ValkeyModule_Call(ctx, "INFO", "v", argv + 1, static_cast<size_t>(argc - 1)));
  return ValkeyModule_ReplyWithCallReply(ctx, reply.get());
}

int DebugDemote(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int /*argc*/) {
  Demotion demotion;
  if (const Answer answer = demotion.Start(ctx, argv[1])) return ReplyAnswer(ctx, answer);
  Answer answer = demotion.Step(ctx, argv[1]);
  if (answer == nullptr) {
    struct Kept {
      Demotion demotion;
      vk::String key;
    };
    const auto kept = std::make_shared<Kept>(Kept{std::move(demotion), vk::String::Hold(argv[1])});
    const auto step = [kept](ValkeyModuleCtx* later) {
      return kept->demotion.Step(later, kept->key.get());
    };
    const auto reply = [](ValkeyModuleCtx* late, ValkeyModuleString** args, Answer said) {
      if (!IsError(said)) NoteEvicted(late, args[1]);
      return ReplyAnswer(late, said);
    };
    if (WaitingClients::Park(ctx, step, reply)) return VALKEYMODULE_OK;
    kept->demotion.WaitHere();
    const auto arrived = [&] {
      answer = step(ctx);
      return answer != nullptr;
    };
    Engine::Get().pool().DriveUntil(blocks::WaitCause::kDemoteCommand, arrived, 0);
  }
  if (!IsError(answer)) NoteEvicted(ctx, argv[1]);
  return ReplyAnswer(ctx, answer);
}

/// A full pass, from its request to its end. While a child reads the file no segment can be given
/// up: it begins once none lives, and again if one was born meanwhile.
class CompactionPass {
 public:
  Answer Step(ValkeyModuleCtx* ctx) {
    if (server::ChildLives(ctx)) {
      requested_ = false;
      return nullptr;
    }
    if (requested_ && children_born_ == server::ChildrenBorn()) {
      return Engine::Get().CompactionDone(pass_) ? kOk : nullptr;
    }
    requested_ = true;
    children_born_ = server::ChildrenBorn();
    pass_ = Engine::Get().RequestCompaction(0);
    server::TurnSoon(ctx);
    return nullptr;
  }

 private:
  bool requested_ = false;
  uint64_t children_born_ = 0;
  uint64_t pass_ = 0;
};

int CompactionTrigger(ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) {
  CompactionPass pass;
  Answer answer = pass.Step(ctx);
  if (answer == nullptr) {
    const auto step = [pass](ValkeyModuleCtx* later) mutable { return pass.Step(later); };
    if (WaitingClients::Park(ctx, step)) return VALKEYMODULE_OK;
    if (server::ChildLives(ctx)) return ReplyAnswer(ctx, kChildLives);
    const auto ended = [&] { return (answer = pass.Step(ctx)) != nullptr; };
    Engine::Get().pool().DriveUntil(blocks::WaitCause::kOther, ended);
  }
  return ReplyAnswer(ctx, kOk);
}

void ReplyPair(ValkeyModuleCtx* ctx, const char* name, const std::string& value) {
  const std::string text = std::string(name) + ":" + value;
  ValkeyModule_ReplyWithStringBuffer(ctx, text.data(), text.size());
}

/// Clients parse every figure as an integer.
std::string Share(uint64_t part, uint64_t whole, double unit) {
  if (whole == 0) return "0";
  return std::to_string(
      std::llround(unit * static_cast<double>(part) / static_cast<double>(whole)));
}

int CompactionStats(ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) {
  const store::RecordStore::Stats& store = Engine::Get().pool().store_stats();
  const std::array<std::pair<const char*, std::string>, 12> pairs = {{
      {"compaction_runs", std::to_string(Engine::Get().pool().passes_done())},
      {"bytes_reclaimed", std::to_string(store.compaction_bytes_reclaimed)},
      {"free_blocks", std::to_string(store.free_bytes / 4096)},
      {"segment_bytes", std::to_string(store.segment_bytes)},
      {"segments_free", std::to_string(store.segments_free)},
      {"segments_open", std::to_string(store.segments_open)},
      {"segments_sealed", std::to_string(store.segments_sealed)},
      {"segments_waiting", std::to_string(store.segments_waiting)},
      {"segments_bad", std::to_string(store.segments_bad)},
      {"live_ppm", Share(store.used_bytes, store.used_bytes + store.dead_bytes, 1e6)},
      {"bytes_moved", std::to_string(store.moved_bytes)},
      {"write_amplification_thousandths",
       Share(store.device_bytes_written, store.put_stored_bytes, 1e3)},
  }};
  ValkeyModule_ReplyWithArray(ctx, static_cast<long>(pairs.size()));
  for (const auto& [name, value] : pairs) ReplyPair(ctx, name, value);
  return VALKEYMODULE_OK;
}

// --- Specs
// ----------------------------------------------------------------------------------------

constexpr dispatch::KeySpec kDemoteKeys[] = {
    {.access = dispatch::KeyAccess::kReadOnly, .flags = 0}};
constexpr dispatch::ArgSpec kDemoteArgs[] = {{.name = "key", .type = dispatch::ArgType::kKey}};

constexpr dispatch::ArgSpec kAnyArgs[] = {
    {.name = "argument", .type = dispatch::ArgType::kString, .optional = true, .multiple = true}};
constexpr dispatch::ArgSpec kInfoArgs[] = {
    {.name = "section", .type = dispatch::ArgType::kString, .optional = true, .multiple = true}};

constexpr dispatch::CommandSpec kSpecs[] = {
    {.name = "FLASH.DEBUG.STATE",
     .arity = 1,
     .flags = "readonly fast allow-stale allow-loading allow-busy",
     .acl = "admin fast",
     .summary = "Tells whether the module is recovering, ready or in error.",
     .complexity = "O(1)",
     .group = "admin"},
    {.name = "FLASH.DEBUG.RECOVERING",
     .arity = -1,
     .flags = "fast allow-stale allow-loading allow-busy no-auth",
     .acl = "admin fast",
     .args = kAnyArgs,
     .summary = "What any command becomes while a log is replayed: LOADING; OK otherwise.",
     .complexity = "O(1)",
     .group = "admin"},
    {.name = "FLASH.DEBUG.INFO",
     .arity = -1,
     .flags = "readonly admin allow-stale allow-loading allow-busy",
     .acl = "admin slow dangerous",
     .args = kInfoArgs,
     .summary = "INFO; what that becomes while a log is replayed.",
     .complexity = "O(1)",
     .group = "admin"},
    {.name = "FLASH.DEBUG.DEMOTE",
     .arity = 2,
     .flags = "readonly admin",
     .acl = "admin dangerous slow",
     .keys = kDemoteKeys,
     .args = kDemoteArgs,
     .summary = "Moves a value to flash now and returns when all of it is there.",
     .complexity = "O(N) where N is the number of blocks of the value.",
     .group = "admin"},
    {.name = "FLASH.COMPACTION.TRIGGER",
     .arity = 1,
     .flags = "admin",
     .acl = "admin slow dangerous",
     .summary = "Compacts every segment that holds dead bytes and returns when that is done.",
     .complexity = "O(N) where N is the number of live bytes in those segments.",
     .group = "admin"},
    {.name = "FLASH.COMPACTION.STATS",
     .arity = 1,
     .flags = "readonly admin fast",
     .acl = "admin fast",
     .summary = "Returns figures about segments and compaction as name:value pairs.",
     .complexity = "O(1)",
     .group = "admin"},
};

constexpr dispatch::CommandEntry kEntries[] = {
    {&kSpecs[0], DebugState},  {&kSpecs[1], DebugRecovering},   {&kSpecs[2], DebugInfo},
    {&kSpecs[3], DebugDemote}, {&kSpecs[4], CompactionTrigger}, {&kSpecs[5], CompactionStats},
};

}  // namespace

std::span<const dispatch::CommandEntry> AdminCommands() { return kEntries; }

}  // namespace flash::commands
