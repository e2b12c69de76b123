// read_buffers.cc: slots and mappings; see read_buffers.h.
// In debug builds a returned buffer is scribbled over, so that a use after the read shows at once.
// Thread: one owner.
#include "io/read_buffers.h"

#include <sys/mman.h>

#include "base/result.h"

namespace flash::io {
namespace {

constexpr size_t kLargeKept = 2;

}  // namespace

ReadBuffers::ReadBuffers(const Options& options) : options_(options) {
  const size_t bytes = static_cast<size_t>(options.small_count) * kSmallBytes;
  small_ = {Map(bytes), bytes};
  small_free_.reserve(options.small_count);
  for (uint32_t i = options.small_count; i > 0; --i) {
    small_free_.push_back(small_.data() + static_cast<size_t>(i - 1) * kSmallBytes);
  }
}

ReadBuffers::~ReadBuffers() {
  for (std::byte* buffer : large_free_) Unmap(buffer, kLargeBytes);
  Unmap(small_.data(), small_.size());
}

std::byte* ReadBuffers::Map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  FLASH_CHECK(memory != MAP_FAILED);
  // Refused only where the kernel lacks it; a child then copies pages it never uses.
  [[maybe_unused]] const int advised = madvise(memory, bytes, MADV_DONTFORK);
  mapped_bytes_.store(mapped_bytes_.load(std::memory_order_relaxed) + bytes,
                      std::memory_order_relaxed);
  return static_cast<std::byte*>(memory);
}

void ReadBuffers::Unmap(std::byte* memory, size_t bytes) {
  munmap(memory, bytes);
  mapped_bytes_.store(mapped_bytes_.load(std::memory_order_relaxed) - bytes,
                      std::memory_order_relaxed);
}

size_t ReadBuffers::Room(uint32_t bytes) const {
  if (bytes <= kSmallBytes) return small_free_.size();
  return large_free_.size() + options_.large_count_max - large_count_;
}

std::byte* ReadBuffers::Take(uint32_t bytes) {
  FLASH_CHECK(bytes <= kLargeBytes);
  if (Room(bytes) == 0) return nullptr;
  std::vector<std::byte*>& free = bytes <= kSmallBytes ? small_free_ : large_free_;
  if (free.empty()) {
    ++large_count_;
    return Map(kLargeBytes);
  }
  std::byte* buffer = free.back();
  free.pop_back();
  return buffer;
}

void ReadBuffers::Give(std::byte* buffer, uint32_t bytes) {
#ifndef NDEBUG
  std::memset(buffer, 0xdd, bytes);
#endif
  if (bytes <= kSmallBytes) {
    small_free_.push_back(buffer);
  } else if (large_free_.size() < kLargeKept) {
    large_free_.push_back(buffer);
  } else {
    Unmap(buffer, kLargeBytes);
    --large_count_;
  }
}

}  // namespace flash::io
