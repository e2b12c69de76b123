// server_setting.cc: see server_setting.h.
//
// Thread: main.
#include "vk/server_setting.h"

#include <optional>
#include <string_view>

#include "vk/call_reply.h"
#include "vk/server_info.h"

namespace flash::vk {
namespace {

/// Nothing: CONFIG is hidden.
std::optional<std::string> ByConfig(ValkeyModuleCtx* ctx, const char* name) {
  const CallReply reply(ValkeyModule_Call(ctx, "CONFIG", "cc", "GET", name));
  if (reply.type() != VALKEYMODULE_REPLY_ARRAY) return std::nullopt;
  ValkeyModuleCallReply* const value = ValkeyModule_CallReplyArrayElement(reply.get(), 1);
  size_t bytes = 0;
  const char* const text =
      value == nullptr ? nullptr : ValkeyModule_CallReplyStringPtr(value, &bytes);
  return text == nullptr ? std::string() : std::string(text, bytes);
}

std::string ByInfo(ValkeyModuleCtx* ctx, std::string_view name) {
  if (name == "appendonly") {
    return ServerInfo(ctx, "persistence").Unsigned("aof_enabled") == 0 ? "no" : "yes";
  }
  const ServerInfo memory(ctx, "memory");
  if (name == "maxmemory") return std::string(memory.Text("maxmemory"));
  if (name == "maxmemory-policy") return std::string(memory.Text("maxmemory_policy"));
  return {};
}

}  // namespace

std::string ServerSetting(ValkeyModuleCtx* ctx, const char* name) {
  if (std::optional<std::string> value = ByConfig(ctx, name)) return *std::move(value);
  return ByInfo(ctx, name);
}

bool SetServerSetting(ValkeyModuleCtx* ctx, const char* name, const char* value) {
  const CallReply reply(ValkeyModule_Call(ctx, "CONFIG", "ccc", "SET", name, value));
  return !reply.is_error();
}

bool ConfigAnswers(ValkeyModuleCtx* ctx) { return ByConfig(ctx, "dbfilename").has_value(); }

}  // namespace flash::vk
