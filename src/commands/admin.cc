// admin.cc: the admin commands, and the clients that wait for a demotion or a compaction.
//
// A waiting client is parked and looked after once per turn of the event loop; where a client
// cannot be parked the command drives the pool itself, which is counted. Thread: main.
#include "commands/admin.h"

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "server/engine.h"
#include "server/errors.h"
#include "server/events.h"
#include "server/type_registry.h"
#include "vk/blocked_client.h"
#include "vk/key.h"
#include "vk/string.h"

namespace flash::commands {
namespace {

using server::Engine;

constexpr uint64_t kDemoteWaitUsMax = 30'000'000;
constexpr uint64_t kDemoteSliceUs = 500;  // Of a value of many blocks, per turn of the event loop.
constexpr size_t kDemotePortion = 16;     // Blocks between two looks at the clock.
constexpr const char* kOk = "OK";
constexpr const char* kMissing = "ERR key does not exist";
constexpr const char* kInUse =
    "ERR the value was used all the time and did not leave RAM; nothing is lost";
constexpr const char* kWriteFailing =
    "FLASHIO the value could not be written to flash (device error); it stays in RAM";
constexpr const char* kDemoteFull = "FLASHFULL no room on flash; the value stays in RAM";

/// What a step of a waiting command says: null, not yet; else a simple string or an error to reply.
using Answer = const char*;

bool IsError(Answer answer) { return answer != kOk; }

int ReplyAnswer(ValkeyModuleCtx* ctx, Answer answer) {
  return IsError(answer) ? ValkeyModule_ReplyWithError(ctx, answer)
                         : ValkeyModule_ReplyWithSimpleString(ctx, answer);
}

// --- Demotion
// -------------------------------------------------------------------------------------

/// The blocks of the value at `key`. An answer if there is nothing to demote.
Answer BlocksOf(ValkeyModuleCtx* ctx, ValkeyModuleString* key, std::vector<BlockId>* ids) {
  const vk::Key open(ctx, key, vk::Key::kPeek);
  if (!open.exists()) return kMissing;
  const server::FlashType* const type = server::TypeRegistry::Find(open.module_type());
  if (type == nullptr) return server::errors::kWrongType;
  type->append_blocks(open.module_value(), ids);
  return nullptr;
}

bool AllCold(const std::vector<BlockId>& ids) {
  const blocks::BlockPool& pool = Engine::Get().pool();
  for (const BlockId id : ids) {
    if (pool.StateOf(id) != blocks::BlockState::kCold) return false;
  }
  return true;
}

bool AllOnFlash(const std::vector<BlockId>& ids) {
  const blocks::BlockPool& pool = Engine::Get().pool();
  for (const BlockId id : ids) {
    if (!pool.IsOnFlash(id)) return false;
  }
  return true;
}

uint64_t WriteErrors() { return Engine::Get().pool().store().stats().write_errors; }

/// Sends what is hot on its way, as much as a slice of time allows, again if it came back
/// meanwhile. `write_errors`: as it was when the command came, since what failed before says
/// nothing about now.
Answer StepDemotion(ValkeyModuleCtx* ctx, ValkeyModuleString* key, uint64_t write_errors) {
  std::vector<BlockId> ids;
  if (const Answer answer = BlocksOf(ctx, key, &ids)) return answer;
  Engine& engine = Engine::Get();
  blocks::BlockPool& pool = engine.pool();
  const uint64_t deadline_us = engine.clock().NowUs() + kDemoteSliceUs;
  size_t sent_now = 0;
  for (const BlockId id : ids) {
    const Result<bool> sent = pool.Demote(id);
    if (!sent && sent.code() == Code::kBusy) break;
    if (!sent) return kDemoteFull;
    if (!*sent) continue;
    ++engine.counters().commanded_demotions;
    if (++sent_now % kDemotePortion == 0 && engine.clock().NowUs() >= deadline_us) break;
  }
  pool.store().Flush();
  if (AllOnFlash(ids)) return kOk;
  const store::RecordStore::Stats& store = pool.store().stats();
  const bool failed = store.writes_failing && store.write_errors != write_errors;
  return failed ? kWriteFailing : nullptr;
}

void NoteEvicted(ValkeyModuleCtx* ctx, ValkeyModuleString* key) {
  ValkeyModule_NotifyKeyspaceEvent(ctx, VALKEYMODULE_NOTIFY_GENERIC, "flash.evict", key);
}

// --- Clients that wait
// ------------------------------------------------------------------------------

struct Waiter {
  vk::BlockedClient client;
  vk::String key;  // Of a demotion.
  int db = 0;
  uint64_t deadline_us = 0;
  uint64_t write_errors = 0;
  uint64_t pass = 0;  // Of a compaction: done when so many passes are.
};

std::vector<Waiter>& Waiters() {
  // raw new: never destroyed; its strings belong to the server.
  static auto* const waiters = new std::vector<Waiter>;
  return *waiters;
}

Answer Step(ValkeyModuleCtx* ctx, const Waiter& waiter) {
  Engine& engine = Engine::Get();
  if (!waiter.key) return engine.CompactionDone(waiter.pass) ? kOk : nullptr;
  ValkeyModule_SelectDb(ctx, waiter.db);
  const Answer answer = StepDemotion(ctx, waiter.key.get(), waiter.write_errors);
  if (answer != nullptr) return answer;
  return engine.clock().NowUs() < waiter.deadline_us ? nullptr : kInUse;
}

void LookAfterWaiters(ValkeyModuleCtx* ctx) {
  std::vector<Waiter>& waiters = Waiters();
  std::erase_if(waiters, [ctx](Waiter& waiter) {
    const Answer answer = Step(ctx, waiter);
    if (answer == nullptr) return false;
    waiter.client.Unblock(const_cast<char*>(answer));  // Only read; see ReplyLate.
    return true;
  });
}

int ReplyLate(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) {
  const auto* const answer = static_cast<Answer>(ValkeyModule_GetBlockedClientPrivateData(ctx));
  if (!IsError(answer) && argc == 2) NoteEvicted(ctx, argv[1]);
  return ReplyAnswer(ctx, answer);
}

void OnDisconnect(ValkeyModuleCtx* /*ctx*/, ValkeyModuleBlockedClient* client) {
  std::erase_if(Waiters(), [client](Waiter& waiter) {
    if (waiter.client.get() != client) return false;
    waiter.client.Unblock(nullptr);  // Nobody is left to hear the answer.
    return true;
  });
}

/// Parks the client if that may be; false: wait here.
bool Park(ValkeyModuleCtx* ctx, Waiter&& waiter) {
  if ((vk::ContextFlags(ctx) & vk::kNoBlockingFlags) != 0) return false;
  waiter.client = vk::BlockedClient::Block(ctx, ReplyLate, nullptr);
  if (!waiter.client) return false;
  waiter.client.OnDisconnect(OnDisconnect);
  Waiters().push_back(std::move(waiter));
  return true;
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

int DebugDemote(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int /*argc*/) {
  std::vector<BlockId> ids;
  if (const Answer answer = BlocksOf(ctx, argv[1], &ids)) return ReplyAnswer(ctx, answer);
  if (ids.empty()) return ReplyAnswer(ctx, kOk);  // Too small to tier: it has no blocks.
  if (AllCold(ids) && AllOnFlash(ids)) {
    return ValkeyModule_ReplyWithSimpleString(ctx, "ALREADY_COLD");
  }
  const uint64_t write_errors = WriteErrors();
  Answer answer = StepDemotion(ctx, argv[1], write_errors);
  if (answer == nullptr) {
    Engine& engine = Engine::Get();
    Waiter waiter;
    waiter.key = vk::String::Hold(argv[1]);
    waiter.db = ValkeyModule_GetSelectedDb(ctx);
    waiter.write_errors = write_errors;
    waiter.deadline_us = engine.clock().NowUs() + kDemoteWaitUsMax;
    if (Park(ctx, std::move(waiter))) return VALKEYMODULE_OK;
    engine.pool().DriveUntil(
        blocks::WaitCause::kDemoteCommand,
        [&] {
          answer = StepDemotion(ctx, argv[1], write_errors);
          return answer != nullptr;
        },
        kDemoteWaitUsMax);
    if (answer == nullptr) answer = kInUse;
  }
  if (!IsError(answer)) NoteEvicted(ctx, argv[1]);
  return ReplyAnswer(ctx, answer);
}

int CompactionTrigger(ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) {
  Engine& engine = Engine::Get();
  Waiter waiter;
  waiter.pass = engine.RequestCompaction(0);
  const uint64_t pass = waiter.pass;
  if (Park(ctx, std::move(waiter))) return VALKEYMODULE_OK;
  engine.pool().DriveUntil(blocks::WaitCause::kOther, [&] { return engine.CompactionDone(pass); });
  return ReplyAnswer(ctx, kOk);
}

void ReplyPair(ValkeyModuleCtx* ctx, const char* name, const std::string& value) {
  const std::string text = std::string(name) + ":" + value;
  ValkeyModule_ReplyWithStringBuffer(ctx, text.data(), text.size());
}

std::string Ratio(uint64_t part, uint64_t whole) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4f",
                whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole));
  return text.data();
}

