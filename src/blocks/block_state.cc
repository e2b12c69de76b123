// block_state.cc: the table of docs/adr/0004, row by row; see block_state.h.
//
// FLASH_BREAK_TRANSITION=<n> (tests only) breaks one row, to prove that the simulator sees it:
//   1  a write to a block whose put is under way leaves it kDemoting (old bytes become the block)
//   2  a put is accepted for a block that was written to meanwhile (an orphan becomes the block)
//   3  a clean block whose place was given to compaction stays clean (its place is another
//   record's) 4  a stored block goes to flash although a command has it pinned (bytes in use are
//   released) 5  a dirty block may be evicted as if it were clean (bytes that are nowhere else are
//   lost) 6  a write to a clean block leaves it clean (old bytes come back after an eviction)
// Thread: any.
#include "blocks/block_state.h"

#ifndef FLASH_BREAK_TRANSITION
#define FLASH_BREAK_TRANSITION 0
#endif

namespace flash::blocks {
namespace {

using enum BlockState;

constexpr bool Broken(int row) { return FLASH_BREAK_TRANSITION == row; }

std::optional<BlockState> NextOfDirty(BlockEvent event) {
  switch (event) {
    case BlockEvent::kDemote:
      return kDemoting;
    case BlockEvent::kWrite:
      return kHotDirty;
    case BlockEvent::kFree:
      return BlockState::kFree;
    case BlockEvent::kStored:
      return Broken(2) ? std::optional(kCold) : std::nullopt;
    case BlockEvent::kEvict:
      return Broken(5) ? std::optional(kCold) : std::nullopt;
    default:
      return std::nullopt;
  }
}

std::optional<BlockState> NextOfClean(BlockEvent event) {
  switch (event) {
    case BlockEvent::kWrite:
      return Broken(6) ? kHotClean : kHotDirty;
    case BlockEvent::kPlaceLost:
      return Broken(3) ? kHotClean : kHotDirty;
    case BlockEvent::kEvict:
      return kCold;
    case BlockEvent::kFree:
      return BlockState::kFree;
    default:
      return std::nullopt;
  }
}

std::optional<BlockState> NextOfDemoting(BlockEvent event) {
  switch (event) {
    case BlockEvent::kStored:
      return kCold;
    case BlockEvent::kStoredPinned:
      return Broken(4) ? kCold : kHotClean;
    case BlockEvent::kPutFailed:
      return kHotDirty;
    case BlockEvent::kWrite:
      return Broken(1) ? kDemoting : kHotDirty;
    case BlockEvent::kFree:
      return BlockState::kFree;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<BlockState> Next(BlockState state, BlockEvent event) {
  switch (state) {
    case BlockState::kFree:
      if (event == BlockEvent::kCreate) return kHotDirty;
      if (event == BlockEvent::kCreateCold) return kDemoting;
      return std::nullopt;
    case kHotDirty:
      return NextOfDirty(event);
    case kHotClean:
      return NextOfClean(event);
    case kDemoting:
      return NextOfDemoting(event);
    case kCold:
      if (event == BlockEvent::kPromote) return kHotClean;
      if (event == BlockEvent::kFree) return BlockState::kFree;
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace flash::blocks
