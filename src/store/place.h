// place.h: the name of a block and the place of its record on flash.
//
// Both are plain values that fit a block table entry (docs/adr/0002). Thread: any.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace flash {

/// Names a block while it lives; recycled afterwards. 0 is no block.
using BlockId = uint64_t;
inline constexpr int kBlockIdBits = 36;
inline constexpr BlockId kNoBlock = 0;
inline constexpr BlockId kBlockIdMax = (uint64_t{1} << kBlockIdBits) - 1;

namespace store {

/// Records start at multiples of this many bytes and their lengths are counted in it.
inline constexpr uint64_t kUnitBytes = 16;
inline constexpr int kPlaceUnitBits = 42;
inline constexpr int kPlaceLengthBits = 16;

/// Where a record lies: its first unit in the file (up to 64 TiB) and its length, header included,
/// in units (1 to 65536). 58 bits when packed.
class Place {
 public:
  Place() = default;
  Place(uint64_t unit, uint32_t units) : bits_(unit << kPlaceLengthBits | (units - 1)) {
    FLASH_DCHECK(unit >> kPlaceUnitBits == 0 && units >= 1 && units <= 1u << kPlaceLengthBits);
  }
  static Place FromBits(uint64_t bits) {
    Place place;
    place.bits_ = bits;
    return place;
  }
  [[nodiscard]] uint64_t bits() const { return bits_; }
  [[nodiscard]] uint64_t offset() const { return (bits_ >> kPlaceLengthBits) * kUnitBytes; }
  [[nodiscard]] uint32_t units() const {
    return static_cast<uint32_t>(bits_ & ((1u << kPlaceLengthBits) - 1)) + 1;
  }
  [[nodiscard]] uint32_t bytes() const { return static_cast<uint32_t>(units() * kUnitBytes); }
  bool operator==(const Place& other) const = default;

 private:
  uint64_t bits_ = 0;  // unit << 16 | units - 1
};

}  // namespace store
}  // namespace flash
