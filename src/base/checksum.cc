// checksum.cc: the only unit of base/ that includes xxHash, which is large as a header.
// Knows nothing of what it sums.
// Thread: any.
#include "base/checksum.h"

#include <xxhash.h>

namespace flash::base {

uint64_t Checksum(Bytes bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace flash::base
