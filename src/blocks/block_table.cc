// block_table.cc: pages of entries and the one function that changes a state; see block_table.h.
//
// Free ids form a list through their entries, last freed first, which keeps the pages in use few.
// Thread: main.
#include "blocks/block_table.h"

#include <cstring>

namespace flash::blocks {

BlockTable::~BlockTable() {
  for (uint64_t* page : pages_) base::Release(page);
}

BlockId BlockTable::Allocate() {
  if (free_head_ != kNoBlock) {
    const BlockId id = free_head_;
    free_head_ = At(id) >> kPayloadShift;
    At(id) = 0;
    --counts_[0];
    return id;
  }
  FLASH_CHECK(next_unused_ <= kBlockIdMax);
  if (next_unused_ >> kPageShift >= pages_.size()) {
    auto* page = static_cast<uint64_t*>(base::Allocate(kPageBytes));
    std::memset(page, 0, kPageBytes);
    pages_.push_back(page);
  }
  return next_unused_++;
}

void BlockTable::Recycle(BlockId id) {
  FLASH_CHECK((At(id) & kLowMask) == 0);  // kFree, not shared, not owned, not held.
  At(id) = free_head_ << kPayloadShift;
  free_head_ = id;
  ++counts_[0];
}

void BlockTable::Set(BlockId id, Flag flag, bool on) {
  uint64_t& entry = At(id);
  const auto bit = static_cast<uint64_t>(flag);
  entry = on ? entry | bit : entry & ~bit;
}

BlockState BlockTable::Apply(BlockId id, BlockEvent event) {
  uint64_t& entry = At(id);
  const auto before = static_cast<BlockState>(entry & kStateMask);
  const std::optional<BlockState> after = Next(before, event);
  FLASH_CHECK(after.has_value());
  entry = (entry & ~kStateMask) | static_cast<uint64_t>(*after);
  // Ids in kFree are counted where they enter and leave the free list.
  if (before != BlockState::kFree) --counts_[static_cast<size_t>(before)];
  if (*after != BlockState::kFree) ++counts_[static_cast<size_t>(*after)];
  return *after;
}

void BlockTable::Point(BlockId id, const HotBlock* hot) {
  const auto address = reinterpret_cast<uint64_t>(hot);
  FLASH_CHECK(address >> (64 - kPayloadShift) == 0);
  At(id) = (At(id) & kLowMask) | address << kPayloadShift;
}

void BlockTable::Point(BlockId id, store::Place place) {
  FLASH_DCHECK(place.bits() >> (64 - kPayloadShift) == 0);
  At(id) = (At(id) & kLowMask) | place.bits() << kPayloadShift;
}

}  // namespace flash::blocks
