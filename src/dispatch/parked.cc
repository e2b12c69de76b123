// parked.cc: see parked.h.
//
// Every Parked ends in OnFree, which the server calls after the reply, or after the client left and
// the handle was given back. Thread: main.
#include "dispatch/parked.h"

#include <algorithm>
#include <string>
#include <utility>

#include "dispatch/dispatcher.h"
#include "dispatch/errors.h"
#include "dispatch/pause_points.h"
#include "dispatch/recheck.h"
#include "server/events.h"
#include "vk/latency.h"

namespace flash::dispatch {
namespace {

using blocks::WaitCause;

struct ParkedState {
  KeyQueues<Parked> queues;
  std::vector<Parked*> held;
  std::vector<Parked*> due;  // Writers, to be released by the timer that is armed then.
};

ParkedState& State() {
  // raw new: clients may still be parked when the process exits.
  static ParkedState* const state = new ParkedState;
  return *state;
}

}  // namespace

// --- From parking to release
// --------------------------------------------------------------------------

Parked::Parked(Context& context, ValkeyModuleString** argv, int argc)
    : command_(context.spec(), context.raw(), argv, argc), bringer_([this] { OnCame(); }) {}

bool Parked::Start(Context& context, ValkeyModuleString** argv, int argc) {
  vk::BlockedClient client = vk::BlockedClient::Block(context.raw(), OnReply, OnFree);
  if (!client) return false;
  // raw new: owned by the blocked client, deleted in OnFree.
  auto* const parked = new Parked(context, argv, argc);
  ValkeyModule_BlockClientSetPrivateData(client.get(), parked);
  client.OnDisconnect(OnDisconnect);
  client.MeasureStart();
  parked->parked_at_us_ = server::Engine::Get().clock().NowUs();
  parked->client_ = std::move(client);
  KeptCommand& command = parked->command_;
  ForEachKey(command.spec(), command.argv(), argc, [parked, &command](int index) {
    State().queues.Enter(parked, command.db(), vk::TextOf(command.argv()[index]), &parked->places_);
  });
  server::ServerCounters& counters = server::Engine::Get().counters();
  ++counters.parked_now;
  ++counters.parked_total;
  if (IsHeld(PausePoint::kFetch)) {
    // What is lacking now may be another matter by then: planned again when it is let go.
    parked->held_at_fetch_ = true;
    parked->Hold();
  } else {
    parked->Begin(std::move(context.need()));
  }
  return true;
}

Parked::~Parked() { LeaveLists(); }

void Parked::Begin(Need need) {
  if (need.kind == Need::Kind::kNothing) return Ready();
  if (need.kind == Need::Kind::kWork && need.work->is_apart()) LeaveLine(When::kAmidCommands);
  bringer_.Begin(std::move(need));
}

void Parked::OnCame() {
  // A key that was set or deleted meanwhile has freed its blocks. One that was renamed has not:
  // then the last run, which looks anew as always, may have to wait for the disk.
  if (!gone_ && bringer_.all_is_here()) return Ready();
  PlanAgain();
}

void Parked::PlanAgain() {
  if (gone_) return;
  if (plans_ == KeptCommand::kPlansMax) {
    plan_limit_ = true;
    return Ready();
  }
  ++plans_;
  Need lacking;
  static_cast<void>(command_.Plan(bringer_.prepared(), &lacking));
  Begin(std::move(lacking));
}

void Parked::Ready() {
  ready_ = true;
  TryRelease(When::kAmidCommands);
}

bool Parked::MustHold() const {
  if (IsHeld(PausePoint::kRelease)) return true;
  // The server asserts when something is propagated during a pause.
  return command_.writes() && ValkeyModule_AvoidReplicaTraffic() != 0;
}

void Parked::TryReleaseLater() {
  // The reply callback runs when the event loop turns next. A pause of writes that a command began
  // before that would find the write between both, where it can neither be done nor wait. Timers
  // run behind all commands of a turn.
  if (std::exchange(is_due_, true)) return;
  std::vector<Parked*>& due = State().due;
  if (due.empty()) {
    ValkeyModule_CreateTimer(
        server::DetachedContext(), 0,
        [](ValkeyModuleCtx* /*ctx*/, void* /*data*/) noexcept {
          for (Parked* parked : std::exchange(State().due, {})) {
            parked->is_due_ = false;
            parked->TryRelease(When::kBehindCommands);
          }
        },
        nullptr);
  }
  due.push_back(this);
}

void Parked::GiveWay() {
  if (bringer_.GiveWay()) stale_ = true;
}

void Parked::TryRelease(When when) {
  if (!ready_ || released_) return;
  const bool hold = MustHold();
  if (hold || !State().queues.IsFirst(this, places_)) {
    GiveWay();
    if (hold) Hold();
    return;
  }
  if (stale_) {
    stale_ = false;
    ready_ = false;
    plans_ = 0;
    return PlanAgain();
  }
  if (command_.writes() && when == When::kAmidCommands) return TryReleaseLater();
  released_ = true;
  client_.MeasureEnd();
  vk::AddLatency("flash-park", server::Engine::Get().clock().NowUs() - parked_at_us_);
  client_.Unblock(this);
}

void Parked::Hold() {
  std::vector<Parked*>& held = State().held;
  if (std::find(held.begin(), held.end(), this) == held.end()) held.push_back(this);
}

void Parked::ReleaseHeld() {
  if (State().held.empty()) [[likely]]
    return;
  for (Parked* parked : std::exchange(State().held, {})) {
    if (!parked->held_at_fetch_) {
      parked->TryRelease(When::kAmidCommands);  // Nothing, if it is planning again already.
    } else if (IsHeld(PausePoint::kFetch)) {
      parked->Hold();
    } else {
      parked->held_at_fetch_ = false;
      parked->PlanAgain();
    }
  }
}

// --- The end
// ------------------------------------------------------------------------------------------

void Parked::LeaveLists() {
  if (!State().held.empty()) std::erase(State().held, this);
  if (is_due_) std::erase(State().due, this);
}

void Parked::DropWaits() {
  LeaveLists();
  bringer_.Drop();
}

void Parked::OnDisconnect(ValkeyModuleCtx* /*ctx*/, ValkeyModuleBlockedClient* client) noexcept {
  auto* const parked = static_cast<Parked*>(ValkeyModule_BlockClientGetPrivateData(client));
  if (!server::Engine::IsOpen()) return;
  ++server::Engine::Get().counters().parked_disconnected;
  parked->gone_ = true;
  if (parked->released_) return;
  parked->DropWaits();
  parked->released_ = true;
  parked->client_.Unblock(parked);
}

int Parked::OnReply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept {
  auto* const parked = static_cast<Parked*>(ValkeyModule_GetBlockedClientPrivateData(ctx));
  parked->Apply(ctx, argv, argc);
  return VALKEYMODULE_OK;
}

void Parked::OnFree(ValkeyModuleCtx* /*ctx*/, void* pointer) noexcept {
  const std::unique_ptr<Parked> parked(static_cast<Parked*>(pointer));
  if (server::Engine::IsOpen()) --server::Engine::Get().counters().parked_now;
  // The server goes on with replies until there is none left, before any command.
  parked->LeaveLine(When::kBehindCommands);
}

void Parked::LeaveLine(When when) {
  for (Parked* next : State().queues.Leave(this, &places_)) next->TryRelease(when);
}

void Parked::Apply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) {
  if (const char* refusal = RefusalOf(ctx, command_.spec(), argv, argc); refusal != nullptr) {
    ValkeyModule_ReplyWithError(ctx, refusal);
    return;
  }
  const CommandSpec& spec = command_.spec();
  Context context(ctx, argv, argc, spec, Context::Mode::kLast, bringer_.prepared());
  if (RunHandler(context) == Outcome::kDone) return;
  const Outcome outcome =
      Dispatcher::RunNow(ctx, argv, argc, spec, std::move(context.need()), &bringer_,
                         plan_limit_ ? WaitCause::kReplanLimit : WaitCause::kCallbackMiss);
  FLASH_CHECK(outcome == Outcome::kDone);  // Blocking commands do not park here.
}

}  // namespace flash::dispatch
