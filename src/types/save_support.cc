// save_support.cc: see save_support.h.
//
// Thread: main, or the only one of a forked child.
#include "types/save_support.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <string>

#include "server/engine.h"
#include "types/save_source.h"
#include "types/value_table.h"
#include "vk/log.h"
#include "vk/server_events.h"

namespace flash::types {
namespace {

using blocks::WaitCause;

/// Pieces of 256 KiB, as a rule.
constexpr size_t kPiecesTogether = 8;

struct SaveState {
  pid_t server_pid = 0;
  std::optional<uint64_t> migration_hints;
  BlockId at_hand = kNoBlock;  // Its bytes:
  Bytes at_hand_bytes;
  bool aof_rewrite = false;
  bool synchronous_save = false;  // SAVE, DEBUG RELOAD or the save at shutdown.
  std::optional<Error> failure;   // Of that one: no use to go on reading.
  uint64_t failures = 0;          // Of all in this process.
};
constinit SaveState state;

/// A server that was killed and started again may have a newer snapshot, behind which its log was
/// cut, before this child gets to put its own in that place.
void DieWithServer() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != state.server_pid) _exit(1);
}

void OnPersistence(ValkeyModuleCtx* /*ctx*/, ValkeyModuleEvent /*event*/, uint64_t sub,
                   void* /*data*/) {
  if (InForkedChild()) DieWithServer();
  state.synchronous_save = sub == VALKEYMODULE_SUBEVENT_PERSISTENCE_SYNC_RDB_START;
  state.aof_rewrite = sub == VALKEYMODULE_SUBEVENT_PERSISTENCE_AOF_START;
  state.failure.reset();
  ForgetValueTable();
}

/// Before a load there is nothing in the table, and after it nothing of it is needed.
void OnLoading(ValkeyModuleCtx* /*ctx*/, ValkeyModuleEvent /*event*/, uint64_t /*sub*/,
               void* /*data*/) {
  if (server::Engine::IsOpen()) DropLoadedValues();
}

WaitCause CauseOfWait() { return state.synchronous_save ? WaitCause::kSave : WaitCause::kDump; }

const char* ReasonOf(const Error& why) {
  if (!why.message.empty()) return why.message.c_str();
  switch (why.code) {
    case Code::kCorrupt:
      return "checksum mismatch";
    case Code::kTimeout:
      return "no answer from the device";
    default:
      return "device error";
  }
}

/// The names that the server gives its temporary files in this process.
void RemoveTemporaryFiles() {
  const std::string pid = std::to_string(getpid());
  unlink(("temp-" + pid + ".rdb").c_str());
  unlink(("temp-rewriteaof-" + pid + ".aof").c_str());
  unlink(("temp-rewriteaof-bg-" + pid + ".aof").c_str());
}

}  // namespace

Result<void> StartSaveSupport(ValkeyModuleCtx* ctx) {
  state.server_pid = getpid();
  return vk::Listen(ctx, {{ValkeyModuleEvent_Persistence, OnPersistence},
                          {ValkeyModuleEvent_Loading, OnLoading}});
}

bool IsDump() { return !InForkedChild() && !state.synchronous_save; }

bool AreMostlyCold(std::span<const BlockId> ids) {
  const blocks::BlockPool& pool = server::Engine::Get().pool();
  const auto hot =
      std::count_if(ids.begin(), ids.end(), [&](BlockId id) { return pool.IsHot(id); });
  return 2 * static_cast<size_t>(hot) < ids.size();
}

void SaveHints(ValkeyModuleIO* io, std::span<const BlockId> ids) {
  const uint64_t hints = state.migration_hints.value_or(AreMostlyCold(ids) ? kColdHint : 0);
  if (hints == 0) return;
  ValkeyModule_SaveUnsigned(io, kHintsMark);
  ValkeyModule_SaveUnsigned(io, hints);
}

