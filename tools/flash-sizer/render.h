// render.h: a report as Markdown, as one self-contained HTML file, as JSON.
//
// All three say the same; sentences that two of them share are here too. Thread: any.
#pragma once

#include <string>
#include <vector>

#include "tools/flash-sizer/report.h"

namespace flash::tools::sizer {

[[nodiscard]] std::string Markdown(const Report& report);
[[nodiscard]] std::string Html(const Report& report);
[[nodiscard]] std::string Json(const Report& report);

/// "Worth it", "Not worth it", "Cannot tell".
[[nodiscard]] std::string VerdictText(Verdict verdict);
/// What "cold" means in this report.
[[nodiscard]] std::string ColdText(const Report& report);
/// "idle ≥ 1 h" or "counter ≤ 0", for axes and tables.
[[nodiscard]] std::string ThresholdText(const Report& report, uint32_t threshold);
/// "61.2 % (58.9 to 63.4 %)"; only the value if nothing is uncertain.
[[nodiscard]] std::string RangeText(const Range& range);
/// How the keys were drawn and what the interval is, a paragraph each.
[[nodiscard]] std::vector<std::string> MethodText(const Report& report);
/// The lines of "what was looked at": label and text.
struct Line {
  std::string label;
  std::string text;
};
[[nodiscard]] std::vector<Line> SubjectLines(const Report& report);
/// The lines of "what to buy".
[[nodiscard]] std::vector<Line> SizingLines(const Report& report);

}  // namespace flash::tools::sizer
