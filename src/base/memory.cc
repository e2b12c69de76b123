// memory.cc: the installed allocator, malloc until another one is put in its place.
//
// It does not know whose allocator it is. Thread: see memory.h.
#include "base/memory.h"

#include <malloc.h>

#include <cstdlib>

#include "base/result.h"

namespace flash::base {
namespace {

void* MallocOrAbort(size_t bytes) {
  void* memory = std::malloc(bytes);
  FLASH_CHECK(memory != nullptr);
  return memory;
}

constinit MemoryHooks installed_hooks{MallocOrAbort, std::free, malloc_usable_size};

}  // namespace

void InstallMemoryHooks(const MemoryHooks& hooks) { installed_hooks = hooks; }
void* Allocate(size_t bytes) { return installed_hooks.allocate(bytes); }
void Release(void* memory) { installed_hooks.release(memory); }
size_t UsableSize(void* memory) { return installed_hooks.usable(memory); }

}  // namespace flash::base
