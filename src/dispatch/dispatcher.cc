// dispatcher.cc: see dispatcher.h.
//
// Thread: main.
#include "dispatch/dispatcher.h"

#include <optional>
#include <utility>

#include "dispatch/errors.h"
#include "dispatch/key_waiter.h"
#include "dispatch/link_queue.h"
#include "dispatch/parked.h"
#include "dispatch/pause_points.h"
#include "dispatch/tracking.h"
#include "dispatch/waiting_clients.h"
#include "server/events.h"
#include "server/freeing.h"
#include "types/dump_ahead.h"
#include "vk/ok_reply.h"

namespace flash::dispatch {
namespace {

using blocks::BlockPool;
using blocks::WaitCause;

/// Runs of a handler whose needs are brought while this thread waits; each brings what the one
/// before lacked, and nothing else runs in between.
constexpr int kRoundsMax = 64;

BlockPool& Pool() { return server::Engine::Get().pool(); }

/// Why the client of `ctx`, whose flags these are, cannot be parked, if it cannot.
std::optional<WaitCause> CauseToWait(ValkeyModuleCtx* ctx, uint32_t flags) {
  // While new data loads beside the old, commands run in a nested loop, which unblocks nobody.
  constexpr uint32_t kLoads = VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING;
  if ((flags & kLoads) != 0) return WaitCause::kLoading;
  if ((flags & VALKEYMODULE_CTX_FLAGS_LUA) != 0) return WaitCause::kScript;
  if ((flags & VALKEYMODULE_CTX_FLAGS_MULTI) != 0) return WaitCause::kMulti;
  if ((flags & VALKEYMODULE_CTX_FLAGS_REPLICATED) != 0) return WaitCause::kReplication;
  if ((flags & VALKEYMODULE_CTX_FLAGS_DENY_BLOCKING) != 0) return WaitCause::kDenyBlocking;
  // An invalidation that came while the client waits would be lost on the value it reads.
  if (Tracking::IsOn(ctx)) return WaitCause::kTracking;
  server::Engine& engine = server::Engine::Get();
  if (engine.counters().parked_now >= engine.settings().max_parked_clients) {
    return WaitCause::kTooManyParked;
  }
  // To evict keys for the sake of a client that waits would be a bad bargain.
  if (!server::HasMemoryToPark()) return WaitCause::kMemory;
  return std::nullopt;
}

/// What brings the data itself, and readers of the old data while new data loads.
bool BringsData(ValkeyModuleCtx* ctx) {
  constexpr uint32_t kAllowed = VALKEYMODULE_CTX_FLAGS_LOADING |
                                VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING |
                                VALKEYMODULE_CTX_FLAGS_REPLICATED;
  return (vk::ContextFlags(ctx) & kAllowed) != 0;
}

/// Once per turn of the event loop.
void OnTurn(ValkeyModuleCtx* ctx) {
  LinkQueue::Apply(ctx);  // They were, before the time events of this turn.
  WaitingClients::Turn(ctx);
  Parked::ReleaseHeld();
  KeyWaiter::ReleaseHeld();
  Tracking::Turn();
  types::DumpAhead::Turn();
}

}  // namespace

Result<void> Dispatcher::Start(ValkeyModuleCtx* ctx) {
  vk::OkReply::Prepare(ctx);
  StartPausePoints();
  server::AddTurnHook(OnTurn);
  Pool().SetFreesPending(server::AnyFreePending);
  return {};
}

bool Dispatcher::MayRunNow(ValkeyModuleCtx* ctx) {
  if (server::Engine::Get().replaying()) return true;
  server::NoteNothingLoads(ctx);  // No turn of the event loop yet since MODULE LOAD.
  const char* const refusal = NotReady();
  if (refusal == nullptr || (refusal == errors::kRecovering && BringsData(ctx))) return true;
  ValkeyModule_ReplyWithError(ctx, refusal);
  return false;
}

const char* NotReady() {
  switch (server::Engine::Get().state()) {
    case server::ModuleState::kReady:
      return nullptr;
    case server::ModuleState::kRecovering:
      return errors::kRecovering;
    case server::ModuleState::kError:
      break;
  }
  return errors::kFailed;
}

bool Dispatcher::MayWriteNow(ValkeyModuleCtx* ctx, const CommandSpec& spec,
                             ValkeyModuleString** argv, int argc) {
  if (LinkQueue::holds() && LinkQueue::TakeBehind(ctx, spec, argv, argc)) return false;
  if (WriteRefusal() == nullptr || server::Engine::Get().replaying() || BringsData(ctx)) {
    return true;
  }
  ValkeyModule_ReplyWithError(ctx, WriteRefusal());
  return false;
}

Outcome Dispatcher::RunNow(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc,
                           const CommandSpec& spec, Need need, Bringer* bringer, WaitCause cause) {
  for (int round = 0; round < kRoundsMax; ++round) {
    bringer->BringNow(need, cause);
    Context context(ctx, argv, argc, spec, Context::Mode::kLast, bringer->prepared());
    const Outcome outcome = RunHandler(context);
    if (outcome != Outcome::kPark) return outcome;
    need = std::move(context.need());
  }
  ++server::Engine::Get().counters().flashfull_errors;
  ValkeyModule_ReplyWithError(ctx, errors::kFull);
  return Outcome::kDone;
}

void Dispatcher::Bring(Context& context, Outcome outcome, ValkeyModuleString** argv, int argc) {
  ValkeyModuleCtx* const ctx = context.raw();
  if (outcome == Outcome::kPark) {
    const uint32_t flags = vk::ContextFlags(ctx);
    if ((flags & VALKEYMODULE_CTX_FLAGS_IS_CHILD) != 0) {
      // A script debugger's session is a fork: it has no I/O threads, and would wait for ever.
      ValkeyModule_ReplyWithError(ctx, errors::kInChild);
      return;
    }
    const std::optional<WaitCause> cause = CauseToWait(ctx, flags);
    if (cause == WaitCause::kReplication && LinkQueue::Take(context, argv, argc, flags)) return;
    const bool blocking = context.key_wait().has_value();
    if (!cause &&
        (blocking ? KeyWaiter::Start(context, argv, argc) : Parked::Start(context, argv, argc))) {
      return;
    }
    Bringer bringer;
    outcome = RunNow(ctx, argv, argc, context.spec(), std::move(context.need()), &bringer,
                     cause.value_or(WaitCause::kDenyBlocking));
    context.need() = {};
  }
  if (outcome == Outcome::kWait && !KeyWaiter::Start(context, argv, argc)) {
    ValkeyModule_ReplyWithError(ctx, errors::kCannotWait);
  }
}

}  // namespace flash::dispatch
