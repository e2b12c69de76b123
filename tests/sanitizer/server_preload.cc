// server_preload.cc: what a stock server needs preloaded to load a sanitized module.
//
// The server loads modules with RTLD_DEEPBIND, which a sanitizer's run-time refuses because the
// module would bypass its malloc(): dlopen() here drops that flag. And where the server is linked
// with jemalloc, the run-time replaces malloc() and free() but not jemalloc's own calls, which
// would get memory that is not theirs: they lead to the run-time's free() here.
// Preloaded before the run-time (scripts/sanitized_env.sh). Thread: any.
#include <dlfcn.h>
#include <stdlib.h>

#include <cstddef>

#define FLASH_PRELOADED __attribute__((visibility("default")))

extern "C" {

FLASH_PRELOADED void* dlopen(const char* file, int mode) noexcept {
  using Dlopen = void* (*)(const char*, int);
  static const auto next = reinterpret_cast<Dlopen>(dlsym(RTLD_NEXT, "dlopen"));
  return next(file, mode & ~RTLD_DEEPBIND);
}

FLASH_PRELOADED void sdallocx(void* memory, size_t /*size*/, int /*flags*/) { free(memory); }

FLASH_PRELOADED void dallocx(void* memory, int /*flags*/) { free(memory); }

/// The size that an allocation of `size` bytes would really have: exactly that, under a sanitizer.
FLASH_PRELOADED size_t nallocx(size_t size, int /*flags*/) { return size; }

}  // extern "C"
