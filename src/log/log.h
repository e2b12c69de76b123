// log.h: the module's own log of effects: opened, read, appended to, cut.
//
// An effect is an opaque string of bytes with a number (its LSN); a unit is a run of effects that
// recovery sees whole or not at all. Knows neither commands nor keys nor Valkey, and shares nothing
// with the tier: file, devices, thread and failures are its own.
// Thread: one owner (the server's main thread) for everything, except what says "any". The log
// thread is inside. Bytes: docs/format/log.md. Why so: docs/adr/0013.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "log/log_reader.h"
#include "log/log_scan.h"
#include "log/slot_pool.h"
#include "log/stage.h"
#include "log/storage.h"
#include "log/transfers.h"

namespace flash::log {

enum class SyncMode : uint8_t {
  kAlways,       ///< Commit returns when everything is durable.
  kEverySecond,  ///< The log thread writes at once and syncs each second.
  kNever,        ///< The log thread writes at once; the system decides when it is durable.
};

struct Options {
  uint32_t segment_bytes = 16U << 20;    // Power of two, 64 KiB to 1 GiB; of a new file.
  uint64_t file_bytes_max = 8ULL << 30;  // The file never grows beyond.
  uint32_t segments_ahead = 2;           // Reserved behind the one being written; at least 2.
  uint32_t buffers = 8;  // Of 1 MiB (a quarter of smaller segments): what may wait to be written.
  uint64_t io_timeout_us = 5'000'000;  // For each wait on the device.
  uint64_t sync_interval_us = 1'000'000;
  SyncMode sync = SyncMode::kEverySecond;
  bool thread = true;  // False: no log thread; whoever owns the log calls Tick.
};

/// A log that was found in the file.
struct Found {
  LogId id{};
  Lsn cut_lsn = 0;   // A snapshot held everything up to here; reading can begin behind it.
  Lsn last_lsn = 0;  // The last effect of the last whole unit; not below cut_lsn.
  uint64_t units = 0;
  uint64_t bytes = 0;         // Of those units.
  uint64_t torn_bytes = 0;    // Seen behind them: never known to be durable, and cut off.
  bool closed = false;        // The server ended in order.
  bool awaited_base = false;  // Begun over another one, and Cut was never called for it.
};

enum class State : uint8_t {
  kIdle,    ///< Opened or closed; nothing can be appended before Resume or Begin.
  kOpen,    ///< Appending.
  kFailed,  ///< A write, a sync or the room failed: nothing more is acknowledged. Begin ends it.
};

struct Counters {
  uint64_t commits = 0;        // Commit calls that had something.
  uint64_t bytes_written = 0;  // To the device, superblocks and reserving included.
  uint64_t writes = 0;         // Durable ones and others.
  uint64_t syncs = 0;
  uint64_t waits_for_buffers = 0;  // The owner waited because the device did not keep up.
};

class Log {
 public:
  /// Takes the storage; reads and verifies everything in it, changes nothing. An empty file gives a
  /// log without found(). `clock` outlives the log. Errors: kForeign (not a log, or a newer
  /// version), kCorrupt (damage in the middle, or a gap), kIo, kTimeout, kUnsupported; the message
  /// is one line for people.
  [[nodiscard]] static Result<std::unique_ptr<Log>> Open(std::unique_ptr<Storage> storage,
                                                         const Options& options,
                                                         const base::Clock* clock);
  /// Ends the log thread; nothing is written. What was not committed is lost.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Recovery: between Open and Resume or Begin.

  /// None, one, or two: the second is the one before, whose successor had no base yet.
  [[nodiscard]] const std::vector<Found>& found() const { return found_; }

  /// Effects behind `after` of log `id`, in order, of whole units only; none if the log ends before
  /// (a snapshot may hold effects that were never synced here). Errors: kGone (no such log here: a
  /// foreign id), kCorrupt (a gap: the log begins behind `after`), kIo, kUnsupported.
  [[nodiscard]] Result<std::unique_ptr<LogReader>> Read(const LogId& id, Lsn after);

  /// Continues log `id`, of which a snapshot stands, behind its last whole unit; the next effect is
  /// the one behind that or behind `snapshot`, whichever is later. What else is in the file is
  /// dropped. Errors: kGone, kNoSpace, kIo, kTimeout.
  [[nodiscard]] Result<void> Resume(const LogId& id, Lsn snapshot);

