// page_source.h: reads of the log's file for scan and reader: any range, through one window of
// memory, waited for.
//
// Knows nothing of what is read. A read that fails or hangs is an error and never taken for an end:
// only bytes that were read can be judged. Thread: one owner, which made the device.
#pragma once

#include <cstdlib>
#include <memory>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "io/device.h"

namespace flash::log {

class PageSource {
 public:
  static constexpr size_t kWindowBytes = 2 * kMiB;

  /// The file has `file_bytes`. `clock` outlives this.
  PageSource(std::unique_ptr<io::Device> device, uint64_t file_bytes, uint64_t timeout_us,
             const base::Clock* clock);
  ~PageSource();
  PageSource(const PageSource&) = delete;
  PageSource& operator=(const PageSource&) = delete;

  /// `bytes` (at most half a window) from `offset`, fewer at the end of the file; valid until the
  /// next call. Errors: kIo, kTimeout.
  [[nodiscard]] Result<Bytes> View(uint64_t offset, size_t bytes);
  /// The next View reads the device again.
  void Forget() { length_ = 0; }
  [[nodiscard]] uint64_t file_bytes() const { return file_bytes_; }

 private:
  struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  [[nodiscard]] Result<void> Fill(uint64_t offset, size_t bytes);
  [[nodiscard]] Result<size_t> ReadOnce(uint64_t offset, std::byte* into, size_t bytes);

  std::unique_ptr<io::Device> device_;
  uint64_t file_bytes_;
  uint64_t timeout_us_;
  const base::Clock* clock_;
  std::unique_ptr<std::byte[], FreeMemory> window_;
  uint64_t start_ = 0;
  size_t length_ = 0;
  uint64_t tokens_ = 0;
};

}  // namespace flash::log
