// ghost.h: a memory of blocks that left RAM not long ago: fingerprints in a fixed array.
//
// Buckets of eight 32-bit entries: 16 bits of fingerprint, 16 bits of time, counted in insertions.
// An entry counts while fewer insertions followed it than the caller allows; a false "yes" has a
// chance of about 8 / 32768. Thread: main. Decision: docs/adr/0005.
#pragma once

#include <cstdint>
#include <vector>

#include "base/memory.h"
#include "store/place.h"

namespace flash::blocks {

class Ghost {
 public:
  /// Room for about `slots` ids (rounded up to a power of two); everything is forgotten.
  void Resize(uint64_t slots);

  void Insert(BlockId id);
  void Erase(BlockId id);

  /// Was `id` inserted, not erased, and followed by at most `age_max` insertions?
  [[nodiscard]] bool Contains(BlockId id, uint64_t age_max) const;

  [[nodiscard]] uint64_t bytes() const { return entries_.size() * sizeof(uint32_t); }

 private:
  static constexpr uint64_t kBucketEntries = 8;
  static constexpr uint64_t kTicksPerTable = 4096;  // A sixteenth of what 16 bits can tell apart.

  struct Spot {
    uint64_t bucket;       // Index of its first entry.
    uint32_t fingerprint;  // In the upper half, never 0.
  };
  [[nodiscard]] Spot SpotOf(BlockId id) const;
  [[nodiscard]] uint32_t AgeOf(uint32_t entry) const;
  [[nodiscard]] uint64_t tick() const { return insertions_ / insertions_per_tick_; }

  std::vector<uint32_t, base::CountedAllocator<uint32_t>> entries_;
  uint64_t insertions_ = 0;
  uint64_t insertions_per_tick_ = 1;
};

}  // namespace flash::blocks
