// dispatcher.cc: see dispatcher.h.
//
// Thread: main.
#include "server/dispatcher.h"

#include <optional>
#include <utility>

#include "server/errors.h"
#include "server/events.h"
#include "server/key_waiter.h"
#include "server/loading.h"
#include "server/parked.h"
#include "server/pause_points.h"

namespace flash::server {
namespace {

using blocks::BlockPool;
using blocks::WaitCause;

/// Runs of a handler whose needs are brought while this thread waits; each brings what the one
/// before lacked, and nothing else runs in between.
constexpr int kRoundsMax = 16;

BlockPool& Pool() { return Engine::Get().pool(); }

bool IsTracking(ValkeyModuleCtx* ctx) {
  ValkeyModuleClientInfo info = VALKEYMODULE_CLIENTINFO_INITIALIZER_V1;
  if (ValkeyModule_GetClientInfoById(&info, ValkeyModule_GetClientId(ctx)) != VALKEYMODULE_OK) {
    return false;
  }
  return (info.flags & VALKEYMODULE_CLIENTINFO_FLAG_TRACKING) != 0;
}

/// Why the client of `ctx`, whose flags these are, cannot be parked, if it cannot.
std::optional<WaitCause> CauseToWait(ValkeyModuleCtx* ctx, uint32_t flags) {
  if ((flags & VALKEYMODULE_CTX_FLAGS_LOADING) != 0) return WaitCause::kLoading;
  if ((flags & VALKEYMODULE_CTX_FLAGS_LUA) != 0) return WaitCause::kScript;
  if ((flags & VALKEYMODULE_CTX_FLAGS_MULTI) != 0) return WaitCause::kMulti;
  if ((flags & VALKEYMODULE_CTX_FLAGS_REPLICATED) != 0) return WaitCause::kReplication;
  if ((flags & VALKEYMODULE_CTX_FLAGS_DENY_BLOCKING) != 0) return WaitCause::kDenyBlocking;
  // An invalidation that came while the client waits would be lost on the value it reads.
  if (IsTracking(ctx)) return WaitCause::kTracking;
  Engine& engine = Engine::Get();
  if (engine.counters().parked_now >= engine.settings().max_parked_clients) {
    return WaitCause::kTooManyParked;
  }
  return std::nullopt;
}

/// Where `attempt` finds no room, what a script deleted before is freed, and it runs once more.
template <typename Attempt>
bool FindRoom(Prepared* prepared, const Attempt& attempt) {
  if (attempt()) return true;
  prepared->pins.Release();  // What is missed by that is asked for again.
  return FinishFrees() && attempt();
}

/// Brings everything in `need`; failures are left in `prepared` for the handler's gates to reply.
void Satisfy(Need& need, WaitCause cause, Prepared* prepared) {
  if (cause == WaitCause::kLoading) {
    prepared->pins.Release();  // What is missed by that is asked for again.
    FinishFreesWhileLoading();
  }
  switch (need.kind) {
    case Need::Kind::kNothing:
      return;
    case Need::Kind::kBlocks: {
      prepared->pins.Release();
      prepared->room.Release();
      prepared->pins = Pool().FetchNow(need.blocks, cause);
      if (Result<void> read = prepared->pins.outcome(); !read) {
        prepared->read_failure = read.code();
      }
      return;
    }
    case Need::Kind::kGather: {
      prepared->pins.Release();
      prepared->room.Release();
      auto job = std::make_shared<GatherJob>(need.values, [] {});
      if (Result<void> read = job->RunNow(cause); !read) {
        prepared->read_failure = read.code();
      } else {
        prepared->gathered = std::move(job);
      }
      return;
    }
    case Need::Kind::kBuild: {
      prepared->built = std::make_shared<BuildJob>(need.sources, [] {});
      prepared->full = !FindRoom(prepared, [&] { return prepared->built->RunNow().ok(); });
      return;
    }
    case Need::Kind::kRoom: {
      prepared->room.Release();
      prepared->full = !FindRoom(prepared, [&] {
        Result<blocks::RoomGrant> room = Pool().AwaitRoom(need.room_bytes, WaitCause::kHardMark);
        if (room) prepared->room = std::move(*room);
        return room.ok();
      });
      return;
    }
  }
}

/// Once per turn of the event loop.
void OnTurn(ValkeyModuleCtx* /*ctx*/) {
  Parked::ReleaseHeld();
  KeyWaiter::ReleaseHeld();
}

}  // namespace

Result<void> Dispatcher::Start(ValkeyModuleCtx* /*ctx*/) {
  StartPausePoints();
  AddTurnHook(OnTurn);
  Pool().SetFreesPending(AnyFreePending);
  return {};
}

bool Dispatcher::MayRunNow(ValkeyModuleCtx* ctx) {
  if (Engine::Get().state() == ModuleState::kError) {
    ValkeyModule_ReplyWithError(ctx, errors::kFailed);
    return false;
  }
  // What brings the data itself, and readers of the old data while new data loads.
  constexpr uint32_t kAllowed = VALKEYMODULE_CTX_FLAGS_LOADING |
                                VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING |
                                VALKEYMODULE_CTX_FLAGS_REPLICATED;
  if ((vk::ContextFlags(ctx) & kAllowed) != 0) return true;
  ValkeyModule_ReplyWithError(ctx, errors::kRecovering);
  return false;
}

Outcome Dispatcher::RunNow(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc,
                           const CommandSpec& spec, Need need, Prepared* prepared,
                           WaitCause cause) {
  for (int round = 0; round < kRoundsMax; ++round) {
    Satisfy(need, cause, prepared);
    Context context(ctx, argv, argc, spec, Context::Mode::kLast, prepared);
    const Outcome outcome = spec.handler(context);
    if (outcome != Outcome::kPark) return outcome;
    need = std::move(context.need());
  }
  ++Engine::Get().counters().flashfull_errors;
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
    const bool blocking = context.key_wait().has_value();
    if (!cause &&
        (blocking ? KeyWaiter::Start(context, argv, argc) : Parked::Start(context, argv, argc))) {
      return;
    }
    Prepared prepared;
    outcome = RunNow(ctx, argv, argc, context.spec(), std::move(context.need()), &prepared,
                     cause.value_or(WaitCause::kDenyBlocking));
    context.need() = {};
  }
  if (outcome == Outcome::kWait && !KeyWaiter::Start(context, argv, argc)) {
    ValkeyModule_ReplyWithError(ctx, errors::kCannotWait);
  }
}

}  // namespace flash::server
