// options.h: the command line.
//
// Thread: the main thread, once.
#pragma once

#include <string>

#include "tools/flash-bench/runner.h"

namespace flash::tools::bench {

/// What the process ends with; docs/benchmarking.md lists them.
enum class ExitCode : int {
  kDone = 0,
  kUsage = 2,          ///< The command line is wrong.
  kUnreachable = 3,    ///< No connection; or it was lost, and the report is of what came before.
  kRefused = 4,        ///< Password or a command refused.
  kOutput = 5,         ///< A report could not be written.
  kWrong = 6,          ///< An answer was not what had been written.
  kInterrupted = 130,  ///< Ctrl-C; the report is of what came before.
};

struct Options {
  LoadOptions load;
  WorkloadOptions workload;
  bool flash = true;    ///< FLASH commands.
  bool native = false;  ///< Native commands, after them if both.
  bool fill = true;
  bool keep = false;  ///< Leave the keys behind.
  std::string fio_folder;
  std::string html_file;
  std::string json_file;
  bool quiet = false;
  std::string command_line;  ///< As typed, without a password.
};

/// Options to run with, or what to end with at once (after --help: kDone).
struct ParsedCommandLine {
  bool run = false;
  ExitCode code = ExitCode::kDone;
  Options options;
};

/// Prints help to standard output, and what is wrong to standard error.
[[nodiscard]] ParsedCommandLine ParseCommandLine(int argc, char** argv);

}  // namespace flash::tools::bench
