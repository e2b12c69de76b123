// last_copy.h: from which key to which the server copied a value last.
//
// COPY tells a type of both keys, and the event that follows only of the new one. Thread: main.
#pragma once

#include <string>

#include "vk/api.h"

namespace flash::types {

struct LastCopy {
  int from_db = 0;
  int to_db = 0;
  std::string from;
  std::string to;
};

/// What every copy2 does first.
void NoteCopy(ValkeyModuleKeyOptCtx* ctx);

[[nodiscard]] const LastCopy& TheLastCopy();

}  // namespace flash::types
