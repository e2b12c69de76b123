// hot_block.h: a block while it is in RAM: one allocation, a 24-byte header and the payload behind
// it, and behind that, of a block of a value of several blocks, a word that says whose it is.
//
// The header has what S3-FIFO needs (links by id, use count, queue), the place of a clean block's
// record, and the size. The store leaves room for it before the bytes of each read
// (RecordStore::Options::read_prefix_bytes), so a promoted read becomes a hot block as it is; the
// owner's word is part of the record, so that a cold block needs no RAM for it.
// Thread: main; a child reads its own copy. Decision: docs/adr/0004.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "blocks/block_owner.h"
#include "store/place.h"

namespace flash::blocks {

/// What the word of a block with an owner takes behind its payload, in RAM and on flash.
inline constexpr uint32_t kOwnerBytes = sizeof(uint64_t);
static_assert(kOwnerBytes == sizeof(void*));

/// Which list of S3-FIFO a hot block is in; blocks whose put is under way are in none.
enum class Queue : uint8_t { kNone, kSmall, kMain };

class HotBlock {
 public:
  static constexpr uint32_t kUsesMax = 3;

  void Init(BlockId id, uint32_t payload_bytes) {
    *this = HotBlock();
    id_low_ = id & kIdLowMask;
    id_high_ = (id >> kIdLowBits) & 0xff;
    set_size(payload_bytes);
  }

  [[nodiscard]] BlockId id() const { return uint64_t{id_high_} << kIdLowBits | uint64_t{id_low_}; }
  [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(size_less_one_) + 1; }
  void set_size(uint32_t bytes) {
    FLASH_DCHECK(bytes >= 1 && bytes <= 1u << kSizeBits);
    size_less_one_ = (bytes - 1) & ((1u << kSizeBits) - 1);
  }

  [[nodiscard]] store::Place place() const { return store::Place::FromBits(place_); }
  void set_place(store::Place place) { place_ = place.bits() & kPlaceMask; }

  [[nodiscard]] uint32_t uses() const { return static_cast<uint32_t>(uses_); }
  void set_uses(uint32_t uses) { uses_ = uses & 3; }
  [[nodiscard]] Queue queue() const { return static_cast<Queue>(queue_); }
  void set_queue(Queue queue) { queue_ = static_cast<uint64_t>(queue) & 3; }
  [[nodiscard]] BlockId next() const { return next_; }
  void set_next(BlockId id) { next_ = id & kBlockIdMax; }
  [[nodiscard]] BlockId prev() const { return prev_; }
  void set_prev(BlockId id) { prev_ = id & kBlockIdMax; }

  [[nodiscard]] std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] const std::byte* payload() const {
    return reinterpret_cast<const std::byte*>(this + 1);
  }
  [[nodiscard]] Bytes bytes() const { return {payload(), size()}; }
  [[nodiscard]] MutableBytes bytes() { return {payload(), size()}; }

  /// Bytes of the owner's word: none without an owner.
  [[nodiscard]] uint32_t owner_bytes() const { return owned_ != 0 ? kOwnerBytes : 0; }
  /// What goes to flash: payload and owner's word. A record read back is taken as it is.
  [[nodiscard]] Bytes stored() const { return {payload(), size() + owner_bytes()}; }
  void InitStored(BlockId id, uint32_t stored_bytes, bool owned) {
    Init(id, stored_bytes - (owned ? kOwnerBytes : 0));
    owned_ = owned ? 1 : 0;
  }
  [[nodiscard]] BlockOwner* owner() const {
    if (owned_ == 0) return nullptr;
    BlockOwner* owner = nullptr;
    std::memcpy(static_cast<void*>(&owner), payload() + size(), kOwnerBytes);
    return owner;
  }
  /// There must be room for the word behind the payload. After each change of the size: again.
  void set_owner(BlockOwner* owner) {
    owned_ = owner != nullptr ? 1 : 0;
    if (owner != nullptr) std::memcpy(payload() + size(), static_cast<void*>(&owner), kOwnerBytes);
  }
  /// What the block counts against the cache bound.
  [[nodiscard]] uint64_t charge() const;

 private:
  static constexpr int kSizeBits = 20;
  static constexpr int kIdLowBits = 28;
  static constexpr uint64_t kIdLowMask = (uint64_t{1} << kIdLowBits) - 1;
  static constexpr uint64_t kPlaceMask =
      (uint64_t{1} << (store::kPlaceUnitBits + store::kPlaceLengthBits)) - 1;

  uint64_t place_ : 58 = 0;
  uint64_t uses_ : 2 = 0;
  uint64_t queue_ : 2 = 0;
  uint64_t owned_ : 1 = 0;
  uint64_t next_ : kBlockIdBits = 0;
  uint64_t size_less_one_ : kSizeBits = 0;
  uint64_t id_high_ : 8 = 0;
  uint64_t prev_ : kBlockIdBits = 0;
  uint64_t id_low_ : kIdLowBits = 0;
};
static_assert(sizeof(HotBlock) == 24, "each hot block pays for this");

inline constexpr uint32_t kHotHeaderBytes = sizeof(HotBlock);

/// What a hot block counts against the cache bound; `bytes`: of payload and owner's word.
[[nodiscard]] constexpr uint64_t HotCharge(uint64_t bytes) {
  return base::AlignUp(kHotHeaderBytes + bytes, 16);
}
inline uint64_t HotBlock::charge() const { return HotCharge(stored().size()); }

}  // namespace flash::blocks
