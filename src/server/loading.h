// loading.h: what is different while a value, or all of the data, is being loaded.
//
// RDB and AOF files, full synchronisation, and RESTORE alone. While data loads the event loop does
// not turn, so nothing happens beside it. Thread: main.
#pragma once

#include <cstdint>

namespace flash::server {

/// How long a value that loads may wait for room. One that comes alone, by RESTORE, holds up
/// everybody meanwhile; while data loads, waiting makes sense as long as the device answers at all.
[[nodiscard]] uint64_t LoadPatienceUs();

/// A replica applies what its primary has acknowledged, beyond the bound if need be.
[[nodiscard]] bool MustLoad();

/// While data loads: whether values that are gone are still to be freed, which otherwise happens
/// beside the event loop. Unless it is done they fill up RAM and the tier.
[[nodiscard]] bool AnyFreeToFinish();
/// Frees them, waiting on this thread. The caller holds no pins and uses no block bytes.
void FinishFrees();

}  // namespace flash::server
