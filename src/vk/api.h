// api.h: the server's module API, included here and nowhere else.
//
// The build defines VALKEYMODULE_API as `inline`, so that the function pointers exist once however
// many units include this. They are null until Init (module.cc) ran, and a pointer the server does
// not have stays null: ask Has first for whatever is newer than 8.0.
// Thread: see each function; most of the API is for the main thread.
#pragma once

#include <valkeymodule.h>

#include <cstdint>

namespace flash::vk {

/// Does this server have the function? FLASH_VK_HAS(RegisterUnsignedNumericConfig).
#define FLASH_VK_HAS(function) (ValkeyModule_##function != nullptr)

/// The server's version as 0x00MMmmpp, for switches on behaviour that no function tells apart.
[[nodiscard]] inline uint32_t ServerVersion() {
  return static_cast<uint32_t>(ValkeyModule_GetServerVersion());
}

namespace internal {
inline constinit uint32_t assumed_flags = 0;  // on_behalf.h
}

/// VALKEYMODULE_CTX_FLAGS_*. Asks the memory state too: for the slow path only.
[[nodiscard]] inline uint32_t ContextFlags(ValkeyModuleCtx* ctx) {
  return static_cast<uint32_t>(ValkeyModule_GetContextFlags(ctx)) | internal::assumed_flags;
}

}  // namespace flash::vk
