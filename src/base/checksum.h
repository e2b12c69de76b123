// checksum.h: the one checksum of everything that valkey-flash writes to disk.
//
// XXH3, 64 bits, with a seed that says what the bytes are and where they belong, so that right
// bytes in the wrong place fail too. Not for secrets. Thread: any. Source: the XXH3 specification,
// xxhash.com.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace flash::base {

/// The checksum of `bytes` under `seed`; the same on every platform and for ever.
[[nodiscard]] uint64_t Checksum(Bytes bytes, uint64_t seed);

}  // namespace flash::base
