// held_setting.cc: see held_setting.h.
//
// Thread: main.
#include "durability/held_setting.h"

#include "vk/server_setting.h"

namespace flash::durability {

void HeldSetting::Ask(ValkeyModuleCtx* ctx) { now_ = vk::ServerSetting(ctx, name_); }

bool HeldSetting::Set(ValkeyModuleCtx* ctx, const std::string& value) {
  if (!vk::SetServerSetting(ctx, name_, value.c_str())) return false;
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
  const bool others_value = now_ != value_;  // Set meanwhile.
  if (!others_value && !Set(ctx, operators_value_)) return Change::kRefused;
  held_ = false;
  return others_value ? Change::kNone : Change::kGivenBack;
}

}  // namespace flash::durability
