// stop_signal.cc: see stop_signal.h.
//
// Thread: any.
#include "tools/common/stop_signal.h"

#include <csignal>

namespace flash::tools {

std::atomic<bool> stop_requested{false};

namespace {

void OnSignal(int /*number*/) { stop_requested.store(true); }

}  // namespace

void CatchStopSignals() {
  struct sigaction action {};
  action.sa_handler = &OnSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // The second one does what it always does.
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace flash::tools
