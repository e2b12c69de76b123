// memory_device.h: a Device over a file that lives in memory, for unit tests and the simulator.
//
// MemoryFile is the file: sparse, shared by any number of devices, and readable directly, as a
// forked child or a test would read it; on request with a volatile cache and a power cut.
// MemoryDevice finishes everything at Flush, in order, without faults; FaultyDevice adds those.
// Knows neither segments nor records. Thread: MemoryFile any; MemoryDevice its owner, except Wake.
// Decision: docs/adr/0003.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "io/device.h"

namespace flash::io {

class MemoryFile {
 public:
  /// A file of `bytes` zero bytes; pages take memory when they are first written.
  explicit MemoryFile(uint64_t bytes) : bytes_(bytes) {}

  /// Copies from `offset`; returns the bytes copied, fewer at the end of the file, 0 behind it.
  size_t ReadAt(uint64_t offset, MutableBytes into) const;

  /// Copies to `offset`; returns the bytes copied, fewer at the end of the file (a full disk), 0
  /// behind. With a cache, `durable` says whether they pass it.
  size_t WriteAt(uint64_t offset, Bytes from, bool durable = false);

  /// Grows with zeros, or cuts. Pages that are cut read as zero when the file grows again.
  void Resize(uint64_t bytes);
  [[nodiscard]] uint64_t bytes() const;

  static constexpr uint64_t kSectorBytes = 512;  // What a power cut never tears.

  /// From now on what is written stays in a cache that CutPower may lose, until synced.
  void KeepCache();
  /// Makes everything written so far durable.
  void Sync();
  /// Sectors whose newest content a power cut may lose.
  [[nodiscard]] size_t unsynced_sectors() const;
  /// Lets `count` more writes and syncs happen, the last one without the durability that it asked
  /// for; from then on power_lost(), and every transfer fails.
  void LosePowerAfter(uint64_t count);
  [[nodiscard]] bool power_lost() const;
  /// Of the `count` that LosePowerAfter gave.
  [[nodiscard]] uint64_t power_left() const;
  /// Counts one write or sync; how much of it may happen. Devices call it, and whoever resizes.
  enum class Power : uint8_t { kOn, kGoing, kLost };
  [[nodiscard]] Power SpendPower();
  /// The power is back: each unsynced sector holds any one of the contents it had since it was
  /// durable, drawn from `random`; what is there now is durable.
  void CutPower(base::Random& random);

 private:
  static constexpr uint64_t kPageBytes = 16 * kKiB;
  using Page = std::array<std::byte, kPageBytes>;
  using Sector = std::array<std::byte, kSectorBytes>;

  void RememberSectors(uint64_t offset, uint64_t bytes, bool durable);
  [[nodiscard]] std::byte* At(uint64_t offset);

  mutable std::mutex mutex_;
  uint64_t bytes_;
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;  // By page number.
  bool cached_ = false;
  std::map<uint64_t, std::vector<Sector>> older_;  // By sector: from the durable content on.
  bool power_ends_ = false;
  uint64_t power_left_ = 0;
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
