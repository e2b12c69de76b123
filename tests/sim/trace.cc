// trace.cc: a ring of the last steps; see trace.h.
//
// Thread: one.
#include "tests/sim/trace.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace flash::sim {
namespace {

constexpr size_t kSteps = 40;
constexpr size_t kStepBytes = 128;

struct State {
  std::array<std::array<char, kStepBytes>, kSteps> steps{};
  uint64_t noted = 0;
  std::array<char, 256> how{};
  bool verbose = false;
};
State state;  // NOLINT: one simulator per process, and a signal handler must reach it.

void PrintSteps() {
  const uint64_t first = state.noted > kSteps ? state.noted - kSteps : 0;
  for (uint64_t i = first; i < state.noted; ++i) {
    std::fprintf(stderr, "  %6llu %s\n", static_cast<unsigned long long>(i),
                 state.steps[i % kSteps].data());
  }
  std::fprintf(stderr, "repeat with: %s\n", state.how.data());
}

void OnCrash(int signal) {
  // Not async-signal-safe, but the process ends here anyway and the steps are worth the attempt.
  std::fprintf(stderr, "simulator: ended by signal %d\n", signal);
  PrintSteps();
  _exit(1);
}

}  // namespace

void TraceBegin(const std::string& how, bool verbose) {
  state.noted = 0;
  state.verbose = verbose;
  std::snprintf(state.how.data(), state.how.size(), "%s", how.c_str());
  if (verbose) std::fprintf(stderr, "%s\n", how.c_str());
}

void Trace(const char* format, ...) {
  auto& step = state.steps[state.noted % kSteps];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(step.data(), step.size(), format, arguments);
  va_end(arguments);
  if (state.verbose) {
    std::fprintf(stderr, "  %6llu %s\n", static_cast<unsigned long long>(state.noted), step.data());
  }
  ++state.noted;
}

void Fail(const char* format, ...) {
  std::fprintf(stderr, "simulator: FAILED: ");
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "\n");
  PrintSteps();
  std::fflush(nullptr);
  _exit(1);
}

void TraceOnCrash() {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    static_cast<void>(std::signal(signal, OnCrash));
  }
}

}  // namespace flash::sim
