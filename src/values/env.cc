// env.cc: see env.h.
//
// Thread: main.
#include "values/env.h"

#include <xxhash.h>

#include <algorithm>

namespace flash::values {

uint64_t Env::HashOf(Bytes bytes) const {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash_seed) & hash_mask;
}

std::span<const BlockId> Missing::cold() {
  std::sort(cold_.begin(), cold_.end());
  cold_.erase(std::unique(cold_.begin(), cold_.end()), cold_.end());
  return cold_;
}

std::vector<BlockId> Missing::ids() {
  std::vector<BlockId> all(cold().begin(), cold().end());
  all.insert(all.end(), hot_.begin(), hot_.begin() + hot_count_);
  all.insert(all.end(), more_hot_.begin(), more_hot_.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

void Missing::AddCold(BlockId id) { cold_.push_back(id); }
void Missing::AddMoreHot(BlockId id) { more_hot_.push_back(id); }

void Missing::Clear() {
  cold_.clear();
  hot_count_ = 0;
  more_hot_.clear();
}

}  // namespace flash::values
