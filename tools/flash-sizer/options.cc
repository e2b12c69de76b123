// options.cc: see options.h.
//
// CLI11 throws within ParseCommandLine() only; nothing leaves it. Thread: the main thread, once.
#include "tools/flash-sizer/options.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <random>

#include "tools/common/connection_options.h"
#include "tools/common/duration.h"

namespace flash::tools::sizer {
namespace {

constexpr const char* kAbout =
    "Says how much of a Valkey server's memory is cold enough for valkey-flash, and what RAM and\n"
    "flash that would take. Reads only; at most 100,000 keys, at random; sends nothing to anybody\n"
    "else. Ctrl-C ends it early with a report of what was seen so far.\n"
    "Permissions, method, exit codes: docs/sizing.md.";

struct RawOptions {
  std::string url;
  std::string cold_after = "1h";
  double ram_price = 0;
  double flash_price = 0;
  std::string currency = "$";
  std::string user;
};

void DefineSampling(CLI::App& app, Options& options, RawOptions& raw) {
  app.add_option("url", raw.url,
                 "valkey://[user:password@]host[:port][/database]; valkeys:// is TLS.\n"
                 "Of a cluster any node; every primary is sampled")
      ->required();
  app.add_option("--keys", options.sampling.keys_max, "Keys to sample at most")
      ->check(CLI::Range(uint64_t{1}, uint64_t{10'000'000}))
      ->capture_default_str();
  app.add_option("--rate", options.sampling.commands_per_sec_max,
                 "Commands a second at most; fewer while the server is slow")
      ->check(CLI::Range(50.0, 1e6))
      ->capture_default_str();
  app.add_option("--seed", options.sampling.seed,
                 "Of the random choice; default: another each time");
  app.add_option("--timeout-ms", options.transport.timeout_ms, "For connecting and for each reply")
      ->check(CLI::Range(10, 600'000))
      ->capture_default_str();
}

void DefineJudging(CLI::App& app, Options& options, RawOptions& raw) {
  app.add_option("--cold-after", raw.cold_after,
                 "Idle time from which a key is cold, as 90s, 10m, 6h, 2d")
      ->capture_default_str();
  app.add_option("--cold-frequency", options.analysis.cold_frequency,
                 "Under an LFU policy: OBJECT FREQ up to which a key is cold")
      ->check(CLI::Range(0, 255))
      ->capture_default_str();
  app.add_option("--delimiters", options.analysis.prefix_rule.delimiters,
                 "Characters that end a part of a key's name")
      ->capture_default_str();
  app.add_option("--prefix-depth", options.analysis.prefix_rule.depth,
                 "Parts of the name that make a group")
      ->check(CLI::Range(1, 10))
      ->capture_default_str();
  app.add_option("--ram-price", raw.ram_price, "Of a GiB of RAM a month, for a cost estimate")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--flash-price", raw.flash_price, "Of a GiB of flash a month")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--currency", raw.currency, "Written before amounts")->capture_default_str();
}

void DefineOutput(CLI::App& app, Options& options) {
  app.add_option("--markdown", options.markdown_file, "Write the Markdown there, not to stdout");
  app.add_option("--html", options.html_file, "Write the report with charts there as well");
  app.add_option("--json", options.json_file, "Write the figures there as well");
  app.add_flag("--quiet", options.quiet, "No progress on stderr");
}

void DefineConnection(CLI::App& app, Options& options, RawOptions& raw) {
  app.add_option(
      "--user", raw.user,
      "Instead of the URL's. The password may be in FLASH_SIZER_PASSWORD, where ps does\n"
      "not show it");
  DefineTlsOptions(app, options.transport.tls_options);
}

/// What CLI11 cannot check by itself. Returns what is wrong.
std::string Complete(const CLI::App& app, const RawOptions& raw, Options& options) {
  const auto url = CompleteUrl(raw.url, raw.user, "FLASH_SIZER_PASSWORD");
  if (!url) return url.error().message;
  options.url = *url;
  options.transport.tls = url->tls;
  options.sampling.url = options.url;
  const auto cold_after = ParseDuration(raw.cold_after);
  if (!cold_after) return "--cold-after: " + cold_after.error().message;
  options.analysis.cold_after_sec = *cold_after;
  if (app.count("--ram-price") != app.count("--flash-price")) {
    return "--ram-price and --flash-price go together";
  }
  if (app.count("--ram-price") > 0) {
    options.analysis.prices = Prices{raw.ram_price, raw.flash_price, raw.currency};
  }
  if (app.count("--seed") == 0) options.sampling.seed = std::random_device()();
  options.analysis.seed = options.sampling.seed;
  return "";
}

}  // namespace

ParsedCommandLine ParseCommandLine(int argc, char** argv) {
  ParsedCommandLine parsed;
  RawOptions raw;
  CLI::App app(kAbout, "flash-sizer");
  app.set_version_flag("--version", "flash-sizer " FLASH_VERSION);
  DefineSampling(app, parsed.options, raw);
  DefineJudging(app, parsed.options, raw);
  DefineConnection(app, parsed.options, raw);
  DefineOutput(app, parsed.options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    parsed.code = status == 0 ? ExitCode::kReport : ExitCode::kUsage;
    return parsed;
  }
  if (const std::string wrong = Complete(app, raw, parsed.options); !wrong.empty()) {
    std::fprintf(stderr, "flash-sizer: %s\n", wrong.c_str());
    parsed.code = ExitCode::kUsage;
    return parsed;
  }
  parsed.run = true;
  return parsed;
}

}  // namespace flash::tools::sizer
