// keyed_hash.h: Env::HashOf for who asks for many hashes in a row: short elements without a call.
//
// Only for sources that search; it brings all of XXH3 in. Thread: main.
#pragma once

#include <xxhash.h>

#include "values/env.h"

namespace flash::values {

[[nodiscard]] inline uint64_t KeyedHash(const Env& env, Bytes bytes) {
  constexpr size_t kShortMax = 16;  // XXH3 has a way of its own up to there.
  if (bytes.size() > kShortMax) return env.HashOf(bytes);
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), env.hash_seed) & env.hash_mask;
}

}  // namespace flash::values
