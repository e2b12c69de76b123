// block_placer.cc: see block_placer.h.
//
// Thread: main.
#include "values/block_placer.h"

#include <cstring>

namespace flash::values {

BlockId MakeHot(const LeafStore& store, Bytes payload, Family* family) {
  MutableBytes block;
  const BlockId id = store.Create(static_cast<uint32_t>(payload.size()), &block, family);
  std::memcpy(block.data(), payload.data(), payload.size());
  return id;
}

Result<BlockId> DirectPlacer::Place(Bytes payload, Family* family) {
  if (!to_flash_) return MakeHot(store_, payload, family);
  BlockId id = kNoBlock;
  const auto create = [&]() -> Result<void> {
    const Result<BlockId> created = store_.CreateCold(payload, family);
    if (!created) return created.code();
    id = *created;
    return {};
  };
  if (create() || store_.AwaitRoomFor(payload.size(), cause(), create)) return id;
  return MakeHot(store_, payload, family);
}

}  // namespace flash::values
