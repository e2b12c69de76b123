// connections.h: which client ids are connections of their own, remembered.
//
// Scripts and other modules run commands as clients that have no connection, and whose commands are
// parts of something larger. The server never uses an id twice. Thread: main.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "vk/api.h"

namespace flash::durability {

class Connections {
 public:
  /// Is, or was, `id` a client that is connected? A lookup in the server for ids not seen lately.
  [[nodiscard]] bool Knows(uint64_t id) {
    uint64_t& seen = seen_[id % kSeen];
    if (seen == id && id != 0) return true;
    if (ValkeyModule_GetClientInfoById(nullptr, id) != VALKEYMODULE_OK) return false;
    seen = id;
    return true;
  }

 private:
  static constexpr size_t kSeen = 1024;
  std::array<uint64_t, kSeen> seen_{};
};

}  // namespace flash::durability
