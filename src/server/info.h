// info.h: the section "# flash" of INFO.
//
// Every field and what it counts: docs/info.md, which a test compares with the real reply. Also
// called from the server's crash report: then nothing here allocates or locks. Thread: main.
#pragma once

#include <cstdint>
#include <string>

#include "vk/api.h"

namespace flash::server {

/// Registers the section. Once, at load.
void RegisterInfo(ValkeyModuleCtx* ctx);

/// Of the module's own log; without one all is 0.
struct LogFigures {
  uint64_t used_bytes = 0;
  uint64_t bytes_written = 0;
  uint64_t appended_lsn = 0;
  uint64_t durable_lsn = 0;
  /// Whether the log could be recovered from: none, ok, due, awaited, failed, unrecovered.
  const char* base = "none";
  /// Why it cannot be written or cannot grow; empty if it can.
  std::string trouble;
  /// By the recovery at start: records applied, and how much of the log was read.
  uint64_t recovered_records = 0;
  uint64_t recovery_percent = 100;
};
/// Asked for each INFO, but not for crash reports. Once; at load.
using LogFigureSource = LogFigures (*)();
void SetLogFigures(LogFigureSource source);

}  // namespace flash::server