  /// Begins a new log whose first effect is `base` + 1; also after a failure, or in the middle of
  /// appending (what is not committed is thrown away). The log before stays in the file and would
  /// be found, until Cut reports that a snapshot of the new one stands. Of a log that awaits its
  /// base no snapshot may be on its way: it is dropped at once. Errors: kNoSpace, kIo,
  /// kTimeout; kBusy (the device still holds a write of the log before: try again later).
  [[nodiscard]] Result<void> Begin(Lsn base);

  // Appending. Never fails by itself: a failure shows in the next Commit and in state().

  /// Appends one effect. Returns its LSN.
  Lsn Add(Bytes effect);
  /// Appends an effect of `bytes` bytes that come in parts: AddBytes until they are complete.
  Lsn BeginEffect(uint64_t bytes);
  void AddBytes(Bytes part);
  /// The effects since the unit before are one unit. Nothing if there are none.
  void EndUnit();
  /// Add and EndUnit for a unit of one effect, for less: such units that follow each other share a
  /// frame, and so come back all or none, until one of another kind follows, or a commit.
  Lsn AddGrouped(Bytes effect);

  /// The end of the server's turn. kAlways: returns when all ended units are durable. Else hands
  /// them to the log thread and returns at once. Errors, from which nothing may be acknowledged any
  /// more: kIo, kTimeout, kNoSpace; the log is kFailed then, and stays so.
  [[nodiscard]] Result<void> Commit();

  /// Throws away everything added since the last Commit. Errors: as Commit.
  [[nodiscard]] Result<void> Discard();

  /// Sees to it that effects of `bytes` together will find room; asked before a change is made, so
  /// that a full disk refuses it beforehand. Waits for the file to grow where it may: at most
  /// io_timeout_us. False: refuse.
  [[nodiscard]] bool MakeRoom(uint64_t bytes);

  // Settings and housekeeping.

  /// To kAlways: when everything appended is durable. Errors: as Commit.
  [[nodiscard]] Result<void> SetSync(SyncMode mode);
  void SetIoTimeout(uint64_t us);
  /// May be below what the file has: it does not shrink then, but does not grow.
  void SetFileBytesMax(uint64_t bytes);
  /// kAlways: units that ended so long ago are committed by the log thread, because the owner is
  /// busy (a script that runs long). 0: never. If they are not durable after nearly as long again,
  /// whatever the reason, `overdue` is called: on a thread of its own, and without a lock.
  void SetCommitAgeMax(uint64_t us, void (*overdue)() = nullptr);

  /// A snapshot that carries {id(), lsn} stands: segments wholly below may be used again, and the
  /// log before this one is dropped. Soon, on the log thread, and never beyond what is durable.
  void Cut(Lsn lsn);

  /// Ends in order: everything durable, and the superblock says so. Errors: as Commit.
  [[nodiscard]] Result<void> Close();

  /// What the log thread does, once: only with Options::thread false.
  void Tick();

  // What there is to see.

  /// Of the log being appended to. Fork-safe.
  [[nodiscard]] const LogId& id() const { return origin_.id; }
  /// The last effect added. Fork-safe.
  [[nodiscard]] Lsn last_lsn() const { return stage_ != nullptr ? stage_->last_lsn() : 0; }
  /// No snapshot of this log has been reported yet: begin one.
  [[nodiscard]] bool awaits_base() const;
  [[nodiscard]] State state() const;  // Thread: any, like the rest.
  /// kFailed: what happened, one line for people.
  [[nodiscard]] Error failure() const;
  /// The last effect written to the device, durable, and held by a snapshot.
  [[nodiscard]] Lsn appended_lsn() const;
  [[nodiscard]] Lsn durable_lsn() const;
  [[nodiscard]] Lsn cut_lsn() const;
  /// Bytes of segments in use, and of the file.
  [[nodiscard]] uint64_t used_bytes() const;
  [[nodiscard]] uint64_t file_bytes() const { return storage_->bytes(); }
  /// Why the file cannot grow at the moment; empty if it can.
  [[nodiscard]] std::string room_error() const;
  [[nodiscard]] Counters counters() const;

