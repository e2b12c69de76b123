// html.cc: the report as one HTML file that needs nothing else: styles and charts are within it,
// and no script; see render.h.
//
// Text of keys and servers is escaped where it is put in. Thread: any.
#include <algorithm>
#include <array>
#include <cmath>

#include "tools/common/scale.h"
#include "tools/common/text.h"
#include "tools/flash-sizer/chart.h"
#include "tools/flash-sizer/html_style.h"
#include "tools/flash-sizer/render.h"

namespace flash::tools::sizer {
namespace {

constexpr size_t kBarLabelBytesMax = 22;

std::string Paragraph(const std::string& text, const std::string& css_class = "") {
  return (css_class.empty() ? "<p>" : "<p class=\"" + css_class + "\">") + HtmlEscaped(text) +
         "</p>\n";
}

std::string Section(const std::string& title, const std::string& content) {
  return "<section>\n<h2>" + HtmlEscaped(title) + "</h2>\n" + content + "</section>\n";
}

std::string LinesTable(const std::vector<Line>& lines) {
  std::string html = "<table class=\"lines\">\n";
  for (const Line& line : lines) {
    html += "<tr><td>" + HtmlEscaped(line.label) + "</td><td>" + HtmlEscaped(line.text) +
            "</td></tr>\n";
  }
  return html + "</table>\n";
}

std::string Legend() {
  return "<ul class=\"legend\"><li><i class=\"cold\"></i>cold enough to tier</li>"
         "<li><i class=\"hot\"></i>hot</li>"
         "<li><i class=\"fixed\"></i>stays in RAM (type, or values too small)</li></ul>\n";
}

double IdlePlace(uint32_t threshold) { return std::log10(std::max<double>(threshold, 1)); }

/// Idle times lie on a logarithmic axis; counters are few, each has its own place.
double PlaceOf(const Report& report, size_t i) {
  return report.heat == Heat::kIdleSeconds ? IdlePlace(report.curve[i].threshold)
                                           : static_cast<double>(i);
}

bool IsChosen(const Report& report, uint32_t threshold) {
  return threshold ==
         (report.heat == Heat::kIdleSeconds ? report.cold_after_sec : report.cold_frequency);
}

std::string HeatChart(const Report& report) {
  LineChart chart;
  const bool idle = report.heat == Heat::kIdleSeconds;
  chart.label = "Share of memory by idle time";
  chart.x_title = idle ? "idle for at least" : "use counter of at most";
  chart.y_title = "share of the memory in keys";
  if (idle) {
    for (const uint32_t at : {1U, 10U, 60U, 600U, 3600U, 21600U, 86400U, 604800U}) {
      chart.x_ticks.push_back({IdlePlace(at), DurationText(at)});
    }
    chart.x_max = IdlePlace(604800);
  }
  for (size_t i = 0; i < report.curve.size(); i++) {
    const CurvePoint& point = report.curve[i];
    const double x = PlaceOf(report, i);
    if (!idle) chart.x_ticks.push_back({x, std::to_string(point.threshold)});
    chart.x_max = std::max(chart.x_max, x);
    chart.points.push_back({x, point.share.value, point.share.low, point.share.high,
                            ThresholdText(report, point.threshold) + ": " + RangeText(point.share),
                            IsChosen(report, point.threshold)});
  }
  for (const double at : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    chart.y_ticks.push_back({at, Fixed(at * 100, 0) + " %"});
  }
  return Svg(chart);
}

/// Ticks in the unit that suits the largest value, so that their labels are round.
void AddByteTicks(double max, LineChart& chart) {
  double unit = 1;
  while (max / unit >= 1024) unit *= 1024;
  for (const double step : RoundSteps(max / unit)) {
    chart.y_ticks.push_back({step * unit, BytesText(step * unit)});
  }
  chart.y_max = chart.y_ticks.back().at;
}

std::string RamChart(const Report& report) {
  LineChart chart;
  chart.label = "RAM needed against the share of values on flash";
  chart.x_title = "share of what can tier that is on flash";
  chart.y_title = "RAM needed";
  for (const double at : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    chart.x_ticks.push_back({at, Fixed(at * 100, 0) + " %"});
  }
  double most = report.sizing.ram_now_bytes;
  for (const CurvePoint& point : report.curve) {
    most = std::max(most, point.ram_bytes);
    chart.points.push_back({point.flash_share, point.ram_bytes, point.ram_bytes, point.ram_bytes,
                            ThresholdText(report, point.threshold) + ": " +
                                PercentText(point.flash_share) + " on flash, " +
                                BytesText(point.ram_bytes) + " of RAM",
                            IsChosen(report, point.threshold)});
  }
  std::sort(chart.points.begin(), chart.points.end(),
            [](const auto& a, const auto& b) { return a.x < b.x; });
  AddByteTicks(most, chart);
  chart.level = LineChart::Level{report.sizing.ram_now_bytes,
                                 "now: " + BytesText(report.sizing.ram_now_bytes)};
  return Svg(chart);
}

std::string GroupChart(const std::string& label, const std::vector<GroupRow>& rows) {
  BarChart chart;
  chart.label = label;
  for (const GroupRow& row : rows) {
    std::string name = row.name;
    if (name.size() > kBarLabelBytesMax) name = name.substr(0, kBarLabelBytesMax - 1) + "…";
    chart.bars.push_back(
        {name,
         BytesText(row.bytes),
         {{row.cold_bytes, "cold", "cold: " + BytesText(row.cold_bytes)},
          {row.hot_bytes, "hot", "hot: " + BytesText(row.hot_bytes)},
          {row.fixed_bytes, "fixed", "stays in RAM: " + BytesText(row.fixed_bytes)}}});
  }
  return Legend() + Svg(chart);
}

std::string GroupTable(const std::vector<GroupRow>& rows, double bytes) {
  std::string html =
      "<div class=\"scroll\"><table>\n<tr><th></th><th>keys</th><th>memory</th><th>of all</th>"
      "<th>cold enough to tier</th><th>hot</th><th>stays in RAM</th></tr>\n";
  for (const GroupRow& row : rows) {
    html += "<tr><td>" + HtmlEscaped(row.name) + "</td><td>" + CountText(row.keys) + "</td><td>" +
            BytesText(row.bytes) + "</td><td>" + PercentText(bytes > 0 ? row.bytes / bytes : 0) +
            "</td><td>" + RangeText(row.cold) + "</td><td>" + BytesText(row.hot_bytes) +
            "</td><td>" + BytesText(row.fixed_bytes) + "</td></tr>\n";
  }
  return html + "</table></div>\n";
}

std::string CurveTable(const Report& report) {
  std::string html =
      "<div class=\"scroll\"><table>\n<tr><th></th><th>share of memory, 95 % interval</th>"
      "<th>RAM then needed</th></tr>\n";
  for (const CurvePoint& point : report.curve) {
    html += IsChosen(report, point.threshold) ? "<tr class=\"chosen\">" : "<tr>";
    html += "<td>" + HtmlEscaped(ThresholdText(report, point.threshold)) + "</td><td>" +
            RangeText(point.share) + "</td><td>" + BytesText(point.ram_bytes) + "</td></tr>\n";
  }
  return html + "</table></div>\n";
}

std::string CostSection(const CostEstimate& cost) {
  const std::string& currency = cost.prices.currency;
  BarChart chart;
  chart.label = "Cost a month, now and with the tier";
  const double ram = cost.with_tier - cost.with_tier_flash;
  chart.bars = {
      {"now",
       MoneyText(cost.now, currency),
       {{cost.now, "hot", "RAM: " + MoneyText(cost.now, currency)}}},
      {"with the tier",
       MoneyText(cost.with_tier, currency),
       {{ram, "hot", "RAM: " + MoneyText(ram, currency)},
        {cost.with_tier_flash, "cold", "flash: " + MoneyText(cost.with_tier_flash, currency)}}}};
  return Section("Cost a month", "<ul class=\"legend\"><li><i class=\"hot\"></i>RAM, " +
                                     HtmlEscaped(MoneyText(cost.prices.ram_gib_month, currency)) +
                                     " a GiB</li><li><i class=\"cold\"></i>flash, " +
                                     HtmlEscaped(MoneyText(cost.prices.flash_gib_month, currency)) +
                                     " a GiB</li></ul>\n" + Svg(chart));
}

std::string Figures(const Report& report) {
  const Sizing& sizing = report.sizing;
  const auto figure = [](const std::string& value, const std::string& what) {
    return "<div><b>" + HtmlEscaped(value) + "</b><span>" + HtmlEscaped(what) + "</span></div>\n";
  };
  const Range& cold = report.cold.share;
  return "<div class=\"figures\">\n" +
         figure(PercentText(cold.value), "of memory is cold enough, " + Fixed(cold.low * 100, 1) +
                                             " to " + PercentText(cold.high)) +
         figure(BytesText(sizing.ram_now_bytes), "RAM now") +
         figure(BytesText(sizing.ram_bytes.value),
                "RAM with the tier, at most " + BytesText(sizing.ram_bytes.high)) +
         figure(BytesText(static_cast<double>(sizing.capacity_bytes)), "flash to buy") + "</div>\n";
}

std::string Head(const Report& report) {
  constexpr std::array<const char*, 3> kClasses{"good", "bad", "open"};
  const std::string css_class = kClasses[static_cast<size_t>(report.verdict)];
  std::string html = "<h1>flash-sizer: <span class=\"" + css_class + "\">" +
                     VerdictText(report.verdict) + "</span></h1>\n";
  html += Paragraph(RangeText(report.cold.share) + " of the memory in keys is cold enough to tier.",
                    "lead");
  html += "<ul>\n";
  for (const std::string& reason : report.reasons) html += "<li>" + HtmlEscaped(reason) + "</li>\n";
  return html + "</ul>\n";
}

}  // namespace

std::string Html(const Report& report) {
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>flash-sizer: " +
      VerdictText(report.verdict) + "</title>\n<style>" + std::string(kStyle) +
      "</style>\n</head>\n<body>\n<main>\n";
  html += Head(report) + Figures(report);
  if (!report.notes.empty()) {
    std::string notes = "<ul class=\"note\">\n";
    for (const std::string& note : report.notes) notes += "<li>" + HtmlEscaped(note) + "</li>\n";
    html += Section("Mind", notes + "</ul>\n");
  }
  html += "<div class=\"pair\">\n" + Section("How cold the memory is", HeatChart(report)) +
          Section("RAM kept against the share on flash", RamChart(report)) + "</div>\n";
  html += Section("What to buy", LinesTable(SizingLines(report)));
  if (report.cost) html += CostSection(*report.cost);
  html += Section("By type", GroupChart("Memory by type", report.types) +
                                 GroupTable(report.types, report.bytes));
  html += Section("By prefix", GroupChart("Memory by prefix", report.prefixes) +
                                   GroupTable(report.prefixes, report.bytes));
  html += Section("Thresholds", CurveTable(report));
  html += Section("What was looked at", LinesTable(SubjectLines(report)));
  std::string method;
  for (const std::string& paragraph : MethodText(report)) method += Paragraph(paragraph);
  html += Section("Method", method);
  html += "<footer>flash-sizer " FLASH_VERSION "</footer>\n</main>\n</body>\n</html>\n";
  return html;
}

}  // namespace flash::tools::sizer
