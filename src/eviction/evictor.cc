// evictor.cc: see evictor.h.
//
// Thread: main.
#include "eviction/evictor.h"

#include <string>
#include <string_view>
#include <utility>

#include "dispatch/recheck.h"
#include "eviction/marks.h"
#include "eviction/sampler.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/freeing.h"
#include "vk/key.h"
#include "vk/log.h"
#include "vk/server_events.h"
#include "vk/server_setting.h"
#include "vk/string.h"

namespace flash::eviction {
namespace {

using server::Engine;

/// Where nothing was found, looking goes on for a fiftieth of the time.
constexpr uint64_t kSlowSliceUs = 200;
constexpr uint64_t kSlowRest = 50;

constexpr int kForEviction = VALKEYMODULE_READ | VALKEYMODULE_WRITE |
                             VALKEYMODULE_OPEN_KEY_NOTOUCH | VALKEYMODULE_OPEN_KEY_NONOTIFY |
                             VALKEYMODULE_OPEN_KEY_NOSTATS;

blocks::BlockPool& Pool() { return Engine::Get().pool(); }
server::ServerCounters::Eviction& Counters() { return Engine::Get().counters().eviction; }
Marks MarksNow() { return Marks::Of(Pool().store().live_bytes_max()); }

class Evictor {
 public:
  explicit Evictor(uint64_t seed) : sampler_(seed) {}

  void AskPolicy(ValkeyModuleCtx* ctx);
  void Turn(ValkeyModuleCtx* ctx);
  /// Will there be room that is not there yet?
  [[nodiscard]] bool RoomComes();

 private:
  [[nodiscard]] Wanted WantedNow(ValkeyModuleCtx* ctx);
  void SetWanted(Wanted wanted);
  /// True: there is more to do in the next turn.
  bool Work(ValkeyModuleCtx* ctx, uint64_t deadline_us);
  [[nodiscard]] bool IsEnough() const;
  bool EvictBest(ValkeyModuleCtx* ctx);
  [[nodiscard]] bool Evict(ValkeyModuleCtx* ctx, const Candidate& candidate);
  void TellOfFirst();
  void NoteExhausted();

