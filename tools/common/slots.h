// slots.h: which of a cluster's slots a key belongs to.
//
// Thread: any.
#pragma once

#include <cstdint>
#include <string_view>

namespace flash::tools {

inline constexpr uint32_t kSlots = 16384;

/// The slot of a key (CRC16 of the name, or of its {tag}, modulo 16384).
[[nodiscard]] uint16_t SlotOf(std::string_view name);

}  // namespace flash::tools
