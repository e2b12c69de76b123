// acl.h: the ACL category @flash, which every command of the module belongs to.
//
// Must exist before a command names it. Thread: main, at load.
#pragma once

#include "base/result.h"
#include "vk/api.h"

namespace flash::server {

inline constexpr const char* kAclCategory = "flash";

/// Errors: kInvalid, the server has the category already or no room for one more.
[[nodiscard]] inline Result<void> AddAclCategory(ValkeyModuleCtx* ctx) {
  if (ValkeyModule_AddACLCategory(ctx, kAclCategory) == VALKEYMODULE_OK) return {};
  return Error{Code::kInvalid, "the server refused the ACL category @flash"};
}

}  // namespace flash::server
