// stop_signal.h: what SIGINT and SIGTERM mean to a tool: the first one asks it to end with a report
// of what came before, a second one ends the process.
//
// Thread: any.
#pragma once

#include <atomic>

namespace flash::tools {

/// A signal came.
extern std::atomic<bool> stop_requested;

/// Once, at the start.
void CatchStopSignals();

}  // namespace flash::tools
