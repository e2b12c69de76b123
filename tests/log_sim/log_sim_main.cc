// log_sim_main.cc: flash_log_sim: runs the log's simulator over a range of seeds; see
// log_simulation.h.
//
// flash_log_sim [--seeds N] [--first S] [--steps M] [--cuts C] [--cut W]
// Each seed runs once without a power cut in the middle and then once for each of its writes (at
// most C of them, evenly spread), where the power goes; with --cut only for write W, and tells its
// steps. Exits with 1 and a report at the first
// failure. Thread: one.
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/log_sim/log_simulation.h"

namespace flash::log_sim {
namespace {

struct Arguments {
  uint64_t seeds = 1000;
  uint64_t first = 1;
  uint64_t steps = 30;
  uint64_t cuts = ~uint64_t{0};
  uint64_t cut = ~uint64_t{0};
};

[[noreturn]] void Usage() {
  std::fprintf(stderr, "flash_log_sim [--seeds N] [--first S] [--steps M] [--cuts C] [--cut W]\n");
  std::exit(2);
}

Arguments Parse(int count, char** values) {
  Arguments arguments;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = values[i];
    const std::string_view value = values[i + 1];
    uint64_t number = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size()) Usage();
    if (name == "--seeds") {
      arguments.seeds = number;
    } else if (name == "--first") {
      arguments.first = number;
    } else if (name == "--steps") {
      arguments.steps = number;
    } else if (name == "--cut") {
      arguments.cut = number;
    } else if (name == "--cuts" && number > 0) {
      arguments.cuts = number;
    } else {
      Usage();
    }
  }
  if (count % 2 == 0) Usage();
  return arguments;
}

int Main(int count, char** values) {
  const Arguments arguments = Parse(count, values);
  const auto began = std::chrono::steady_clock::now();
  Tally tally;
  for (uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    const bool one_run = arguments.cut != ~uint64_t{0};
    const LogSimulation::Options options = {.seed = seed,
                                            .steps = arguments.steps,
                                            .cut_after = one_run ? arguments.cut : 0,
                                            .verbose = one_run};
    const uint64_t writes = LogSimulation(options, &tally).Run();
    if (one_run) continue;
    const uint64_t stride = writes / arguments.cuts + 1;
    for (uint64_t cut = 1 + seed % stride; cut <= writes; cut += stride) {
      LogSimulation::Options with_cut = options;
      with_cut.cut_after = cut;
      LogSimulation(with_cut, &tally).Run();
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("log simulator: %llu seeds in %.1f s: lost 0, resurrected 0, wrong 0, torn units 0\n",
              static_cast<unsigned long long>(arguments.seeds), took.count());
  const auto print = [](const char* name, uint64_t number) {
    std::printf("  %-16s %llu\n", name, static_cast<unsigned long long>(number));
  };
  print("runs", tally.runs);
  print("power cuts", tally.power_cuts);
  print("units added", tally.units);
  print("of those, grouped", tally.grouped);
  print("units verified", tally.units_verified);
  print("torn tails", tally.torn);
  print("cuts", tally.cuts);
  print("discards", tally.discards);
  print("logs begun", tally.begins);
  print("closed", tally.closes);
  print("device failures", tally.failures);
  print("flips told", tally.damaged);
  print("flips harmless", tally.harmless);
  return 0;
}

}  // namespace
}  // namespace flash::log_sim

int main(int count, char** values) { return flash::log_sim::Main(count, values); }
