// analysis.h: from sampled keys to a report: shares with their intervals, what to buy, and whether
// it is worth it.
//
// Pure: the same sample and options give the same report. Thread: any.
#pragma once

#include <cstdint>
#include <optional>

#include "tools/flash-sizer/prefixes.h"
#include "tools/flash-sizer/report.h"
#include "tools/flash-sizer/sample.h"

namespace flash::tools::sizer {

struct AnalysisOptions {
  uint32_t cold_after_sec = 3600;  ///< LRU: idle at least so long is cold.
  uint32_t cold_frequency = 0;     ///< LFU: a counter of at most this is cold.
  PrefixRule prefix_rule;
  uint32_t prefixes_max = 15;  ///< Rows by prefix; the rest are added up.
  std::optional<Prices> prices;
  uint64_t seed = 0;  ///< Only to be repeated in the report.
};

[[nodiscard]] Report Analyse(const Sample& sample, const AnalysisOptions& options);

}  // namespace flash::tools::sizer