  Policy policy_;
  std::string policy_name_;
  Sampler sampler_;
  Candidates candidates_;
  Wanted wanted_ = Wanted::kNothing;
  uint64_t look_again_us_ = 0;  // While exhausted.
  bool tiers_ = false;          // Pool().tiering() at the last turn.
};

Evictor* evictor = nullptr;

void Evictor::AskPolicy(ValkeyModuleCtx* ctx) {
  const std::string name = vk::ServerSetting(ctx, "maxmemory-policy");
  policy_ = ParsePolicy(name, vk::ServerSetting(ctx, "maxmemory-samples"));
  if (name != policy_name_) {  // What was sampled says nothing about it.
    policy_name_ = name;
    SetWanted(Wanted::kNothing);
  }
  const bool evicts = policy_.evicts() && Pool().tiering();
  Counters().mark_bytes = evicts ? MarksNow().high : 0;
}

// --- How much
// -----------------------------------------------------------------------------------

bool IsPrimary(uint32_t flags) { return (flags & VALKEYMODULE_CTX_FLAGS_REPLICA) == 0; }

/// Outside commands and scripts already.
bool MayEvict(ValkeyModuleCtx* ctx) {
  constexpr uint32_t kLoads = VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING;
  const uint32_t flags = vk::ContextFlags(ctx);
  return IsPrimary(flags) && (flags & kLoads) == 0 && dispatch::WriteRefusal() == nullptr &&
         Engine::Get().state() == server::ModuleState::kReady &&
         ValkeyModule_AvoidReplicaTraffic() == 0;
}

Wanted Evictor::WantedNow(ValkeyModuleCtx* ctx) {
  const bool stuck = Pool().StuckBytes() > 0;
  // What a child may read stays where it is: no key that goes makes room on flash.
  if (stuck && server::ChildLives(ctx)) return Wanted::kRam;
  const Marks marks = MarksNow();
  const uint64_t live_bytes = Pool().store().live_bytes();
  if (live_bytes > (wanted_ == Wanted::kFlash ? marks.low : marks.high)) return Wanted::kFlash;
  return stuck ? Wanted::kRam : Wanted::kNothing;
}

bool Evictor::IsEnough() const {
  if (wanted_ == Wanted::kRam) return Pool().StuckBytes() == 0;
  return Pool().store().live_bytes() <= MarksNow().low;
}

void Evictor::SetWanted(Wanted wanted) {
  if (wanted == wanted_) return;
  wanted_ = wanted;
  if (wanted == Wanted::kNothing) {
    Counters().exhausted = false;
    return;
  }
  // Keys that make no room of the one kind may make room of the other.
  candidates_.Clear();
  sampler_.BeginAnew();
  Counters().exhausted = false;
}

bool Evictor::RoomComes() {
  if (!policy_.evicts() || Counters().exhausted || !Pool().tiering()) return false;
  if (!IsPrimary(vk::ContextFlags(server::DetachedContext()))) return false;
  return Pool().store().live_bytes() > MarksNow().low || Pool().StuckBytes() > 0;
}

// --- The work of a turn
// -----------------------------------------------------------------------------

void Evictor::Turn(ValkeyModuleCtx* ctx) {
  // A tier that came or went: the marks are others.
  if (std::exchange(tiers_, Pool().tiering()) != Pool().tiering()) AskPolicy(ctx);
  if (!policy_.evicts() || !tiers_) return;
  const Wanted wanted = WantedNow(ctx);
  if (wanted == Wanted::kNothing && wanted_ == Wanted::kNothing) return;
  if (!MayEvict(ctx)) return;
  SetWanted(wanted);
  if (wanted == Wanted::kNothing) return;
  const base::Clock& clock = Engine::Get().clock();
  const uint64_t began_us = clock.NowUs();
  const bool slow = Counters().exhausted;
  if (slow && began_us < look_again_us_) return;
  if (slow) sampler_.LookAgain();
  const uint64_t live_bytes = Pool().store().live_bytes();
  const uint64_t slice_us = slow                       ? kSlowSliceUs
                            : wanted == Wanted::kFlash ? MarksNow().SliceUs(live_bytes)
                                                       : kSliceUsMax;
  const bool more = Work(ctx, began_us + slice_us);
  ValkeyModule_SelectDb(ctx, 0);
  const uint64_t end_us = clock.NowUs();
  Counters().us += end_us - began_us;
  look_again_us_ = end_us + kSlowRest * (end_us - began_us);
  if (more && !Counters().exhausted) server::TurnSoon(ctx);
}

bool Evictor::Work(ValkeyModuleCtx* ctx, uint64_t deadline_us) {
  const base::Clock& clock = Engine::Get().clock();
  while (!IsEnough()) {
    // Large values that went are still being freed: room that comes.
    if (wanted_ == Wanted::kFlash && server::FreesQueued()) return true;
    Counters().sampled += sampler_.Look(ctx, policy_, wanted_, &candidates_);
    if (EvictBest(ctx)) {
      Counters().exhausted = false;
    } else if (sampler_.FoundNothing()) {
      NoteExhausted();
      return false;
    }
    if (clock.NowUs() >= deadline_us) return true;
  }
  return false;
}

bool Evictor::EvictBest(ValkeyModuleCtx* ctx) {
  while (const std::optional<Candidate> best = candidates_.TakeBest()) {
    if (Evict(ctx, *best)) return true;
  }
  return false;
}

bool Evictor::Evict(ValkeyModuleCtx* ctx, const Candidate& candidate) {
  ValkeyModule_SelectDb(ctx, candidate.db);
  const vk::String name = vk::String::Copy(candidate.name);
  vk::Key key(ctx, name.get(), kForEviction);
  if (!key.exists()) return false;  // Deleted since, or expired.
  const std::optional<uint64_t> score = ScoreOf(key.get(), policy_, wanted_);
  if (!score || *score < candidate.score) return false;  // Used since.
  TellOfFirst();
  ValkeyModule_DeleteKey(key.get());
  key.Close();
  ValkeyModule_SignalModifiedKey(ctx, name.get());
  ValkeyModule_NotifyKeyspaceEvent(ctx, VALKEYMODULE_NOTIFY_EVICTED, "evicted", name.get());
  // The server's own commands can be renamed, which hides them from modules.
  if (ValkeyModule_Replicate(ctx, "UNLINK", "s", name.get()) != VALKEYMODULE_OK) {
    ValkeyModule_Replicate(ctx, "FLASH.DEL", "s", name.get());
  }
  ++Counters().keys;
  return true;
}

void Evictor::TellOfFirst() {
  if (Counters().keys != 0) return;
  vk::LogNotice("the flash tier is full: keys are evicted from now on, by " + policy_name_ +
                " (maxmemory-policy); INFO flash counts them");
}

void Evictor::NoteExhausted() {
  if (std::exchange(Counters().exhausted, true)) return;
  static constinit vk::SeldomLog log;
  log.Warning("the flash tier is full, and " + policy_name_ +
              " (maxmemory-policy) leaves no key to evict: writes are refused with FLASHFULL");
}

// --- Events
// -----------------------------------------------------------------------------------------

void OnTurn(ValkeyModuleCtx* ctx) { evictor->Turn(ctx); }

void OnConfig(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t /*sub*/, void* /*data*/) {
  if (Engine::IsOpen()) evictor->AskPolicy(ctx);
}

bool AnyRoomComes() { return evictor->RoomComes() || server::AnyFreePending(); }

}  // namespace

Result<void> Start(ValkeyModuleCtx* ctx) {
  // raw new: kept for the process's life, as the engine.
  evictor = new Evictor(Engine::Get().clock().NowUs());
  evictor->AskPolicy(ctx);
  Pool().SetFreesPending(AnyRoomComes);
  server::AddTurnHook(OnTurn);
  return vk::Listen(ctx, {{ValkeyModuleEvent_Config, OnConfig}});
}

}  // namespace flash::eviction
