// pause_points.h: places where a test can hold parked commands, so that what happens meanwhile is
// certain.
//
// With FLASH_TEST_HOLD=<folder> in the server's environment, commands wait at a point for as long
// as a file of the point's name is in that folder. Without the variable every point is open and
// costs one load. Knows nothing of commands. Thread: main.
#pragma once

#include <cstdint>

namespace flash::dispatch {

enum class PausePoint : uint8_t {
  kFetch,    ///< "fetch": before a parked command's first read is started.
  kRelease,  ///< "release": when it lacks nothing, before it is unblocked.
  kPortion,  ///< "portion": between two steps of long work beside the event loop.
};

/// Reads the environment. Once, at load.
void StartPausePoints();

/// Must the command wait at this point? Asked again at each turn of the event loop.
[[nodiscard]] bool IsHeld(PausePoint point);

}  // namespace flash::dispatch
