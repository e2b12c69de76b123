// verdict.cc: see verdict.h.
//
// A reason against beats every interval. Thread: any.
#include "tools/flash-sizer/verdict.h"

#include <algorithm>

#include "tools/common/text.h"

namespace flash::tools::sizer {
namespace {

constexpr double kEffectiveSizeMin = 100;
constexpr double kExplainedMin = 0.6;

void AddDoubts(Report& report) {
  if (!report.complete && report.sampled_keys > 0 && report.cold.n_effective < kEffectiveSizeMin) {
    report.notes.push_back(
        "A few large keys hold most of the sampled memory: it is as certain as " +
        Fixed(report.cold.n_effective, 0) + " keys of equal size would be. Sample more keys.");
  }
  double used = 0;
  for (const ServerFacts& server : report.servers) {
    used += static_cast<double>(server.used_memory_bytes);
    if (server.uptime_sec > 0 && server.uptime_sec < report.cold_after_sec &&
        report.heat == Heat::kIdleSeconds) {
      report.notes.push_back(server.name + " has been up for " + DurationText(server.uptime_sec) +
                             " only: no key can have been idle for longer. Measure again later.");
    }
  }
  const bool large = used > 64.0 * 1024 * 1024;
  if (large && report.sizing.other_known && report.bytes < kExplainedMin * used) {
    report.notes.push_back(
        "The keys explain " + PercentText(report.bytes / used) + " of the servers' memory (" +
        BytesText(used) +
        "). The rest is tables, buffers, or a few huge keys that were not drawn.");
  } else if (large && report.bytes > 1.15 * used) {
    report.notes.push_back(
        "The keys add up to more than the servers use (" + BytesText(used) +
        "): MEMORY USAGE guesses large collections from five of their elements.");
  }
}

/// Reasons against, whatever the interval says.
void FindObstacles(Report& report) {
  const Sizing& sizing = report.sizing;
  if (report.sampled_keys == 0) {
    report.reasons.push_back("There are no keys.");
    return;
  }
  if (sizing.ram_now_bytes < kRamBytesMin) {
    report.reasons.push_back("All of it takes " + BytesText(sizing.ram_now_bytes) +
                             " of RAM: it fits into any machine as it is.");
  }
  if (sizing.saved_share.high < kSavedShareMin) {
    report.reasons.push_back("RAM would shrink by " +
                             PercentText(std::max(0.0, sizing.saved_share.value)) + "; less than " +
                             PercentText(kSavedShareMin) + " does not pay for another layer.");
  }
  if (report.cost && report.cost->with_tier >= report.cost->now) {
    report.reasons.push_back("RAM and flash together would cost " +
                             MoneyText(report.cost->with_tier, report.cost->prices.currency) +
                             " a month, RAM alone costs " +
                             MoneyText(report.cost->now, report.cost->prices.currency) + ".");
  }
}

/// Where the memory that cannot leave is.
void ExplainFixed(Report& report) {
  double no_type = 0;
  double small = 0;
  double on_tier = 0;
  for (const GroupRow& row : report.types) {
    if (row.name == "FLASH types") {
      on_tier += row.fixed_bytes;
    } else if (row.cold_bytes + row.hot_bytes == 0 && row.name != "string") {
      no_type += row.fixed_bytes;
    } else {
      small += row.fixed_bytes;
    }
  }
  if (report.bytes <= 0) return;
  const auto say = [&](double bytes, const char* what) {
    if (bytes / report.bytes < 0.05) return;
    report.reasons.push_back(PercentText(bytes / report.bytes) + " of the memory of keys is " +
                             what);
  };
  say(no_type, "of types that cannot tier, or of values too small to.");
  say(small, "in values below 64 bytes, which stay in RAM.");
  say(on_tier, "of FLASH types, on the tier already.");
}

}  // namespace

void Judge(Report& report) {
  AddDoubts(report);
  FindObstacles(report);
  const Sizing& sizing = report.sizing;
  if (!report.reasons.empty()) {
    report.verdict = Verdict::kNotWorthIt;
  } else if (sizing.saved_share.low >= kSavedShareMin) {
    report.verdict = Verdict::kWorthIt;
    report.reasons.push_back("RAM would shrink by " + PercentText(sizing.saved_share.value) +
                             ", by at least " + PercentText(sizing.saved_share.low) +
                             " as far as the sample can tell.");
    if (report.cost) {
      report.reasons.push_back(
          "A month would cost " + MoneyText(report.cost->with_tier, report.cost->prices.currency) +
          " instead of " + MoneyText(report.cost->now, report.cost->prices.currency) + ".");
    }
  } else {
    report.verdict = Verdict::kCannotTell;
    report.reasons.push_back("RAM would shrink by something between " +
                             PercentText(std::max(0.0, sizing.saved_share.low)) + " and " +
                             PercentText(sizing.saved_share.high) + ": sample more keys.");
  }
  ExplainFixed(report);
}

}  // namespace flash::tools::sizer
