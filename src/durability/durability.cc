// durability.cc: see durability.h.
//
// Thread: main.
#include "durability/durability.h"

#include <unistd.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "dispatch/commit.h"
#include "dispatch/recheck.h"
#include "durability/journal.h"
#include "durability/native_effects.h"
#include "durability/position.h"
#include "durability/recovery.h"
#include "durability/server_aof.h"
#include "durability/test_switches.h"
#include "log/log_file.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/info.h"
#include "types/adoption.h"
#include "types/limbo.h"
#include "types/save_support.h"
#include "vk/call_reply.h"
#include "vk/log.h"
#include "vk/server_events.h"
#include "vk/server_setting.h"
#include "vk/string.h"

namespace flash::durability {
namespace {

using server::Engine;
using server::SyncPolicy;

constexpr uint64_t kLookPeriodUs = 100'000;
/// And whenever so much of flash.wal-max-bytes (1 / n) was written: its limits are met that well.
constexpr uint64_t kLookDivisor = 16;
constexpr uint64_t kRetryPeriodUs = 1'000'000;

constexpr const char* kLogFailed =
    "FLASHIO the log cannot be written; nothing was changed, see INFO flash";
constexpr const char* kNoBase =
    "FLASHIO the log waits for the snapshot it begins with; nothing was changed, try again later";
constexpr const char* kLogFull =
    "FLASHFULL the log has twice the size of flash.wal-max-bytes, and BGSAVE fails; nothing was "
    "changed";
constexpr const char* kLogRanAway =
    "FLASHFULL the log has four times the size of flash.wal-max-bytes; nothing was changed, try "
    "again when a snapshot stands";
constexpr const char* kHidden =
    "CONFIG is hidden from modules (rename-command), and without it there is no log: hide it from "
    "users by ACL instead, or switch the AOF on, or set flash.wal no";
constexpr const char* kNoRoom =
    "FLASHFULL the log cannot grow (its disk is full or does not answer); nothing was changed, see "
    "INFO flash";

struct Keeper {
  explicit Keeper(const base::Clock* clock) : journal(clock) {}

