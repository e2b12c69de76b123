// env.h: what every collection works with: the blocks, the key of its hashes, the counters; and the
// list of blocks that a plan names.
//
// Owned by whoever owns the pool and passed down by reference. Knows no value type. Thread: main.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "values/leaf.h"
#include "values/leaf_store.h"
#include "values/value_counters.h"

namespace flash::values {

struct Env {
  LeafStore store;
  ValueCounters* counters = nullptr;
  uint64_t hash_seed = 0;  ///< Keys every hash; the same for the life of all values.

  // Bounds; other values than these are for tests.
  uint32_t leaf_bytes_max = kLeafBytesMax;
  uint32_t inline_bytes_max = 1024;  ///< Longer elements get blocks of their own.
  uint32_t node_children_max = 128;
  uint64_t hash_mask = ~uint64_t{0};  ///< Fewer bits make hashes collide.

  /// Keyed 64-bit hash of an element's bytes (XXH3, seeded).
  [[nodiscard]] uint64_t HashOf(Bytes bytes) const;
};

/// The blocks that an operation needs. It may be applied when nothing is missing; until then `ids`
/// are what to fetch and pin: the missing ones, and the hot ones, which must not leave meanwhile.
class Missing {
 public:
  /// True when every block named was hot.
  [[nodiscard]] bool empty() const { return cold_.empty(); }
  /// The cold ones, each once, sorted.
  [[nodiscard]] std::span<const BlockId> cold();
  /// All to be fetched and pinned, each once.
  [[nodiscard]] std::vector<BlockId> ids();
  void Clear();

  /// Names a block; true if it is hot.
  bool Need(const LeafStore& store, BlockId id) {
    if (!store.IsHot(id)) [[unlikely]] {
      AddCold(id);
      return false;
    }
    if (hot_count_ < hot_.size()) [[likely]] {
      hot_[hot_count_++] = id;
    } else {
      AddMoreHot(id);
    }
    return true;
  }
  void AddCold(BlockId id);

  /// Bytes of large elements that were named whole, cold or hot, by PlanElement.
  [[nodiscard]] uint64_t large_bytes() const { return large_bytes_; }
  void AddLarge(uint64_t bytes) { large_bytes_ += bytes; }

 private:
  void AddMoreHot(BlockId id);

  std::vector<BlockId> cold_;
  std::array<BlockId, 12> hot_;  // Without an allocation; the rest is in more_hot_.
  uint32_t hot_count_ = 0;
  std::vector<BlockId> more_hot_;
  uint64_t large_bytes_ = 0;
};

}  // namespace flash::values
