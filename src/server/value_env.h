// value_env.h: what every value of this process works with: the engine's pool and counters, the
// server's allocator, and the few numbers that all of them share.
//
// Also how a collection's word travels in the server's value pointers. Knows no single type.
// Thread: main; in a forked child its only one.
#pragma once

#include <cstdint>

#include "values/env.h"
#include "values/string_value.h"

namespace flash::server {

/// What every collection works with.
[[nodiscard]] const values::Env& TheEnv();

/// From now on hashes are keyed as they were where the data that begins to load was saved, so that
/// its collections come in the order of their trees. Only while there is no block yet, or the order
/// of what there is would be another one; false: so it stays as it was.
bool AdoptHashSeed(uint64_t seed);

/// All strings, over the engine's pool.
[[nodiscard]] values::Strings& TheStrings();

/// Values up to this many bytes together are read and made within the command itself.
[[nodiscard]] uint64_t DirectBytesMax();

/// The word of a collection as the server keeps it.
[[nodiscard]] inline uint64_t WordOf(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}
[[nodiscard]] inline void* PointerOf(uint64_t word) {
  return reinterpret_cast<void*>(static_cast<uintptr_t>(word));  // NOLINT: an encoded word.
}

}  // namespace flash::server
