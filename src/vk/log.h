// log.h: lines in the server's log.
//
// Text only: no formatting language of C at the call sites. Usable without a context and from any
// thread once the module is initialised; before that (unit tests) nothing is written. Every line is
// explained in docs/log-lines.md (a test compares); one whose cause may come back at any pace goes
// through a SeldomLog. Thread: any; a SeldomLog: main.
#pragma once

#include <string>

#include "base/rate_limit.h"
#include "vk/api.h"

namespace flash::vk {

enum class LogLevel : uint8_t { kDebug, kVerbose, kNotice, kWarning };

/// Writes one line; `ctx` may be null.
void Log(ValkeyModuleCtx* ctx, LogLevel level, const std::string& line);

inline void LogNotice(const std::string& line) { Log(nullptr, LogLevel::kNotice, line); }
inline void LogWarning(const std::string& line) { Log(nullptr, LogLevel::kWarning, line); }

/// Lines of one cause: one in ten seconds, with how many were left out since the one before.
class SeldomLog {
 public:
  void Warning(const std::string& line);

 private:
  base::RateLimit limit_;
};

}  // namespace flash::vk
