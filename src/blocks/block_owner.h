// block_owner.h: how a value of several blocks hears that one of them became hot or cold.
//
// So the value knows whether it is wholly in RAM without looking at its blocks.
// Thread: main, from within Drive or the pool call that caused the change.
#pragma once

#include "store/place.h"

namespace flash::blocks {

/// The multi-block value a block belongs to: told of each change between hot and cold. Must not
/// call the pool. A free is not told: the value frees its blocks itself and can ask StateOf before.
/// Its address is part of its blocks' records, so it must not move.
class BlockOwner {
 public:
  virtual ~BlockOwner() = default;
  virtual void OnTemperature(BlockId id, bool cold) = 0;
};

}  // namespace flash::blocks
