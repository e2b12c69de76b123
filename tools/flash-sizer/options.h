// options.h: the command line.
//
// Thread: the main thread, once.
#pragma once

#include <string>

#include "tools/common/transport.h"
#include "tools/flash-sizer/analysis.h"
#include "tools/flash-sizer/sampler.h"

namespace flash::tools::sizer {

/// What the process ends with; docs/sizing.md lists them.
enum class ExitCode : int {
  kReport = 0,         ///< A report, complete.
  kUsage = 2,          ///< The command line is wrong.
  kUnreachable = 3,    ///< No connection; or it was lost, and the report is of what came before.
  kRefused = 4,        ///< Password, certificate or permissions.
  kOutput = 5,         ///< A report could not be written.
  kInterrupted = 130,  ///< Ctrl-C; the report is of what came before.
};

struct Options {
  Url url;
  Transport::Options transport;
  SamplerOptions sampling;
  AnalysisOptions analysis;
  std::string html_file;
  std::string json_file;
  std::string markdown_file;  ///< Empty: standard output.
  bool quiet = false;
};

/// Options to run with, or what to end with at once (after --help: kReport).
struct ParsedCommandLine {
  bool run = false;
  ExitCode code = ExitCode::kReport;
  Options options;
};

/// Prints help to standard output, and what is wrong to standard error.
[[nodiscard]] ParsedCommandLine ParseCommandLine(int argc, char** argv);

}  // namespace flash::tools::sizer
