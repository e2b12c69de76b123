// analysis.cc: see analysis.h.
//
// A key stands for its weight in keys of its stratum: keys of the stratum / sum of the stretches'
// weights of its sampled keys, times the weight of its own stretch.
#include "tools/flash-sizer/analysis.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "tools/common/text.h"
#include "tools/flash-sizer/tier_cost.h"
#include "tools/flash-sizer/verdict.h"

namespace flash::tools::sizer {
namespace {

constexpr std::array<const char*, kKinds> kKindNames{"string",       "hash",        "list",
                                                     "sorted set",   "set",         "stream",
                                                     "module types", "FLASH types", "unknown"};
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;

uint64_t RoundedUp(double bytes, uint64_t step) {
  const double steps = std::max(1.0, std::ceil(bytes / static_cast<double>(step)));
  return static_cast<uint64_t>(steps) * step;
}

class Analyst {
 public:
  Analyst(const Sample& sample, const AnalysisOptions& options)
      : sample_(sample), options_(options) {
    unknown_fits_ = std::all_of(sample.keys.begin(), sample.keys.end(),
                                [](const KeySample& key) { return key.kind == Kind::kUnknown; });
    WeighKeys();
  }

  Report Do() {
    CopyFacts();
    report_.cold = Share([this](const KeySample& key) { return IsCold(key); });
    report_.bytes = report_.cold.total;
    report_.types = Groups([](const KeySample& key) -> std::string {
      return kKindNames[static_cast<size_t>(key.kind)];
    });
    report_.prefixes =
        Groups([this](const KeySample& key) { return PrefixOf(key.name, options_.prefix_rule); });
    FoldPrefixes();
    AddUpSizing();
    DrawCurve();
    AddCost();
    Judge(report_);
    return std::move(report_);
  }

 private:
  const Stratum& StratumOf(const KeySample& key) const {
    return sample_.strata[sample_.stretches[key.stretch].stratum];
  }

  void WeighKeys() {
    std::vector<double> sum(sample_.strata.size(), 0);
    std::vector<double> count(sample_.strata.size(), 0);
    for (const KeySample& key : sample_.keys) {
      const Stretch& stretch = sample_.stretches[key.stretch];
      sum[stretch.stratum] += stretch.weight;
      count[stretch.stratum] += 1;
    }
    for (const Stretch& stretch : sample_.stretches) {
      design_.stratum_of_stretch.push_back(stretch.stratum);
    }
    for (size_t i = 0; i < sample_.strata.size(); i++) {
      const Stratum& stratum = sample_.strata[i];
      const double seen = stratum.keys > 0 ? std::min(1.0, count[i] / stratum.keys) : 1;
      design_.sampled_part_of_stratum.push_back(stratum.complete ? 1 : seen);
    }
    for (const KeySample& key : sample_.keys) {
      const Stretch& stretch = sample_.stretches[key.stretch];
      const Stratum& stratum = sample_.strata[stretch.stratum];
      const double keys = std::max(stratum.keys, count[stretch.stratum]);
      weights_.push_back(keys / sum[stretch.stratum] * stretch.weight);
    }
  }

  bool IsColdAt(const KeySample& key, uint32_t threshold) const {
    return StratumOf(key).heat == Heat::kIdleSeconds ? key.heat >= threshold
                                                     : key.heat <= threshold;
  }
  bool IsCold(const KeySample& key) const {
    const uint32_t threshold = StratumOf(key).heat == Heat::kIdleSeconds ? options_.cold_after_sec
                                                                         : options_.cold_frequency;
    return CanTier(key, unknown_fits_) && IsColdAt(key, threshold);
  }

  /// The share of bytes in keys that `has`, of the bytes of all keys that are `in` the group.
  ShareEstimate Share(const std::function<bool(const KeySample&)>& has,
                      const std::function<bool(size_t)>& in = nullptr) const {
    std::vector<Observation> observations;
    observations.reserve(sample_.keys.size());
    for (size_t i = 0; i < sample_.keys.size(); i++) {
      if (in && !in(i)) continue;
      const KeySample& key = sample_.keys[i];
      const double size = weights_[i] * static_cast<double>(key.bytes);
      observations.push_back({key.stretch, size, has(key) ? size : 0});
    }
    return EstimateShare(observations, design_);
  }

