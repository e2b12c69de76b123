// serving_refusals.cc: see serving_refusals.h.
//
// Thread: main.
#include "durability/serving_refusals.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "base/words.h"
#include "vk/server_setting.h"
#include "vk/string.h"

namespace flash::durability {
namespace {

/// What a connection needs before anything else, and what says nothing of keys.
constexpr std::array<std::string_view, 6> kServed = {
    "auth", "hello", "quit", "reset", "flash.debug.state", "flash.debug.info"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), base::Lower);
  return lower;
}

void Replace(ValkeyModuleCommandFilterCtx* command, int at, std::string_view text) {
  ValkeyModule_CommandFilterArgReplace(command, at, vk::String::Copy(text).Release());
}

/// As while the server itself loads: what is in RAM is not all.
void SaveNothing(ValkeyModuleCommandFilterCtx* command) {
  bool says = false;
  for (int i = 1; i < ValkeyModule_CommandFilterArgsCount(command); ++i) {
    const std::string word = Lower(vk::TextOf(ValkeyModule_CommandFilterArgGet(command, i)));
    if (word == "save") Replace(command, i, "NOSAVE");
    says = says || word == "save" || word == "nosave" || word == "abort";
  }
  if (!says) ValkeyModule_CommandFilterArgInsert(command, 1, vk::String::Copy("NOSAVE").Release());
}

void OnCommand(ValkeyModuleCommandFilterCtx* command) {
  const std::string name = Lower(vk::TextOf(ValkeyModule_CommandFilterArgGet(command, 0)));
  if (std::find(kServed.begin(), kServed.end(), name) != kServed.end()) return;
  if (name == "shutdown") return SaveNothing(command);
  Replace(command, 0, name == "info" ? "FLASH.DEBUG.INFO" : "FLASH.DEBUG.RECOVERING");
}

constexpr const char* kThreshold = "busy-reply-threshold";
constexpr const char* kShortMs = "20";

}  // namespace

ServingRefusals::ServingRefusals(ValkeyModuleCtx* ctx)
    : ctx_(ctx),
      filter_(ValkeyModule_RegisterCommandFilter(ctx, OnCommand, VALKEYMODULE_CMDFILTER_NOSELF)) {
  threshold_ = vk::ServerSetting(ctx, kThreshold);
  if (!threshold_.empty()) SetThreshold(kShortMs);
}

ServingRefusals::~ServingRefusals() {
  if (!threshold_.empty()) SetThreshold(threshold_.c_str());
  if (filter_ != nullptr) ValkeyModule_UnregisterCommandFilter(ctx_, filter_);
}

void ServingRefusals::Serve(ValkeyModuleCtx* ctx) {
  ValkeyModule_Yield(ctx, VALKEYMODULE_YIELD_FLAG_CLIENTS,
                     "valkey-flash is recovering its data; try again later");
}

void ServingRefusals::SetThreshold(const char* value) {
  // Refused: connections wait for as long as it says.
  static_cast<void>(vk::SetServerSetting(ctx_, kThreshold, value));
}

}  // namespace flash::durability
