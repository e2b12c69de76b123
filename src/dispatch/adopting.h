// adopting.h: a native key becomes a FLASH key, and everybody is told.
//
// For FLASH.ADOPT, FLASH.ADOPT.SCAN and commands that find native and FLASH keys among theirs.
// Thread: main. Decision: docs/adr/0019.
#pragma once

#include <string>

#include "base/result.h"
#include "vk/api.h"

namespace flash::dispatch {

/// Adopts the key, as types::Adopt; signals it, replicates FLASH.ADOPT, sends `flash.adopt`, and
/// counts. `ctx` is one whose changes form a unit. Errors: as types::Adopt.
[[nodiscard]] Result<bool> AdoptKey(ValkeyModuleCtx* ctx, ValkeyModuleString* key);

/// The reply to an error of AdoptKey; counts it.
[[nodiscard]] std::string AdoptErrorText(const Error& error);

}  // namespace flash::dispatch
