// tier_devices.h: the real devices of one tier file: io_uring or, where that may not be, threads.
//
// The one place that decides between them. Falls back as a whole: all I/O threads have
// the same kind of device. Knows neither settings nor the log; says what to print there.
// Thread: the owner's, at load. Decision: docs/adr/0011.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/flash_file.h"
#include "io/threaded_backend.h"
#include "io/transfer_threads.h"

namespace flash::io {

/// Which device is wanted. kAuto: io_uring, or threads where the machine forbids it.
enum class DeviceChoice : uint8_t { kAuto, kUring, kThreads };

/// Makes devices of both kinds for one tier file, and remembers which it came to.
class TierDevices {
 public:
  /// `file` outlives all that is made over it; null: there is none yet.
  explicit TierDevices(const FlashFile* file) : file_(file) {}

  /// Finds out which kind Start would come to, before there is a file. What it costs (a fork) is
  /// not paid again. Errors: as Start.
  [[nodiscard]] Result<void> Decide(DeviceChoice choice);
  /// Null: the backend that was started has ended.
  void SetFile(const FlashFile* file);

  /// Starts a backend with devices of `choice`. Errors: kUnsupported (io_uring is demanded and not
  /// to be had, or no thread can be started; cause and remedy in the message), kIo.
  [[nodiscard]] Result<std::unique_ptr<ThreadedBackend>> Start(
      DeviceChoice choice, const ThreadedBackend::Options& options, const base::Clock* clock);

  /// One more device of the kind in use, for a thread that waits for its own reads: in the process
  /// that called Start, or in a child forked from it, which gets threads of its own. Errors: as
  /// Start.
  [[nodiscard]] Result<std::unique_ptr<Device>> MakeForWaiting(uint32_t entries);

  /// The same over another file than the tier, with threads that nothing of the tier can hold up.
  /// Where one more ring is not to be had (the tier's took what the limit of locked memory gives),
  /// threads as well, but with kUring: then `cause` gets why, in a line for people. `file` outlives
  /// the device. Thread: any.
  [[nodiscard]] Result<std::unique_ptr<Device>> MakeForWaiting(const Target& file, uint32_t entries,
                                                               std::string* cause = nullptr) const;

  /// No transfer of the tier begins any more where that can be had; before the file is closed.
  void Refuse();

  /// The kind in use; after Start or Decide. Thread: any.
  [[nodiscard]] bool uses_uring() const { return uring_.load(std::memory_order_relaxed); }
  /// Threads that carry transfers now; 0 with io_uring.
  [[nodiscard]] uint32_t transfer_threads() const {
    return threads_ == nullptr ? 0 : threads_->count();
  }
  /// What Start had to do without, one line each, cause and remedy in it.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  [[nodiscard]] Result<std::unique_ptr<ThreadedBackend>> StartOverUring(
      const ThreadedBackend::Options& options, const base::Clock* clock);
  [[nodiscard]] Result<std::unique_ptr<ThreadedBackend>> StartOverThreads(
      const ThreadedBackend::Options& options, const base::Clock* clock);

  /// Errors: kUnsupported, a sandbox kills for it.
  [[nodiscard]] Result<void> CheckKills();
  [[nodiscard]] static Error Demanded(const Error& cause);
  void NoteFallBack(const Error& cause);

  const FlashFile* file_;
  DeviceChoice choice_ = DeviceChoice::kAuto;
  std::atomic<bool> uring_ = true;
  std::optional<bool> kills_;                 // IoUringKills, once asked.
  std::shared_ptr<TransferThreads> threads_;  // Null: io_uring, or not started.
  pid_t threads_pid_ = 0;                     // The process that has them.
  std::vector<std::string> notes_;
};

}  // namespace flash::io
