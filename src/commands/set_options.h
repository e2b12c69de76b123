// set_options.h: what stands behind key and value of SET.
//
// The grammar is the server's own, option by option. Knows no key. Thread: main.
#pragma once

#include <cstdint>

#include "dispatch/context.h"

namespace flash::commands {

/// IFEQ came with 8.1.
inline constexpr uint32_t kVersionWithIfeq = 0x00080100;

struct SetOptions {
  bool nx = false;
  bool xx = false;
  bool get = false;
  bool keep_ttl = false;
  int ifeq = 0;  // Index of the value to compare with; 0: none.
  bool has_expire = false;
  bool expire_is_pxat = false;  // As replicated.
  mstime_t expire_at_ms = 0;
};

/// Reads the options from argument 3 on. False: an error was replied.
[[nodiscard]] bool ParseSetOptions(dispatch::Context& ctx, SetOptions* options);

/// Is a moment that a command was given over already? Never on a replica and while loading, which
/// do as they are told.
[[nodiscard]] bool IsPast(const dispatch::Context& ctx, mstime_t at_ms);

/// What is told of a key that a time to live which is over already deletes: as the server at hand
/// does, `expired` from 8.1 on, `del` before.
[[nodiscard]] dispatch::KeyChange ExpiredAtOnce(ValkeyModuleString* key);

}  // namespace flash::commands
