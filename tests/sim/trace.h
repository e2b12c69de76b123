// trace.h: the last steps of the seed that runs, printed when it fails, also when a CHECK ends it.
//
// Thread: one.
#pragma once

#include <cstdint>
#include <string>

namespace flash::sim {

/// Begins a new seed; `how` is the command that repeats it.
void TraceBegin(const std::string& how, bool verbose);

/// Notes one step (printf's way) and, if verbose, prints it.
[[gnu::format(printf, 1, 2)]] void Trace(const char* format, ...);

/// Prints how to repeat the seed, the last steps and what is wrong, and exits with 1.
[[noreturn, gnu::format(printf, 1, 2)]] void Fail(const char* format, ...);

/// Makes abort and memory faults print the same before the process ends.
void TraceOnCrash();

}  // namespace flash::sim

/// A demand of the simulator: what follows the condition says, printf's way, what was found.
#define SIM_EXPECT(condition, ...)                     \
  do {                                                 \
    if (!(condition)) ::flash::sim::Fail(__VA_ARGS__); \
  } while (false)
