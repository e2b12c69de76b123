// log_file.h: the real file of a log: found or created, locked, grown; devices over it.
//
// Knows nothing of what is in it: that is the scan's. Error texts are one line for people: the
// path, why, and what to do. Thread: Open and Archive on the owner's; then as storage.h says.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/uring_device.h"
#include "log/storage.h"

namespace flash::log {

/// The log beside a tier: `<directory or that of the tier>/<tier's name without extension>.wal`.
[[nodiscard]] std::string LogPath(const std::string& tier_path, const std::string& directory);

class LogFile final : public Storage {
 public:
  struct Options {
    std::string path;
    bool direct = true;  // False: never O_DIRECT (tests, measurements).
    /// Makes a device over the file, on the thread that will own it. None: io_uring.
    std::function<Result<std::unique_ptr<io::Device>>(const io::Target&)> make_device = {};
    /// Put around each device; for tests.
    std::function<std::unique_ptr<io::Device>(std::unique_ptr<io::Device>)> wrap_device = {};
  };

  /// Opens or creates the file and takes its lock; reads and writes nothing. Errors: kLocked,
  /// kForeign (not a regular file), kInvalid (path or folder), kNoSpace, kIo.
  [[nodiscard]] static Result<std::unique_ptr<LogFile>> Open(const Options& options);

  /// Moves the file out of the way, under a name that tells when, and returns that name. The file
  /// must not be open. Errors: kIo.
  [[nodiscard]] static Result<std::string> Archive(const std::string& path);

  ~LogFile() override;
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  [[nodiscard]] Result<std::unique_ptr<io::Device>> MakeDevice() override;
  [[nodiscard]] uint64_t bytes() const override { return bytes_; }
  [[nodiscard]] Result<void> Grow(uint64_t bytes) override;
  [[nodiscard]] std::string name() const override { return options_.path; }

  [[nodiscard]] bool created() const { return created_; }
  [[nodiscard]] bool direct() const { return direct_; }
  /// What an operator should know, one line each.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  explicit LogFile(const Options& options) : options_(options) {}
  [[nodiscard]] Result<void> OpenDescriptor();
  [[nodiscard]] Result<void> Lock();
  void ChooseTransfer();
  [[nodiscard]] Result<void> WriteZeros(uint64_t from, uint64_t to);
  [[nodiscard]] Error Fail(Code code, const std::string& why) const;

  Options options_;
  int fd_ = -1;
  bool created_ = false;
  bool direct_ = false;
  std::atomic<uint64_t> bytes_ = 0;
  std::vector<std::string> warnings_;
};

}  // namespace flash::log
