// strays.h: keys that a replay has brought back although their slot is another node's.
//
// A node of a cluster that crashes while slots come to it has the keys so far in its log, and the
// source keeps the slot; one that crashes while it lets a slot's keys go may have logged only some
// of that. Nobody could reach such keys, and the slot's next arrival would find them there. Thread:
// main. Decision: docs/adr/0021.
#pragma once

#include <cstdint>

#include "vk/api.h"

namespace flash::durability {

/// Deletes the keys of slots that another node has and that are not on their way
/// here by hand (CLUSTER SETSLOT … IMPORTING). Returns how many. Nothing outside clusters.
uint64_t DropStrays(ValkeyModuleCtx* ctx);

}  // namespace flash::durability