 private:
  using Lock = std::unique_lock<std::mutex>;

  Log(std::unique_ptr<Storage> storage, const Options& options, const base::Clock* clock);
  [[nodiscard]] Result<void> ReadAll();
  [[nodiscard]] Result<void> StartThread();

  // log_begin.cc: where the log goes on.
  [[nodiscard]] Result<void> CanTakeOver();
  [[nodiscard]] Result<void> StartAt(Lock& lock, LogSuperblock superblock, const Stage::Head& head);
  [[nodiscard]] Result<void> CutTail(Lock& lock);
  [[nodiscard]] Result<void> WriteSuperblocks(Lock& lock, LogSuperblock superblock,
                                              Transfers& transfers);
  void KeepSlotsOf(const Chain& chain);
  [[nodiscard]] const Scanned* ScannedOf(const LogId& id) const;

  // log_write.cc: pages to the device.
  void NoteEndedUnit(Lock& lock);
  /// The right to do one thing, while the lock is let go meanwhile.
  class Baton {
   public:
    /// Waits io_timeout_us at most; held() tells.
    Baton(Log* log, Lock& lock, bool Log::*which);
    ~Baton();
    Baton(const Baton&) = delete;
    Baton& operator=(const Baton&) = delete;
    [[nodiscard]] bool held() const { return held_; }

   private:
    Log* log_;
    bool Log::*which_;
    bool held_;
  };
  void LookAt(Transfers& transfers);
  [[nodiscard]] Result<void> WriteOut(Lock& lock, Transfers& transfers, bool durable);
  [[nodiscard]] Result<void> CommitEnded(Lock& lock);
  [[nodiscard]] Result<void> SyncAll(Lock& lock, Transfers& transfers);
  void RelieveBuffers(Lock& lock);
  [[nodiscard]] Error Fail(const Error& error);

  // log_keep.cc: what the log thread does.
  void Keep(Lock& lock, Transfers& transfers);
  void Reserve(Lock& lock, uint64_t file_bytes_max);
  [[nodiscard]] bool WantsSegment() const;
  [[nodiscard]] bool NeedsKeeping() const;
  [[nodiscard]] bool IsOld(uint64_t now_us) const;
  void CutNow(Lock& lock, Transfers& transfers);
  void Watch();

  std::unique_ptr<Storage> storage_;
  Options options_;
  const base::Clock* clock_;
  std::vector<Found> found_;
  std::vector<Scanned> scanned_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // For the owner.
  std::condition_variable wanted_;   // For the log thread.
  std::condition_variable watched_;  // For the thread that watches the owner's commits.
  bool writing_ = false;             // Baton: writes pages of frames.
  bool keeping_ = false;             // Baton: decides about and writes superblocks.
  bool growing_ = false;             // Baton: makes the file longer.
  State state_ = State::kIdle;
  Error failure_;
  Origin origin_;
  uint32_t segment_bytes_ = 0;
  LogSuperblock superblock_;  // As last written.
  bool has_superblock_ = false;
  SlotPool slots_;
  LogId kept_id_{};  // The log before, and where its segments lie.
  std::vector<uint32_t> previous_slots_;
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<Transfers> own_;  // The owner's device.
  Stage::Mark appended_;
  Stage::Mark durable_;
  uint64_t synced_at_us_ = 0;
  uint64_t oldest_end_us_ = 0;  // When the oldest unit ended that is not committed; 0: none.
  uint64_t commit_age_max_us_ = 0;
  uint64_t undurable_since_us_ = 0;  // When the oldest unit ended that is not durable; 0: none.
  bool owner_commits_ = false;       // And so acknowledges nothing.
  void (*overdue_)() = nullptr;
  std::optional<Lsn> cut_wanted_;
  bool awaits_base_ = false;
  uint64_t room_wanted_ = 0;
  std::string room_error_;
  uint64_t room_error_at_us_ = 0;
  bool growing_late_ = false;  // The file system did not answer in time, and has not yet.
  bool thread_idle_ = true;    // The log thread's device holds nothing.
  std::vector<std::shared_ptr<void>> late_pages_;  // A device that did not answer may read them.
  Counters counters_;
  bool stop_ = false;
  std::thread thread_;
  std::thread watch_;
};

}  // namespace flash::log
