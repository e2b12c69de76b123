// recovery.cc: see recovery.h.
//
// Thread: main.
#include "durability/recovery.h"

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "durability/native_effects.h"
#include "durability/replay.h"
#include "durability/serving_refusals.h"
#include "durability/strays.h"
#include "durability/test_switches.h"
#include "log/log_file.h"
#include "server/engine.h"
#include "server/freeing.h"
#include "types/limbo.h"
#include "types/type_registry.h"
#include "vk/call_reply.h"
#include "vk/log.h"

namespace flash::durability {
namespace {

constexpr uint64_t kTellEveryUs = 5'000'000;
constexpr uint64_t kEffectsPerLook = 1024;
/// Of kDrained.
constexpr uint64_t kDrainedBytes = 4;

/// One replay, handed over to the notification in which it runs.
struct Replay {
  log::LogReader* reader = nullptr;
  std::span<const types::DroppedKey> dropped;
  std::optional<Error> failure;
};
constinit Replay* the_replay = nullptr;
constinit Progress the_progress;

/// The log that continues what was loaded, and from where.
struct Match {
  log::LogId id{};
  log::Lsn after = 0;
  log::Lsn snapshot = 0;
};

void FreeDropped(std::span<const types::DroppedKey> dropped) {
  for (const types::DroppedKey& each : dropped) {
    if (const types::FlashType* type = types::TypeRegistry::Find(each.type); type != nullptr) {
      type->free_now(each.value);
    }
  }
}

bool IsEmpty(ValkeyModuleCtx* ctx) {
  for (int db = 0; ValkeyModule_SelectDb(ctx, db) == VALKEYMODULE_OK; ++db) {
    if (ValkeyModule_DbSize(ctx) != 0) return false;
  }
  return true;
}

/// The first effect of a log that was never cut.
std::optional<Origin> OriginOf(Journal* journal, const log::Found& found) {
  if (found.cut_lsn != 0 || found.last_lsn == 0) return std::nullopt;
  auto reader = journal->log().Read(found.id, 0);
  if (!reader) return std::nullopt;
  const auto effect = (*reader)->Next();
  if (!effect || !effect->has_value()) return std::nullopt;
  const auto bytes = (*reader)->Rest();
  if (!bytes) return std::nullopt;
  const std::optional<Effect> decoded = DecodeEffect(*bytes);
  if (!decoded || decoded->kind != EffectKind::kOrigin || decoded->texts.empty()) {
    return std::nullopt;
  }
  return DecodeOrigin(decoded->texts[0]);
}

bool ContinuesLoaded(ValkeyModuleCtx* ctx, const Origin& origin, const Position& loaded,
                     const std::string& rdb) {
  switch (origin.kind) {
    case Origin::Kind::kPosition:
      return !loaded.none() && origin.position == loaded;
    case Origin::Kind::kFile:
      return loaded.none() && origin.file == FileMark(rdb) &&
             (origin.file != FileMark({}) || IsEmpty(ctx));
    case Origin::Kind::kMemory:
      return false;
  }
  return false;
}

/// The last effect that says that no key of ours was left: an RDB without a position may be of
/// then.
std::optional<log::Lsn> LastDrained(Journal* journal, const log::Found& found) {
  auto reader = journal->log().Read(found.id, found.cut_lsn);
  if (!reader) return std::nullopt;
  std::optional<log::Lsn> last;
  while (true) {
    const auto effect = (*reader)->Next();
    if (!effect || !effect->has_value()) return last;
    if ((*effect)->bytes != kDrainedBytes) continue;
    const auto bytes = (*reader)->Rest();
    const std::optional<Effect> decoded = bytes ? DecodeEffect(*bytes) : std::nullopt;
    if (decoded && decoded->kind == EffectKind::kDrained) last = (*effect)->lsn;
  }
}

std::optional<Match> FindMatch(ValkeyModuleCtx* ctx, Journal* journal, const Position& loaded,
                               const std::string& rdb) {
  for (const log::Found& found : journal->log().found()) {
    if (!loaded.none() && found.id == loaded.id) return Match{found.id, loaded.lsn, loaded.lsn};
    const std::optional<Origin> origin = OriginOf(journal, found);
    if (origin && ContinuesLoaded(ctx, *origin, loaded, rdb)) return Match{found.id, 0, 0};
    if (!loaded.none()) continue;
    if (const auto drained = LastDrained(journal, found))
      return Match{found.id, *drained, *drained};
  }
  return std::nullopt;
}

void FollowReader(const log::LogReader& reader) {
  const uint64_t total = reader.bytes_total();
  the_progress.percent = total == 0 ? 100 : reader.bytes_read() * 100 / total;
}

void Tell() {
  vk::LogNotice("recovering: " + std::to_string(the_progress.applied) +
                " records of the log applied, " + std::to_string(the_progress.percent) + " %");
}

Result<void> ApplyAll(ValkeyModuleCtx* ctx, Replay* replay) {
  const base::Clock& clock = server::Engine::Get().clock();
  uint64_t told_us = clock.NowUs();
  while (true) {
    const auto next = replay->reader->Next();
    if (!next) return next.error();
    if (!next->has_value()) return {};
    const auto bytes = replay->reader->Rest();
    if (!bytes) return bytes.error();
    const std::optional<Effect> effect = DecodeEffect(*bytes);
    const std::string where = " (record " + std::to_string((*next)->lsn) + ")";
    if (!effect) return Error{Code::kCorrupt, "no effect that this version knows" + where};
    if (const Result<void> applied = ApplyEffect(ctx, *effect); !applied) {
      return Error{Code::kCorrupt, applied.error().message + where};
    }
    ++the_progress.applied;
    DelayReplay();
    FollowReader(*replay->reader);
    ServingRefusals::Serve(ctx);
    if (the_progress.applied % kEffectsPerLook != 0) continue;
    server::FinishFreesWhileLoading();
    if (clock.NowUs() - told_us < kTellEveryUs) continue;
    told_us = clock.NowUs();
    Tell();
  }
}

/// No replica may continue from before: what is applied now it never got.
void ChangeReplicationId(ValkeyModuleCtx* ctx) {
  if (IsBroken(Safeguard::kReplicationId)) return;
  const vk::CallReply reply(ValkeyModule_Call(ctx, "DEBUG", "c", "CHANGE-REPL-ID"));
  if (reply.is_error()) {
    vk::LogWarning(
        "the replication id could not be changed: replicas of before must synchronise "
        "in full (REPLICAOF NO ONE and back on each)");
  }
}

Result<void> Run(ValkeyModuleCtx* ctx, Journal* journal, const Match& match,
                 std::span<const types::DroppedKey> dropped) {
  auto reader = journal->log().Read(match.id, match.after);
  if (!reader) return reader.error();
  if ((*reader)->bytes_total() != 0) ChangeReplicationId(ctx);
  FollowReader(**reader);
  server::Engine& engine = server::Engine::Get();
  engine.set_replaying(true);
  MuteNativeEffects(true);
  std::optional<Error> failure;
  {
    const ServingRefusals refusals(ctx);
    Replay replay{reader->get(), dropped, std::nullopt};
    the_replay = &replay;
    RunInNotification(ctx);
    the_replay = nullptr;
    failure = std::move(replay.failure);
  }
  MuteNativeEffects(false);
  engine.set_replaying(false);
  if (failure) return *failure;
  the_progress.percent = 100;
  for (const log::Found& found : journal->log().found()) {
    if (found.id != match.id) continue;
    std::string line = "recovered: " + std::to_string(the_progress.applied) + " records applied";
    if (found.torn_bytes != 0) {
      line += "; " + std::to_string(found.torn_bytes) +
              " bytes behind them were never known to be durable, and cut off";
    }
    vk::LogNotice(line);
  }
  if (Result<void> going_on = journal->Continue(match.id, match.snapshot); !going_on) {
    return going_on;
  }
  // Behind that, so that the log tells of it.
  if (const uint64_t dropped_keys = the_progress.applied == 0 ? 0 : DropStrays(ctx);
      dropped_keys != 0) {
    vk::LogNotice("recovered: " + std::to_string(dropped_keys) +
                  " keys of slots that other nodes have were deleted");
  }
  return {};
}

Recovered Refuse(Journal* journal, const std::string& why) {
  vk::LogWarning("the log and the RDB do not belong together: " + why + " (log " + journal->path() +
                 "). Nothing was changed. Give back the files that belong together, or set "
                 "flash.wal-on-mismatch archive to move the log aside and go on with the RDB");
  return {.error = true};
}

/// Part of it may have been applied, in RAM: to go on without it takes another start.
Recovered RefuseToApply(Journal* journal, const std::string& why) {
  vk::LogWarning("the log continues the RDB, but cannot be applied: " + why + " (log " +
                 journal->path() +
                 "). Nothing was changed. Start the module that wrote it, or give back the files "
                 "of a backup; or move the log away and start with flash.wal-on-mismatch archive, "
                 "to go on with the RDB alone");
  return {.error = true};
}

/// What the log continues from now on: the file that was loaded.
Origin LoadedOrigin(const Position& loaded, const std::string& rdb) {
  Origin origin;
  origin.kind = loaded.none() ? Origin::Kind::kFile : Origin::Kind::kPosition;
  origin.position = loaded;
  if (loaded.none()) origin.file = FileMark(rdb);
  return origin;
}

Recovered BeginNew(ValkeyModuleCtx* ctx, Journal* journal, const std::string& rdb) {
  const Result<void> begun = journal->Begin(LoadedOrigin(LoadedPosition(), rdb));
  if (!begun) return Refuse(journal, "no log could be begun: " + begun.error().message);
  return {.wants_base = !IsEmpty(ctx)};
}

/// The mismatch, as the operator has decided it.
Recovered Settle(ValkeyModuleCtx* ctx, Journal* journal, const std::string& why,
                 const std::string& rdb) {
  if (server::Engine::Get().settings().wal_on_mismatch == server::WalMismatch::kRefuse) {
    return Refuse(journal, why);
  }
  journal->Abandon();
  const Result<std::string> aside = log::LogFile::Archive(journal->path());
  if (!aside) return Refuse(journal, aside.error().message);
  vk::LogWarning("the log does not continue the RDB (" + why + "): it was moved to " + *aside);
  if (const Result<void> opened = journal->Open(journal->path()); !opened) {
    return Refuse(journal, opened.error().message);
  }
  return BeginNew(ctx, journal, rdb);
}

}  // namespace

void ReplayInNotification(ValkeyModuleCtx* ctx) {
  if (the_replay == nullptr) return;
  ReviveDropped(ctx, the_replay->dropped);
  if (const Result<void> done = ApplyAll(ctx, the_replay); !done)
    the_replay->failure = done.error();
}

Recovered Recover(ValkeyModuleCtx* ctx, Journal* journal, const std::string& damage,
                  const std::string& rdb) {
  const std::vector<types::DroppedKey> dropped = types::Limbo::Close();
  const Position loaded = LoadedPosition();
  std::optional<Match> match;
  std::string why = damage;
  if (why.empty() && !journal->log().found().empty()) {
    match = FindMatch(ctx, journal, loaded, rdb);
    if (!match) why = "it is of another history";
  } else if (why.empty() && !loaded.none()) {
    why = "the RDB is continued by a log that is not here";
  }
  if (match) {
    const Result<void> done = Run(ctx, journal, *match, dropped);
    if (done) return {.wants_base = match->snapshot == 0 && !IsEmpty(ctx)};
    return RefuseToApply(journal, done.error().message);
  }
  FreeDropped(dropped);
  return why.empty() ? BeginNew(ctx, journal, rdb) : Settle(ctx, journal, why, rdb);
}

const Progress& RecoveryProgress() { return the_progress; }

void StartAsReplica(Journal* journal) {
  FreeDropped(types::Limbo::Close());
  if (const Result<void> begun = journal->Begin(Origin{}); !begun) {
    vk::LogWarning("no log could be begun: " + begun.error().message);
  }
}

}  // namespace flash::durability
