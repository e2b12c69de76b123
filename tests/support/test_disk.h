// test_disk.h: a tier's worth of bytes on each kind of device, for tests that run on all of them.
//
// In memory, or in a file of a folder of its own behind io_uring or behind threads. Tests read and
// write it directly too, as a forked child or a fault would. Nothing here is part of the module.
// Thread: any for the bytes; the factory as its devices demand.
#pragma once

#include <memory>
#include <ostream>

#include "base/bytes.h"
#include "io/device.h"

namespace flash::testing {

enum class DiskKind : uint8_t { kMemory, kUring, kThreads };

inline constexpr DiskKind kAllDisks[] = {DiskKind::kMemory, DiskKind::kUring, DiskKind::kThreads};
inline constexpr DiskKind kRealDisks[] = {DiskKind::kUring, DiskKind::kThreads};

/// Names the parameter of a test.
void PrintTo(DiskKind kind, std::ostream* out);

class TestDisk {
 public:
  /// `bytes` is a multiple of 1 MiB. Null: this machine has no such device; the test is skipped.
  [[nodiscard]] static std::unique_ptr<TestDisk> Make(DiskKind kind, uint64_t bytes);
  virtual ~TestDisk() = default;

  [[nodiscard]] virtual io::DeviceFactory* factory() = 0;
  /// Bytes copied; fewer at the end.
  [[nodiscard]] virtual size_t ReadAt(uint64_t offset, MutableBytes into) = 0;
  [[nodiscard]] virtual size_t WriteAt(uint64_t offset, Bytes from) = 0;
};

}  // namespace flash::testing
