// log.cc: see log.h. The server prefixes lines with <flash> where it has a context; without one the
// prefix is <module>, so the module's own name is put in front.
// Thread: any.
#include "vk/log.h"

#include <array>

namespace flash::vk {

void Log(ValkeyModuleCtx* ctx, LogLevel level, const std::string& line) {
  static constexpr std::array<const char*, 4> kNames = {
      VALKEYMODULE_LOGLEVEL_DEBUG, VALKEYMODULE_LOGLEVEL_VERBOSE, VALKEYMODULE_LOGLEVEL_NOTICE,
      VALKEYMODULE_LOGLEVEL_WARNING};
  if (ValkeyModule_Log == nullptr) return;
  const char* format = ctx == nullptr ? "flash: %s" : "%s";
  ValkeyModule_Log(ctx, kNames[static_cast<size_t>(level)], format, line.c_str());
}

}  // namespace flash::vk
