// key_waiter.cc: see key_waiter.h.
//
// Every KeyWaiter ends in OnFree, which the server calls after the reply, the time limit, or after
// the client left. Thread: main.
#include "server/key_waiter.h"

#include <memory>
#include <utility>

#include "server/dispatcher.h"
#include "server/events.h"
#include "server/pause_points.h"
#include "server/recheck.h"
#include "vk/key.h"

namespace flash::server {
namespace {

using blocks::BlockPool;
using blocks::WaitCause;

/// Plans from the event loop before the callback has to wait for what is lacking still.
constexpr int kPlansMax = 3;

BlockPool& Pool() { return Engine::Get().pool(); }

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
    : spec_(context.spec()),
      wait_(*context.key_wait()),
      db_(ValkeyModule_GetSelectedDb(context.raw())) {
  arguments_.reserve(static_cast<size_t>(argc));
  for (int i = 0; i < argc; ++i) {
    arguments_.push_back(vk::String::Hold(argv[i]));
    argv_.push_back(arguments_.back().get());
  }
}

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
  ServerCounters& counters = Engine::Get().counters();
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
  if (waits_for_room_) Pool().Forget(this);
  if (held_) std::erase(Held(), this);
}

// --- Before the first run
// -----------------------------------------------------------------------------------

void KeyWaiter::Begin(Need need) {
  if (need.kind != Need::Kind::kNothing) prepared_.room.Release();
  switch (need.kind) {
    case Need::Kind::kBlocks:
      prepared_.pins.Release();
      prepared_.pins = Pool().StartFetch(need.blocks, [this] { OnFetched(); });
      return;
    case Need::Kind::kRoom:
      waits_for_room_ = true;
      Pool().WaitForRoom(need.room_bytes, this);
      return;
    default:  // Nothing, or what no blocking command asks for: the run will say.
      EndBringing(State::kFirstRun);
      Signal();
      return;
  }
}

void KeyWaiter::OnFetched() {
  if (Result<void> read = prepared_.pins.outcome(); !read) {
    prepared_.read_failure = read.code();
  }
  PlanAgain();
}

void KeyWaiter::OnRoom(Result<blocks::RoomGrant> outcome) {
  waits_for_room_ = false;
  if (outcome) {
    prepared_.room = std::move(*outcome);
  } else {
    prepared_.full = true;
  }
  PlanAgain();
}

void KeyWaiter::PlanAgain() {
  if (plans_ == kPlansMax) return Begin({});
  ++plans_;
  ValkeyModuleCtx* const ctx = DetachedContext();
  const int db_before = ValkeyModule_GetSelectedDb(ctx);
  ValkeyModule_SelectDb(ctx, db_);
  Need lacking;
  Outcome outcome = Outcome::kDone;
  {
    Context context(ctx, argv_.data(), static_cast<int>(argv_.size()), spec_, Context::Mode::kPlan,
                    &prepared_);
    outcome = spec_.handler(context);
    if (outcome == Outcome::kPark) lacking = std::move(context.need());
  }
  ValkeyModule_SelectDb(ctx, db_before);
  if (outcome == Outcome::kWait) return EndBringing(State::kWaiting);
  Begin(std::move(lacking));
}

void KeyWaiter::EndBringing(State next) {
  if (state_ == State::kBringing) --Engine::Get().counters().parked_now;
  state_ = next;
  if (next == State::kWaiting) prepared_ = Prepared();
}

void KeyWaiter::Signal() {
  ValkeyModuleCtx* const ctx = DetachedContext();
  const int db_before = ValkeyModule_GetSelectedDb(ctx);
  ValkeyModule_SelectDb(ctx, db_);
  for (int i = wait_.first; i <= wait_.last; ++i) {
    ValkeyModule_SignalKeyAsReady(ctx, argv_[static_cast<size_t>(i)]);
  }
  ValkeyModule_SelectDb(ctx, db_before);
  WakeEventLoop();
}

void KeyWaiter::Hold() {
  // Others may need these while this one waits for the end of a pause; the run fetches again.
  prepared_.pins.Release();
  prepared_.room.Release();
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
  return key.module_type() == wait_.type;
}

bool KeyWaiter::Apply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) {
  if (const char* refusal = RefusalOf(ctx, spec_, argv, argc); refusal != nullptr) {
    ValkeyModule_ReplyWithError(ctx, refusal);
    return true;
  }
  Context context(ctx, argv, argc, spec_, Context::Mode::kLast, &prepared_);
  Outcome outcome = spec_.handler(context);
  if (outcome == Outcome::kPark) {
    outcome = Dispatcher::RunNow(ctx, argv, argc, spec_, std::move(context.need()), &prepared_,
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
  if (Engine::IsOpen()) {
    waiter->EndBringing(State::kWaiting);
  }
}

}  // namespace flash::server
