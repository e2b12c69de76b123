// slot_pool.h: which places of the file, each one segment long, are free.
//
// The lowest free slot is taken first, so that the file is used from its front. Knows no content.
// Thread: one owner at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "base/result.h"

namespace flash::log {

class SlotPool {
 public:
  /// Slots below `count` exist; those that are new are free. Never fewer than before.
  void Grow(uint32_t count) {
    for (; count_ < count; ++count_) free_.insert(count_);
  }
  /// Forgets everything: `count` slots, all free.
  void Reset(uint32_t count) {
    free_.clear();
    count_ = 0;
    Grow(count);
  }
  [[nodiscard]] std::optional<uint32_t> Take() {
    if (free_.empty()) return std::nullopt;
    const uint32_t slot = *free_.begin();
    free_.erase(free_.begin());
    return slot;
  }
  /// False: it is not free.
  [[nodiscard]] bool TakeThis(uint32_t slot) { return free_.erase(slot) == 1; }
  void Release(uint32_t slot) { FLASH_CHECK(slot < count_ && free_.insert(slot).second); }

  [[nodiscard]] uint32_t count() const { return count_; }
  [[nodiscard]] uint32_t free() const { return static_cast<uint32_t>(free_.size()); }

 private:
  uint32_t count_ = 0;
  std::set<uint32_t> free_;
};

}  // namespace flash::log
