// loading.h: what is different while a value, or all of the data, is being loaded.
//
// RDB and AOF files, full synchronisation, and RESTORE alone. While data loads the event loop does
// not turn, so nothing happens beside it. Thread: main.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "blocks/block_pool.h"

namespace flash::types {

/// Runs `attempt` until it answers something else than kBusy, waiting on this thread for `bytes` of
/// room; see BlockPool::AwaitRoomFor. Frees what is gone before anything fails for want of room. A
/// value that comes alone, by RESTORE, holds up everybody meanwhile, so it does not wait for long;
/// while data loads, waiting makes sense as long as the device answers at all.
[[nodiscard]] Result<void> AwaitRoomToLoad(uint64_t bytes,
                                           const blocks::BlockPool::Attempt& attempt);

inline constexpr const char* kNoRoomToLoad =
    "the cache and the flash file are full (flash.capacity-bytes)";

/// May `bytes` stay in RAM beyond the bound, where neither cache nor tier has room? A replica
/// applies what its primary has acknowledged. And how much a tier holds depends a little on the
/// order in which it is filled: while data loads, up to an eighth of the capacity (at most the
/// cache's size or 64 MiB) may be beyond the bound, or what one server held could not be loaded by
/// the next.
[[nodiscard]] bool MustLoad(uint64_t bytes);

}  // namespace flash::types
