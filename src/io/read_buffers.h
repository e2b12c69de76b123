// read_buffers.h: the memory that reads of one I/O thread land in.
//
// Most reads are a few KiB and use one of a fixed number of 16 KiB slots in one mapping that is
// lent to the device. For larger ones (to 1 MiB and its alignment) there are two buffers side by
// side in a huge page, made when first needed, and beyond them mappings on demand, as many as the
// bound allows. All of it is page-exclusive and MADV_DONTFORK, so that a device can write
// into it at any time without a forked child seeing, or paying for, the change. Knows neither tasks
// nor devices. Thread: one owner, except mapped_bytes. Decision: docs/adr/0003.
#pragma once

#include <atomic>
#include <vector>

#include "base/bytes.h"
#include "base/pages.h"

namespace flash::io {

class ReadBuffers {
 public:
  static constexpr uint32_t kSmallBytes = 16 * kKiB;
  static constexpr uint32_t kLargeBytes = 1 * kMiB + 8 * kKiB;

  struct Options {
    uint32_t small_count = 128;
    uint32_t large_count_max = 8;
  };

  explicit ReadBuffers(const Options& options);
  ~ReadBuffers();
  ReadBuffers(const ReadBuffers&) = delete;
  ReadBuffers& operator=(const ReadBuffers&) = delete;

  /// A page-aligned buffer of at least `bytes` (at most kLargeBytes); null when all that fit are
  /// taken.
  [[nodiscard]] std::byte* Take(uint32_t bytes);
  void Give(std::byte* buffer, uint32_t bytes);

  /// How many more buffers of `bytes` can be taken.
  [[nodiscard]] size_t Room(uint32_t bytes) const;
  [[nodiscard]] MutableBytes small_memory() const { return small_; }
  /// Bytes mapped now, used or not. Thread: any.
  [[nodiscard]] uint64_t mapped_bytes() const {
    return mapped_bytes_.load(std::memory_order_relaxed);
  }

 private:
  [[nodiscard]] MutableBytes Map(size_t bytes, base::PageKind kind);
  void Unmap(MutableBytes memory);
  [[nodiscard]] std::byte* TakeLarge();

  Options options_;
  MutableBytes small_;
  std::vector<std::byte*> small_free_;
  MutableBytes kept_;                  // Of kLargeKept large buffers; empty until one is taken.
  std::vector<std::byte*> kept_free_;  // Of those.
  uint32_t large_taken_ = 0;
  std::atomic<uint64_t> mapped_bytes_{0};
};

}  // namespace flash::io
