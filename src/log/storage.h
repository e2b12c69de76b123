// storage.h: the file that a log lies in, as the log sees it: it can grow, and gives devices.
//
// The real one is LogFile; the simulator's is a file in memory. Knows nothing of what is written.
// Thread: as each function says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/device.h"
#include "log/log_format.h"

namespace flash::log {

class Storage {
 public:
  virtual ~Storage() = default;

  /// A device over the file, for the calling thread. Errors: kUnsupported, kIo.
  [[nodiscard]] virtual Result<std::unique_ptr<io::Device>> MakeDevice() = 0;

  /// Bytes that can be written without asking the file system for more. Thread: any.
  [[nodiscard]] virtual uint64_t bytes() const = 0;

  /// Makes the file `bytes` long, at least: allocated, written once and durable, so that later
  /// writes need neither room nor metadata. May take long. Errors: kNoSpace, kIo; what was
  /// there stays. Thread: one at a time.
  [[nodiscard]] virtual Result<void> Grow(uint64_t bytes) = 0;

  /// An id for a new log, random. Overridden where a seed must decide everything.
  [[nodiscard]] virtual LogId NewId();

  /// For messages.
  [[nodiscard]] virtual std::string name() const = 0;
};

}  // namespace flash::log
