// on_behalf.h: the scope of what is done for the replication link outside the link's own command.
//
// What the primary sent is applied by rules of its own: it is not refused, not redirected and not
// read for permission. Handlers see that by the flags of their context, which only the link's own
// client has; in this scope every context shows them. Thread: main.
#pragma once

#include "vk/api.h"

namespace flash::vk {

class OnBehalfOfPrimary {
 public:
  OnBehalfOfPrimary() { internal::assumed_flags = VALKEYMODULE_CTX_FLAGS_REPLICATED; }
  ~OnBehalfOfPrimary() { internal::assumed_flags = 0; }
  OnBehalfOfPrimary(const OnBehalfOfPrimary&) = delete;
  OnBehalfOfPrimary& operator=(const OnBehalfOfPrimary&) = delete;
  [[nodiscard]] static bool in_force() { return internal::assumed_flags != 0; }
};

}  // namespace flash::vk
