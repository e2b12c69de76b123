// device.h: the one seam between valkey-flash and a disk, and so the one place where disk faults
// are made.
//
// A Device is an asynchronous queue of aligned reads and writes against one file. It knows neither
// segments nor blocks. Real: UringDevice (io_uring), and ThreadsDevice (plain reads and writes by
// threads) where that is forbidden. For tests: MemoryDevice, FaultyDevice. Thread: one owner thread
// per Device, except Wake. Why a queue per thread: docs/adr/0003.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace flash::io {

/// kSync makes every write durable that was reaped before it was submitted; it transfers nothing
/// and completes with 0.
enum class Op : uint8_t { kRead, kWrite, kSync };

/// One transfer. `offset`, `bytes` and the address of `data` are multiples of Device::alignment().
/// `data` stays valid and, for a write, unchanged until the completion with this token was reaped.
struct Request {
  Op op = Op::kRead;
  uint64_t offset = 0;
  std::byte* data = nullptr;
  uint32_t bytes = 0;
  uint64_t token = 0;  // Any value but ~0; comes back in the Completion.
  bool durable =
      false;  // A write that ends well has then passed every cache: RWF_DSYNC, pwritev2(2).
};

struct Completion {
  uint64_t token = 0;
  int32_t result = 0;  // Bytes transferred, possibly short, or a negative errno.
};

/// An open file as a device sees it; whoever opened it keeps it open.
struct Target {
  int fd = -1;
  uint32_t alignment = 4096;  // Of transfers in offset, length and memory.
};

class Device {
 public:
  /// Waits for what is in flight: who must not wait for a device that hangs leaves it behind.
  virtual ~Device() = default;

  /// Queues one transfer; it may start at once or at the next Flush. False: the queue is full, reap
  /// first.
  [[nodiscard]] virtual bool Submit(const Request& request) = 0;

  /// Starts everything queued.
  virtual void Flush() = 0;

  /// Takes finished transfers into `out` and returns how many. Starts everything queued, as Flush
  /// does. With none finished, waits up to `wait_us` microseconds (0: not at all) for one, or for
  /// Wake.
  virtual size_t Reap(std::span<Completion> out, uint64_t wait_us) = 0;

  /// Makes a Reap that waits, or the next one, return early. Thread: any.
  virtual void Wake() = 0;

  /// Bytes; a power of two, at most 4096.
  [[nodiscard]] virtual uint32_t alignment() const = 0;

  /// Transfers submitted and not yet reaped.
  [[nodiscard]] virtual size_t inflight() const = 0;

  /// Tells the device of memory that later requests will mostly use, so that it can register it
  /// with the kernel. Page-aligned, alive as long as the device. May do nothing: never an error.
  virtual void LendBuffers(MutableBytes /*memory*/) {}

  /// From now on makes `event_fd` readable when a transfer has finished, for an owner that does not
  /// wait in Reap. False: this device cannot.
  [[nodiscard]] virtual bool NotifyBy(int /*event_fd*/) { return false; }
};

/// Makes one Device per I/O thread over the same file. Called on the thread that will own the
/// device.
class DeviceFactory {
 public:
  virtual ~DeviceFactory() = default;
  [[nodiscard]] virtual Result<std::unique_ptr<Device>> Make() = 0;
};

}  // namespace flash::io
