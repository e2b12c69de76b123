// link_queue.cc: see link_queue.h.
//
// The queue is open from the end of the event loop's sleep to its time events: a timer of the past
// is the first of them, ahead of the server's cron, which may fork. Thread: main.
#include "dispatch/link_queue.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "dispatch/key_queues.h"
#include "dispatch/link_effect.h"
#include "dispatch/long_work.h"
#include "dispatch/recheck.h"
#include "server/engine.h"
#include "server/events.h"
#include "types/save_support.h"
#include "vk/call_reply.h"
#include "vk/log.h"
#include "vk/on_behalf.h"
#include "vk/server_events.h"
#include "vk/without_expiry.h"

namespace flash::dispatch {

using blocks::WaitCause;

namespace {

constexpr const char* kCommandName = "FLASH.DEBUG.CATCHUP";

/// Effects that wait at once; their blocks and arguments are bounded by a portion of the cache
/// each.
constexpr size_t kEffectsMax = 4096;
/// Turns for which the queue is opened without an effect that wants it.
constexpr uint32_t kIdleTurnsMax = 1000;
/// So far back that no other timer can be due before; less than any machine has been up.
constexpr mstime_t kAlreadyDue = -1000;

}  // namespace

struct LinkQueueState {
  std::deque<std::unique_ptr<LinkEffect>> effects;
  std::unordered_set<uint64_t> keys;  // Hashes of (database, key): of those that effects wait on.
  uint64_t read_bytes = 0;
  uint64_t argument_bytes = 0;
  uint64_t link = 0;        // The client whose effects wait.
  uint32_t idle_turns = 0;  // Left, for which the queue is opened.
  bool open = false;
  bool asked = false;    // The server, for its events,
  bool listens = false;  // with success.
  bool applying = false;
  ValkeyModuleCommandFilter* filter = nullptr;