  void CopyFacts() {
    report_.servers = sample_.servers;
    report_.strata = sample_.strata;
    report_.notes = sample_.notes;
    report_.seed = options_.seed;
    report_.cold_after_sec = options_.cold_after_sec;
    report_.cold_frequency = options_.cold_frequency;
    report_.interrupted = sample_.interrupted;
    report_.sampled_keys = sample_.keys.size();
    report_.stretches = sample_.stretches.size();
    report_.commands = sample_.commands;
    report_.vanished_keys = sample_.vanished_keys;
    report_.slowdowns = sample_.slowdowns;
    report_.complete = !sample_.strata.empty();
    for (const KeySample& key : sample_.keys) report_.sampled_bytes += key.bytes;
    for (const Stratum& stratum : sample_.strata) {
      report_.keys += stratum.keys;
      report_.complete = report_.complete && (stratum.complete || stratum.keys == 0);
    }
    if (!sample_.strata.empty()) report_.heat = sample_.strata.front().heat;
    for (const Stratum& stratum : sample_.strata) {
      if (stratum.heat != report_.heat) {
        report_.notes.push_back(
            "Servers differ in maxmemory-policy: some are judged by idle time, some by frequency; "
            "the curve shows the first one's measure.");
        break;
      }
    }
  }

  std::vector<GroupRow> Groups(const std::function<std::string(const KeySample&)>& name_of) const {
    std::map<std::string, uint32_t> index_of;
    std::vector<GroupRow> rows;
    std::vector<uint32_t> group_of_key;
    for (size_t i = 0; i < sample_.keys.size(); i++) {
      const KeySample& key = sample_.keys[i];
      const auto [found, added] =
          index_of.try_emplace(name_of(key), static_cast<uint32_t>(rows.size()));
      if (added) rows.push_back({.name = found->first, .cold = {}});
      group_of_key.push_back(found->second);
      AddTo(rows[found->second], key, weights_[i]);
    }
    // Intervals for the largest groups only: each costs a pass over the sample.
    std::vector<uint32_t> order(rows.size());
    for (uint32_t i = 0; i < order.size(); i++) order[i] = i;
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return rows[a].bytes != rows[b].bytes ? rows[a].bytes > rows[b].bytes
                                            : rows[a].name < rows[b].name;
    });
    std::vector<GroupRow> sorted;
    for (const uint32_t group : order) {
      if (sorted.size() < options_.prefixes_max || rows.size() <= kKinds) {
        rows[group].cold = Share([this](const KeySample& key) { return IsCold(key); },
                                 [&](size_t i) { return group_of_key[i] == group; })
                               .share;
      }
      sorted.push_back(std::move(rows[group]));
    }
    return sorted;
  }

  void AddTo(GroupRow& row, const KeySample& key, double weight) const {
    const double bytes = weight * static_cast<double>(key.bytes);
    row.sampled_keys++;
    row.keys += weight;
    row.bytes += bytes;
    if (!CanTier(key, unknown_fits_)) {
      row.fixed_bytes += bytes;
    } else if (IsCold(key)) {
      row.cold_bytes += bytes;
    } else {
      row.hot_bytes += bytes;
    }
  }

  void FoldPrefixes() {
    if (report_.prefixes.size() <= options_.prefixes_max) return;
    GroupRow rest{.name = "", .cold = {}};
    for (size_t i = options_.prefixes_max; i < report_.prefixes.size(); i++) {
      const GroupRow& row = report_.prefixes[i];
      rest.sampled_keys += row.sampled_keys;
      rest.keys += row.keys;
      rest.bytes += row.bytes;
      rest.cold_bytes += row.cold_bytes;
      rest.hot_bytes += row.hot_bytes;
      rest.fixed_bytes += row.fixed_bytes;
    }
    const double share = rest.bytes > 0 ? rest.cold_bytes / rest.bytes : 0;
    rest.cold = {share, share, share};  // Renderers show no interval for it.
    rest.name = "(" + std::to_string(report_.prefixes.size() - options_.prefixes_max) + " others)";
    report_.prefixes.resize(options_.prefixes_max);
    report_.prefixes.push_back(std::move(rest));
  }

  /// What the servers keep in RAM if the keys that are cold at `threshold` are on flash; without a
  /// threshold, at the one chosen.
  double RamBytes(std::optional<uint32_t> threshold) const {
    double ram = report_.sizing.other_bytes;
    for (size_t i = 0; i < sample_.keys.size(); i++) {
      const KeySample& key = sample_.keys[i];
      const auto bytes = static_cast<double>(key.bytes);
      const bool can = CanTier(key, unknown_fits_);
      const bool cold = can && (threshold ? IsColdAt(key, *threshold) : IsCold(key));
      const double kept = !can   ? bytes
                          : cold ? std::min(ColdRamBytes(key), bytes)
                                 : bytes * kCacheMargin + kHotKeyExtraBytes;
      ram += weights_[i] * kept;
    }
    return ram;
  }

