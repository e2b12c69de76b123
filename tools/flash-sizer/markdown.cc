// markdown.cc: the report as Markdown that reads well unrendered too; see render.h.
//
// Text of keys and servers is escaped where it is put in. Thread: any.
#include "tools/common/text.h"
#include "tools/flash-sizer/render.h"

namespace flash::tools::sizer {
namespace {

void AppendLines(const std::vector<Line>& lines, std::string& out) {
  out += "| | |\n|---|---|\n";
  for (const Line& line : lines) {
    out += "| " + line.label + " | " + MarkdownEscaped(line.text) + " |\n";
  }
  out += "\n";
}

void AppendGroups(const char* title, const std::vector<GroupRow>& rows, double bytes,
                  std::string& out) {
  out += std::string("## ") + title + "\n\n";
  out += "| | keys | memory | of all | cold enough to tier | hot | stays in RAM |\n";
  out += "|---|---:|---:|---:|---:|---:|---:|\n";
  for (const GroupRow& row : rows) {
    const double all = bytes > 0 ? row.bytes / bytes : 0;
    out += "| " + MarkdownEscaped(row.name) + " | " + CountText(row.keys) + " | " +
           BytesText(row.bytes) + " | " + PercentText(all) + " | " + RangeText(row.cold) + " | " +
           BytesText(row.hot_bytes) + " | " + BytesText(row.fixed_bytes) + " |\n";
  }
  out += "\n";
}

void AppendCurve(const Report& report, std::string& out) {
  out += "## How cold\n\n| | share of memory, 95 % interval | RAM then needed |\n|---|---:|---:|\n";
  for (const CurvePoint& point : report.curve) {
    out += "| " + ThresholdText(report, point.threshold) + " | " + RangeText(point.share) + " | " +
           BytesText(point.ram_bytes) + " |\n";
  }
  out += "\n";
}

void AppendCost(const CostEstimate& cost, std::string& out) {
  const std::string& currency = cost.prices.currency;
  out += "## Cost a month\n\n| | |\n|---|---:|\n";
  out += "| now, RAM at " + MoneyText(cost.prices.ram_gib_month, currency) + " a GiB | " +
         MoneyText(cost.now, currency) + " |\n";
  out += "| with the tier, flash at " + MoneyText(cost.prices.flash_gib_month, currency) +
         " a GiB | " + MoneyText(cost.with_tier, currency) + " |\n";
  out += "| of that, flash | " + MoneyText(cost.with_tier_flash, currency) + " |\n\n";
}

}  // namespace

std::string Markdown(const Report& report) {
  std::string out = "# flash-sizer: " + VerdictText(report.verdict) + "\n\n";
  out +=
      "**" + RangeText(report.cold.share) + " of the memory in keys is cold enough to tier.**\n\n";
  for (const std::string& reason : report.reasons) out += "* " + MarkdownEscaped(reason) + "\n";
  out += "\n## What was looked at\n\n";
  AppendLines(SubjectLines(report), out);
  if (!report.notes.empty()) {
    for (const std::string& note : report.notes) out += "* " + MarkdownEscaped(note) + "\n";
    out += "\n";
  }
  out += "## What to buy\n\n";
  AppendLines(SizingLines(report), out);
  if (report.cost) AppendCost(*report.cost, out);
  AppendCurve(report, out);
  AppendGroups("By type", report.types, report.bytes, out);
  AppendGroups("By prefix", report.prefixes, report.bytes, out);
  out += "## Method\n";
  for (const std::string& paragraph : MethodText(report)) {
    out += "\n" + MarkdownEscaped(paragraph) + "\n";
  }
  return out;
}

}  // namespace flash::tools::sizer
