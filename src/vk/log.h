// log.h: lines in the server's log.
//
// Text only: no formatting language of C at the call sites. Usable without a context and from any
// thread once the module is initialised; before that (unit tests) nothing is written.
// Thread: any.
#pragma once

#include <string>

#include "vk/api.h"

namespace flash::vk {

enum class LogLevel : uint8_t { kDebug, kVerbose, kNotice, kWarning };

/// Writes one line; `ctx` may be null.
void Log(ValkeyModuleCtx* ctx, LogLevel level, const std::string& line);

inline void LogNotice(const std::string& line) { Log(nullptr, LogLevel::kNotice, line); }
inline void LogWarning(const std::string& line) { Log(nullptr, LogLevel::kWarning, line); }

}  // namespace flash::vk
