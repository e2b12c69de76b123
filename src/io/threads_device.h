// threads_device.h: a real Device without io_uring: plain reads and writes by a pool of threads.
//
// The same seam as UringDevice over the same file, O_DIRECT kept. One transfer waits in one thread
// of TransferThreads, so what is in flight on the drive is bounded by that pool; the rest queues.
// Knows neither tasks nor segments. Thread: created, used and destroyed on one thread, except Wake.
// Decision: docs/adr/0011.
#pragma once

#include <memory>
#include <vector>

#include "io/device.h"
#include "io/flash_file.h"
#include "io/transfer_threads.h"

namespace flash::io {

class ThreadsDevice final : public Device {
 public:
  struct Options {
    uint32_t entries = 256;  // Transfers accepted and not reaped.
  };

  /// `file` outlives the device.
  ThreadsDevice(const Target& file, const Options& options,
                std::shared_ptr<TransferThreads> threads);
  /// Waits for transfers that a thread has begun.
  ~ThreadsDevice() override;
  ThreadsDevice(const ThreadsDevice&) = delete;
  ThreadsDevice& operator=(const ThreadsDevice&) = delete;

  [[nodiscard]] bool Submit(const Request& request) override;
  void Flush() override;
  size_t Reap(std::span<Completion> out, uint64_t wait_us) override;
  void Wake() override { mailbox_->Wake(); }
  [[nodiscard]] uint32_t alignment() const override { return alignment_; }
  [[nodiscard]] size_t inflight() const override { return inflight_; }
  [[nodiscard]] bool NotifyBy(int event_fd) override;

 private:
  Options options_;
  std::shared_ptr<TransferThreads> threads_;
  std::shared_ptr<TransferMailbox> mailbox_ = std::make_shared<TransferMailbox>();
  std::vector<TransferThreads::Transfer> queued_;  // Until Flush.
  size_t inflight_ = 0;
  int fd_;
  uint32_t alignment_;
};

/// Devices for the I/O threads of one tier file, over one pool of threads.
class ThreadsDeviceFactory final : public DeviceFactory {
 public:
  /// `file` outlives the factory and its devices.
  ThreadsDeviceFactory(const FlashFile* file, const ThreadsDevice::Options& options,
                       std::shared_ptr<TransferThreads> threads)
      : file_(file), options_(options), threads_(std::move(threads)) {}
  [[nodiscard]] Result<std::unique_ptr<Device>> Make() override;

 private:
  const FlashFile* file_;
  ThreadsDevice::Options options_;
  std::shared_ptr<TransferThreads> threads_;
};

}  // namespace flash::io
