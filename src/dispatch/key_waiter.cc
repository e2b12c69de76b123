// key_waiter.cc: see key_waiter.h.
//
// Every KeyWaiter ends in OnFree, which the server calls after the reply, the time limit, or after
// the client left. Thread: main.
#include "dispatch/key_waiter.h"

#include <memory>
#include <utility>

#include "dispatch/dispatcher.h"
#include "dispatch/pause_points.h"
#include "dispatch/recheck.h"
#include "server/events.h"
#include "vk/key.h"

namespace flash::dispatch {
namespace {

using blocks::WaitCause;

std::vector<KeyWaiter*>& Held() {
  // raw new: clients may still be waiting when the process exits.
  static auto* const held = new std::vector<KeyWaiter*>;
  return *held;
}

/// Makes the event loop turn once more: signals alone do not wake it.
void WakeEventLoop() {
  ValkeyModule_EventLoopAddOneShot([](void* /*data*/) noexcept {}, nullptr);
}

}  // namespace

KeyWaiter::KeyWaiter(Context& context, ValkeyModuleString** argv, int argc)
    : command_(context.spec(), context.raw(), argv, argc),
      bringer_([this] { PlanAgain(); }),
      wait_(*context.key_wait()) {}

bool KeyWaiter::Start(Context& context, ValkeyModuleString** argv, int argc) {
  // raw new: owned by the blocked client, deleted in OnFree.
  auto* const waiter = new KeyWaiter(context, argv, argc);
  const KeyWait& wait = waiter->wait_;
  ValkeyModuleBlockedClient* const client =
      ValkeyModule_BlockClientOnKeys(context.raw(), OnReady, OnTimeout, OnFree, wait.timeout_ms,
                                     argv + wait.first, wait.last - wait.first + 1, waiter);
  if (client == nullptr) {
    delete waiter;
    return false;
  }
  if (context.need().kind == Need::Kind::kNothing) return true;
  server::ServerCounters& counters = server::Engine::Get().counters();
  ++counters.parked_now;
  ++counters.parked_total;
  waiter->state_ = State::kBringing;
  if (IsHeld(PausePoint::kFetch)) {
    waiter->held_need_ = std::move(context.need());
    waiter->Hold();
  } else {
    waiter->Begin(std::move(context.need()));
  }
  return true;
}

KeyWaiter::~KeyWaiter() {
  if (held_) std::erase(Held(), this);
}

// --- Before the first run
// -----------------------------------------------------------------------------------

void KeyWaiter::Begin(Need need) {
  if (need.kind != Need::Kind::kNothing) return bringer_.Begin(std::move(need));
  EndBringing(State::kFirstRun);
  Signal();
}

void KeyWaiter::PlanAgain() {
  if (plans_ == KeptCommand::kPlansMax) return Begin({});
  ++plans_;
  Need lacking;
  if (command_.Plan(bringer_.prepared(), &lacking) == Outcome::kWait) {
    return EndBringing(State::kWaiting);
  }
  Begin(std::move(lacking));
}

void KeyWaiter::EndBringing(State next) {
  if (state_ == State::kBringing) --server::Engine::Get().counters().parked_now;
  state_ = next;
  if (next == State::kWaiting) bringer_.Drop();
}

void KeyWaiter::Signal() {
  ValkeyModuleCtx* const ctx = server::DetachedContext();
  InDatabase(ctx, command_.db(), [&] {
    for (int i = wait_.first; i <= wait_.last; ++i) {
      ValkeyModule_SignalKeyAsReady(ctx, command_.argv()[i]);
    }
  });
  WakeEventLoop();
}

void KeyWaiter::Hold() {
  // Others may need these while this one waits for the end of a pause; the run fetches again.
  bringer_.GiveWay();
  if (std::exchange(held_, true)) return;
  Held().push_back(this);
}

void KeyWaiter::ReleaseHeld() {
  if (Held().empty()) [[likely]]
    return;
  for (KeyWaiter* waiter : std::exchange(Held(), {})) {
    waiter->held_ = false;
    if (waiter->held_need_.kind != Need::Kind::kNothing) {
      if (IsHeld(PausePoint::kFetch)) {
        waiter->Hold();
      } else {
        waiter->Begin(std::exchange(waiter->held_need_, {}));
      }
    } else if (ValkeyModule_AvoidReplicaTraffic() != 0 || IsHeld(PausePoint::kRelease)) {
      waiter->Hold();
    } else {
      waiter->Signal();
    }
  }
}

// --- Called back by the server
// ------------------------------------------------------------------------------

bool KeyWaiter::ReadyKeyMayServe(ValkeyModuleCtx* ctx) const {
  ValkeyModuleString* const name = ValkeyModule_GetBlockedClientReadyKey(ctx);
  const vk::Key key(ctx, name, vk::Key::kPeek);
  return MayServe(key, wait_.type);
}

bool KeyWaiter::Apply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) {
  if (const char* refusal = RefusalOf(ctx, command_.spec(), argv, argc); refusal != nullptr) {
    ValkeyModule_ReplyWithError(ctx, refusal);
    return true;
  }
  const CommandSpec& spec = command_.spec();
  Context context(ctx, argv, argc, spec, Context::Mode::kLast, bringer_.prepared());
  Outcome outcome = RunHandler(context);
  if (outcome == Outcome::kPark) {
    outcome = Dispatcher::RunNow(ctx, argv, argc, spec, std::move(context.need()), &bringer_,
                                 WaitCause::kCallbackMiss);
  }
  return outcome == Outcome::kDone;
}

int KeyWaiter::OnReady(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept {
  auto* const waiter = static_cast<KeyWaiter*>(ValkeyModule_GetBlockedClientPrivateData(ctx));
  if (waiter->state_ == State::kBringing) return VALKEYMODULE_ERR;
  if (waiter->state_ == State::kWaiting && !waiter->ReadyKeyMayServe(ctx)) return VALKEYMODULE_ERR;
  // The server asserts when something is propagated during a pause of writes.
  if (ValkeyModule_AvoidReplicaTraffic() != 0 || IsHeld(PausePoint::kRelease)) {
    waiter->Hold();
    return VALKEYMODULE_ERR;
  }
  if (waiter->Apply(ctx, argv, argc)) return VALKEYMODULE_OK;
  waiter->EndBringing(State::kWaiting);
  return VALKEYMODULE_ERR;
}

int KeyWaiter::OnTimeout(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept {
  auto* const waiter = static_cast<KeyWaiter*>(ValkeyModule_GetBlockedClientPrivateData(ctx));
  // A command that was not run yet is run now: there may be something for it. Not during a pause of
  // writes, when nothing may be taken.
  if (waiter->state_ != State::kWaiting && ValkeyModule_AvoidReplicaTraffic() == 0) {
    waiter->EndBringing(State::kFirstRun);
    if (waiter->Apply(ctx, argv, argc)) return VALKEYMODULE_OK;
    waiter->EndBringing(State::kWaiting);
  }
  ValkeyModule_ReplyWithNullArray(ctx);
  return VALKEYMODULE_OK;
}

void KeyWaiter::OnFree(ValkeyModuleCtx* /*ctx*/, void* pointer) noexcept {
  const std::unique_ptr<KeyWaiter> waiter(static_cast<KeyWaiter*>(pointer));
  if (server::Engine::IsOpen()) {
    waiter->EndBringing(State::kWaiting);
  }
}

}  // namespace flash::dispatch
