// rewrite_ahead.h: cold values of one block go to a rewritten AOF ahead of their keys' turn, in the
// order in which they lie on flash.
//
// The server rewrites keys in the order of its hash table, which is random to the flash file: one
// read per value, one after the other. The same commands leave early, many keys' together; when the
// server comes to such a key, nothing is left to be written but its expiry, which the server adds.
// In forked children (BGREWRITEAOF without preamble, atomic slot migration). Thread: the child's
// only one. Decision: docs/adr/0025.
#pragma once

#include "store/place.h"
#include "vk/api.h"

namespace flash::types {

/// From aof_rewrite, for a value that consists of the one block `id` (kNoBlock: of none or many).
/// Writes values ahead if this one is cold and was not written yet. True: it is, and nothing is to
/// be done. False: write it. A value that cannot be read fails the rewrite.
[[nodiscard]] bool WrittenAhead(ValkeyModuleIO* io, ValkeyModuleString* key, BlockId id);

}  // namespace flash::types
