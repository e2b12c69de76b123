// page_memory.h: a run of whole pages with an owner, for buffers that a device reads from and for
// staging.
//
// Outside the counted allocator (docs/adr/0001), zero at first, taking memory only where touched,
// and copied to a forked child, which reads unwritten records from it. Thread: one owner.
#pragma once

#include <cstddef>
#include <utility>

#include "base/bytes.h"
#include "base/pages.h"

namespace flash::store {

class PageMemory {
 public:
  PageMemory() = default;
  /// At least `bytes`, rounded up to pages. Ends the process when the address space has none left.
  explicit PageMemory(size_t bytes, base::PageKind kind = base::PageKind::kOrdinary)
      : bytes_(base::MapPages(bytes, kind)) {}
  PageMemory(PageMemory&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  PageMemory& operator=(PageMemory&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~PageMemory() { base::UnmapPages(bytes_); }

  [[nodiscard]] std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  [[nodiscard]] MutableBytes bytes() const { return bytes_; }
  /// Leaves the memory mapped for good: a device that hangs may still read it.
  void Leak() { bytes_ = {}; }

 private:
  MutableBytes bytes_;
};

}  // namespace flash::store
