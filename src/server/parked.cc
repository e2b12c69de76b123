// parked.cc: see parked.h.
//
// Every Parked ends in OnFree, which the server calls after the reply, or after the client left and
// the handle was given back. Thread: main.
#include "server/parked.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/dispatcher.h"
#include "server/errors.h"
#include "server/events.h"
#include "server/pause_points.h"
#include "server/recheck.h"

namespace flash::server {
namespace {

using blocks::BlockPool;
using blocks::WaitCause;

/// Plans from the event loop before the reply callback has to wait for what is lacking still.
constexpr int kPlansMax = 3;

BlockPool& Pool() { return Engine::Get().pool(); }

struct ParkedState {
  KeyQueues<Parked> queues;
  std::vector<Parked*> held;
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
    : spec_(context.spec()), db_(ValkeyModule_GetSelectedDb(context.raw())) {
  arguments_.reserve(static_cast<size_t>(argc));
  for (int i = 0; i < argc; ++i) {
    arguments_.push_back(vk::String::Hold(argv[i]));
    argv_.push_back(arguments_.back().get());
  }
}

bool Parked::Start(Context& context, ValkeyModuleString** argv, int argc) {
  vk::BlockedClient client = vk::BlockedClient::Block(context.raw(), OnReply, OnFree);
  if (!client) return false;
  // raw new: owned by the blocked client, deleted in OnFree.
  auto* const parked = new Parked(context, argv, argc);
  ValkeyModule_BlockClientSetPrivateData(client.get(), parked);
  client.OnDisconnect(OnDisconnect);
  client.MeasureStart();
  parked->client_ = std::move(client);
  ForEachKey(parked->spec_, parked->argv_.data(), argc, [parked](int index) {
    State().queues.Enter(parked, parked->db_, vk::TextOf(parked->argv_[static_cast<size_t>(index)]),
                         &parked->places_);
  });
  ServerCounters& counters = Engine::Get().counters();
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

Parked::~Parked() { DropWaits(); }

void Parked::Begin(Need need) {
  // Others may wait for this room until what is waited for now has come.
  if (need.kind != Need::Kind::kNothing) prepared_.room.Release();
  switch (need.kind) {
    case Need::Kind::kNothing:
      Ready();
      return;
    case Need::Kind::kBlocks:
      prepared_.pins.Release();
      reads_all_ = need.all_for_reading;
      prepared_.pins = Pool().StartFetch(need.blocks, [this] { OnFetched(); });
      return;
    case Need::Kind::kGather:
      prepared_.pins.Release();
      prepared_.gathered = std::make_shared<GatherJob>(need.values, [this] { OnGathered(); });
      Background::Add(prepared_.gathered);
      return;
    case Need::Kind::kBuild:
      // The strings are the arguments, which this object holds as long as the job runs.
      prepared_.built = std::make_shared<BuildJob>(need.sources, [this] { OnBuilt(); });
      Background::Add(prepared_.built);
      return;
    case Need::Kind::kRoom:
      waits_for_room_ = true;
      Pool().WaitForRoom(need.room_bytes, this);
      return;
  }
}

void Parked::OnFetched() {
  if (Result<void> read = prepared_.pins.outcome(); !read) {
    prepared_.read_failure = read.code();
  }
  // A key that was set or deleted meanwhile has freed its blocks. One that was renamed has not:
  // then the last run, which looks anew as always, may have to wait for the disk.
  if (reads_all_ && !gone_ && prepared_.pins.whole()) return Ready();
  PlanAgain();
}

void Parked::OnGathered() {
  if (Result<void> read = prepared_.gathered->outcome(); !read) {
    prepared_.read_failure = read.code();
    prepared_.gathered.reset();
  }
  PlanAgain();
}

void Parked::OnBuilt() { PlanAgain(); }

void Parked::OnRoom(Result<blocks::RoomGrant> outcome) {
  waits_for_room_ = false;
  if (outcome) {
    prepared_.room = std::move(*outcome);
  } else {
    prepared_.full = true;
  }
  PlanAgain();
}

void Parked::PlanAgain() {
  if (gone_) return;
  if (plans_ == kPlansMax) {
    plan_limit_ = true;
    return Ready();
  }
  ++plans_;
  ValkeyModuleCtx* const ctx = DetachedContext();
  const int db_before = ValkeyModule_GetSelectedDb(ctx);
  ValkeyModule_SelectDb(ctx, db_);
  Need lacking;
  {
    Context context(ctx, argv_.data(), static_cast<int>(argv_.size()), spec_, Context::Mode::kPlan,
                    &prepared_);
    if (spec_.handler(context) == Outcome::kPark) lacking = std::move(context.need());
  }
  ValkeyModule_SelectDb(ctx, db_before);
  Begin(std::move(lacking));
}

void Parked::Ready() {
  ready_ = true;
  TryRelease();
}

bool Parked::MustHold() const {
  if (IsHeld(PausePoint::kRelease)) return true;
  // The server asserts when something is propagated during a pause.
  return spec_.write && ValkeyModule_AvoidReplicaTraffic() != 0;
}

void Parked::GiveWay() {
  stale_ = stale_ || prepared_.pins.started() || prepared_.room.bytes() != 0;
  prepared_.pins.Release();
  prepared_.room.Release();
}

void Parked::TryRelease() {
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
  released_ = true;
  client_.MeasureEnd();
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
      parked->TryRelease();  // Nothing, if it is planning again already.
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

void Parked::DropWaits() {
  if (waits_for_room_) Pool().Forget(this);
  waits_for_room_ = false;
  if (prepared_.gathered != nullptr) prepared_.gathered->Cancel();
  if (prepared_.built != nullptr) prepared_.built->Cancel();
  std::erase(State().held, this);
  // Also takes back the callbacks of fetches under way.
  prepared_ = Prepared();
}

void Parked::OnDisconnect(ValkeyModuleCtx* /*ctx*/, ValkeyModuleBlockedClient* client) noexcept {
  auto* const parked = static_cast<Parked*>(ValkeyModule_BlockClientGetPrivateData(client));
  if (!Engine::IsOpen()) return;
  ++Engine::Get().counters().parked_disconnected;
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
  if (Engine::IsOpen()) --Engine::Get().counters().parked_now;
  for (Parked* next : State().queues.Leave(parked.get(), &parked->places_)) next->TryRelease();
}

void Parked::Apply(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) {
  if (const char* refusal = RefusalOf(ctx, spec_, argv, argc); refusal != nullptr) {
    ValkeyModule_ReplyWithError(ctx, refusal);
    return;
  }
  Context context(ctx, argv, argc, spec_, Context::Mode::kLast, &prepared_);
  if (spec_.handler(context) == Outcome::kDone) return;
  const Outcome outcome =
      Dispatcher::RunNow(ctx, argv, argc, spec_, std::move(context.need()), &prepared_,
                         plan_limit_ ? WaitCause::kReplanLimit : WaitCause::kCallbackMiss);
  FLASH_CHECK(outcome == Outcome::kDone);  // Blocking commands do not park here.
}

}  // namespace flash::server
