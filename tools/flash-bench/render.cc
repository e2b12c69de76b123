// render.cc: figures that the renderers share, text and JSON; see render.h.
//
// Thread: any.
#include "tools/flash-bench/render.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/common/text.h"

namespace flash::tools::bench {
namespace {

constexpr double kShares[] = {0.5, 0.9, 0.99, 0.999, 0.9999};

LatencyRow RowOf(const std::string& name, const Histogram& histogram) {
  LatencyRow row{name, {}};
  for (const double share : kShares) {
    row.us.push_back(static_cast<double>(histogram.Percentile(share)));
  }
  row.us.push_back(static_cast<double>(histogram.max_us()));
  return row;
}

std::string Padded(const std::string& text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

nlohmann::json JsonOf(const Histogram& histogram) {
  nlohmann::json json = {{"count", histogram.count()},
                         {"mean_us", histogram.MeanUs()},
                         {"max_us", histogram.max_us()}};
  const char* const names[] = {"p50_us", "p90_us", "p99_us", "p999_us", "p9999_us"};
  for (size_t i = 0; i < std::size(kShares); ++i) json[names[i]] = histogram.Percentile(kShares[i]);
  return json;
}

nlohmann::json JsonOf(const Side& side) {
  nlohmann::json json = {
      {"name", side.name},
      {"fill_sec", side.fill_sec},
      {"seconds", side.seconds},
      {"operations_per_sec", static_cast<double>(side.operations()) / std::max(side.seconds, 1e-3)},
      {"reads", JsonOf(side.reads)},
      {"writes", JsonOf(side.writes)},
      {"errors", side.errors},
      {"checked", side.checked},
      {"wrong", side.wrong},
      {"wrong_examples", side.wrong_examples},
      {"unsent", side.unsent},
      {"lost", side.lost},
      {"stretches", nlohmann::json::array()},
      {"samples", nlohmann::json::array()}};
  for (const Stretch& stretch : side.stretches) {
    nlohmann::json one = JsonOf(stretch.latency);
    one["begin_sec"] = stretch.begin_sec;
    one["seconds"] = stretch.seconds;
    one["errors"] = stretch.errors;
    json["stretches"].push_back(std::move(one));
  }
  for (const Sample& sample : side.samples) {
    json["samples"].push_back({{"at_sec", sample.at_sec},
                               {"used_memory_bytes", sample.used_memory_bytes},
                               {"resident_bytes", sample.resident_bytes},
                               {"cache_bytes", sample.cache_bytes},
                               {"tier_used_bytes", sample.tier_used_bytes},
                               {"tier_written_bytes", sample.tier_written_bytes},
                               {"log_written_bytes", sample.log_written_bytes},
                               {"client_written_bytes", sample.client_written_bytes},
                               {"cpu_sec", sample.cpu_sec}});
  }
  return json;
}

std::string SideText(const Side& side) {
  std::string text = "\n" + side.name + ": " +
                     CountText(static_cast<double>(side.operations()) / side.seconds) +
                     " operations a second over " + Fixed(side.seconds, 1) + " s\n";
  if (side.fill_sec > 0) text += "  filled in " + Fixed(side.fill_sec, 1) + " s\n";
  if (!side.samples.empty()) {
    const Sample& last = side.samples.back();
    text += "  memory " + BytesText(static_cast<double>(last.used_memory_bytes)) + ", resident " +
            BytesText(static_cast<double>(last.resident_bytes));
    if (last.tier_used_bytes > 0) {
      text += ", on flash " + BytesText(static_cast<double>(last.tier_used_bytes));
    }
    text += "\n";
  }
  const auto amplification = Amplification(side);
  if (!amplification.empty()) {
    text += "  " + Fixed(amplification.back().second, 2) +
            " bytes to the device for each byte written by clients, at the end\n";
  }
  for (const auto& [word, count] : side.errors) {
    text += "  " + std::to_string(count) + " errors " + word + "\n";
  }
  if (side.checked > 0) {
    text += "  " + std::to_string(side.checked) + " answers checked, " +
            std::to_string(side.wrong) + " wrong\n";
  }
  for (const std::string& example : side.wrong_examples) text += "  WRONG " + example + "\n";
  if (side.unsent > 0) {
    text += "  fell behind: " + std::to_string(side.unsent) +
            " operations were due and never sent; latencies hold what was sent\n";
  }
  if (!side.lost.empty()) text += "  ended early: " + side.lost + "\n";
  return text;
}

}  // namespace

std::string TimeText(double us) {
  if (us >= 1e6) return Fixed(us / 1e6, 2) + " s";
  if (us >= 1000) return Fixed(us / 1000, 2) + " ms";
  return Fixed(us, 0) + " us";
}

std::vector<LatencyRow> LatencyRows(const Report& report) {
  std::vector<LatencyRow> rows;
  for (const Side& side : report.sides) {
    if (side.reads.count() > 0) rows.push_back(RowOf(side.name + ", reads", side.reads));
    if (side.writes.count() > 0) rows.push_back(RowOf(side.name + ", writes", side.writes));
  }
  return rows;
}

std::vector<std::pair<double, double>> Amplification(const Side& side) {
  std::vector<std::pair<double, double>> points;
  if (side.native) return points;
  size_t from = 0;
  for (size_t i = 0; i < side.samples.size(); ++i) {
    const Sample& last = side.samples[i];
    while (from < i && last.at_sec - side.samples[from + 1].at_sec >= side.seconds / 10) ++from;
    const Sample& first = side.samples[from];
    const uint64_t clients = last.client_written_bytes - first.client_written_bytes;
    if (last.at_sec - first.at_sec < side.seconds / 10 || clients == 0) continue;
    const uint64_t device = last.tier_written_bytes + last.log_written_bytes -
                            first.tier_written_bytes - first.log_written_bytes;
    points.emplace_back(last.at_sec, static_cast<double>(device) / static_cast<double>(clients));
  }
  const bool any =
      std::any_of(points.begin(), points.end(), [](const auto& point) { return point.second > 0; });
  return any ? points : std::vector<std::pair<double, double>>{};
}

std::string Text(const Report& report) {
  std::string text = "flash-bench " FLASH_VERSION ", " + report.began + "\n" + report.machine +
                     "\n" + report.server + "\n" + report.workload + "\n\n";
  text += Padded("latency", 24);
  for (const char* const head : {"50 %", "90 %", "99 %", "99.9 %", "99.99 %", "most"}) {
    text += Padded(head, 12);
  }
  text += "\n";
  for (const LatencyRow& row : LatencyRows(report)) {
    text += Padded(row.name, 24);
    for (const double us : row.us) text += Padded(TimeText(us), 12);
    text += "\n";
  }
  for (const Side& side : report.sides) text += SideText(side);
  if (report.fio) {
    text += "\nfio, 4 KiB random reads, depth " + std::to_string(report.fio->depth) + ", " +
            report.fio->folder + ": " + CountText(report.fio->reads_per_sec) + " a second, 50 % " +
            TimeText(report.fio->p50_us) + ", 99 % " + TimeText(report.fio->p99_us) + ", 99.9 % " +
            TimeText(report.fio->p999_us) + "\n";
  }
  return text;
}

std::string Json(const Report& report) {
  nlohmann::json json = {{"format", 1},
                         {"version", FLASH_VERSION},
                         {"command_line", report.command_line},
                         {"machine", report.machine},
                         {"server", report.server},
                         {"workload", report.workload},
                         {"began", report.began},
                         {"sides", nlohmann::json::array()}};
  for (const Side& side : report.sides) json["sides"].push_back(JsonOf(side));
  if (report.fio) {
    json["fio"] = {{"folder", report.fio->folder},
                   {"depth", report.fio->depth},
                   {"reads_per_sec", report.fio->reads_per_sec},
                   {"p50_us", report.fio->p50_us},
                   {"p99_us", report.fio->p99_us},
                   {"p999_us", report.fio->p999_us}};
  }
  // A password in an address is bytes of any kind.
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace flash::tools::bench
