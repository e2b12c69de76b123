// html.cc: the report as one HTML file; see render.h.
//
// Text of servers is escaped where it is put in. Thread: any.
#include <algorithm>

#include "tools/common/text.h"
#include "tools/flash-bench/plot.h"
#include "tools/flash-bench/render.h"

namespace flash::tools::bench {
namespace {

constexpr const char* kStyle = R"css(
:root { color-scheme: light dark;
  --back: #ffffff; --panel: #f6f7f9; --ink: #1b1f24; --quiet: #5b6470; --rule: #d9dde3; }
@media (prefers-color-scheme: dark) { :root {
  --back: #14171c; --panel: #1d2128; --ink: #e8eaee; --quiet: #9aa4b2; --rule: #343b46; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 26px 0 8px; }
p { margin: 0 0 8px; } .quiet { color: var(--quiet); } .bad { color: #c0392b; font-weight: 600; }
code { overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr));
  gap: 16px; }
figure { margin: 0; background: var(--panel); border: 1px solid var(--rule); border-radius: 8px;
  padding: 12px 14px; }
figcaption { font-weight: 600; margin-bottom: 6px; }
svg { display: block; width: 100%; height: auto; } svg text { font-size: 11px; fill: var(--quiet); }
.grid { stroke: var(--rule); } .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.legend { font-size: 13px; color: var(--quiet); } .legend span { margin-right: 14px; }
.legend i { display: inline-block; width: 12px; height: 4px; margin-right: 5px;
  vertical-align: 3px; }
.c0 { stroke: #2f6fde; background: #2f6fde; } .c1 { stroke: #e0702c; background: #e0702c; }
.c2 { stroke: #1a7f4b; background: #1a7f4b; } .c3 { stroke: #9b51c9; background: #9b51c9; }
.c4 { stroke: #b8860b; background: #b8860b; } .c5 { stroke: #7a8491; background: #7a8491; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
td, th { text-align: right; padding: 4px 10px; border-bottom: 1px solid var(--rule);
  white-space: nowrap; }
td:first-child, th:first-child { text-align: left; padding-left: 0; }
th { color: var(--quiet); font-weight: 500; }
footer { margin-top: 24px; color: var(--quiet); font-size: 13px; }
)css";

using Points = std::vector<std::pair<double, double>>;

std::string PlainText(double value) { return CountText(value); }
std::string FactorText(double value) { return Fixed(value, 1); }

std::string Cell(const char* tag, const std::string& text) {
  return std::string("<") + tag + ">" + HtmlEscaped(text) + "</" + tag + ">";
}

std::string LatencyTable(const Report& report) {
  std::string html = "<div class=\"scroll\"><table>\n<tr>";
  for (const char* const head : {"", "50 %", "90 %", "99 %", "99.9 %", "99.99 %", "most"}) {
    html += Cell("th", head);
  }
  html += "</tr>\n";
  for (const LatencyRow& row : LatencyRows(report)) {
    html += "<tr>" + Cell("td", row.name);
    for (const double us : row.us) html += Cell("td", TimeText(us));
    html += "</tr>\n";
  }
  if (report.fio) {
    const FioFigures& fio = *report.fio;
    html += "<tr>" + Cell("td", "fio, depth " + std::to_string(fio.depth)) +
            Cell("td", TimeText(fio.p50_us)) + Cell("td", "") + Cell("td", TimeText(fio.p99_us)) +
            Cell("td", TimeText(fio.p999_us)) + Cell("td", "") + Cell("td", "") + "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string SidesTable(const Report& report) {
  std::string html = "<div class=\"scroll\"><table>\n<tr>";
  for (const char* const head : {"", "operations/s", "memory", "resident", "on flash", "server CPU",
                                 "errors", "checked", "wrong"}) {
    html += Cell("th", head);
  }
  html += "</tr>\n";
  for (const Side& side : report.sides) {
    uint64_t errors = 0;
    for (const auto& [word, count] : side.errors) errors += count;
    const Sample first = side.samples.empty() ? Sample{} : side.samples.front();
    const Sample last = side.samples.empty() ? Sample{} : side.samples.back();
    const double span_sec = last.at_sec - first.at_sec;
    const double cpu = span_sec > 0 ? (last.cpu_sec - first.cpu_sec) / span_sec : 0;
    html += "<tr>" + Cell("td", side.name) +
            Cell("td", CountText(static_cast<double>(side.operations()) / side.seconds)) +
            Cell("td", BytesText(static_cast<double>(last.used_memory_bytes))) +
            Cell("td", BytesText(static_cast<double>(last.resident_bytes))) +
            Cell("td", BytesText(static_cast<double>(last.tier_used_bytes))) +
            Cell("td", PercentText(cpu)) + Cell("td", std::to_string(errors)) +
            Cell("td", std::to_string(side.checked)) + Cell("td", std::to_string(side.wrong)) +
            "</tr>\n";
  }
  if (report.fio) {
    html += "<tr>" + Cell("td", "fio, 4 KiB random reads") +
            Cell("td", CountText(report.fio->reads_per_sec));
    for (int i = 0; i < 7; ++i) html += Cell("td", "");
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

/// By the number of nines, the only axis on which tails can be seen.
std::string PercentilePlot(const Report& report) {
  Plot plot;
  plot.title = "Latency by percentile";
  plot.x_title = "percentile";
  plot.logarithmic = true;
  plot.y_text = &TimeText;
  const double shares[] = {0, 0.5, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999};
  const double places[] = {0, 0.301, 1, 1.301, 2, 2.301, 3, 3.301, 4};
  plot.x_ticks = {{0.301, "50"}, {1, "90"}, {2, "99"}, {3, "99.9"}, {4, "99.99"}};
  const auto add = [&](const std::string& name, const Histogram& histogram) {
    if (histogram.count() == 0) return;
    Plot::Line& line = plot.lines.emplace_back(Plot::Line{name, {}});
    for (size_t i = 1; i < std::size(shares); ++i) {
      line.points.emplace_back(places[i], static_cast<double>(histogram.Percentile(shares[i])));
    }
  };
  for (const Side& side : report.sides) {
    add(side.name + ", reads", side.reads);
    add(side.name + ", writes", side.writes);
  }
  return Svg(plot);
}

template <typename Value>
Points OverStretches(const Side& side, Value value) {
  Points points;
  for (const Stretch& stretch : side.stretches) {
    points.emplace_back(stretch.begin_sec + stretch.seconds / 2, value(stretch));
  }
  return points;
}

template <typename Value>
Points OverSamples(const Side& side, Value value) {
  Points points;
  for (const Sample& sample : side.samples) {
    points.emplace_back(sample.at_sec, static_cast<double>(value(sample)));
  }
  return points;
}

std::string ThroughputPlot(const Report& report) {
  Plot plot;
  plot.title = "Operations a second";
  plot.x_title = "seconds";
  plot.y_text = &PlainText;
  for (const Side& side : report.sides) {
    plot.lines.push_back({side.name, OverStretches(side, [](const Stretch& stretch) {
                            return static_cast<double>(stretch.latency.count()) / stretch.seconds;
                          })});
  }
  return Svg(plot);
}

std::string LatencyPlot(const Side& side) {
  Plot plot;
  plot.title = side.name + ": latency over time";
  plot.x_title = "seconds";
  plot.logarithmic = true;
  plot.y_text = &TimeText;
  const std::pair<const char*, double> lines[] = {
      {"50 %", 0.5}, {"99 %", 0.99}, {"99.9 %", 0.999}, {"most", 1}};
  for (const auto& [label, share] : lines) {
    plot.lines.push_back({label, OverStretches(side, [share = share](const Stretch& stretch) {
                            return static_cast<double>(stretch.latency.Percentile(share));
                          })});
  }
  return Svg(plot);
}

std::string MemoryPlot(const Report& report) {
  Plot plot;
  plot.title = "Memory of the server";
  plot.x_title = "seconds";
  plot.y_text = &BytesText;
  for (const Side& side : report.sides) {
    plot.lines.push_back({side.name + ", used", OverSamples(side, [](const Sample& sample) {
                            return sample.used_memory_bytes;
                          })});
    plot.lines.push_back({side.name + ", resident", OverSamples(side, [](const Sample& sample) {
                            return sample.resident_bytes;
                          })});
  }
  return Svg(plot);
}

std::string AmplificationPlot(const Side& side) {
  Plot plot;
  plot.title = side.name + ": bytes to the device for each byte written by clients";
  plot.x_title = "seconds, each point over the tenth of the run before it";
  plot.y_text = &FactorText;
  plot.lines.push_back({"tier and log", Amplification(side)});
  return Svg(plot);
}

std::string Findings(const Side& side) {
  std::string html;
  const auto bad = [&html](const std::string& text) {
    html += "<p class=\"bad\">" + HtmlEscaped(text) + "</p>\n";
  };
  if (side.wrong > 0) bad(side.name + ": " + std::to_string(side.wrong) + " wrong answers");
  for (const std::string& example : side.wrong_examples) bad(example);
  for (const auto& [word, count] : side.errors) {
    bad(side.name + ": " + std::to_string(count) + " errors " + word);
  }
  if (side.unsent > 0) {
    bad(side.name + " fell behind: " + std::to_string(side.unsent) +
        " operations were due and never sent");
  }
  if (!side.lost.empty()) bad(side.name + " ended early: " + side.lost);
  return html;
}

}  // namespace

std::string Html(const Report& report) {
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>flash-bench</title>\n<style>" +
      std::string(kStyle) + "</style>\n</head>\n<body>\n<main>\n<h1>flash-bench</h1>\n";
  for (const std::string& line : {report.workload, report.server, report.machine, report.began}) {
    html += "<p class=\"quiet\">" + HtmlEscaped(line) + "</p>\n";
  }
  html += "<p><code>" + HtmlEscaped(report.command_line) + "</code></p>\n";
  for (const Side& side : report.sides) html += Findings(side);
  html += "<h2>Latency</h2>\n" + LatencyTable(report) + "<h2>Throughput and memory</h2>\n" +
          SidesTable(report) + "<h2>Charts</h2>\n<div class=\"plots\">\n" + PercentilePlot(report) +
          ThroughputPlot(report);
  for (const Side& side : report.sides) html += LatencyPlot(side);
  html += MemoryPlot(report);
  for (const Side& side : report.sides) {
    if (!Amplification(side).empty()) html += AmplificationPlot(side);
  }
  return html + "</div>\n<footer>flash-bench " FLASH_VERSION
                "</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace flash::tools::bench
