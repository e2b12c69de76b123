// events.cc: subscriptions and the three rhythms: per turn of the event loop, 100 Hz while there is
// work that no completion announces, 10 Hz always.
//
// See events.h. Thread: main.
#include "server/events.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "io/wait.h"
#include "server/background.h"
#include "server/cgroup.h"
#include "server/engine.h"
#include "server/freeing.h"
#include "server/health_log.h"
#include "server/pressure.h"
#include "vk/detached_context.h"
#include "vk/latency.h"
#include "vk/log.h"
#include "vk/server_events.h"
#include "vk/server_setting.h"

namespace flash::server {
namespace {

using blocks::BlockPool;

constexpr uint64_t kSliceUs = 500;
constexpr uint64_t kLoadSliceUs = 5'000;
constexpr uint64_t kPressurePeriodUs = 1000;
constexpr uint64_t kEaseUsMax = 100'000;     // One wait for blocks to leave, at the limit.
constexpr uint64_t kEaseRestUs = 1'000'000;  // After one in vain.
constexpr uint64_t kCronPeriodUs = 90'000;   // The server's cron runs 1 to 500 times a second.
/// Below it a segment costs more to move than it gives; what room demands is the store's own
/// business.
constexpr uint32_t kCronDeadPercentMin = 25;
constexpr mstime_t kTickMs = 10;
constexpr mstime_t kSoonMs = 1;
constexpr const char* kLoopIsFull = "the server's event loop has no room for another descriptor";

struct EventState {
  vk::DetachedContext* detached = nullptr;
  std::array<TurnHook, 4> hooks{};
  size_t hook_count = 0;
  TurnFrame frame;
  int wake_fd = -1;
  bool tick_armed = false;
  bool frozen = false;
  bool loads_beside_old_data = false;
  uint64_t children_born = 0;
  uint64_t maxmemory = 0;
  uint64_t pressure_limit = 0;
  uint64_t pressure_us = 0;
  uint64_t ease_rest_until_us = 0;
  uint64_t slices_rest_until_us = 0;
  uint64_t cron_us = 0;
  uint64_t compaction_us = 0;
  uint64_t waited_us = 0;  // On the main thread for flash, up to the last look.
};
constinit EventState state;

BlockPool& Pool() { return Engine::Get().pool(); }

void Tick(ValkeyModuleCtx* ctx, void* data);

void ArmTick(ValkeyModuleCtx* ctx, mstime_t in_ms) {
  if (std::exchange(state.tick_armed, true)) return;
  ValkeyModule_CreateTimer(ctx, in_ms, Tick, nullptr);
}

/// Freeing and long jobs get at most half of the main thread: after a slice they rest for as long
/// as it took. False: they rest, and may have work.
bool RunSlices(BlockPool::Deliver deliver) {
  const base::Clock& clock = Engine::Get().clock();
  const uint64_t start_us = clock.NowUs();
  if (start_us < state.slices_rest_until_us) return false;
  DeferredFree::Drain(kSliceUs);
  if (deliver == BlockPool::Deliver::kCallbacks) Background::Run(kSliceUs);
  const uint64_t end_us = clock.NowUs();
  state.slices_rest_until_us = end_us + (end_us - start_us);
  return true;
}

void LogHealth(ValkeyModuleCtx* ctx, uint64_t now_us) {
  // raw new: never destroyed, as everything that may be used while the server exits.
  static HealthLog* const health = new HealthLog;
  for (const std::string& line : health->Look(Pool().store_stats(), now_us)) {
    vk::Log(ctx, vk::LogLevel::kWarning, line);
  }
}

/// How long the main thread waited for flash since the last look, whoever had it wait.
void NoteLatency() {
  const auto& wait_us = Pool().stats().wait_us;
  const uint64_t waited_us = std::accumulate(wait_us.begin(), wait_us.end(), uint64_t{0});
  vk::AddLatency("flash-wait", waited_us - std::exchange(state.waited_us, waited_us));
}

double UsedRatio() { return static_cast<double>(ValkeyModule_GetUsedMemoryRatio()); }

PressureInput LookAtMemory() {
  PressureInput input;
  input.maxmemory = state.maxmemory;
  if (input.maxmemory != 0) {
    input.used_ratio = UsedRatio();
    input.hot_bytes = Pool().stats().hot_bytes;
    input.cache_bytes = Engine::Get().settings().cache_size_bytes;
  }
  return input;
}

/// `more_bytes` are about to be taken.
void FollowPressureNow(uint64_t more_bytes = 0) {
  PressureInput input = LookAtMemory();
  if (!Pool().tiering()) input.maxmemory = 0;  // Nothing could give way.
  if (more_bytes != 0 && input.maxmemory != 0) {
    input.used_ratio += static_cast<double>(more_bytes) / static_cast<double>(input.maxmemory);
  }
  const uint64_t limit = PressureLimit(input);
  if (limit == state.pressure_limit) return;
  state.pressure_limit = limit;
  Pool().SetPressureLimit(limit);
}

void FollowPressure(uint64_t now_us) {
  if (now_us - state.pressure_us < kPressurePeriodUs) return;
  state.pressure_us = now_us;
  FollowPressureNow();
}

/// One step of everything that moves in the background.
void Turn(ValkeyModuleCtx* ctx, BlockPool::Deliver deliver) {
  Pool().Drive(deliver);
  const uint64_t now_us = Engine::Get().clock().NowUs();
  NoteLatency();
  LogHealth(ctx, now_us);
  FollowPressure(now_us);
  if (deliver == BlockPool::Deliver::kCallbacks) EaseMemory();
  const bool ran = RunSlices(deliver);
  const bool soon = !ran || Background::Wanted() || DeferredFree::Pending() != 0;
  // The event loop may sleep for long now, and nothing else would wake it.
  if (soon || Pool().WantsDrive()) ArmTick(ctx, soon ? kSoonMs : kTickMs);
}

void RunHooks(ValkeyModuleCtx* ctx) {
  for (size_t i = 0; i < state.hook_count; ++i) state.hooks[i](ctx);
}

void Tick(ValkeyModuleCtx* ctx, void* /*data*/) {
  state.tick_armed = false;
  if (Engine::IsOpen()) Turn(ctx, BlockPool::Deliver::kCallbacks);
}

/// The eventfd. It also becomes readable in the loops that the server nests into slow scripts and
/// loading, where the keyspace must be left alone.
void OnCompletions(int /*fd*/, void* /*data*/, int /*mask*/) {
  if (!Engine::IsOpen()) return;
  ValkeyModuleCtx* const ctx = state.detached->get();
  constexpr uint32_t kNested = VALKEYMODULE_CTX_FLAGS_LUA | VALKEYMODULE_CTX_FLAGS_MULTI |
                               VALKEYMODULE_CTX_FLAGS_LOADING |
                               VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING;
  const bool nested = (vk::ContextFlags(ctx) & kNested) != 0 || Engine::Get().replaying();
  Turn(ctx, nested ? BlockPool::Deliver::kQueueOnly : BlockPool::Deliver::kCallbacks);
}

/// The descriptor of reads that this thread handed to the device itself.
void OnOwnCompletion(int fd, void* data, int mask) {
  io::DrainEventFd(fd);
  OnCompletions(fd, data, mask);
}

/// Once: at the first turn, or at the first command if that comes before it.
void RunFirst(ValkeyModuleCtx* ctx) {
  const TurnHook first = std::exchange(state.frame.first, nullptr);
  if (first == nullptr) return;
  const int db = ValkeyModule_GetSelectedDb(ctx);
  first(ctx);
  ValkeyModule_SelectDb(ctx, db);
}

bool Watch(int fd, ValkeyModuleEventLoopFunc callback) {
  return ValkeyModule_EventLoopAdd(fd, VALKEYMODULE_EVENTLOOP_READABLE, callback, nullptr) ==
         VALKEYMODULE_OK;
}

/// Fires in the outermost loop only, so never while loading.
void OnEventLoop(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  if (sub != VALKEYMODULE_SUBEVENT_EVENTLOOP_BEFORE_SLEEP || !Engine::IsOpen()) return;
  RunFirst(ctx);
  NoteNothingLoads(ctx);
  Turn(ctx, BlockPool::Deliver::kCallbacks);
  RunHooks(ctx);
  if (state.frame.last != nullptr) state.frame.last(ctx);
  // Slices, callbacks and hooks began reads behind the pool's own turn; now the loop may sleep.
  if (io::Backend* const backend = Engine::Get().backend(); backend != nullptr) backend->Kick();
}

/// Asked at load and after each CONFIG SET.
uint64_t AskNumber(ValkeyModuleCtx* ctx, const char* setting) {
  return std::strtoull(vk::ServerSetting(ctx, setting).c_str(), nullptr, 10);
}

uint64_t AskMaxmemory(ValkeyModuleCtx* ctx) { return AskNumber(ctx, "maxmemory"); }

void AskServerSettings(ValkeyModuleCtx* ctx) {
  state.maxmemory = AskMaxmemory(ctx);
  vk::latency_is_monitored = AskNumber(ctx, "latency-monitor-threshold") != 0;
}

/// Children are asked about, not counted: a debugger's fork is born and never dies, as far as
/// events go.
void FollowChildren(uint32_t flags) {
  if (!state.frozen || (flags & VALKEYMODULE_CTX_FLAGS_ACTIVE_CHILD) != 0) return;
  state.frozen = false;
  Pool().Thaw();
}

void CompactFromTimeToTime(uint64_t now_us) {
  if (!Pool().tiering()) return;
  const uint64_t period_us = uint64_t{Engine::Get().settings().compaction_interval_sec} * 1'000'000;
  if (now_us - state.compaction_us < period_us) return;
  state.compaction_us = now_us;
  Engine::Get().RequestCompaction(kCronDeadPercentMin);
}

void OnCron(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t /*sub*/, void* /*data*/) {
  if (!Engine::IsOpen()) return;
  const uint64_t now_us = Engine::Get().clock().NowUs();
  if (now_us - state.cron_us < kCronPeriodUs) return;
  state.cron_us = now_us;
  const uint32_t flags = vk::ContextFlags(ctx);
  FollowChildren(flags);
  // The flag is missing on a replica that ignores maxmemory.
  const bool counts = (flags & VALKEYMODULE_CTX_FLAGS_MAXMEMORY) != 0;
  if (!counts) {
    state.maxmemory = 0;
  } else if (state.maxmemory == 0) {
    state.maxmemory = AskMaxmemory(ctx);
  }
  CompactFromTimeToTime(now_us);
}

void OnFork(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  if (!Engine::IsOpen()) return;
  if (sub == VALKEYMODULE_SUBEVENT_FORK_CHILD_BORN) {
    state.frozen = true;
    ++state.children_born;
    Pool().Freeze();
  } else {
    FollowChildren(vk::ContextFlags(ctx));
  }
}

void OnReplAsyncLoad(ValkeyModuleCtx* /*ctx*/, ValkeyModuleEvent /*event*/, uint64_t sub,
                     void* /*data*/) {
  state.loads_beside_old_data = sub == VALKEYMODULE_SUBEVENT_REPL_ASYNC_LOAD_STARTED;
}

void OnLoading(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  // Clients are served from the old data meanwhile.
  constexpr uint32_t kServed = VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING;
  if (!Engine::IsOpen() || (vk::ContextFlags(ctx) & kServed) != 0) return;
  Engine& engine = Engine::Get();
  const bool started = sub == VALKEYMODULE_SUBEVENT_LOADING_RDB_START ||
                       sub == VALKEYMODULE_SUBEVENT_LOADING_AOF_START ||
                       sub == VALKEYMODULE_SUBEVENT_LOADING_REPL_START;
  const ModuleState from = started ? ModuleState::kReady : ModuleState::kRecovering;
  const ModuleState to = started ? ModuleState::kRecovering : ModuleState::kReady;
  if (engine.state() == from) engine.set_state(to);
}

void OnLoadingProgress(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t /*sub*/,
                       void* /*data*/) {
  if (!Engine::IsOpen()) return;
  Turn(ctx, BlockPool::Deliver::kQueueOnly);
  // Where nothing leaves RAM, what is replaced fills it until it is freed.
  if (!Pool().tiering()) DeferredFree::Drain(kLoadSliceUs);
}

/// After the last save, before the process ends; 9.x does not call OnUnload then.
void OnShutdown(ValkeyModuleCtx* /*ctx*/, ValkeyModuleEvent /*event*/, uint64_t /*sub*/,
                void* /*data*/) {
  if (!Engine::IsOpen()) return;
  UnwatchTier();
  Engine::Close();
}

void OnConfig(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t /*sub*/, void* /*data*/) {
  AskServerSettings(ctx);
  if (Engine::IsOpen()) FollowPressureNow();
}

}  // namespace

Result<void> StartEvents(ValkeyModuleCtx* ctx) {
  // raw new: kept for the process's life, because the server's API must not be used at exit.
  state.detached = new vk::DetachedContext(ctx);
  AskServerSettings(ctx);
  state.compaction_us = Engine::Get().clock().NowUs();
  const std::string advice =
      MemoryAdvice({.cgroup_bytes = CgroupMemoryBytes(),
                    .maxmemory = state.maxmemory,
                    .cache_bytes = Engine::Get().settings().cache_size_bytes});
  if (!advice.empty()) vk::Log(ctx, vk::LogLevel::kWarning, advice);
  Result<void> listens = vk::Listen(ctx, {
                                             {ValkeyModuleEvent_EventLoop, OnEventLoop},
                                             {ValkeyModuleEvent_CronLoop, OnCron},
                                             {ValkeyModuleEvent_ForkChild, OnFork},
                                             {ValkeyModuleEvent_Loading, OnLoading},
                                             {ValkeyModuleEvent_Shutdown, OnShutdown},
                                             {ValkeyModuleEvent_Config, OnConfig},
                                             {ValkeyModuleEvent_LoadingProgress, OnLoadingProgress},
                                             {ValkeyModuleEvent_ReplAsyncLoad, OnReplAsyncLoad},
                                         });
  if (!listens) return listens;
  state.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  FLASH_CHECK(state.wake_fd >= 0);
  if (!Watch(state.wake_fd, OnOwnCompletion)) return Error{Code::kUnsupported, kLoopIsFull};
  return WatchTier();
}

int WakeFd() { return state.wake_fd; }

Result<void> WatchTier() {
  const io::Backend* const backend = Engine::Get().backend();
  if (backend == nullptr) return {};
  if (!Watch(backend->event_fd(), OnCompletions) ||
      (backend->owner_event_fd() >= 0 && !Watch(backend->owner_event_fd(), OnOwnCompletion))) {
    return Error{Code::kUnsupported, kLoopIsFull};
  }
  return {};
}

void UnwatchTier() {
  const io::Backend* const backend = Engine::Get().backend();
  if (backend == nullptr) return;
  for (const int fd : {backend->event_fd(), backend->owner_event_fd()}) {
    if (fd >= 0) ValkeyModule_EventLoopDel(fd, VALKEYMODULE_EVENTLOOP_READABLE);
  }
}

void NoteNothingLoads(ValkeyModuleCtx* ctx) {
  Engine& engine = Engine::Get();
  if (engine.state() != ModuleState::kRecovering || engine.replaying()) return;
  constexpr uint32_t kLoads = VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_ASYNC_LOADING;
  if ((vk::ContextFlags(ctx) & kLoads) != 0) return;
  RunFirst(ctx);
  if (engine.state() == ModuleState::kRecovering) engine.set_state(ModuleState::kReady);
}

bool LoadsBesideOldData() { return state.loads_beside_old_data; }

void AddTurnHook(TurnHook hook) {
  FLASH_CHECK(state.hook_count < state.hooks.size());
  state.hooks[state.hook_count++] = hook;
}

bool HasMemoryToPark() {
  if (state.maxmemory == 0) return true;
  if (MayPark(state.maxmemory, UsedRatio())) return true;
  FollowPressureNow();
  return false;
}

void EaseMemory() {
  if (!Pool().tiering()) return;
  if (state.pressure_limit == 0 || !IsNearLimit(UsedRatio())) return;
  const base::Clock& clock = Engine::Get().clock();
  if (clock.NowUs() < state.ease_rest_until_us) return;
  FollowPressureNow();
  // Near its bound the cache has given what it can; the rest is the server's to free or refuse.
  const auto settled = [] {
    const uint64_t given = state.pressure_limit + state.pressure_limit / 8;
    return !IsNearLimit(UsedRatio()) || Pool().stats().hot_bytes <= given;
  };
  if (Pool().DriveUntil(blocks::WaitCause::kMemory, settled, kEaseUsMax)) return;
  state.ease_rest_until_us = clock.NowUs() + kEaseRestUs;
}

bool HasMemoryFor(uint64_t bytes) {
  if (state.maxmemory == 0 || MayTake(state.maxmemory, UsedRatio(), bytes)) return true;
  FollowPressureNow(bytes);
  // Near its bound the cache has given what it can.
  const uint64_t given = state.pressure_limit + state.pressure_limit / 8;
  return state.pressure_limit == 0 || Pool().stats().hot_bytes <= given;
}

uint64_t ReplyBytesMax(uint64_t built_bytes) {
  return ReplyBytesMax(LookAtMemory(), Engine::Get().settings().max_reply_bytes, built_bytes);
}

void TurnSoon(ValkeyModuleCtx* ctx) { ArmTick(ctx, kSoonMs); }

bool ChildLives(ValkeyModuleCtx* ctx) {
  FollowChildren(vk::ContextFlags(ctx));
  return state.frozen;
}

uint64_t ChildrenBorn() { return state.children_born; }

void SetTurnFrame(const TurnFrame& frame) { state.frame = frame; }

uint64_t PressureLimitInForce() { return state.pressure_limit; }

uint64_t CacheBytesInForce() {
  const uint64_t bytes = Engine::Get().settings().cache_size_bytes;
  return state.pressure_limit == 0 ? bytes : std::min(bytes, state.pressure_limit);
}

ValkeyModuleCtx* DetachedContext() { return state.detached->get(); }

}  // namespace flash::server
