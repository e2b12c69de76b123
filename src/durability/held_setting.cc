// held_setting.cc: see held_setting.h.
//
// Thread: main.
#include "durability/held_setting.h"

#include "vk/call_reply.h"

namespace flash::durability {

std::string SettingOf(ValkeyModuleCtx* ctx, const char* name) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "CONFIG", "cc", "GET", name));
  if (reply.type() != VALKEYMODULE_REPLY_ARRAY) return {};
  ValkeyModuleCallReply* const value = ValkeyModule_CallReplyArrayElement(reply.get(), 1);
  size_t bytes = 0;
  const char* const text =
      value == nullptr ? nullptr : ValkeyModule_CallReplyStringPtr(value, &bytes);
  return text == nullptr ? std::string() : std::string(text, bytes);
}

bool HeldSetting::Set(ValkeyModuleCtx* ctx, const std::string& value) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "CONFIG", "ccc", "SET", name_, value.c_str()));
  if (reply.is_error()) return false;
  now_ = value;
  return true;
}

HeldSetting::Change HeldSetting::Follow(ValkeyModuleCtx* ctx, bool needed) {
  if (needed && now_ != value_) {
    // The event of its change asks anew.
    const std::string before = now_;
    if (!Set(ctx, value_)) return Change::kRefused;
    operators_value_ = before;
    held_ = true;
    return Change::kHeld;
  }
  if (needed || !held_) return Change::kNone;
  held_ = false;
  return Set(ctx, operators_value_) ? Change::kGivenBack : Change::kRefused;
}

}  // namespace flash::durability
