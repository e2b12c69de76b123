// options.cc: see options.h.
//
// CLI11 throws within ParseCommandLine() only; nothing leaves it. Thread: the main thread, once.
#include "tools/flash-bench/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "tools/common/connection_options.h"
#include "tools/common/duration.h"

namespace flash::tools::bench {
namespace {

constexpr const char* kAbout =
    "Puts a Valkey server under load, FLASH commands beside native ones and the bare drive, and\n"
    "reports latency percentiles, throughput, memory and write amplification over time.\n"
    "Fills the keys <prefix>0 ... first, and deletes them at the end: use a server for it.\n"
    "docs/benchmarking.md explains the figures.";

constexpr double kStretchesMax = 600;

struct RawOptions {
  std::string url;
  std::string user;
  std::string type = "string";
  std::string pattern = "zipf";
  std::string side = "flash";
  std::string duration = "30s";
  std::string warm_up;
  Transport::Options transport;
};

void DefineWorkload(CLI::App& app, Options& options, RawOptions& raw) {
  WorkloadOptions& workload = options.workload;
  app.add_option("--type", raw.type, "string, hash, list or zset")->capture_default_str();
  app.add_option("--keys", workload.keys, "Number of keys")
      ->check(CLI::Range(uint64_t{1}, uint64_t{4'000'000'000}))
      ->default_val(100'000);
  app.add_option("--elements", workload.elements,
                 "Of each hash, list or sorted set; default 10. Strings have one")
      ->check(CLI::Range(uint64_t{1}, uint64_t{100'000'000}));
  app.add_option("--value-bytes", workload.value_bytes,
                 "Of each string, field value, list element or member; from 24")
      ->check(CLI::Range(uint64_t{24}, uint64_t{64} << 20))
      ->capture_default_str();
  app.add_option("--compressible", workload.compressible, "Share of a value that compresses away")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--prefix", workload.prefix, "Of every key")->capture_default_str();
}

void DefineLoad(CLI::App& app, Options& options, RawOptions& raw) {
  LoadOptions& load = options.load;
  app.add_option("--pattern", raw.pattern,
                 "zipf, uniform, scan (one after the other), mixed (zipf and a tenth of scan)")
      ->capture_default_str();
  app.add_option("--skew", load.skew, "Of zipf")
      ->check(CLI::Range(0.01, 5.0))
      ->capture_default_str();
  app.add_option("--reads", load.read_share, "Share of reads, 0 to 1; the rest are writes")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--rate", load.rate_per_sec,
                 "Open loop: operations a second in all, due whether or not earlier ones have\n"
                 "been answered; latency counts from when one was due. Without: closed loop")
      ->check(CLI::Range(1.0, 1e8));
  app.add_option("--connections", load.connections, "In all; of a cluster, to each primary")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--depth", load.depth,
                 "Operations in flight on each connection; default 1, open loop 16")
      ->check(CLI::Range(1, 10'000));
  app.add_option("--threads", load.threads, "Of this program")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--duration", raw.duration, "As 30s, 10m, 6h, 2d")->capture_default_str();
  app.add_option("--warm-up", raw.warm_up, "Load before that which does not count");
  app.add_flag("--verify", load.verify,
               "Check every answer against what was written; each element then belongs to one\n"
               "connection, and this program needs 4 bytes for each element");
  app.add_option("--seed", load.seed, "The same sequence of keys for the same seed")
      ->capture_default_str();
}

void DefineCourse(CLI::App& app, Options& options, RawOptions& raw) {
  app.add_option("--commands", raw.side, "flash, native, or both, one after the other")
      ->capture_default_str();
  app.add_option("--fio", options.fio_folder,
                 "Also measure the bare drive of this folder with fio (makes a file of 1 GiB)")
      ->check(CLI::ExistingDirectory);
  app.add_flag("!--no-fill", options.fill, "The keys are there from a run with --keep");
  app.add_flag("--keep", options.keep, "Do not delete the keys at the end");
  app.add_option("--html", options.html_file, "Write the report with charts there as well");
  app.add_option("--json", options.json_file, "Write the figures there as well");
  app.add_flag("--quiet", options.quiet, "No progress on stderr");
  app.add_option("--user", raw.user,
                 "Instead of the URL's. The password may be in FLASH_BENCH_PASSWORD, where ps\n"
                 "does not show it");
  DefineTlsOptions(app, raw.transport.tls_options);
}

Result<double> SecondsOf(const char* option, const std::string& text) {
  const auto duration = ParseDuration(text);
  if (!duration)
    return Error{Code::kInvalid, std::string(option) + ": " + duration.error().message};
  return static_cast<double>(*duration);
}

std::string CompleteTimes(const RawOptions& raw, LoadOptions& load) {
  const auto seconds = SecondsOf("--duration", raw.duration);
  if (!seconds) return seconds.error().message;
  load.seconds = *seconds;
  if (!raw.warm_up.empty()) {
    const auto warm_up = SecondsOf("--warm-up", raw.warm_up);
    if (!warm_up) return warm_up.error().message;
    load.warm_up_sec = *warm_up;
  }
  load.stretch_sec = std::max(1.0, load.seconds / kStretchesMax);
  return "";
}

/// What CLI11 cannot check by itself. Returns what is wrong.
std::string Complete(const CLI::App& app, const RawOptions& raw, Options& options) {
  const auto url = CompleteUrl(raw.url, raw.user, "FLASH_BENCH_PASSWORD");
  if (!url) return url.error().message;
  options.load.target = Target(*url, raw.transport);
  if (std::string wrong = CompleteTimes(raw, options.load); !wrong.empty()) return wrong;
  const auto type = DataTypeNamed(raw.type);
  if (!type) return "--type: string, hash, list or zset";
  const auto pattern = PatternNamed(raw.pattern);
  if (!pattern) return "--pattern: zipf, uniform, scan or mixed";
  options.workload.type = *type;
  options.load.pattern = *pattern;
  if (*type == DataType::kString) {
    if (app.count("--elements") > 0) return "--elements is for hashes, lists and sorted sets";
  } else if (app.count("--elements") == 0) {
    options.workload.elements = 10;
  }
  if (raw.side != "flash" && raw.side != "native" && raw.side != "both") {
    return "--commands: flash, native or both";
  }
  options.flash = raw.side != "native";
  options.native = raw.side != "flash";
  LoadOptions& load = options.load;
  if (app.count("--depth") == 0) load.depth = load.rate_per_sec > 0 ? 16 : 1;
  load.threads = std::min(load.threads, load.connections);
  if (load.verify && !options.fill) return "--verify needs keys that it has filled itself";
  if (load.verify && options.workload.keys * options.workload.elements < load.connections) {
    return "--verify needs at least one element for each connection";
  }
  return "";
}

std::string CommandLine(int argc, char** argv, const std::string& url, const Endpoint& endpoint) {
  const std::string scheme = url.substr(0, url.find("://") + 3);
  std::string line = "flash-bench";
  for (int i = 1; i < argc; ++i) {
    line += ' ';
    line += argv[i] == url ? scheme + endpoint.Text() : argv[i];
  }
  return line;
}

}  // namespace

ParsedCommandLine ParseCommandLine(int argc, char** argv) {
  ParsedCommandLine parsed;
  RawOptions raw;
  CLI::App app(kAbout, "flash-bench");
  app.set_version_flag("--version", "flash-bench " FLASH_VERSION);
  app.add_option("url", raw.url,
                 "valkey://[user:password@]host[:port][/database]; valkeys:// is TLS.\n"
                 "Of a cluster any node; every key goes to the primary that has it")
      ->required();
  DefineWorkload(app, parsed.options, raw);
  DefineLoad(app, parsed.options, raw);
  DefineCourse(app, parsed.options, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    parsed.code = app.exit(error) == 0 ? ExitCode::kDone : ExitCode::kUsage;
    return parsed;
  }
  if (const std::string wrong = Complete(app, raw, parsed.options); !wrong.empty()) {
    std::fprintf(stderr, "flash-bench: %s\n", wrong.c_str());
    parsed.code = ExitCode::kUsage;
    return parsed;
  }
  parsed.options.command_line =
      CommandLine(argc, argv, raw.url, parsed.options.load.target.named());
  parsed.run = true;
  return parsed;
}

}  // namespace flash::tools::bench
