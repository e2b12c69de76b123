// result.h: what a run found out, in the shape that the reports need.
//
// Thread: any.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/flash-bench/histogram.h"

namespace flash::tools::bench {

/// One stretch of the run.
struct Stretch {
  double begin_sec = 0;  ///< Since the run began.
  double seconds = 0;
  Histogram latency;  ///< Of all operations that ended in it.
  uint64_t errors = 0;
};

/// What the server said of itself at one moment. Figures that it does not know are 0.
struct Sample {
  double at_sec = 0;
  uint64_t used_memory_bytes = 0;
  uint64_t resident_bytes = 0;
  uint64_t cache_bytes = 0;
  uint64_t tier_used_bytes = 0;
  uint64_t tier_written_bytes = 0;  ///< To the device, since the server's start.
  uint64_t log_written_bytes = 0;
  double cpu_sec = 0;
  uint64_t client_written_bytes = 0;  ///< By this run, values alone.
};

/// One side of the comparison: FLASH or native commands.
struct Side {
  std::string name;
  bool native = false;  ///< Then what goes to devices is not its doing.
  double fill_sec = 0;
  double seconds = 0;
  Histogram reads;
  Histogram writes;
  std::map<std::string, uint64_t> errors;  ///< By their first word.
  uint64_t wrong = 0;                      ///< Answers that were not what had been written.
  std::vector<std::string> wrong_examples;
  uint64_t checked = 0;
  uint64_t unsent = 0;  ///< Due by the schedule, and not sent when time was up.
  std::string lost;     ///< Why it ended early; empty: it did not.
  std::vector<Stretch> stretches;
  std::vector<Sample> samples;

  [[nodiscard]] uint64_t operations() const { return reads.count() + writes.count(); }
};

/// What the drive does without a server.
struct FioFigures {
  std::string folder;
  double reads_per_sec = 0;
  double p50_us = 0;
  double p99_us = 0;
  double p999_us = 0;
  uint32_t depth = 0;
};

struct Report {
  std::string command_line;
  std::string machine;
  std::string server;
  std::string workload;
  std::string began;
  std::vector<Side> sides;
  std::optional<FioFigures> fio;
};

}  // namespace flash::tools::bench
