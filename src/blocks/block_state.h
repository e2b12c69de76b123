// block_state.h: the states of a block and every transition between them, in one place.
//
//   kFree ──create──► kHotDirty ──demote──► kDemoting ──stored──► kCold | kHotClean (if pinned)
//                        ▲  ▲                   │ write, or put failed
//                        │  └───────────────────┘
//                        │ write, or place lost to compaction
//                     kHotClean ◄──promote── kCold          kHotClean ──evict──► kCold
//   any ──free──► kFree
//
// The meaning of each state, who may cause which event, and the proof that no bytes are lost:
// docs/adr/0004. Knows neither table nor memory. Thread: any (pure functions).
#pragma once

#include <cstdint>
#include <optional>

namespace flash::blocks {

enum class BlockState : uint8_t {
  kFree,      ///< No block.
  kHotDirty,  ///< In RAM only.
  kHotClean,  ///< In RAM, and an identical record on flash at the place kept in the block's header.
  kDemoting,  ///< In RAM, readable and writable; a copy is on its way to flash.
  kCold,      ///< On flash only (or still in a write buffer of the store).
};

enum class BlockEvent : uint8_t {
  kCreate,        ///< New bytes in RAM.
  kCreateCold,    ///< New record without a stay in RAM (loading, very large values).
  kDemote,        ///< The policy chose it and a put was accepted.
  kStored,        ///< Its put has a place; nothing pins it.
  kStoredPinned,  ///< Its put has a place, but a running command uses the bytes.
  kPutFailed,     ///< Its put failed.
  kWrite,         ///< Its bytes are about to change.
  kPlaceLost,     ///< Compaction wants its segment and the bytes are in RAM anyway.
  kEvict,         ///< The policy chose it and its place is valid: the RAM copy goes.
  kPromote,       ///< A verified read brought the bytes to RAM.
  kFree,          ///< Its life ends.
};

/// The state after `event`, or nullopt where the event must not happen in that state.
/// FLASH_BREAK_TRANSITION (tests only) breaks one row on purpose to prove that the simulator sees
/// it.
[[nodiscard]] std::optional<BlockState> Next(BlockState state, BlockEvent event);

[[nodiscard]] constexpr bool IsHot(BlockState state) {
  return state == BlockState::kHotDirty || state == BlockState::kHotClean ||
         state == BlockState::kDemoting;
}

}  // namespace flash::blocks
