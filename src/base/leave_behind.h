// leave_behind.h: objects that nobody may destroy any more, because a device that does not answer
// may still write into them.
//
// They stay for the rest of the process, and reachable, so that leak checkers know them from what
// was forgotten. Knows no devices. Thread: one for each type of object.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace flash::base {

/// Keeps `object` as it is to the end of the process.
template <typename Object>
void LeaveBehind(std::unique_ptr<Object> object) {
  // raw new: never destroyed, like what is in it.
  static auto* const left = new std::vector<std::unique_ptr<Object>>;
  left->push_back(std::move(object));
}

}  // namespace flash::base