  void AddUpSizing() {
    Sizing& sizing = report_.sizing;
    double used = 0;
    sizing.other_known = !sample_.servers.empty();
    for (const ServerFacts& server : sample_.servers) {
      used += static_cast<double>(server.used_memory_bytes);
      sizing.other_known = sizing.other_known && server.used_memory_bytes > 0;
    }
    sizing.other_bytes = sizing.other_known ? std::max(0.0, used - report_.bytes) : 0;
    sizing.ram_now_bytes = sizing.other_bytes + report_.bytes;
    double cooling = 0;
    double cold_bytes = 0;
    double cold_kept = 0;
    for (size_t i = 0; i < sample_.keys.size(); i++) {
      const KeySample& key = sample_.keys[i];
      if (!CanTier(key, unknown_fits_)) continue;
      sizing.tier_bytes += weights_[i] * static_cast<double>(key.bytes);
      sizing.flash_bytes += weights_[i] * FlashBytes(key);
      if (!IsCold(key)) continue;
      cold_bytes += weights_[i] * static_cast<double>(key.bytes);
      cold_kept += weights_[i] * std::min(ColdRamBytes(key), static_cast<double>(key.bytes));
      if (key.heat < 2 * options_.cold_after_sec) cooling += weights_[i];
    }
    if (report_.heat == Heat::kIdleSeconds) {
      sizing.cooling_keys_per_sec = cooling / std::max(1u, options_.cold_after_sec);
    }
    // What a byte that turns out hot instead of cold costs in RAM.
    const double per_byte = cold_bytes > 0 ? kCacheMargin - cold_kept / cold_bytes : kCacheMargin;
    const Range& cold = report_.cold.share;
    sizing.ram_bytes.value = RamBytes(std::nullopt);
    sizing.ram_bytes.low =
        sizing.ram_bytes.value - (cold.high - cold.value) * report_.bytes * per_byte;
    sizing.ram_bytes.high =
        sizing.ram_bytes.value + (cold.value - cold.low) * report_.bytes * per_byte;
    sizing.ram_bytes.low = std::max(sizing.ram_bytes.low, sizing.other_bytes);
    if (sizing.ram_now_bytes > 0) {
      const double now = sizing.ram_now_bytes;
      sizing.saved_share = {1 - sizing.ram_bytes.value / now, 1 - sizing.ram_bytes.high / now,
                            1 - sizing.ram_bytes.low / now};
    }
    const double hot_most = std::max(0.0, sizing.tier_bytes - cold.low * report_.bytes);
    sizing.cache_size_bytes = RoundedUp(hot_most * kCacheMargin, 64 * kMiB);
    sizing.capacity_bytes = RoundedUp(sizing.flash_bytes / kLiveShare, kGiB);
  }

  void DrawCurve() {
    static constexpr std::array<uint32_t, 11> kIdle{1,     60,    300,   900,    3600,  10800,
                                                    21600, 43200, 86400, 259200, 604800};
    static constexpr std::array<uint32_t, 9> kCounters{0, 1, 2, 3, 5, 10, 20, 50, 255};
    std::vector<uint32_t> thresholds(kIdle.begin(), kIdle.end());
    uint32_t chosen = options_.cold_after_sec;
    if (report_.heat == Heat::kFrequency) {
      thresholds.assign(kCounters.begin(), kCounters.end());
      chosen = options_.cold_frequency;
    }
    thresholds.push_back(chosen);
    std::sort(thresholds.begin(), thresholds.end());
    thresholds.erase(std::unique(thresholds.begin(), thresholds.end()), thresholds.end());
    for (const uint32_t threshold : thresholds) {
      CurvePoint point;
      point.threshold = threshold;
      point.share = Share([&](const KeySample& key) {
                      return CanTier(key, unknown_fits_) && IsColdAt(key, threshold);
                    }).share;
      point.ram_bytes = RamBytes(threshold);
      const double tier = report_.sizing.tier_bytes;
      point.flash_share = tier > 0 ? point.share.value * report_.bytes / tier : 0;
      report_.curve.push_back(point);
    }
  }

  void AddCost() {
    if (!options_.prices) return;
    const double gib = static_cast<double>(kGiB);
    CostEstimate cost;
    cost.prices = *options_.prices;
    cost.now = report_.sizing.ram_now_bytes / gib * cost.prices.ram_gib_month;
    cost.with_tier_flash =
        static_cast<double>(report_.sizing.capacity_bytes) / gib * cost.prices.flash_gib_month;
    cost.with_tier =
        cost.with_tier_flash + report_.sizing.ram_bytes.value / gib * cost.prices.ram_gib_month;
    report_.cost = cost;
  }

  const Sample& sample_;
  const AnalysisOptions& options_;
  bool unknown_fits_ = false;
  Design design_;
  std::vector<double> weights_;
  Report report_;
};

}  // namespace

Report Analyse(const Sample& sample, const AnalysisOptions& options) {
  return Analyst(sample, options).Do();
}

}  // namespace flash::tools::sizer
