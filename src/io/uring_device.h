// uring_device.h: the real Device: one io_uring ring over the tier file.
//
// Registers file and buffers with the kernel where it may, and does without where it may not; says
// which in notes(). Wake is an eventfd polled by the ring itself, so that its thread waits in one
// place. Needs Linux 5.11. Knows neither tasks nor segments. Thread: created, used and destroyed on
// one thread, except Wake. Decision: docs/adr/0003. Source: io_uring(7), io_uring_setup(2).
#pragma once

#include <liburing.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/device.h"
#include "io/flash_file.h"

namespace flash::io {

/// One line for people: why io_uring_setup failed with `error` (an errno) and what to do about it.
/// `disabled` is kernel.io_uring_disabled, -1 if the kernel has no such switch.
[[nodiscard]] std::string ExplainUringRefusal(int error, int disabled, uint64_t memlock_bytes);

/// What a device had to do without; shared by all devices of a factory. Thread: any.
class UringNotes {
 public:
  void Add(const std::string& line);
  [[nodiscard]] std::vector<std::string> lines() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;  // Each once.
};

class UringDevice final : public Device {
 public:
  struct Options {
    uint32_t entries = 256;  // Transfers in flight, 1 to 65536.
    bool register_file = true;
    bool register_buffers = true;
    bool defer_work = true;  // Completions are finished in Reap, not by interrupting this thread.
  };

  /// `file` outlives the device. Errors: kUnsupported (kernel, sandbox or limit; the message says
  /// which and what to do).
  [[nodiscard]] static Result<std::unique_ptr<UringDevice>> Open(
      const Target& file, const Options& options, std::shared_ptr<UringNotes> notes = nullptr);
  [[nodiscard]] static Result<std::unique_ptr<UringDevice>> Open(
      const FlashFile& file, const Options& options, std::shared_ptr<UringNotes> notes = nullptr) {
    return Open(file.target(), options, std::move(notes));
  }
  ~UringDevice() override;
  UringDevice(const UringDevice&) = delete;
  UringDevice& operator=(const UringDevice&) = delete;

  [[nodiscard]] bool Submit(const Request& request) override;
  void Flush() override;
  size_t Reap(std::span<Completion> out, uint64_t wait_us) override;
  void Wake() override;
  [[nodiscard]] uint32_t alignment() const override { return alignment_; }
  [[nodiscard]] size_t inflight() const override { return inflight_; }
  void LendBuffers(MutableBytes memory) override;
  [[nodiscard]] bool NotifyBy(int event_fd) override;

  [[nodiscard]] bool file_registered() const { return file_registered_; }
  [[nodiscard]] bool buffers_registered() const { return !lent_.empty(); }

 private:
  UringDevice(const Target& file, const Options& options, std::shared_ptr<UringNotes> notes);
  [[nodiscard]] Result<void> SetUp();
  void Note(const std::string& line);
  void ArmWake();
  void OnWake(const io_uring_cqe& event);
  [[nodiscard]] io_uring_sqe* NextEntry();
  [[nodiscard]] size_t Take(std::span<Completion> out);

  Options options_;
  std::shared_ptr<UringNotes> notes_;
  io_uring ring_{};
  bool ring_open_ = false;
  bool deferred_ = false;  // Completions are finished in Reap.
  int fd_;
  uint32_t alignment_;
  bool file_registered_ = false;
  MutableBytes lent_;  // Registered with the kernel; else empty.
  size_t inflight_ = 0;
  int wake_fd_ = -1;
  bool wake_multishot_ = true;  // Until the kernel refuses.
  bool wake_armed_ = false;
  bool woken_ = false;  // A Wake was met in this Reap.
};

/// Devices for the I/O threads of one tier file.
class UringDeviceFactory final : public DeviceFactory {
 public:
  /// `file` outlives the factory and its devices.
  UringDeviceFactory(const FlashFile* file, const UringDevice::Options& options)
      : file_(file), options_(options) {}
  [[nodiscard]] Result<std::unique_ptr<Device>> Make() override;
  [[nodiscard]] std::vector<std::string> notes() const { return notes_->lines(); }

 private:
  const FlashFile* file_;
  UringDevice::Options options_;
  std::shared_ptr<UringNotes> notes_ = std::make_shared<UringNotes>();
};

}  // namespace flash::io
