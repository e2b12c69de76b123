// memory_device.h: a Device over a file that lives in memory, for unit tests and the simulator.
//
// MemoryFile is the file: sparse, shared by any number of devices, and readable directly, as a
// forked child or a test would read it. MemoryDevice finishes everything at Flush, in order,
// without faults; FaultyDevice adds those. Knows neither segments nor records. Thread: MemoryFile
// any; MemoryDevice its owner, except Wake. Decision: docs/adr/0003.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "io/device.h"

namespace flash::io {

class MemoryFile {
 public:
  /// A file of `bytes` zero bytes; pages take memory when they are first written.
  explicit MemoryFile(uint64_t bytes) : bytes_(bytes) {}

  /// Copies from `offset`; returns the bytes copied, fewer at the end of the file, 0 behind it.
  size_t ReadAt(uint64_t offset, MutableBytes into) const;

  /// Copies to `offset`; returns the bytes copied, fewer at the end of the file (a full disk), 0
  /// behind.
  size_t WriteAt(uint64_t offset, Bytes from);

  /// Grows with zeros, or cuts. Pages that are cut read as zero when the file grows again.
  void Resize(uint64_t bytes);
  [[nodiscard]] uint64_t bytes() const;

 private:
  static constexpr uint64_t kPageBytes = 16 * kKiB;
  using Page = std::array<std::byte, kPageBytes>;

  mutable std::mutex mutex_;
  uint64_t bytes_;
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;  // By page number.
};

class MemoryDevice final : public Device {
 public:
  struct Options {
    uint32_t entries = 256;    // Transfers in flight.
    uint32_t alignment = 512;  // Demanded of every request, as a disk would.
  };

  MemoryDevice(std::shared_ptr<MemoryFile> file, const Options& options);
  ~MemoryDevice() override;

  [[nodiscard]] bool Submit(const Request& request) override;
  void Flush() override;
  size_t Reap(std::span<Completion> out, uint64_t wait_us) override;
  void Wake() override;
  [[nodiscard]] uint32_t alignment() const override { return options_.alignment; }
  [[nodiscard]] size_t inflight() const override { return queued_.size() + finished_.size(); }

 private:
  [[nodiscard]] int32_t Transfer(const Request& request);

  std::shared_ptr<MemoryFile> file_;
  Options options_;
  std::vector<Request> queued_;
  std::deque<Completion> finished_;
  int wake_fd_;
};

class MemoryDeviceFactory final : public DeviceFactory {
 public:
  MemoryDeviceFactory(std::shared_ptr<MemoryFile> file, const MemoryDevice::Options& options)
      : file_(std::move(file)), options_(options) {}
  [[nodiscard]] Result<std::unique_ptr<Device>> Make() override;

 private:
  std::shared_ptr<MemoryFile> file_;
  MemoryDevice::Options options_;
};

}  // namespace flash::io
