// server_aof.cc: see server_aof.h.
//
// Thread: main.
#include "durability/server_aof.h"

#include <cstdlib>

#include "vk/call_reply.h"
#include "vk/log.h"
#include "vk/server_info.h"

namespace flash::durability {
namespace {

constexpr const char* kAlways = "always";

std::string SettingOf(ValkeyModuleCtx* ctx, const char* name) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "CONFIG", "cc", "GET", name));
  if (reply.type() != VALKEYMODULE_REPLY_ARRAY) return {};
  ValkeyModuleCallReply* const value = ValkeyModule_CallReplyArrayElement(reply.get(), 1);
  size_t bytes = 0;
  const char* const text =
      value == nullptr ? nullptr : ValkeyModule_CallReplyStringPtr(value, &bytes);
  return text == nullptr ? std::string() : std::string(text, bytes);
}

bool SetAppendFsync(ValkeyModuleCtx* ctx, const char* value) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "CONFIG", "ccc", "SET", "appendfsync", value));
  return !reply.is_error();
}

}  // namespace

void ServerAof::Ask(ValkeyModuleCtx* ctx) {
  on_ = SettingOf(ctx, "appendonly") == "yes";
  appendfsync_ = SettingOf(ctx, "appendfsync");
  rdb_name_ = SettingOf(ctx, "dbfilename");
  const std::string threshold = SettingOf(ctx, "busy-reply-threshold");
  if (!threshold.empty()) busy_threshold_ms_ = std::strtoull(threshold.c_str(), nullptr, 10);
}

bool ServerAof::Stands(ValkeyModuleCtx* ctx) {
  const vk::ServerInfo info(ctx, "persistence");
  return info.Unsigned("aof_enabled") == 1 && info.Unsigned("aof_rewrite_in_progress") == 0 &&
         info.Unsigned("aof_rewrite_scheduled") == 0 &&
         info.Text("aof_last_bgrewrite_status") == "ok";
}

bool ServerAof::Follow(ValkeyModuleCtx* ctx, bool always) {
  if (always && appendfsync_ != kAlways) {
    operators_value_ = appendfsync_;
    if (!SetAppendFsync(ctx, kAlways)) {
      static constinit vk::SeldomLog log;
      log.Warning("flash.sync is always, but the server refuses appendfsync always");
      return false;
    }
    vk::LogNotice("flash.sync is always: appendfsync was " + operators_value_ +
                  " and is always until flash.sync is lowered");
    held_ = true;
    appendfsync_ = kAlways;
  } else if (!always && held_) {
    held_ = false;
    if (!SetAppendFsync(ctx, operators_value_.c_str())) return false;
    appendfsync_ = operators_value_;
    vk::LogNotice("flash.sync was lowered: appendfsync is " + operators_value_ + " again");
  }
  return true;
}

}  // namespace flash::durability