int CompactionStats(ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) {
  const store::RecordStore::Stats& store = Engine::Get().pool().store().stats();
  const std::array<std::pair<const char*, std::string>, 12> pairs = {{
      {"compaction_runs", std::to_string(store.compaction_runs)},
      {"bytes_reclaimed", std::to_string(store.compaction_bytes_reclaimed)},
      {"free_blocks", std::to_string(store.free_bytes / 4096)},
      {"segment_bytes", std::to_string(store.segment_bytes)},
      {"segments_free", std::to_string(store.segments_free)},
      {"segments_open", std::to_string(store.segments_open)},
      {"segments_sealed", std::to_string(store.segments_sealed)},
      {"segments_waiting", std::to_string(store.segments_waiting)},
      {"segments_bad", std::to_string(store.segments_bad)},
      {"live_ratio", Ratio(store.used_bytes, store.used_bytes + store.dead_bytes)},
      {"bytes_moved", std::to_string(store.moved_bytes)},
      {"write_amplification", Ratio(store.device_bytes_written, store.put_stored_bytes)},
  }};
  ValkeyModule_ReplyWithArray(ctx, static_cast<long>(pairs.size()));
  for (const auto& [name, value] : pairs) ReplyPair(ctx, name, value);
  return VALKEYMODULE_OK;
}

// --- Specs
// ----------------------------------------------------------------------------------------

constexpr server::KeySpec kDemoteKeys[] = {{.access = server::KeyAccess::kReadOnly, .flags = 0}};
constexpr server::ArgSpec kDemoteArgs[] = {{.name = "key", .type = server::ArgType::kKey}};

constexpr server::CommandSpec kSpecs[] = {
    {.name = "FLASH.DEBUG.STATE",
     .arity = 1,
     .flags = "readonly fast allow-stale allow-loading",
     .acl = "admin fast",
     .summary = "Tells whether the module is recovering, ready or in error.",
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

constexpr server::CommandEntry kEntries[] = {
    {&kSpecs[0], DebugState},
    {&kSpecs[1], DebugDemote},
    {&kSpecs[2], CompactionTrigger},
    {&kSpecs[3], CompactionStats},
};

}  // namespace

std::span<const server::CommandEntry> AdminCommands() { return kEntries; }

void StartAdmin() { server::AddTurnHook(LookAfterWaiters); }

}  // namespace flash::commands
