// large_element.cc: see large_element.h.
//
// Thread: main.
#include "values/large_element.h"

#include <algorithm>
#include <new>

#include "base/memory.h"

namespace flash::values {
namespace {

/// `make(Bytes)` makes a block of each piece.
template <typename Make>
Result<uint64_t> StorePieces(const LeafStore& store, Bytes bytes, Family* family,
                             const Make& make) {
  if (bytes.size() <= store.block_bytes_max()) {
    const Result<BlockId> block = make(bytes);
    if (!block) return block.error();
    return *block << 1 | 1;
  }
  const uint32_t piece = std::min(kLargePieceBytes, store.block_bytes_max());
  const size_t pieces = (bytes.size() + piece - 1) / piece;
  auto* rope = new (base::Allocate(sizeof(LargeRope) + pieces * sizeof(BlockId))) LargeRope;
  rope->piece_bytes = piece;
  const auto word = reinterpret_cast<uint64_t>(rope);
  while (!bytes.empty()) {
    const size_t now = std::min<size_t>(piece, bytes.size());
    const Result<BlockId> block = make(bytes.first(now));
    if (!block) {
      ReleaseLarge(store, word, family);
      return block.error();
    }
    rope->ids()[rope->count++] = *block;
    bytes = bytes.subspan(now);
  }
  return word;
}

}  // namespace

uint64_t StoreLarge(const LeafStore& store, Bytes bytes, Family* family) {
  const auto make = [&](Bytes piece) { return Result<BlockId>(MakeHot(store, piece, family)); };
  return *StorePieces(store, bytes, family, make);
}

Result<uint64_t> PlaceLarge(const LeafStore& store, Bytes bytes, Family* family,
                            BlockPlacer* placer) {
  return StorePieces(store, bytes, family,
                     [&](Bytes piece) { return placer->Place(piece, family); });
}

void ShareLarge(const LeafStore& store, uint64_t word) {
  if (IsRope(word)) {
    ++RopeOf(word)->refs;
  } else {
    store.Share(word >> 1);
  }
}

void ReleaseLarge(const LeafStore& store, uint64_t word, Family* family) {
  if (!IsRope(word)) return FreeOwned(store, word >> 1, family);
  LargeRope* rope = RopeOf(word);
  if (--rope->refs > 0) return;
  for (uint32_t i = 0; i < rope->count; ++i) FreeOwned(store, rope->ids()[i], family);
  base::Release(rope);
}

uint64_t LargeRamBytes(uint64_t word) { return IsRope(word) ? base::UsableSize(RopeOf(word)) : 0; }

}  // namespace flash::values
