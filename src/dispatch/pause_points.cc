// pause_points.cc: see pause_points.h.
//
// Thread: main.
#include "dispatch/pause_points.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace flash::dispatch {
namespace {

/// Null outside tests. Never freed.
const std::string* hold_folder = nullptr;

}  // namespace

void StartPausePoints() {
  const char* const folder = std::getenv("FLASH_TEST_HOLD");
  if (folder == nullptr || hold_folder != nullptr) return;
  hold_folder = new std::string(folder);  // raw new: kept for the process's life.
}

bool IsHeld(PausePoint point) {
  if (hold_folder == nullptr) [[likely]]
    return false;
  constexpr std::array<const char*, 3> kNames = {"/fetch", "/release", "/portion"};
  return access((*hold_folder + kNames[static_cast<size_t>(point)]).c_str(), F_OK) == 0;
}

}  // namespace flash::dispatch