MigrationDump::MigrationDump(bool cold) {
  state.migration_hints = kMigratedHint | (cold ? kColdHint : 0);
}
MigrationDump::~MigrationDump() { state.migration_hints.reset(); }

bool InForkedChild() { return getpid() != state.server_pid; }

bool IsAofRewrite() { return state.aof_rewrite; }

BlockAtHand::BlockAtHand(BlockId id, Bytes bytes) {
  FLASH_CHECK(state.at_hand == kNoBlock);
  state.at_hand = id;
  state.at_hand_bytes = bytes;
}
BlockAtHand::~BlockAtHand() { state.at_hand = kNoBlock; }

CopiesAtHand& TheCopiesAtHand() {
  static CopiesAtHand copies;
  return copies;
}

Result<void> CopyForSave(BlockId id, std::vector<std::byte>* into) {
  if (id == state.at_hand && id != kNoBlock) {
    into->assign(state.at_hand_bytes.begin(), state.at_hand_bytes.end());
    return {};
  }
  blocks::BlockPool& pool = server::Engine::Get().pool();
  if (InForkedChild()) return pool.CopyInChild(id, *SaveSource::Get(true), into);
  if (state.failure) return *state.failure;
  if (TheCopiesAtHand().Take(id, into)) return {};
  return pool.CopyNow(id, CauseOfWait(), into);
}

bool CanVisitForSave() { return SaveSource::Get(InForkedChild()) != nullptr; }

bool VisitForSave(std::span<const BlockId> ids, const blocks::BlockPool::VisitBytes& visit) {
  const bool in_child = InForkedChild();
  SaveSource* const source = SaveSource::Get(in_child);
  if (source == nullptr) return false;
  server::Engine& engine = server::Engine::Get();
  const uint64_t began_us = engine.clock().NowUs();
  engine.pool().CopyMany(ids, *source, visit);
  if (!in_child) engine.pool().CountWait(CauseOfWait(), engine.clock().NowUs() - began_us);
  return true;
}

Result<void> CopyAllForSave(std::span<const BlockId> ids,
                            std::vector<std::vector<std::byte>>* into) {
  into->resize(ids.size());
  const blocks::BlockPool& pool = server::Engine::Get().pool();
  const auto cold =
      std::count_if(ids.begin(), ids.end(), [&pool](BlockId id) { return !pool.IsHot(id); });
  if (!InForkedChild() && state.failure) return *state.failure;
  Result<void> outcome;
  const auto keep = [&](size_t index, Result<Bytes> bytes) {
    if (bytes) {
      (*into)[index].assign(bytes->begin(), bytes->end());
    } else {
      outcome = bytes.error();
    }
  };
  if (cold > 1 && VisitForSave(ids, keep)) return outcome;
  for (size_t i = 0; i < ids.size() && outcome; ++i) {
    (*into)[i].clear();
    outcome = CopyForSave(ids[i], &(*into)[i]);
  }
  return outcome;
}

Result<void> ForEachPieceForSave(std::span<const BlockId> ids,
                                 const std::function<void(Bytes)>& visit) {
  std::vector<std::vector<std::byte>> pieces;
  while (!ids.empty()) {
    const auto together = ids.first(std::min(ids.size(), kPiecesTogether));
    ids = ids.subspan(together.size());
    if (Result<void> done = CopyAllForSave(together, &pieces); !done) return done;
    for (const std::vector<std::byte>& piece : pieces) visit(piece);
  }
  return {};
}

uint64_t FailedSaves() { return state.failures; }

void FailSave(const Error& why) {
  vk::LogWarning(std::string("a value could not be read from flash while saving (") +
                 ReasonOf(why) + "): the save fails, the last good file stays");
  RemoveTemporaryFiles();
  if (InForkedChild()) _exit(1);
  if (state.synchronous_save) state.failure = why;
  ++state.failures;
  ++server::Engine::Get().counters().flashio_errors;
}

}  // namespace flash::types
