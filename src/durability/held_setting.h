// held_setting.h: one of the server's settings, kept at a value for as long as that is needed.
//
// The operator's value is remembered, also where it is set meanwhile, and comes back afterwards.
// Thread: main.
#pragma once

#include <string>

#include "vk/api.h"

namespace flash::durability {

class HeldSetting {
 public:
  /// Both of static life.
  HeldSetting(const char* name, const char* value) : name_(name), value_(value) {}

  /// Asks the server anew; after each of its settings changed.
  void Ask(ValkeyModuleCtx* ctx);

  enum class Change { kNone, kHeld, kGivenBack, kRefused };
  Change Follow(ValkeyModuleCtx* ctx, bool needed);

  [[nodiscard]] const std::string& operators_value() const { return operators_value_; }

 private:
  bool Set(ValkeyModuleCtx* ctx, const std::string& value);

  const char* name_;
  const char* value_;
  bool held_ = false;
  std::string now_;
  std::string operators_value_;
};

}  // namespace flash::durability
