// journal.cc: see journal.h.
//
// Thread: main.
#include "durability/journal.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

#include "durability/log_faults.h"
#include "durability/test_switches.h"
#include "log/log_file.h"
#include "server/engine.h"
#include "vk/blocked_client.h"
#include "vk/latency.h"
#include "vk/log.h"

namespace flash::durability {
namespace {

/// Transfers in flight.
constexpr uint32_t kDeviceEntries = 64;

/// Larger effects go to the log part by part.
constexpr uint64_t kGatheredBytesMax = 16 * kKiB;
constexpr uint64_t kSegmentBytesMax = 16 * kMiB;
constexpr uint64_t kSegmentBytesMin = kMiB;
/// Asked for before the effects come; what one turn brings beyond is asked for meanwhile.
constexpr uint64_t kRoomBytes = kMiB;

log::Options LogOptions(const server::Settings& settings) {
  log::Options options;
  options.segment_bytes = static_cast<uint32_t>(
      std::clamp(std::bit_floor(settings.wal_max_bytes / 64), kSegmentBytesMin, kSegmentBytesMax));
  // Writes are refused then; what the server does by itself still finds room.
  options.file_bytes_max =
      kLogSizesMax * settings.wal_max_bytes + 4 * uint64_t{options.segment_bytes};
  options.io_timeout_us = uint64_t{settings.io_timeout_ms} * 1000;
  return options;
}

/// Of the tier's kind, or threads if that has left no locked memory for one more ring. Thread: any.
Result<std::unique_ptr<io::Device>> MakeDevice(const io::Target& target) {
  static std::atomic<bool> said = false;
  std::string cause;
  auto device = server::Engine::Get().devices().MakeForWaiting(target, kDeviceEntries, &cause);
  if (device && !cause.empty() && !said.exchange(true)) {
    vk::LogNotice("the log: " + cause + "; going on with threads there");
  }
  return device;
}

}  // namespace

// --- Life
// -------------------------------------------------------------------------------------------

Result<void> Journal::Open(const std::string& path) {
  path_ = path;
  log::LogFile::Options file_options;
  file_options.path = path;
  file_options.make_device = MakeDevice;
  file_options.wrap_device = WithLogFaults;
  auto file = log::LogFile::Open(file_options);
  if (!file) return file.error();
  for (const std::string& line : (*file)->warnings()) vk::LogWarning(line);
  auto opened =
      log::Log::Open(std::move(file).Take(), LogOptions(server::Engine::Get().settings()), clock_);
  if (!opened) return opened.error();
  log_ = std::move(opened).Take();
  return {};
}

Result<void> Journal::Continue(const log::LogId& id, log::Lsn snapshot) {
  if (Result<void> resumed = log_->Resume(id, snapshot); !resumed) return resumed;
  taking_ = true;
  failed_ = needs_base_ = false;
  return {};
}

Result<void> Journal::Begin(const Origin& origin) {
  DropHeld();
  if (Result<void> begun = log_->Begin(0); !begun) return begun;
  taking_ = true;
  failed_ = false;
  needs_base_ = origin.kind == Origin::Kind::kMemory;
  const std::string text = EncodeOrigin(origin);
  Write({EffectKind::kOrigin, 0, 0, {text}});
  log_->EndUnit();
  uncommitted_ = false;
  return log_->Commit();
}

void Journal::Close() {
  if (log_ == nullptr) return;
  if (taking_ && !failed_) {
    AddHeld();
    log_->EndUnit();
    if (const Result<void> closed = log_->Close(); !closed) {
      vk::LogWarning("the log could not be closed in order: " + closed.error().message);
    }
  }
  Abandon();
}

void Journal::Abandon() {
  taking_ = failed_ = needs_base_ = uncommitted_ = short_of_room_ = false;
  DropHeld();
  log_.reset();
}

void Journal::SetSync(bool always, log::SyncMode mode, bool replies_wait) {
  always_ = always;
  replies_wait_ = replies_wait;
  if (log_ == nullptr) return;
  const server::Settings& settings = server::Engine::Get().settings();
  log_->SetIoTimeout(uint64_t{settings.io_timeout_ms} * 1000);
  log_->SetFileBytesMax(LogOptions(settings).file_bytes_max);
  if (const Result<void> set = log_->SetSync(mode); !set) Fail(set.error());
}

// --- Effects
// ----------------------------------------------------------------------------------------

void Journal::NoteBytes(uint64_t bytes) {
  drained_ = false;
  added_bytes_ += bytes;
  bytes_taken_ += bytes;
  if (added_bytes_ > kRoomBytes / 2) AskForRoom(bytes);
  uncommitted_ = true;
}

/// Views scratch_.
Bytes Journal::Gather(const Effect& effect, uint64_t bytes) {
  scratch_.resize(kGatheredBytesMax);
  auto to = scratch_.begin();
  EncodeParts(effect, [&to](Bytes part) { to = std::copy(part.begin(), part.end(), to); });
  return Bytes(scratch_).first(bytes);
}

void Journal::Write(const Effect& effect) {
  const uint64_t bytes = EncodedBytes(effect);
  NoteBytes(bytes);
  if (bytes <= kGatheredBytesMax) {
    log_->Add(Gather(effect, bytes));
  } else {
    log_->BeginEffect(bytes);
    EncodeParts(effect, [this](Bytes part) { log_->AddBytes(part); });
  }
}

void Journal::AskForRoom(uint64_t bytes) {
  added_bytes_ = 0;
  const bool before = short_of_room_;
  const bool room = log_->MakeRoom(bytes + kRoomBytes);
  if (!room && log_->state() == log::State::kFailed) return;  // LookAtLog tells.
  short_of_room_ = !room;
  if (before != short_of_room_) TellOfRoom(before);
}

void Journal::TellOfRoom(bool short_before) {
  if (short_before) {
    static constinit vk::SeldomLog log;
    return log.Warning("the log has room again: writes to FLASH keys go on");
  }
  static constinit vk::SeldomLog log;
  const std::string why = log_->room_error();
  log.Warning("the log has no room (" + (why.empty() ? "its segments are in use" : why) +
              "): writes to FLASH keys are refused until a snapshot or free space makes some");
}

std::string Journal::trouble() const {
  if (failed_) return failure_;
  return taking_ ? log_->room_error() : std::string();
}

bool Journal::wants_cut() const {
  // A log that was just cut has a segment or two in use.
  constexpr uint64_t kSegmentsKept = 3;
  const uint64_t worth = kSegmentsKept * LogOptions(server::Engine::Get().settings()).segment_bytes;
  return (short_of_room_ || !log_->room_error().empty()) && log_->used_bytes() >= worth;
}

void Journal::Add(ValkeyModuleCtx* ctx, const Effect& effect, bool acknowledged) {
  if (!taking_) return;
  if (acknowledged) NoteSafety();
  if (always_) WantUnitEnd(ctx);
  if (failed_) return;
  AddHeld();
  Write(effect);
}

void Journal::AddCommand(ValkeyModuleCtx* ctx, const Effect& effect) {
  const uint64_t bytes = EncodedBytes(effect);
  if (bytes > kGatheredBytesMax || !EndsWithTurn(ctx)) return Add(ctx, effect);
  NoteBytes(bytes);
  log_->AddGrouped(Gather(effect, bytes));
}

void Journal::Miss(ValkeyModuleCtx* ctx, const std::string& why) {
  if (!taking_) return;
  Fail({Code::kInvalid, why});
  NoteSafety();
  if (always_) WantUnitEnd(ctx);
}

/// What is not logged, or what a crash would lose with the log, must not be acknowledged.
void Journal::NoteSafety() { unsafe_ = unsafe_ || failed_ || needs_base_; }

void Journal::AddDrained(ValkeyModuleCtx* ctx) {
  Add(ctx, {EffectKind::kDrained, 0, 0, {}});
  drained_ = taking_ && !failed_;
}

void Journal::HoldDeletion(ValkeyModuleCtx* ctx, uint64_t db, std::string_view key) {
  if (!taking_) return;
  NoteSafety();
  if (always_) WantUnitEnd(ctx);
  if (failed_) return;
  AddHeld();
  held_deletion_ = HeldDeletion{db, std::string(key)};
}

bool Journal::TakeBackDeletion(uint64_t db, std::string_view key) {
  if (!held_deletion_ || held_deletion_->db != db || held_deletion_->key != key) return false;
  held_deletion_.reset();
  return true;
}

void Journal::HoldFlush(ValkeyModuleCtx* ctx, uint64_t db, bool all) {
  if (!taking_) return;
  NoteSafety();
  if (always_) WantUnitEnd(ctx);
  if (failed_) return;
  AddHeld();
  held_flush_ = Effect{EffectKind::kFlush, db, all ? 1U : 0U, {}};
}

void Journal::DropHeld() {
  held_deletion_.reset();
  held_flush_.reset();
}

void Journal::AddHeld() {
  if (held_deletion_) {
    const HeldDeletion held = *std::exchange(held_deletion_, std::nullopt);
    Write({EffectKind::kDelete, held.db, 0, {held.key}});
  }
  if (held_flush_) Write(*std::exchange(held_flush_, std::nullopt));
}

// --- Units and turns
// --------------------------------------------------------------------------------

/// Mostly there is no need to know where a unit ends: it is a command that a client sent by itself,
/// no reply leaves before the turn's end, and nothing else is wrong.
bool Journal::EndsWithTurn(ValkeyModuleCtx* ctx) {
  if (!taking_ || !always_ || !replies_wait_ || unit_end_wanted_) return false;
  NoteSafety();
  if (failed_ || unsafe_) return false;
  if (ValkeyModule_GetBlockedClientHandle(ctx) != nullptr) return false;
  if ((vk::ContextFlags(ctx) & vk::kNoBlockingFlags) != 0) return false;
  if (!connections_.Knows(ValkeyModule_GetClientId(ctx))) return false;
  // The time of the command's begin, which the server has at hand.
  return doors_.AllAreClosed(static_cast<uint64_t>(ValkeyModule_CachedMicroseconds()));
}

/// Units end apart only where it matters: for what may be committed before the turn's end. The
/// server takes no job while it loads, nor on a replica, where the turn's end is early enough.
void Journal::WantUnitEnd(ValkeyModuleCtx* ctx) {
  if (unit_end_wanted_) return;
  const uint64_t client = ValkeyModule_GetClientId(ctx);
  if (ValkeyModule_AddPostNotificationJob(ctx, OnUnitEnd, this, nullptr) != VALKEYMODULE_OK) return;
  unit_end_wanted_ = true;
  unit_client_ = client;
}

void Journal::OnUnitEnd(ValkeyModuleCtx* ctx, void* data) {
  auto* const journal = static_cast<Journal*>(data);
  journal->unit_end_wanted_ = false;
  if (!journal->taking_ || !server::Engine::IsOpen()) return;
  if (!journal->failed_) journal->EndUnit(ctx);
  // Not at the turn's end: a reply may leave before, and the client is not free to be freed now.
  if (journal->always_ && std::exchange(journal->unsafe_, false)) {
    Doors::CutClients(ctx, journal->unit_client_);
  }
}

void Journal::EndUnit(ValkeyModuleCtx* ctx) {
  AddHeld();
  log_->EndUnit();
  const bool early = (!replies_wait_ && !IsBroken(Safeguard::kIoThreads)) ||
                     (!IsBroken(Safeguard::kWriteHandler) && doors_.IsOpenFor(ctx, unit_client_));
  if (early && uncommitted_ && !Commit()) Doors::CutClients(ctx, 0);
}

bool Journal::Commit() {
  uncommitted_ = false;
  const uint64_t began_us = clock_->NowUs();
  DelayBeforeCommit();
  const Result<void> committed = log_->Commit();
  if (!committed) Fail(committed.error());
  vk::AddLatency("flash-commit", clock_->NowUs() - began_us);
  DelayAfterCommit();
  return committed.ok();
}

void Journal::EndTurn(ValkeyModuleCtx* ctx) {
  if (!taking_) return;
  doors_.NewTurn();
  if (!failed_) {
    AddHeld();
    // A turn too late: when the replies have left.
    const bool late = IsBroken(Safeguard::kCommit) && !std::exchange(commit_is_late_, true);
    if (uncommitted_ && !late) {
      commit_is_late_ = false;
      log_->EndUnit();
      // What this turn did is not durable.
      if (!Commit() && always_) Doors::DropReplies(ctx);
    }
    if (!failed_ && (added_bytes_ != 0 || short_of_room_)) {
      AskForRoom(0);
      LookAtLog(ctx);
    }
  }
  if (std::exchange(unsafe_, false) && always_) Doors::DropReplies(ctx);
}

// --- Failure
// ----------------------------------------------------------------------------------------

void Journal::Fail(const Error& error) {
  if (failed_) return;
  failed_ = true;
  failure_ = error.message.empty() ? "device error" : error.message;
  uncommitted_ = false;
  DropHeld();
  static constinit vk::SeldomLog log;
  log.Warning("the log cannot be written (" + failure_ +
              "): writes to FLASH keys are refused until a new log and a snapshot stand");
}

void Journal::LookAtLog(ValkeyModuleCtx* ctx) {
  if (!taking_ || failed_ || log_->state() != log::State::kFailed) return;
  Fail(log_->failure());
  if (always_) Doors::DropReplies(ctx);
}

bool Journal::TryAgain() {
  if (!failed_) return false;
  const Result<void> begun = Begin(Origin{});
  if (!begun) {
    failed_ = true;
    return false;
  }
  static constinit vk::SeldomLog log;
  log.Warning("a new log was begun after the failure; it counts when a snapshot of it stands");
  return true;
}

// --- Snapshots
// --------------------------------------------------------------------------------------

Position Journal::position() const {
  if (!taking_ || failed_ || drained_) return {};
  if (IsBroken(Safeguard::kPosition)) return {log_->id(), 1};
  return {log_->id(), log_->last_lsn()};
}

void Journal::Cut(log::Lsn lsn) {
  log_->Cut(lsn);
  needs_base_ = false;
}

}  // namespace flash::durability
