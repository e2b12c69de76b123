// sim_main.cc: flash_sim: runs the simulator over a range of seeds; see simulation.h.
//
// flash_sim [--seeds N] [--first S] [--steps M] [--fault-profile P] [--verbose]
// Without a profile each seed has its own, in turn. Exits with 1 and a report at the first failure.
// Thread: one.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "tests/sim/simulation.h"
#include "tests/sim/trace.h"

namespace flash::sim {
namespace {

/// Of that many some children have records of write buffers to read.
constexpr uint64_t kForksEnough = 100;

struct Arguments {
  uint64_t seeds = 1200;
  uint64_t first = 1;
  uint64_t steps = 400;
  std::optional<FaultProfile> profile;
  bool verbose = false;
};

[[noreturn]] void Usage() {
  std::fprintf(stderr,
               "flash_sim [--seeds N] [--first S] [--steps M] [--fault-profile P] [--verbose]\n"
               "profiles:");
  for (size_t i = 0; i < kFaultProfiles; ++i) {
    std::fprintf(stderr, " %s", std::string(NameOf(static_cast<FaultProfile>(i))).c_str());
  }
  std::fprintf(stderr, "\n");
  std::exit(2);
}

uint64_t Number(std::string_view text) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) Usage();
  return number;
}

Arguments Parse(int count, char** values) {
  Arguments arguments;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = values[i];
    if (name == "--verbose") {
      arguments.verbose = true;
      continue;
    }
    if (i + 1 == count) Usage();
    const std::string_view value = values[++i];
    if (name == "--seeds") {
      arguments.seeds = Number(value);
    } else if (name == "--first") {
      arguments.first = Number(value);
    } else if (name == "--steps") {
      arguments.steps = Number(value);
    } else if (name == "--fault-profile") {
      arguments.profile = ProfileNamed(value);
      if (!arguments.profile) Usage();
    } else {
      Usage();
    }
  }
  return arguments;
}

void Add(Simulation::Tally* sum, const Simulation::Tally& one) {
  sum->operations += one.operations;
  sum->reads_verified += one.reads_verified;
  sum->reads_failed += one.reads_failed;
  sum->unwritten_verified += one.unwritten_verified;
  sum->demotions += one.demotions;
  sum->moved_records += one.moved_records;
  sum->forks += one.forks;
  sum->faults += one.faults;
  sum->damaged += one.damaged;
}

int Main(int count, char** values) {
  const Arguments arguments = Parse(count, values);
  TraceOnCrash();
  const auto began = std::chrono::steady_clock::now();
  Simulation::Tally sum;
  for (uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    const auto profile =
        arguments.profile.value_or(static_cast<FaultProfile>(seed % kFaultProfiles));
    TraceBegin("flash_sim --first " + std::to_string(seed) + " --seeds 1 --steps " +
                   std::to_string(arguments.steps) + " --fault-profile " +
                   std::string(NameOf(profile)),
               arguments.verbose);
    Simulation simulation({.seed = seed, .steps = arguments.steps, .profile = profile});
    Trace("%s", simulation.geometry().Describe().c_str());
    Add(&sum, simulation.Run());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const auto print = [](const char* name, uint64_t number) {
    std::printf("  %-16s %llu\n", name, static_cast<unsigned long long>(number));
  };
  std::printf("simulator: %llu seeds in %.1f s: wrong data 0, lost 0, accounting exact\n",
              static_cast<unsigned long long>(arguments.seeds), took.count());
  print("operations", sum.operations);
  print("reads verified", sum.reads_verified);
  print("reads failed", sum.reads_failed);
  print("demotions", sum.demotions);
  print("records moved", sum.moved_records);
  print("forks", sum.forks);
  print("unwritten read", sum.unwritten_verified);
  print("faults", sum.faults);
  print("blocks damaged", sum.damaged);
  if (sum.forks >= kForksEnough && sum.unwritten_verified == 0) {
    std::fprintf(stderr, "simulator: no child read what was in a write buffer\n");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace flash::sim

int main(int count, char** values) { return flash::sim::Main(count, values); }
