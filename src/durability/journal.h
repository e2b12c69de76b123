// journal.h: the module's log while the server runs: effects in, durable at the turn's end.
//
// In `always` everything that a turn did is written and durable before any of its replies leaves;
// otherwise the log's own thread sees to it. When that fails nothing is acknowledged any more until
// a new log, with a snapshot to begin from, stands. Knows no key and no command; what is worth an
// effect is decided elsewhere. Thread: main. Decision: docs/adr/0014.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "durability/connections.h"
#include "durability/cut.h"
#include "durability/doors.h"
#include "durability/effect.h"
#include "durability/position.h"
#include "log/log.h"
#include "vk/api.h"

namespace flash::durability {

/// The log's size at which writes are refused, in sizes of flash.wal-max-bytes.
inline constexpr uint64_t kLogSizesMax = 4;

class Journal {
 public:
  explicit Journal(const base::Clock* clock) : clock_(clock) {}

  /// Opens or creates the log's file, and reads what is in it. Nothing is taken yet. Errors: as
  /// LogFile::Open and Log::Open; after kCorrupt the file is closed again.
  [[nodiscard]] Result<void> Open(const std::string& path);
  [[nodiscard]] bool is_open() const { return log_ != nullptr; }
  [[nodiscard]] log::Log& log() { return *log_; }
  [[nodiscard]] const log::Log& log() const { return *log_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  /// From now on effects are taken, into the log found (Resume) or a new one. Errors: as there.
  [[nodiscard]] Result<void> Continue(const log::LogId& id, log::Lsn snapshot);
  [[nodiscard]] Result<void> Begin(const Origin& origin);
  /// Effects are taken.
  [[nodiscard]] bool taking() const { return taking_; }
  /// Of all effects so far.
  [[nodiscard]] uint64_t bytes_taken() const { return bytes_taken_; }

  /// Whether commits are waited for; and replies held back by the server until then.
  void SetSync(bool always, log::SyncMode mode, bool replies_wait);
  void SetCommitAgeMax(uint64_t us) { log_->SetCommitAgeMax(us, CutConnections); }

  /// Adds an effect that is under way: `ctx` is of whoever causes it, and acknowledged tells
  /// whether a client will be told of it.
  void Add(ValkeyModuleCtx* ctx, const Effect& effect, bool acknowledged = true);
  /// Adds the one effect of a handler that runs in its command, or after it waited.
  void AddCommand(ValkeyModuleCtx* ctx, const Effect& effect);
  /// An effect that is under way cannot be told: what the log says of later ones would be wrong
  /// without it, so this one ends.
  void Miss(ValkeyModuleCtx* ctx, const std::string& why);

  /// What came so far in this turn is acknowledged to nobody: this node was a replica.
  void ForgetUnsafe() { unsafe_ = false; }

  /// A deletion that may be the first half of RENAME or MOVE: added before the next effect, or at
  /// the end of the unit, unless it is taken back.
  void HoldDeletion(ValkeyModuleCtx* ctx, uint64_t db, std::string_view key);
  bool TakeBackDeletion(uint64_t db, std::string_view key);
  /// A flush that may belong to a load which follows.
  void HoldFlush(ValkeyModuleCtx* ctx, uint64_t db, bool all);
  void DropHeld();

  /// No key of ours is left: snapshots carry no position until there is one again, so that a server
  /// without the module can load them.
  void AddDrained(ValkeyModuleCtx* ctx);

  /// The end of the turn: no reply has left yet.
  void EndTurn(ValkeyModuleCtx* ctx);

  /// What a snapshot that is being made now holds. Fork-safe.
  [[nodiscard]] Position position() const;
  /// A snapshot stands.
  void Cut(log::Lsn lsn);
  /// The log cannot be recovered from before a snapshot of it stands.
  [[nodiscard]] bool needs_base() const { return needs_base_; }
  /// What the next turn may bring would find no room.
  [[nodiscard]] bool short_of_room() const { return short_of_room_; }
  /// Nothing is acknowledged.
  [[nodiscard]] bool failed() const { return failed_; }
  /// Why it failed, or cannot grow; empty if all is well.
  [[nodiscard]] std::string trouble() const;
  /// It cannot grow, and would become shorter by being cut.
  [[nodiscard]] bool wants_cut() const;
  /// Notices what the log's thread met with.
  void LookAtLog(ValkeyModuleCtx* ctx);
  /// After a failure: false, and nothing changed, if it is too early.
  bool TryAgain();

  /// In order: everything durable. No effect is taken afterwards.
  void Close();
  /// Closes without further ado: the file is of no use any more.
  void Abandon();

 private:
  struct HeldDeletion {
    uint64_t db = 0;
    std::string key;
  };

  void AddHeld();
  void AskForRoom(uint64_t bytes);
  void TellOfRoom(bool short_before);
  [[nodiscard]] bool EndsWithTurn(ValkeyModuleCtx* ctx);
  void NoteBytes(uint64_t bytes);
  [[nodiscard]] Bytes Gather(const Effect& effect, uint64_t bytes);
  void Write(const Effect& effect);
  void WantUnitEnd(ValkeyModuleCtx* ctx);
  static void OnUnitEnd(ValkeyModuleCtx* ctx, void* data);
  void EndUnit(ValkeyModuleCtx* ctx);
  void NoteSafety();
  [[nodiscard]] bool Commit();
  void Fail(const Error& error);

  const base::Clock* clock_;
  std::string path_;
  std::unique_ptr<log::Log> log_;
  Doors doors_;
  Connections connections_;
  bool taking_ = false;
  bool always_ = false;
  bool replies_wait_ = true;  // The server's I/O threads do not answer early.
  bool failed_ = false;
  bool needs_base_ = false;
  bool drained_ = false;
  std::string failure_;

  bool uncommitted_ = false;
  bool commit_is_late_ = false;  // Only for tests.
  bool short_of_room_ = false;
  uint64_t added_bytes_ = 0;  // Since room was asked for.
  uint64_t bytes_taken_ = 0;
  bool unit_end_wanted_ = false;  // A job is with the server.
  bool unsafe_ = false;           // A client is about to be told of what is not durable.
  uint64_t unit_client_ = 0;      // Whose unit it is; 0: not known.
  std::optional<HeldDeletion> held_deletion_;
  std::optional<Effect> held_flush_;
  std::vector<std::byte> scratch_;
};

}  // namespace flash::durability