  void SetHolds(bool holds) {
    LinkQueue::holds_ = holds;
    SetEffectsWait(holds);
  }
};

namespace {

LinkQueueState& State() {
  // raw new: never destroyed; its strings belong to the server.
  static auto* const state = new LinkQueueState;
  return *state;
}

/// Effects on values: of a command that works on keys alone and changes nothing else.
bool MayWait(const CommandSpec& spec) {
  return spec.writes() && !spec.keys.empty() && std::string_view(spec.group) != "admin";
}

bool IsFull() {
  const LinkQueueState& state = State();
  return state.effects.size() >= kEffectsMax || state.read_bytes > PortionBytes() ||
         state.argument_bytes > PortionBytes();
}

// --- When the queue is open
// -----------------------------------------------------------------------------

void OnDue(ValkeyModuleCtx* ctx, void* /*data*/) {
  State().open = false;
  LinkQueue::Apply(ctx);
}

void OnEventLoop(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  LinkQueueState& state = State();
  if (sub != VALKEYMODULE_SUBEVENT_EVENTLOOP_AFTER_SLEEP || state.idle_turns == 0) return;
  --state.idle_turns;
  state.open = true;
  ValkeyModule_CreateTimer(ctx, kAlreadyDue, OnDue, nullptr);
}

/// Before any command is looked at, by whoever sends it.
void OnCommand(ValkeyModuleCommandFilterCtx* filter) noexcept {
  if (!LinkQueue::holds()) [[likely]]
    return;
  if (ValkeyModule_CommandFilterGetClientId(filter) == State().link) {
    const std::string_view name = vk::TextOf(ValkeyModule_CommandFilterArgGet(filter, 0));
    const CommandEntry* const entry = FindCommand(name);
    if (entry != nullptr && MayWait(*entry->spec)) return;
  }
  LinkQueue::Apply(server::DetachedContext());
}

void OnRole(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  LinkQueueState& state = State();
  LinkQueue::Apply(ctx);
  if (sub != VALKEYMODULE_EVENT_REPLROLECHANGED_NOW_PRIMARY) return;
  state.idle_turns = 0;
  if (state.filter == nullptr) return;
  ValkeyModule_UnregisterCommandFilter(ctx, std::exchange(state.filter, nullptr));
}

/// By construction nothing is saved, nor forked, while effects wait. Should it be, what is saved
/// would lack effects that its replication offset counts: it fails instead, and is tried again.
void OnSaving(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  if (!LinkQueue::holds() || sub == VALKEYMODULE_SUBEVENT_PERSISTENCE_ENDED ||
      sub == VALKEYMODULE_SUBEVENT_PERSISTENCE_FAILED) {
    return;
  }
  if (types::InForkedChild()) {
    types::FailSave({Code::kBusy, "effects of the primary's wait for their blocks"});
  } else {
    LinkQueue::Apply(ctx);
  }
}

/// Nothing of this costs a node anything that never was a replica with cold data.
bool Listen(ValkeyModuleCtx* ctx) {
  LinkQueueState& state = State();
  if (!state.asked) {
    state.asked = true;
    state.listens = vk::Listen(ctx, {{ValkeyModuleEvent_EventLoop, OnEventLoop},
                                     {ValkeyModuleEvent_ReplicationRoleChanged, OnRole},
                                     {ValkeyModuleEvent_Persistence, OnSaving}})
                        .ok();
  }
  if (!state.listens) return false;
  if (state.filter == nullptr) state.filter = ValkeyModule_RegisterCommandFilter(ctx, OnCommand, 0);
  return state.filter != nullptr;
}

// --- Taking
// -----------------------------------------------------------------------------------------

bool IsWaitedOn(const CommandSpec& spec, int db, ValkeyModuleString** argv, int argc) {
  bool found = false;
  ForEachKey(spec, argv, argc, [&](int index) {
    found = found || State().keys.contains(HashOfKey(db, vk::TextOf(argv[index])));
  });
  return found;
}

LinkEffect& Queue(const CommandSpec& spec, ValkeyModuleCtx* ctx, ValkeyModuleString** argv,
                  int argc) {
  LinkQueueState& state = State();
  const int db = ValkeyModule_GetSelectedDb(ctx);
  ForEachKey(spec, argv, argc,
             [&](int index) { state.keys.insert(HashOfKey(db, vk::TextOf(argv[index]))); });
  state.argument_bytes += LinkEffect::ArgumentBytes(argv, argc);
  state.effects.push_back(std::make_unique<LinkEffect>(spec, ctx, argv, argc));
  state.SetHolds(true);
  ++server::Engine::Get().counters().replication_effects_queued;
  return *state.effects.back();
}

// --- Applying
// ---------------------------------------------------------------------------------------

void AwaitReads(const std::deque<std::unique_ptr<LinkEffect>>& effects) {
  server::Engine::Get().pool().DriveUntil(WaitCause::kReplication, [&] {
    return std::all_of(effects.begin(), effects.end(),
                       [](const auto& effect) { return effect->is_ready(); });
  });
}

void Log(const LinkEffect& effect) {
  static constinit vk::SeldomLog log;
  log.Warning(std::string("an effect of the primary's could not be applied (") + effect.name() +
              "): this replica's data differs from the primary's until it is synchronised anew");
}

/// In order. Where one lacks blocks still, so may those behind it: all are asked, and read
/// together.
void ApplyInOrder(ValkeyModuleCtx* ctx) {
  const vk::OnBehalfOfPrimary on_behalf;
  std::deque<std::unique_ptr<LinkEffect>>& effects = State().effects;
  AwaitReads(effects);
  while (!effects.empty()) {
    const LinkEffect::Applied applied = effects.front()->Apply(ctx);
    if (applied != LinkEffect::Applied::kLacks) {
      if (applied == LinkEffect::Applied::kError) Log(*effects.front());
      effects.pop_front();
      continue;
    }
    uint64_t bytes_left = PortionBytes();
    for (size_t i = 1; i < effects.size() && bytes_left > 0; ++i) {
      bytes_left -= effects[i]->PlanAhead(bytes_left);
    }
    AwaitReads(effects);
  }
}

int CatchUp(ValkeyModuleCtx* ctx, ValkeyModuleString** /*argv*/, int /*argc*/) noexcept {
  if (!State().applying) {
    return ValkeyModule_ReplyWithError(ctx, "ERR only the module itself applies what waits");
  }
  if (!vk::RunWithoutExpiry(ctx, ApplyInOrder)) ApplyInOrder(ctx);
  return ValkeyModule_ReplyWithSimpleString(ctx, "OK");
}

constexpr CommandSpec kSpec = {
    .name = kCommandName,
    .arity = 1,
    .flags = "write admin no-monitor no-slowlog",
    .acl = "admin dangerous slow",
    .summary = "For the module's own use on a replica that waits for blocks; an error otherwise.",
    .complexity = "That of the commands that wait.",
    .group = "admin"};

constexpr CommandEntry kEntries[] = {{&kSpec, CatchUp}};

}  // namespace

// --- LinkQueue
// --------------------------------------------------------------------------------------

bool LinkQueue::Take(Context& context, ValkeyModuleString** argv, int argc, uint32_t flags) {
  // A replica that may evict or be written to has data of its own making, which need not wait.
  constexpr uint32_t kRefused =
      VALKEYMODULE_CTX_FLAGS_MULTI | VALKEYMODULE_CTX_FLAGS_LUA | VALKEYMODULE_CTX_FLAGS_LOADING |
      VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING | VALKEYMODULE_CTX_FLAGS_SLOT_IMPORT_CLIENT |
      VALKEYMODULE_CTX_FLAGS_MAXMEMORY;
  constexpr uint32_t kWanted = VALKEYMODULE_CTX_FLAGS_REPLICATED | VALKEYMODULE_CTX_FLAGS_REPLICA |
                               VALKEYMODULE_CTX_FLAGS_READONLY;
  LinkQueueState& state = State();
  const bool may = (flags & kRefused) == 0 && (flags & kWanted) == kWanted &&
                   MayWait(context.spec()) && !context.key_wait() && Listen(context.raw());
  if (may) state.idle_turns = kIdleTurnsMax;
  const std::vector<BlockId>& lacking = context.need().blocks;
  const uint64_t bytes = LinkEffect::ReadBytes(lacking);
  if (!may || !state.open || context.need().kind != Need::Kind::kBlocks || bytes > PortionBytes()) {
    Apply(context.raw());  // What it needs may be more than both together may hold.
    return false;
  }
  if (IsFull()) Apply(context.raw());
  state.link = ValkeyModule_GetClientId(context.raw());
  state.read_bytes += bytes;
  Queue(context.spec(), context.raw(), argv, argc).ReadAhead(lacking);
  return true;
}

bool LinkQueue::TakeBehind(ValkeyModuleCtx* ctx, const CommandSpec& spec, ValkeyModuleString** argv,
                           int argc) {
  LinkQueueState& state = State();
  if (ValkeyModule_GetClientId(ctx) != state.link) return false;
  if (!IsWaitedOn(spec, ValkeyModule_GetSelectedDb(ctx), argv, argc)) return false;
  if (IsFull()) {
    Apply(ctx);
    return false;
  }
  state.read_bytes += Queue(spec, ctx, argv, argc).PlanAhead(PortionBytes());
  return true;
}

void LinkQueue::Apply(ValkeyModuleCtx* ctx) {
  LinkQueueState& state = State();
  if (!holds_ || state.applying) return;
  state.applying = true;
  state.SetHolds(false);
  state.keys.clear();
  state.read_bytes = state.argument_bytes = 0;
  // Replicated as its own commands say: only under a call that may replicate.
  const vk::CallReply reply(ValkeyModule_Call(ctx, kCommandName, "!"));
  if (!state.effects.empty()) ApplyInOrder(ctx);
  state.applying = false;
}

std::span<const CommandEntry> LinkQueueCommands() { return kEntries; }

}  // namespace flash::dispatch
