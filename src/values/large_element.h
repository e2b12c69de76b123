// large_element.h: elements too long for a leaf: one block, or the pieces of a rope.
//
// Named by a word that a leaf keeps (docs/format/leaf.md): BlockId << 1 | 1, or the address of a
// rope: its block ids in RAM, 8 bytes per 256 KiB. Immutable; every leaf that has the word holds a
// share. Knows no leaf. Thread: main.
#pragma once

#include <cstdint>

#include "values/block_placer.h"
#include "values/family.h"
#include "values/leaf_store.h"

namespace flash::values {

/// Payload of a rope's blocks but the last.
inline constexpr uint32_t kLargePieceBytes = 256 * 1024 - 64;

struct LargeRope {
  uint32_t refs = 1;
  uint32_t count = 0;
  uint64_t piece_bytes = 0;
  /// Behind the header, in the same allocation.
  [[nodiscard]] BlockId* ids() { return reinterpret_cast<BlockId*>(this + 1); }
};
static_assert(sizeof(LargeRope) % alignof(BlockId) == 0);

/// Copies `bytes` (at least 1) to hot blocks of `family`; the caller holds the one share.
[[nodiscard]] uint64_t StoreLarge(const LeafStore& store, Bytes bytes, Family* family);
/// The same to blocks that `placer` makes. Errors: kNoSpace; nothing is left behind.
[[nodiscard]] Result<uint64_t> PlaceLarge(const LeafStore& store, Bytes bytes, Family* family,
                                          BlockPlacer* placer);

/// One more share. O(1).
void ShareLarge(const LeafStore& store, uint64_t word);

/// Ends one share; the last ends the blocks.
void ReleaseLarge(const LeafStore& store, uint64_t word, Family* family);

/// RAM of a rope's list of blocks; 0 without one.
[[nodiscard]] uint64_t LargeRamBytes(uint64_t word);

[[nodiscard]] inline bool IsRope(uint64_t word) { return (word & 1) == 0; }
[[nodiscard]] inline LargeRope* RopeOf(uint64_t word) {
  return reinterpret_cast<LargeRope*>(word);  // NOLINT(performance-no-int-to-ptr)
}

struct LargePiece {
  BlockId id;
  uint32_t offset;
};
/// Which block has the byte at `offset`, and where.
[[nodiscard]] inline LargePiece LargePieceAt(uint64_t word, uint64_t offset) {
  if (!IsRope(word)) return {word >> 1, static_cast<uint32_t>(offset)};
  LargeRope* rope = RopeOf(word);
  return {rope->ids()[offset / rope->piece_bytes],
          static_cast<uint32_t>(offset % rope->piece_bytes)};
}

/// Calls `visit(BlockId)` for each block, in order.
template <typename Visit>
void ForEachLargeBlock(uint64_t word, const Visit& visit) {
  if (!IsRope(word)) return visit(word >> 1);
  LargeRope* rope = RopeOf(word);
  for (uint32_t i = 0; i < rope->count; ++i) visit(rope->ids()[i]);
}

}  // namespace flash::values
