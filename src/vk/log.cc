// log.cc: see log.h. The server prefixes lines with <flash> where it has a context; without one the
// prefix is <module>, so the module's own name is put in front.
// Thread: any.
#include "vk/log.h"

#include <array>

#include "base/clock.h"

namespace flash::vk {

void Log(ValkeyModuleCtx* ctx, LogLevel level, const std::string& line) {
  static constexpr std::array<const char*, 4> kNames = {
      VALKEYMODULE_LOGLEVEL_DEBUG, VALKEYMODULE_LOGLEVEL_VERBOSE, VALKEYMODULE_LOGLEVEL_NOTICE,
      VALKEYMODULE_LOGLEVEL_WARNING};
  if (ValkeyModule_Log == nullptr) return;
  const char* format = ctx == nullptr ? "flash: %s" : "%s";
  ValkeyModule_Log(ctx, kNames[static_cast<size_t>(level)], format, line.c_str());
}

void SeldomLog::Warning(const std::string& line) {
  const auto unsaid = limit_.Happened(base::SystemClock().NowUs());
  if (!unsaid) return;
  LogWarning(*unsaid == 0 ? line : line + " (" + std::to_string(*unsaid) + " more unsaid)");
}

}  // namespace flash::vk
