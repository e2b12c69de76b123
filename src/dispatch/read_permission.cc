// read_permission.cc: see read_permission.h.
//
// Thread: main.
#include "dispatch/read_permission.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vk/string.h"

namespace flash::dispatch {
namespace {

constexpr uint32_t kUnchecked = VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_REPLICATED;
constexpr int kReadAndWrite = VALKEYMODULE_CMD_KEY_ACCESS | VALKEYMODULE_CMD_KEY_UPDATE;

struct FreeUser {
  void operator()(ValkeyModuleUser* user) const { ValkeyModule_FreeModuleUser(user); }
};
using User = std::unique_ptr<ValkeyModuleUser, FreeUser>;

/// The name of the user for whom the command runs; empty where there is none.
vk::String UserNameOf(ValkeyModuleCtx* ctx) {
  if (ValkeyModuleString* const name =
          ValkeyModule_GetClientUserNameById(ctx, ValkeyModule_GetClientId(ctx))) {
    return vk::String::Adopt(name);
  }
  if ((vk::ContextFlags(ctx) & VALKEYMODULE_CTX_FLAGS_LUA) == 0) return {};
  // A script's client cannot be found by its number. It has its caller's user, if that has one:
  // asked first by a dry run, as 8.0 looks for the name of no user, and of a command that everybody
  // may call.
  errno = 0;
  ValkeyModuleCallReply* const reply = ValkeyModule_Call(ctx, "HELLO", "CED");
  const bool has_user = errno != ENOTSUP;
  if (reply != nullptr) ValkeyModule_FreeCallReply(reply);
  if (!has_user) return {};
  return vk::String::Adopt(ValkeyModule_GetCurrentUserName(ctx));
}

/// The rules of a user as its selectors, the outer one first.
std::vector<std::string> SelectorsOf(std::string_view rules) {
  std::vector<std::string> selectors(1);
  bool inside = false;
  while (!rules.empty()) {
    std::string_view rule = rules.substr(0, rules.find(' '));
    rules.remove_prefix(std::min(rules.size(), rule.size() + 1));
    if (!inside && rule.starts_with('(')) {
      inside = true;
      selectors.emplace_back();
      rule.remove_prefix(1);
    }
    const bool ends = inside && rule.ends_with(')');
    if (ends) rule.remove_suffix(1);
    (inside ? selectors.back() : selectors.front()).append(rule).append(" ");
    if (ends) inside = false;
  }
  return selectors;
}

/// Do these rules alone allow the command, and reading its key?
bool SelectorAllows(const Context& ctx, int key, const std::string& rules) {
  const User alone(ValkeyModule_CreateModuleUser("selector"));
  if (ValkeyModule_SetModuleUserACLString(ctx.raw(), alone.get(), rules.c_str(), nullptr) !=
      VALKEYMODULE_OK) {
    return false;
  }
  return ValkeyModule_ACLCheckKeyPermissions(alone.get(), ctx.Argument(key), kReadAndWrite) ==
             VALKEYMODULE_OK &&
         ValkeyModule_ACLCheckCommandPermissions(alone.get(), ctx.arguments(), ctx.argc()) ==
             VALKEYMODULE_OK;
}

bool UserAllows(const Context& ctx, int key, ValkeyModuleUser* user) {
  if (ValkeyModule_ACLCheckKeyPermissions(user, ctx.Argument(key), kReadAndWrite) !=
      VALKEYMODULE_OK) {
    return false;
  }
  // The selector that allows the key may not be the one that allowed the command.
  const vk::String rules = vk::String::Adopt(ValkeyModule_GetModuleUserACLString(user));
  const std::vector<std::string> selectors = SelectorsOf(rules.text());
  if (selectors.size() == 1) return true;
  for (const std::string& selector : selectors) {
    if (SelectorAllows(ctx, key, selector)) return true;
  }
  return false;
}

}  // namespace

Caller::Caller(ValkeyModuleCtx* ctx) {
  if ((vk::ContextFlags(ctx) & kUnchecked) == 0) name_ = UserNameOf(ctx);
}

bool Caller::MayRun(const char* command, ValkeyModuleString* key) const {
  if (!name_) return true;
  const User user(ValkeyModule_GetModuleUserFromUserName(name_.get()));
  const vk::String word = vk::String::Copy(command);
  std::array<ValkeyModuleString*, 2> words = {word.get(), key};
  return user != nullptr &&
         ValkeyModule_ACLCheckCommandPermissions(user.get(), words.data(),
                                                 static_cast<int>(words.size())) == VALKEYMODULE_OK;
}

bool Caller::MayUse(ValkeyModuleString* key) const {
  if (!name_) return true;
  const User user(ValkeyModule_GetModuleUserFromUserName(name_.get()));
  return user != nullptr &&
         ValkeyModule_ACLCheckKeyPermissions(user.get(), key, kReadAndWrite) == VALKEYMODULE_OK;
}

bool MayReadToo(const Context& ctx, int key) {
  if (ctx.planning() || (vk::ContextFlags(ctx.raw()) & kUnchecked) != 0) return true;
  const vk::String name = UserNameOf(ctx.raw());
  if (!name) return true;
  const User user(ValkeyModule_GetModuleUserFromUserName(name.get()));
  if (user != nullptr && UserAllows(ctx, key, user.get())) return true;
  ValkeyModule_ACLAddLogEntryByUserName(ctx.raw(), name.get(), ctx.Argument(key),
                                        VALKEYMODULE_ACL_LOG_KEY);
  return false;
}

}  // namespace flash::dispatch
