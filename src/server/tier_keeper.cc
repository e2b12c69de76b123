// tier_keeper.cc: see tier_keeper.h.
//
// Thread: main.
#include "server/tier_keeper.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/cgroup.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/tier_opening.h"
#include "vk/detached_context.h"
#include "vk/log.h"
#include "vk/server_events.h"
#include "vk/server_info.h"

namespace flash::server {
namespace {

constexpr uint64_t kLookPeriodUs = 100'000;
constexpr uint64_t kRetryPeriodUs = 1'000'000;
constexpr uint64_t kMemoryPeriodUs = 5'000'000;
constexpr uint64_t kMemorySaidPeriodUs = 60'000'000;

struct Keeper {
  std::unique_ptr<TierOpening> opening;
  bool failed = false;  // The last opening.
  bool look = true;     // The role may be another.
  uint64_t looked_us = 0;
  uint64_t retry_us = 0;
  uint64_t cgroup_bytes = 0;  // As at load.
  uint64_t memory_us = 0;
  uint64_t memory_said_us = 0;
};
constinit Keeper* keeper = nullptr;

blocks::BlockPool& Pool() { return Engine::Get().pool(); }
uint64_t NowUs() { return Engine::Get().clock().NowUs(); }

// --- Role
// -------------------------------------------------------------------------------------------

/// A node of a cluster that has just started knows from its own entry that it is a replica, and
/// learns of its primary's address later.
bool IsReplica(ValkeyModuleCtx* ctx) {
  const uint32_t flags = vk::ContextFlags(ctx);
  if ((flags & VALKEYMODULE_CTX_FLAGS_REPLICA) != 0) return true;
  if ((flags & VALKEYMODULE_CTX_FLAGS_CLUSTER) == 0) return false;
  const char* const name = ValkeyModule_GetMyClusterID();
  if (name == nullptr) return false;
  const std::string self(name, VALKEYMODULE_NODE_ID_LEN);  // No zero ends the server's.
  int node = 0;
  return ValkeyModule_GetClusterNodeInfo(ctx, self.c_str(), nullptr, nullptr, nullptr, &node) ==
             VALKEYMODULE_OK &&
         (node & VALKEYMODULE_NODE_REPLICA) != 0;
}

// --- Opening
// ----------------------------------------------------------------------------------------

void NoteFailure(const std::string& why) {
  static constinit vk::SeldomLog log;
  keeper->failed = true;
  keeper->retry_us = NowUs() + kRetryPeriodUs;
  log.Warning(
      "the tier cannot be opened, which is tried again every second; all values stay in "
      "RAM meanwhile: " +
      why);
}

void BeginOpening() {
  Engine& engine = Engine::Get();
  const TierOpening::Options options = {
      .file = engine.FileOptions(), .hash_seed = engine.hash_seed(), .wake_fd = WakeFd()};
  auto opening = TierOpening::Start(options);
  if (!opening) return NoteFailure(opening.error().message);
  keeper->opening = std::move(opening).Take();
}

void EndOpening(ValkeyModuleCtx* ctx) {
  Engine& engine = Engine::Get();
  auto file = std::exchange(keeper->opening, nullptr)->Take();
  if (!WantsTier(ctx, engine.settings())) return;  // A replica again.
  if (!file) return NoteFailure(file.error().message);
  if (Result<void> opened = engine.OpenTier(std::move(file).Take()); !opened) {
    return NoteFailure(opened.error().message);
  }
  if (Result<void> watched = WatchTier(); !watched) vk::LogWarning(watched.error().message);
  keeper->failed = false;
  vk::LogNotice("the tier is open: what is beyond the cache leaves RAM from now on");
}

// --- Following
// --------------------------------------------------------------------------------------

/// The data of before are replaced by a primary's.
void LetGo(ValkeyModuleCtx* ctx) {
  if (!Pool().tiering() || WantsTier(ctx, Engine::Get().settings())) return;
  vk::LogNotice(
      "a full synchronisation replaces the data: this replica gives its tier up "
      "(flash.replica-tier-enabled no) and keeps all values in RAM");
  Pool().Retire();
}

void FollowStore(ValkeyModuleCtx* ctx) {
  if (WantsTier(ctx, Engine::Get().settings())) {
    Pool().Resume();
    return;
  }
  if (!Pool().MayCloseStore()) return;
  UnwatchTier();
  Engine::Get().CloseTier();
  vk::LogNotice("the tier is closed; its file stays, unused, for the next promotion");
}

void LookAtMemory(ValkeyModuleCtx* ctx, uint64_t now_us) {
  if (now_us - keeper->memory_us < kMemoryPeriodUs) return;
  keeper->memory_us = now_us;
  const vk::ServerInfo memory(ctx, "memory");
  const std::string line = TierlessAdvice({.used_bytes = memory.Unsigned("used_memory"),
                                           .machine_bytes = memory.Unsigned("total_system_memory"),
                                           .cgroup_bytes = keeper->cgroup_bytes,
                                           .maxmemory = memory.Unsigned("maxmemory")});
  if (line.empty()) return;
  if (keeper->memory_said_us != 0 && now_us - keeper->memory_said_us < kMemorySaidPeriodUs) return;
  keeper->memory_said_us = now_us;
  vk::LogWarning(line);
}

void OnTurn(ValkeyModuleCtx* ctx) {
  if (Pool().tiering()) [[likely]]
    return;
  if (keeper->opening != nullptr) {
    if (keeper->opening->done()) EndOpening(ctx);
    return;
  }
  const uint64_t now_us = NowUs();
  if (!std::exchange(keeper->look, false) && now_us - keeper->looked_us < kLookPeriodUs) return;
  keeper->looked_us = now_us;
  if (Pool().has_store()) return FollowStore(ctx);
  LookAtMemory(ctx, now_us);
  const bool wanted = WantsTier(ctx, Engine::Get().settings());
  if (!wanted) keeper->failed = false;
  if (wanted && now_us >= keeper->retry_us) BeginOpening();
}

// --- Events
// -----------------------------------------------------------------------------------------

/// The end of this turn comes before its replies leave.
void OnRole(ValkeyModuleCtx* /*ctx*/, ValkeyModuleEvent /*event*/, uint64_t /*sub*/,
            void* /*data*/) {
  keeper->look = true;
  keeper->retry_us = 0;
}

void OnLoading(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  // Beside old data: see OnAsyncLoad.
  if (!Engine::IsOpen() || sub != VALKEYMODULE_SUBEVENT_LOADING_REPL_START) return;
  if (!LoadsBesideOldData()) LetGo(ctx);
}

void OnAsyncLoad(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  if (!Engine::IsOpen()) return;
  if (sub == VALKEYMODULE_SUBEVENT_REPL_ASYNC_LOAD_STARTED) LetGo(ctx);
  // The old data stay.
  if (sub == VALKEYMODULE_SUBEVENT_REPL_ASYNC_LOAD_ABORTED) Pool().Resume();
}

}  // namespace

bool WantsTier(ValkeyModuleCtx* ctx, const Settings& settings) {
  return settings.replica_tier_enabled || !IsReplica(ctx);
}

Result<void> StartTierKeeper(ValkeyModuleCtx* ctx) {
  // raw new: kept for the process's life, as the engine.
  keeper = new Keeper;
  keeper->cgroup_bytes = CgroupMemoryBytes();
  Result<void> listens = vk::Listen(ctx, {{ValkeyModuleEvent_ReplicationRoleChanged, OnRole},
                                          {ValkeyModuleEvent_Loading, OnLoading},
                                          {ValkeyModuleEvent_ReplAsyncLoad, OnAsyncLoad}});
  if (!listens) return listens;
  AddTurnHook(OnTurn);
  if (!Engine::Get().has_tier()) {
    vk::LogNotice(
        "a replica without a tier (flash.replica-tier-enabled no): all values stay in RAM "
        "until it is promoted");
  }
  return {};
}

const char* TierStateName() {
  if (Pool().has_store()) return Pool().tiering() ? "open" : "emptying";
  if (keeper == nullptr) return "none";
  if (keeper->opening != nullptr) return "opening";
  return keeper->failed ? "failed" : "none";
}

}  // namespace flash::server
