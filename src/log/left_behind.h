// left_behind.h: what is given up without being freed, because a device that hangs may use it
// still.
//
// Kept where tools that look for leaks see that it is meant. Knows nothing of logs. Thread: any.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace flash::log {

/// Keeps what `owner` owns for the process's life.
template <typename T, typename Deleter>
void LeaveBehind(std::unique_ptr<T, Deleter> owner) {
  // raw new: never destroyed, as what it refers to.
  static auto* const mutex = new std::mutex;
  // raw new: likewise.
  static auto* const left = new std::vector<void*>;
  const std::lock_guard lock(*mutex);
  left->push_back(owner.release());
}

}  // namespace flash::log
