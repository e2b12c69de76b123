// wording.cc: the sentences that the renderers share; see render.h.
//
// Sentences only; numbers come from the report. Thread: any.
#include <algorithm>
#include <cmath>

#include "tools/common/text.h"
#include "tools/flash-sizer/render.h"
#include "tools/flash-sizer/tier_cost.h"

namespace flash::tools::sizer {
namespace {

std::string ServerText(const ServerFacts& server) {
  std::string text = server.name;
  if (!server.version.empty()) text += ", " + server.version;
  if (server.used_memory_bytes > 0) {
    text += ", " + BytesText(static_cast<double>(server.used_memory_bytes)) + " used";
    if (server.maxmemory_bytes > 0) {
      text += " of " + BytesText(static_cast<double>(server.maxmemory_bytes));
    }
  }
  if (!server.policy.empty()) text += ", " + server.policy;
  if (server.has_module) text += ", runs valkey-flash";
  return text;
}

/// The share of one primary of `primaries`, as a setting.
std::string PerPrimary(uint64_t bytes, size_t primaries, uint64_t step) {
  const uint64_t each = (bytes + primaries - 1) / primaries;
  return SettingBytes((each + step - 1) / step * step);
}

}  // namespace

std::string VerdictText(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWorthIt:
      return "Worth it";
    case Verdict::kNotWorthIt:
      return "Not worth it";
    default:
      return "Cannot tell";
  }
}

std::string ColdText(const Report& report) {
  if (report.heat == Heat::kIdleSeconds) {
    return "not read or written for " + DurationText(report.cold_after_sec) +
           " or longer (OBJECT IDLETIME)";
  }
  return "a use counter of at most " + std::to_string(report.cold_frequency) +
         " (OBJECT FREQ; the policy is LFU, so idle times are unknown: the counter is logarithmic, "
         "starts at 5 and falls by one for every lfu-decay-time, a minute unless set otherwise)";
}

std::string ThresholdText(const Report& report, uint32_t threshold) {
  if (report.heat == Heat::kIdleSeconds) return "idle ≥ " + DurationText(threshold);
  return "counter ≤ " + std::to_string(threshold);
}

std::string RangeText(const Range& range) {
  std::string value = PercentText(range.value);
  if (range.low == range.high) return value;
  return value + " (" + Fixed(range.low * 100, 1) + " to " + PercentText(range.high) + ")";
}

std::vector<Line> SubjectLines(const Report& report) {
  std::vector<Line> lines;
  for (const ServerFacts& server : report.servers) {
    lines.push_back({report.servers.size() > 1 ? "Primary" : "Server", ServerText(server)});
  }
  const bool known = std::all_of(report.strata.begin(), report.strata.end(),
                                 [](const Stratum& stratum) { return stratum.keys_known; });
  lines.push_back({"Keys", CountText(report.keys) + (known ? "" : " (estimated)") + ", " +
                               BytesText(report.bytes) + " by MEMORY USAGE" +
                               (report.complete ? "" : " (estimated)")});
  std::string sampled = CountText(static_cast<double>(report.sampled_keys)) + " keys";
  sampled += report.complete ? ", all there are" : ", drawn at random";
  if (report.interrupted) sampled += "; the run was ended early";
  lines.push_back({"Sampled", sampled + "; " + CountText(static_cast<double>(report.commands)) +
                                  " commands, seed " + std::to_string(report.seed)});
  if (report.vanished_keys > 0) {
    lines.push_back({"Gone meanwhile",
                     CountText(static_cast<double>(report.vanished_keys)) + " keys, left out"});
  }
  if (report.slowdowns > 0) {
    lines.push_back({"Slowed down", CountText(static_cast<double>(report.slowdowns)) +
                                        " times, because the server answered slowly"});
  }
  lines.push_back({"Cold is", ColdText(report)});
  return lines;
}

