// page_memory.cc: see page_memory.h. Plain anonymous mappings: page-exclusive by construction, and
// deliberately not MADV_DONTFORK. Thread: one owner.
//
#include "store/page_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/result.h"

namespace flash::store {

PageMemory::PageMemory(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t size = base::AlignUp(bytes, page);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  FLASH_CHECK(memory != MAP_FAILED);
  bytes_ = {static_cast<std::byte*>(memory), size};
}

PageMemory::~PageMemory() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

}  // namespace flash::store
