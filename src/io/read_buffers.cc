// read_buffers.cc: slots and mappings; see read_buffers.h.
// In debug builds a returned buffer is scribbled over, so that a use after the read shows at once.
// Thread: one owner.
#include "io/read_buffers.h"

#include <sys/mman.h>

#include "base/result.h"

namespace flash::io {
namespace {

// Mapping 1 MiB costs more than keeping it. Two fill a huge page and a little more.
constexpr size_t kLargeKept = 2;

}  // namespace

ReadBuffers::ReadBuffers(const Options& options) : options_(options) {
  small_ = Map(static_cast<size_t>(options.small_count) * kSmallBytes, base::PageKind::kOrdinary);
  small_free_.reserve(options.small_count);
  for (uint32_t i = options.small_count; i > 0; --i) {
    small_free_.push_back(small_.data() + static_cast<size_t>(i - 1) * kSmallBytes);
  }
}

ReadBuffers::~ReadBuffers() {
  Unmap(kept_);
  Unmap(small_);
}

MutableBytes ReadBuffers::Map(size_t bytes, base::PageKind kind) {
  const MutableBytes memory = base::MapPages(bytes, kind);
  // Refused only where the kernel lacks it; a child then copies pages it never uses.
  [[maybe_unused]] const int advised = madvise(memory.data(), memory.size(), MADV_DONTFORK);
  mapped_bytes_.store(mapped_bytes_.load(std::memory_order_relaxed) + bytes,
                      std::memory_order_relaxed);
  return memory.first(bytes);
}

void ReadBuffers::Unmap(MutableBytes memory) {
  base::UnmapPages(memory);
  mapped_bytes_.store(mapped_bytes_.load(std::memory_order_relaxed) - memory.size(),
                      std::memory_order_relaxed);
}

size_t ReadBuffers::Room(uint32_t bytes) const {
  if (bytes <= kSmallBytes) return small_free_.size();
  return options_.large_count_max - large_taken_;
}

std::byte* ReadBuffers::Take(uint32_t bytes) {
  FLASH_CHECK(bytes <= kLargeBytes);
  if (Room(bytes) == 0) return nullptr;
  if (bytes > kSmallBytes) return TakeLarge();
  std::byte* buffer = small_free_.back();
  small_free_.pop_back();
  return buffer;
}

std::byte* ReadBuffers::TakeLarge() {
  ++large_taken_;
  if (kept_.empty()) {
    kept_ = Map(kLargeKept * kLargeBytes, base::PageKind::kHuge);
    for (size_t i = kLargeKept; i > 0; --i) {
      kept_free_.push_back(kept_.data() + (i - 1) * kLargeBytes);
    }
  }
  if (kept_free_.empty()) return Map(kLargeBytes, base::PageKind::kOrdinary).data();
  std::byte* buffer = kept_free_.back();
  kept_free_.pop_back();
  return buffer;
}

void ReadBuffers::Give(std::byte* buffer, uint32_t bytes) {
#ifndef NDEBUG
  std::memset(buffer, 0xdd, bytes);
#endif
  if (bytes <= kSmallBytes) {
    small_free_.push_back(buffer);
    return;
  }
  --large_taken_;
  if (buffer >= kept_.data() && buffer < kept_.data() + kept_.size()) {
    kept_free_.push_back(buffer);
  } else {
    Unmap({buffer, kLargeBytes});
  }
}

}  // namespace flash::io
