// sim_model.h: what the simulator knows must be true: each block's bytes, holders and owner.
//
// Bytes follow from a seed and a size, so the model keeps two numbers a block and can judge every
// read. Thread: one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "blocks/block_owner.h"
#include "blocks/hot_block.h"
#include "store/place.h"

namespace flash::sim {

/// A window of a fixed pattern, stamped with the seed every 512 bytes, so that a mixture of two
/// contents, or of two sectors, is never right. Even seeds give bytes that LZ4 can shorten.
struct Content {
  uint64_t seed = 0;
  uint32_t size = 0;

  void Fill(MutableBytes to) const;
  [[nodiscard]] bool Matches(Bytes bytes) const {
    return bytes.size() == size && MatchesPrefix(bytes);
  }
  [[nodiscard]] bool MatchesPrefix(Bytes bytes) const;
};

/// Remembers which of its blocks it was told are cold.
class SimOwner final : public blocks::BlockOwner {
 public:
  void OnTemperature(BlockId id, bool is_cold) override {
    consistent = consistent && (is_cold ? cold.insert(id).second : cold.erase(id) == 1);
  }
  std::unordered_set<BlockId> cold;
  bool consistent = true;
};

struct Block {
  uint64_t serial = 0;  // Unique, unlike the id.
  BlockId id = kNoBlock;
  Content content;
  uint32_t holders = 1;
  bool owned = false;
};

/// What the block counts against the cache bound while it is hot.
[[nodiscard]] inline uint64_t ChargeOf(const Block& block) {
  return blocks::HotCharge(block.content.size + (block.owned ? blocks::kOwnerBytes : 0));
}

/// The blocks that live, in an order from which one can be drawn.
class Model {
 public:
  Block& Add(BlockId id, Content content, bool owned) {
    where_[++last_serial_] = blocks_.size();
    blocks_.push_back({.serial = last_serial_, .id = id, .content = content, .owned = owned});
    return blocks_.back();
  }
  void Remove(uint64_t serial) {
    const size_t at = where_.at(serial);
    where_[blocks_.back().serial] = at;
    std::swap(blocks_[at], blocks_.back());
    blocks_.pop_back();
    where_.erase(serial);
  }
  [[nodiscard]] Block* Find(uint64_t serial) {
    const auto found = where_.find(serial);
    return found == where_.end() ? nullptr : &blocks_[found->second];
  }
  /// Null when empty. Prefers, half of the time, what was made last.
  [[nodiscard]] Block* Draw(base::Random* random) {
    if (blocks_.empty()) return nullptr;
    const size_t recent = std::min<size_t>(blocks_.size(), 16);
    const size_t from_end = random->Below(random->Chance(1, 2) ? recent : blocks_.size());
    return &blocks_[blocks_.size() - 1 - from_end];
  }
  [[nodiscard]] const std::vector<Block>& blocks() const { return blocks_; }
  [[nodiscard]] bool empty() const { return blocks_.empty(); }

 private:
  std::vector<Block> blocks_;
  std::unordered_map<uint64_t, size_t> where_;
  uint64_t last_serial_ = 0;
};

}  // namespace flash::sim
