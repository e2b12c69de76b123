// render.h: a report as text, as HTML and as JSON.
//
// Thread: any.
#pragma once

#include <string>

#include "tools/flash-bench/result.h"

namespace flash::tools::bench {

[[nodiscard]] std::string Text(const Report& report);
/// One file that needs nothing else: styles and charts are within it, and no script.
[[nodiscard]] std::string Html(const Report& report);
[[nodiscard]] std::string Json(const Report& report);

/// "1.23 ms"
[[nodiscard]] std::string TimeText(double us);

/// One row of the table of percentiles: a name and 50, 90, 99, 99.9, 99.99 %, most.
struct LatencyRow {
  std::string name;
  std::vector<double> us;
};
[[nodiscard]] std::vector<LatencyRow> LatencyRows(const Report& report);

/// Bytes that went to the tier's and the log's device for each byte that clients wrote, from sample
/// to sample over at least a tenth of the run: (seconds, factor). Empty for native commands.
[[nodiscard]] std::vector<std::pair<double, double>> Amplification(const Side& side);

}  // namespace flash::tools::bench