std::vector<Line> SizingLines(const Report& report) {
  const Sizing& sizing = report.sizing;
  const size_t primaries = std::max<size_t>(report.servers.size(), 1);
  const std::string each = primaries > 1 ? " on each of " + std::to_string(primaries) : "";
  std::vector<Line> lines;
  lines.push_back(
      {"RAM now", BytesText(sizing.ram_now_bytes) +
                      (sizing.other_known ? ", of which " + BytesText(sizing.other_bytes) +
                                                " are not keys (tables, buffers)"
                                          : " in keys; what else the server needs is unknown")});
  std::string ram = BytesText(sizing.ram_bytes.value);
  if (sizing.ram_bytes.low != sizing.ram_bytes.high) {
    ram += " (" + BytesText(sizing.ram_bytes.low) + " to " + BytesText(sizing.ram_bytes.high) + ")";
  }
  lines.push_back({"RAM with the tier", ram});
  lines.push_back({"RAM to buy", BytesText(sizing.ram_bytes.high) +
                                     " and the headroom you give any server (snapshots, "
                                     "fragmentation)"});
  lines.push_back({"Flash to buy", BytesText(static_cast<double>(sizing.capacity_bytes)) + " (" +
                                       BytesText(sizing.flash_bytes) + " of values, " +
                                       PercentText(kLiveShare) +
                                       " full, compression not counted)"});
  lines.push_back(
      {"flash.cache-size-bytes", PerPrimary(sizing.cache_size_bytes, primaries, 64U << 20) + each});
  lines.push_back(
      {"flash.capacity-bytes", PerPrimary(sizing.capacity_bytes, primaries, 1U << 30) + each});
  if (report.heat == Heat::kIdleSeconds && sizing.cooling_keys_per_sec > 0) {
    lines.push_back(
        {"Reads of the drive",
         "about " + CountText(std::ceil(sizing.cooling_keys_per_sec)) +
             " a second at most: no more keys come back than turn cold, if use stays as it is"});
  }
  return lines;
}

std::vector<std::string> MethodText(const Report& report) {
  std::vector<std::string> text;
  if (report.complete) {
    text.emplace_back(
        "Every key was looked at: the figures have no sampling error, only that of MEMORY USAGE, "
        "which looks at five elements of a collection.");
  } else {
    text.emplace_back(
        "Keys were drawn with SCAN alone. A server visits keys in the order of a keyed random hash "
        "of their names, so the keys of a stretch of that order are a random sample whatever they "
        "hold; stretches begin at random places (of random slots in a cluster), and every key in "
        "them counts. Where there are few keys, all names were scanned and evenly chosen from.");
    text.push_back(
        "The share is one of memory, so a key weighs by its bytes. The interval is Wilson's score "
        "interval at 95 % for the sample's effective size: " +
        (std::isinf(report.cold.n_effective)
             ? std::string("all keys")
             : CountText(report.cold.n_effective) +
                   " keys of equal size would be as certain as "
                   "the " +
                   CountText(static_cast<double>(report.sampled_keys)) + " that were drawn") +
        ". It is found from the differences between stretches. A few huge keys that were not drawn "
        "are outside what any interval can know: compare the memory of keys with what the servers "
        "use.");
  }
  text.emplace_back(
      "A cold key keeps 80 bytes and its name in RAM, and a collection about 1 % of its bytes; a "
      "hot one takes 40 bytes more than a native one, and the cache is given 10 % more than the "
      "hot "
      "bytes. Values below 64 bytes stay in RAM. On flash a value takes its bytes and 34 for each "
      "4 KiB. These figures were measured for valkey-flash; yours will differ with values that "
      "compress.");
  text.emplace_back(
      "Only SCAN, MEMORY USAGE, OBJECT, TYPE, INFO and CLUSTER SLOTS were sent. None of them "
      "writes, "
      "and none counts as a use of a key; the server itself removes keys that it finds expired.");
  return text;
}

}  // namespace flash::tools::sizer
