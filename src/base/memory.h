// memory.h: the one explicit allocator for data that must count in the server's used_memory.
//
// The module installs the server's allocator at load; tests and the simulator run on malloc. There
// is no global operator new (docs/adr/0001): only what goes through here is accounted, and all of
// it is. Thread: any, after InstallMemoryHooks.
#pragma once

#include <cstddef>
#include <limits>
#include <new>

namespace flash::base {

struct MemoryHooks {
  void* (*allocate)(size_t bytes);  ///< Never returns null: the server aborts when memory ends.
  void (*release)(void* memory);
  size_t (*usable)(void* memory);  ///< Bytes the allocator really gave.
};

/// Replaces malloc as the source of accounted memory. Once, before the first Allocate.
void InstallMemoryHooks(const MemoryHooks& hooks);

[[nodiscard]] void* Allocate(size_t bytes);
void Release(void* memory);
[[nodiscard]] size_t UsableSize(void* memory);

/// A standard allocator over Allocate/Release, for containers whose content is data.
template <typename T>
struct CountedAllocator {
  using value_type = T;
  CountedAllocator() = default;
  template <typename U>
  CountedAllocator(const CountedAllocator<U>& /*other*/) {}  // NOLINT
  T* allocate(size_t count) { return static_cast<T*>(Allocate(count * sizeof(T))); }
  void deallocate(T* memory, size_t /*count*/) { Release(memory); }
  bool operator==(const CountedAllocator& /*other*/) const { return true; }
};

}  // namespace flash::base
