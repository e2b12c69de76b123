// ghost.h: a memory of blocks that left RAM not long ago: fingerprints in a fixed array.
//
// Buckets of eight 32-bit entries: 16 bits of fingerprint, 16 bits of time, counted in insertions.
// An entry counts while fewer insertions followed it than the caller allows; a false "yes" has a
// chance of about 8 / 32768. Thread: main. Decision: docs/adr/0005.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "store/place.h"

namespace flash::blocks {

/// One array of a size of its own. Its memory is cleared bit by bit, where it is first used.
class GhostTable {
 public:
  GhostTable() = default;  // Of no size: remembers nothing.
  /// `slots`: a power of two, at least a bucket.
  explicit GhostTable(uint64_t slots);
  GhostTable(GhostTable&& other) noexcept { Swap(other); }
  GhostTable& operator=(GhostTable&& other) noexcept {
    Swap(other);
    return *this;
  }
  ~GhostTable() { base::Release(entries_); }

  void Insert(BlockId id);
  /// An insertion that happened elsewhere: what is in here is older by one.
  void Pass() { ++insertions_; }
  void Erase(BlockId id);
  [[nodiscard]] bool Contains(BlockId id, uint64_t age_max);

  [[nodiscard]] uint64_t slots() const { return slots_; }
  /// Insertions here and elsewhere since it was made.
  [[nodiscard]] uint64_t insertions() const { return insertions_; }
  [[nodiscard]] uint64_t bytes() const { return slots_ * sizeof(uint32_t); }

 private:
  static constexpr uint64_t kTicksPerTable = 4096;  // A sixteenth of what 16 bits can tell apart.
  static constexpr uint64_t kChunkEntries = 1024;   // Cleared together.

  struct Spot {
    uint32_t* bucket;
    uint32_t fingerprint;  // In the upper half, never 0.
  };
  [[nodiscard]] Spot SpotOf(BlockId id);
  [[nodiscard]] uint32_t AgeOf(uint32_t entry) const;
  [[nodiscard]] uint64_t tick() const { return insertions_ / insertions_per_tick_; }
  void Swap(GhostTable& other);

  uint32_t* entries_ = nullptr;
  uint64_t slots_ = 0;
  std::vector<bool> cleared_;  // By chunk.
  uint64_t insertions_ = 0;
  uint64_t insertions_per_tick_ = 1;
};

class Ghost {
 public:
  /// Room for about `slots` ids (rounded up to a power of two). Nothing is forgotten for that: what
  /// an array of another size remembers still counts, until as many insertions followed as it has
  /// room for.
  void Resize(uint64_t slots);

  void Insert(BlockId id);
  void Erase(BlockId id);

  /// Was `id` inserted, not erased, and followed by at most `age_max` insertions?
  [[nodiscard]] bool Contains(BlockId id, uint64_t age_max) {
    return now_.Contains(id, age_max) || before_.Contains(id, age_max);
  }

  [[nodiscard]] uint64_t bytes() const { return now_.bytes() + before_.bytes(); }

 private:
  GhostTable now_;
  GhostTable before_;            // Of another size; usually empty.
  uint64_t before_ends_at_ = 0;  // Its insertions() when the last in it is too old to count.
};

}  // namespace flash::blocks