  Journal journal;
  ServerAof aof;
  std::string damage;        // Of the log found at start.
  bool started = false;      // The first turn is over.
  bool unrecovered = false;  // The module is in state error: nothing may overwrite the RDB.
  bool replica = false;
  bool loading = false;
  bool server_settings_changed = false;
  bool changed = false;      // Settings or role.
  bool wants_base = false;   // A snapshot is due.
  bool save_asked = false;   // By the module; its outcome is not known yet.
  bool save_failed = false;  // The last one that was asked for.
  uint64_t changes = 0;      // By commands of ours.
  uint64_t looked_us = 0;
  uint64_t looked_bytes = 0;  // Journal::bytes_taken then.
  uint64_t tried_us = 0;
  uint64_t saved_us = 0;
  std::vector<std::string_view> texts;
};
constinit Keeper* keeper = nullptr;

const server::Settings& Settings() { return Engine::Get().settings(); }
uint64_t NowUs() { return Engine::Get().clock().NowUs(); }

// --- What goes into the log and into snapshots
// --------------------------------------------------

void OnCommit(ValkeyModuleCtx* ctx, const dispatch::TypedCommand& command) {
  Journal& journal = keeper->journal;
  ++keeper->changes;
  if (!journal.taking()) return;
  Effect effect{EffectKind::kCommand, static_cast<uint64_t>(ValkeyModule_GetSelectedDb(ctx)), 0,
                std::move(keeper->texts)};
  effect.texts.clear();
  effect.texts.emplace_back(command.name);
  for (const ValkeyModuleString* argument : command.args) {
    effect.texts.push_back(vk::TextOf(argument));
  }
  journal.AddCommand(ctx, effect);
  keeper->texts = std::move(effect.texts);
}

/// A native value is not in the log: what makes the adopted one is.
bool OnAdoption(ValkeyModuleCtx* /*ctx*/) {
  ++keeper->changes;
  return keeper->journal.taking();
}

void OnAdoptedBy(ValkeyModuleCtx* ctx, std::span<const std::string_view> words) {
  keeper->journal.Add(ctx, {EffectKind::kCommand,
                            static_cast<uint64_t>(ValkeyModule_GetSelectedDb(ctx)),
                            0,
                            {words.begin(), words.end()}});
}

void OnAdoptedExpiry(ValkeyModuleCtx* ctx, std::string_view key, mstime_t at_ms) {
  keeper->journal.Add(ctx, {EffectKind::kExpiry,
                            static_cast<uint64_t>(ValkeyModule_GetSelectedDb(ctx)),
                            static_cast<uint64_t>(at_ms) + 1,
                            {key}});
}

Position PositionToSave() {
  if (keeper->unrecovered) {
    types::FailSave({Code::kInvalid, "the log was not recovered: the RDB it continues is kept"});
  }
  return keeper->journal.position();
}

// --- Which settings are in force
// ----------------------------------------------------------------

/// flash.sync, for whichever log is in force.
void ApplySync(ValkeyModuleCtx* ctx) {
  keeper->changed = false;
  const bool always = Settings().sync == SyncPolicy::kAlways;
  const bool replies_wait = keeper->aof.Follow(ctx, always && !IsBroken(Safeguard::kIoThreads));
  Journal& journal = keeper->journal;
  keeper->aof.KeepSnapshots(ctx, journal.is_open());
  // A replica acknowledges nothing.
  const bool barrier = always && !keeper->replica;
  const bool waits_for_log = barrier && journal.is_open() && !IsBroken(Safeguard::kIoThreads);
  const bool threads_wait = keeper->aof.HoldThreads(ctx, waits_for_log);
  // The server refuses while threads are at work: until then units are committed one by one.
  keeper->changed = !threads_wait;
  const auto mode = barrier                              ? log::SyncMode::kAlways
                    : Settings().sync == SyncPolicy::kNo ? log::SyncMode::kNever
                                                         : log::SyncMode::kEverySecond;
  journal.SetSync(barrier, mode, replies_wait && threads_wait);
  if (!journal.is_open()) return;
  FollowNotifications(ctx);
  const bool by_age = barrier && !IsBroken(Safeguard::kLongScript);
  journal.SetCommitAgeMax(by_age ? keeper->aof.busy_threshold_ms() * 1000 / 2 : 0);
}

/// Begins a log in the middle of the server's life. Tried again and again where it fails.
void BeginLate(ValkeyModuleCtx* ctx, const char* why) {
  static constinit vk::SeldomLog log;
  Journal& journal = keeper->journal;
  if (!journal.is_open()) {
    const std::string path = log::LogPath(Settings().path, Settings().wal_dir);
    Result<void> opened = journal.Open(path);
    if (!opened) {
      log.Warning("no log could be opened: " + opened.error().message);
      return;
    }
  }
  if (const Result<void> begun = journal.Begin(Origin{}); !begun) {
    log.Warning("no log could be begun: " + begun.error().message);
    journal.Abandon();
    return;
  }
  vk::LogNotice(std::string("a log was begun (") + why + "); it counts when a snapshot stands");
  ApplySync(ctx);
}

/// A log left behind by an earlier life, which another log has taken over from.
Result<void> PutAside(const std::string& path, const char* why) {
  if (access(path.c_str(), F_OK) != 0) return {};
  const Result<std::string> aside = log::LogFile::Archive(path);
  if (!aside) return aside.error();
  vk::LogWarning(std::string("a log was found, but ") + why + ": it was moved to " + *aside);
  return {};
}

/// A synchronisation has replaced what could not be recovered, or the primary has just what was
/// loaded: this node must apply what follows, and may answer. The log that nobody could place is
/// kept.
void TakeFromPrimary(ValkeyModuleCtx* ctx) {
  const std::string path = log::LogPath(Settings().path, Settings().wal_dir);
  keeper->journal.Abandon();
  const Result<void> aside = PutAside(path, "this node has its primary's data now");
  if (!aside) vk::LogWarning("the log cannot be moved aside: " + aside.error().message);
  keeper->damage.clear();
  keeper->unrecovered = false;
  Engine::Get().set_state(server::ModuleState::kReady);
  BeginLate(ctx, "the data is the primary's");
}

/// The AOF was switched on or off at run time.
void FollowAof(ValkeyModuleCtx* ctx) {
  Journal& journal = keeper->journal;
  if (keeper->aof.on()) {
    if (!journal.is_open() || keeper->unrecovered || !ServerAof::Stands(ctx)) return;
    const std::string path = journal.path();
    journal.Abandon();
    unlink(path.c_str());
    keeper->changed = true;
    vk::LogNotice("the server's AOF stands: the module's own log was removed");
  } else if (Settings().wal && !journal.taking() && !journal.failed() && !keeper->unrecovered) {
    static constinit vk::SeldomLog log;
    if (!vk::ConfigAnswers(ctx)) {
      return log.Warning(
          "the AOF is off, but CONFIG is hidden from modules (rename-command): there is no log");
    }
    BeginLate(ctx, "the AOF is off");
  }
}

// --- From time to time
// ------------------------------------------------------------------------------

void KeepBase(ValkeyModuleCtx* ctx, uint64_t now_us) {
  Journal& journal = keeper->journal;
  constexpr uint32_t kChild = VALKEYMODULE_CTX_FLAGS_ACTIVE_CHILD;
  if (keeper->loading || (vk::ContextFlags(ctx) & kChild) != 0) return;
  const std::optional<Position> snapshot = TakeSnapshot();
  if (!journal.taking() || journal.failed()) return;
  const bool asked = std::exchange(keeper->save_asked, false);
  if (snapshot && snapshot->id == journal.log().id()) {
    journal.Cut(snapshot->lsn);
    keeper->wants_base = keeper->save_failed = false;
  } else if (asked) {
    keeper->save_failed = true;
  }
  const bool large = journal.log().used_bytes() > Settings().wal_max_bytes || journal.wants_cut();
  if (!large && !journal.needs_base() && !keeper->wants_base) return;
  if (keeper->save_failed && now_us - keeper->saved_us < kRetryPeriodUs) return;
  keeper->saved_us = now_us;
  const vk::CallReply reply(ValkeyModule_Call(ctx, "BGSAVE", ""));
  keeper->save_asked = true;
  if (reply.is_error()) {
    static constinit vk::SeldomLog log;
    if (reply.get() == nullptr) {
      return log.Warning(
          "the log needs a snapshot, but BGSAVE is hidden from modules (rename-command)");
    }
    log.Warning("the log needs a snapshot, which the server refuses: " + std::string(reply.text()));
  }
}

const char* RefusalNow() {
  const Journal& journal = keeper->journal;
  if (keeper->replica) return nullptr;
  if (journal.failed()) return kLogFailed;
  if (!journal.taking()) return nullptr;
  if (journal.needs_base() && Settings().sync != SyncPolicy::kNo) return kNoBase;
  // While a snapshot is being made that will cut the log, what comes meanwhile has to fit.
  const uint64_t used_bytes = journal.log().used_bytes();
  if (keeper->save_failed && used_bytes > 2 * Settings().wal_max_bytes) return kLogFull;
  if (used_bytes > kLogSizesMax * Settings().wal_max_bytes) return kLogRanAway;
  return journal.short_of_room() ? kNoRoom : nullptr;
}

void Look(ValkeyModuleCtx* ctx, uint64_t now_us) {
  Journal& journal = keeper->journal;
  journal.LookAtLog(ctx);
  if (journal.failed() && now_us - keeper->tried_us >= kRetryPeriodUs) {
    keeper->tried_us = now_us;
    if (journal.TryAgain()) ApplySync(ctx);
  }
  FollowAof(ctx);
  KeepBase(ctx, now_us);
  dispatch::RefuseWrites(RefusalNow());
}

// --- The turns
// ----------------------------------------------------------------------------------

void FirstTurn(ValkeyModuleCtx* ctx) {
  Engine& engine = Engine::Get();
  keeper->aof.Ask(ctx);
  SetSnapshotPath(keeper->aof.rdb_name());
  keeper->replica = (vk::ContextFlags(ctx) & VALKEYMODULE_CTX_FLAGS_REPLICA) != 0;
  if (keeper->replica && !keeper->damage.empty()) {
    const std::string path = keeper->journal.path();
    Result<void> done = PutAside(path, "it is damaged, and this node is a replica");
    if (done) done = keeper->journal.Open(path);
    if (!done) vk::LogWarning("no log could be opened: " + done.error().message);
    keeper->damage.clear();
  }
  if (keeper->replica) {
    if (keeper->journal.is_open()) StartAsReplica(&keeper->journal);
  } else if (keeper->journal.is_open() || !keeper->damage.empty()) {
    engine.set_state(server::ModuleState::kRecovering);
    const Recovered recovered =
        Recover(ctx, &keeper->journal, keeper->damage, keeper->aof.rdb_name());
    keeper->unrecovered = recovered.error;
    keeper->wants_base = recovered.wants_base;
    engine.set_state(recovered.error ? server::ModuleState::kError : server::ModuleState::kReady);
  }
  ApplySync(ctx);
  keeper->started = true;
}

void EndTurn(ValkeyModuleCtx* ctx) {
  if (keeper->server_settings_changed) {
    keeper->server_settings_changed = false;
    keeper->changed = true;
    keeper->looked_us = 0;
  }
  if (keeper->changed) ApplySync(ctx);
  keeper->journal.EndTurn(ctx);
  const uint64_t now_us = NowUs();
  const bool in_trouble = keeper->journal.failed() || keeper->journal.short_of_room();
  if (in_trouble) dispatch::RefuseWrites(RefusalNow());
  const uint64_t taken = keeper->journal.bytes_taken();
  const bool grew = taken - keeper->looked_bytes >= Settings().wal_max_bytes / kLookDivisor;
  if (!grew && now_us - keeper->looked_us < kLookPeriodUs) return;
  keeper->looked_us = now_us;
  keeper->looked_bytes = taken;
  Look(ctx, now_us);
}

// --- Events
// -------------------------------------------------------------------------------------

void OnServerSettings(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t /*sub*/,
                      void* /*data*/) {
  keeper->server_settings_changed = true;
  // The name must be right at the next fork, perhaps in this very turn.
  keeper->aof.Ask(ctx);
  SetSnapshotPath(keeper->aof.rdb_name());
}

void OnRole(ValkeyModuleCtx* /*ctx*/, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  keeper->replica = sub == VALKEYMODULE_EVENT_REPLROLECHANGED_NOW_REPLICA;
  // Nobody was told of what came by the link before.
  if (!keeper->replica) keeper->journal.ForgetUnsafe();
  keeper->changed = true;
  keeper->looked_us = 0;
}

void OnSaving(ValkeyModuleCtx* /*ctx*/, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  OnPersistence(sub);
}

/// Loads after the start: DEBUG RELOAD, and synchronisation with a primary.
void OnLoading(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  Journal& journal = keeper->journal;
  const bool ends =
      sub == VALKEYMODULE_SUBEVENT_LOADING_ENDED || sub == VALKEYMODULE_SUBEVENT_LOADING_FAILED;
  const bool beside_old = server::LoadsBesideOldData();
  if (!ends) {
    ForgetLoadedPosition();
    if (!beside_old && !IsBroken(Safeguard::kReload)) journal.DropHeld();
  }
  MuteNativeEffects(!ends);
  keeper->loading = !ends;
  if (!ends || !keeper->started || !journal.taking()) return;
  // The data is what it was, and the log is its.
  if (sub == VALKEYMODULE_SUBEVENT_LOADING_FAILED && beside_old) return ForgetLoadedPosition();
  const bool ours = sub == VALKEYMODULE_SUBEVENT_LOADING_ENDED && !journal.failed() &&
                    LoadedPosition() == journal.position();
  if (!ours) BeginLate(ctx, "other data was loaded");
}

/// Behind what a synchronisation loads, before the link brings anything.
void OnLink(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* /*data*/) {
  if (sub == VALKEYMODULE_SUBEVENT_PRIMARY_LINK_UP && keeper->unrecovered) TakeFromPrimary(ctx);
}

void OnShutdown(ValkeyModuleCtx* /*ctx*/, ValkeyModuleEvent /*event*/, uint64_t /*sub*/,
                void* /*data*/) {
  keeper->journal.Close();
}

server::LogFigures Figures() {
  server::LogFigures figures;
  const Journal& journal = keeper->journal;
  figures.recovered_records = RecoveryProgress().applied;
  figures.recovery_percent = RecoveryProgress().percent;
  if (keeper->unrecovered) figures.base = "unrecovered";
  if (!keeper->journal.is_open() || !journal.taking()) return figures;
  const log::Log& log = keeper->journal.log();
  figures.used_bytes = log.used_bytes();
  figures.bytes_written = log.counters().bytes_written;
  figures.appended_lsn = log.appended_lsn();
  figures.durable_lsn = log.durable_lsn();
  figures.trouble = journal.trouble();
  figures.base = journal.failed()       ? "failed"
                 : journal.needs_base() ? "awaited"
                 : keeper->wants_base   ? "due"
                                        : "ok";
  return figures;
}

Result<void> Subscribe(ValkeyModuleCtx* ctx) {
  Result<void> listens = vk::Listen(ctx, {{ValkeyModuleEvent_Config, OnServerSettings},
                                          {ValkeyModuleEvent_ReplicationRoleChanged, OnRole},
                                          {ValkeyModuleEvent_Persistence, OnSaving},
                                          {ValkeyModuleEvent_Loading, OnLoading},
                                          {ValkeyModuleEvent_PrimaryLinkChange, OnLink},
                                          {ValkeyModuleEvent_Shutdown, OnShutdown}});
  if (!listens) return listens;
  return StartNativeEffects(ctx, &keeper->journal, ReplayInNotification);
}

Result<void> OpenJournal(ValkeyModuleCtx* ctx) {
  const std::string path = log::LogPath(Settings().path, Settings().wal_dir);
  if (!Settings().wal) return PutAside(path, "flash.wal is no");
  if (keeper->aof.on()) return PutAside(path, "the server's AOF is on");
  if (!vk::ConfigAnswers(ctx)) return Error{Code::kUnsupported, kHidden};
  Result<void> opened = keeper->journal.Open(path);
  if (!opened && opened.code() != Code::kCorrupt) return opened;
  if (!opened) {
    keeper->damage = opened.error().message;
  } else if (!keeper->journal.log().found().empty() && !IsBroken(Safeguard::kLimbo)) {
    types::Limbo::Open();
  }
  return {};
}

}  // namespace

Result<void> Start(ValkeyModuleCtx* ctx) {
  StartTestSwitches();
  // raw new: kept for the process's life, as the engine.
  keeper = new Keeper(&Engine::Get().clock());
  keeper->aof.Ask(ctx);
  if (Result<void> done = StartPositions(ctx, PositionToSave); !done) return done;
  if (Result<void> done = OpenJournal(ctx); !done) return done;
  dispatch::SetCommitHook(OnCommit);
  types::SetAdoptionLog({.begin = OnAdoption, .command = OnAdoptedBy, .expiry = OnAdoptedExpiry});
  server::SetTurnFrame({.first = FirstTurn, .last = EndTurn});
  server::SetLogFigures(Figures);
  return Subscribe(ctx);
}

uint64_t ChangesSoFar() { return keeper == nullptr ? 0 : keeper->changes; }

void NoteDrained(uint64_t changes) {
  if (keeper == nullptr || keeper->changes != changes) return;
  keeper->journal.AddDrained(server::DetachedContext());
}

void OnSettingsChanged() {
  if (keeper != nullptr) keeper->changed = true;
}

}  // namespace flash::durability
