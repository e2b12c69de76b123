// pages.cc: see pages.h. A mapping that is to hold huge pages is made a huge page too long and cut
// at both ends, since older kernels put it anywhere. It does not know what the pages are for.
// Thread: any.
#include "base/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/result.h"

namespace flash::base {
namespace {

std::byte* Map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  FLASH_CHECK(memory != MAP_FAILED);
  return static_cast<std::byte*>(memory);
}

}  // namespace

MutableBytes MapPages(size_t bytes, PageKind kind) {
  const size_t size = AlignUp(bytes, static_cast<size_t>(sysconf(_SC_PAGESIZE)));
  if (kind == PageKind::kOrdinary || size < kHugePageBytes) return {Map(size), size};
  std::byte* const whole = Map(size + kHugePageBytes);
  const size_t before = AlignUp(reinterpret_cast<uintptr_t>(whole), kHugePageBytes) -
                        reinterpret_cast<uintptr_t>(whole);
  const MutableBytes pages(whole + before, size);
  if (before > 0) munmap(whole, before);
  if (before < kHugePageBytes) munmap(pages.data() + size, kHugePageBytes - before);
  // Refused by a kernel without huge pages: then these are ordinary.
  [[maybe_unused]] const int advised = madvise(pages.data(), size, MADV_HUGEPAGE);
  return pages;
}

void UnmapPages(MutableBytes pages) {
  if (!pages.empty()) munmap(pages.data(), pages.size());
}

}  // namespace flash::base
