// pages.h: runs of whole pages straight from the kernel, ordinary or huge.
//
// For memory that a device reads or writes: outside the counted allocator (docs/adr/0001), zero at
// first, taking memory only where touched. In huge pages a transfer of 1 MiB is one piece of memory
// and not 256, which costs the kernel a quarter of the CPU (docs/performance.md). What a forked
// child sees of it is for its owner to say. Thread: any.
#pragma once

#include <cstddef>

#include "base/bytes.h"

namespace flash::base {

inline constexpr size_t kHugePageBytes = 2 * kMiB;

enum class PageKind : uint8_t {
  kOrdinary,
  /// Huge pages where the kernel has any (transparent_hugepage is `madvise` or `always`, and the
  /// process was not told to do without); ordinary ones elsewhere, and in the part behind the last
  /// multiple of kHugePageBytes. The first touch of a huge page takes all of it.
  kHuge,
};

/// Maps at least `bytes`, rounded up to pages; kHuge: from a multiple of kHugePageBytes on. Ends
/// the process when the address space has none left.
[[nodiscard]] MutableBytes MapPages(size_t bytes, PageKind kind);
/// Takes what MapPages gave; an empty run is nothing.
void UnmapPages(MutableBytes pages);

}  // namespace flash::base
