// log_test_support.h: a log in memory, with faults and power cuts, for the tests of this folder and
// the simulator.
//
// Nothing here is part of the library. Thread: the test's.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "io/faulty_device.h"
#include "io/memory_device.h"
#include "log/log.h"

namespace flash::log {

/// A file in memory. It survives the storages over it, as a disk survives the process.
struct Disk {
  explicit Disk(uint64_t seed = 1) : ids(seed) { file->KeepCache(); }
  std::shared_ptr<io::MemoryFile> file = std::make_shared<io::MemoryFile>(0);
  std::shared_ptr<io::FaultInjector> faults = std::make_shared<io::FaultInjector>(io::FaultPlan{});
  base::Random ids;
  uint64_t bytes_max = 1 * kGiB;  // Where the disk is full.
};

class MemoryStorage final : public Storage {
 public:
  MemoryStorage(Disk* disk, const base::Clock* clock) : disk_(disk), clock_(clock) {}

  [[nodiscard]] Result<std::unique_ptr<io::Device>> MakeDevice() override {
    auto memory = std::make_unique<io::MemoryDevice>(disk_->file, io::MemoryDevice::Options{});
    return std::unique_ptr<io::Device>(
        std::make_unique<io::FaultyDevice>(std::move(memory), disk_->faults, clock_));
  }
  [[nodiscard]] uint64_t bytes() const override { return disk_->file->bytes(); }
  [[nodiscard]] Result<void> Grow(uint64_t bytes) override {
    if (bytes > disk_->bytes_max) return Error{Code::kNoSpace, "the disk is full"};
    switch (disk_->file->SpendPower()) {
      case io::MemoryFile::Power::kLost:
        return Error{Code::kIo, "no power"};
      case io::MemoryFile::Power::kGoing: {
        // The length may be there or not, or a part of it.
        const uint64_t before = disk_->file->bytes();
        disk_->file->Resize(before +
                            disk_->ids.Below(bytes - before + 1) / kPageBytes * kPageBytes);
        return Error{Code::kIo, "no power"};
      }
      default:
        disk_->file->Resize(std::max(bytes, disk_->file->bytes()));
        return {};
    }
  }
  [[nodiscard]] LogId NewId() override {
    LogId id;
    for (std::byte& byte : id) byte = static_cast<std::byte>(disk_->ids.Below(255) + 1);
    return id;
  }
  [[nodiscard]] std::string name() const override { return "memory.wal"; }

 private:
  Disk* disk_;
  const base::Clock* clock_;
};

/// Effect `lsn` of `bytes` bytes: no other has its content.
inline std::vector<std::byte> EffectBytes(Lsn lsn, uint64_t bytes, uint64_t salt = 0) {
  base::Random random(lsn * 1'000'003 + salt);
  std::vector<std::byte> effect(bytes);
  for (size_t i = 0; i < effect.size(); i += 8) {
    const uint64_t word = random.Next();
    std::memcpy(&effect[i], &word, std::min<size_t>(8, effect.size() - i));
  }
  return effect;
}

struct SeenEffect {
  Lsn lsn = 0;
  std::vector<std::byte> bytes;
  bool first_of_unit = false;
};

/// Everything behind `after`, or the error.
inline Result<std::vector<SeenEffect>> ReadEffects(Log& log, const LogId& id, Lsn after) {
  auto reader = log.Read(id, after);
  if (!reader) return reader.error();
  std::vector<SeenEffect> seen;
  while (true) {
    auto effect = (*reader)->Next();
    if (!effect) return effect.error();
    if (!*effect) return seen;
    auto bytes = (*reader)->Rest();
    if (!bytes) return bytes.error();
    if (bytes->size() != (*effect)->bytes) return Error{Code::kCorrupt, "wrong size"};
    seen.push_back({(*effect)->lsn, std::move(bytes).Take(), (*effect)->first_of_unit});
  }
}

}  // namespace flash::log
