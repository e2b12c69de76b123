// large_element.cc: see large_element.h.
//
// Thread: main.
#include "values/large_element.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/memory.h"

namespace flash::values {
namespace {

BlockId StoreBlock(const LeafStore& store, Bytes bytes, Family* family) {
  MutableBytes to_fill;
  const BlockId id = store.Create(static_cast<uint32_t>(bytes.size()), &to_fill, family);
  std::memcpy(to_fill.data(), bytes.data(), bytes.size());
  return id;
}

}  // namespace

uint64_t StoreLarge(const LeafStore& store, Bytes bytes, Family* family) {
  if (bytes.size() <= store.block_bytes_max()) return StoreBlock(store, bytes, family) << 1 | 1;
  const uint32_t piece = std::min(kLargePieceBytes, store.block_bytes_max());
  const size_t pieces = (bytes.size() + piece - 1) / piece;
  auto* rope = new (base::Allocate(sizeof(LargeRope) + pieces * sizeof(BlockId))) LargeRope;
  rope->piece_bytes = piece;
  while (!bytes.empty()) {
    const size_t now = std::min<size_t>(piece, bytes.size());
    rope->ids()[rope->count++] = StoreBlock(store, bytes.first(now), family);
    bytes = bytes.subspan(now);
  }
  return reinterpret_cast<uint64_t>(rope);
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
