// varint.h: unsigned numbers in 7 bits a byte, lowest first, the top bit set in all but the last.
//
// Thread: any.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"

namespace flash::base {

inline void PutVarint(uint64_t value, std::vector<std::byte>* to) {
  for (; value >= 0x80; value >>= 7) to->push_back(static_cast<std::byte>((value & 0x7f) | 0x80));
  to->push_back(static_cast<std::byte>(value));
}

/// Takes a number off the front of `from`; nullopt: it ends early or has more than 63 bits.
[[nodiscard]] inline std::optional<uint64_t> TakeVarint(Bytes* from) {
  uint64_t value = 0;
  for (uint32_t shift = 0; shift < 63 && !from->empty(); shift += 7) {
    const auto byte = static_cast<uint64_t>(from->front());
    *from = from->subspan(1);
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

}  // namespace flash::base
