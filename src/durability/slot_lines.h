// slot_lines.h: what the lines of CLUSTER NODES say of slots.
//
// Knows no server. Thread: any. Source: https://valkey.io/commands/cluster-nodes/.
#pragma once

#include <bitset>
#include <cstddef>
#include <string_view>

namespace flash::durability {

inline constexpr size_t kClusterSlots = 16384;
using SlotSet = std::bitset<kClusterSlots>;

/// The slots that nodes other than the one asked have, but for those that it imports.
[[nodiscard]] SlotSet SlotsOfOthers(std::string_view cluster_nodes);

}  // namespace flash::durability
