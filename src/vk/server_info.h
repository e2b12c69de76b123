// server_info.h: figures of the server's own INFO, by section.
//
// Building one costs as much as an INFO reply: for load time and rare events, not for a hot path.
// Thread: main.
#pragma once

#include <cstdint>
#include <string_view>

#include "vk/api.h"

namespace flash::vk {

class ServerInfo {
 public:
  /// `section` as in INFO: "memory", "replication", "persistence" ...
  ServerInfo(ValkeyModuleCtx* ctx, const char* section)
      : ctx_(ctx), data_(ValkeyModule_GetServerInfo(ctx, section)) {}
  ServerInfo(const ServerInfo&) = delete;
  ServerInfo& operator=(const ServerInfo&) = delete;
  ~ServerInfo() { ValkeyModule_FreeServerInfo(ctx_, data_); }

  /// Empty if there is no such field; valid as long as this object.
  [[nodiscard]] std::string_view Text(const char* field) const {
    const char* text = ValkeyModule_ServerInfoGetFieldC(data_, field);
    return text == nullptr ? std::string_view() : std::string_view(text);
  }
  /// 0 if there is no such field.
  [[nodiscard]] uint64_t Unsigned(const char* field) const {
    int status = VALKEYMODULE_OK;
    const auto value = ValkeyModule_ServerInfoGetFieldUnsigned(data_, field, &status);
    return status == VALKEYMODULE_OK ? value : 0;
  }

 private:
  ValkeyModuleCtx* ctx_;
  ValkeyModuleServerInfoData* data_;
};

}  // namespace flash::vk
