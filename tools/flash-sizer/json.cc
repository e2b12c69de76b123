// json.cc: the report as JSON for programs: bytes and seconds as numbers, shares from 0 to 1; see
// render.h. Names are those of docs/sizing.md and stay.
//
// Errors of servers may hold bytes that are no UTF-8: they are replaced. Thread: any.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/flash-sizer/render.h"

namespace flash::tools::sizer {
namespace {

using Value = nlohmann::ordered_json;

Value OfRange(const Range& range) {
  return {{"value", range.value}, {"low", range.low}, {"high", range.high}};
}

Value OfGroups(const std::vector<GroupRow>& rows) {
  Value all = Value::array();
  for (const GroupRow& row : rows) {
    all.push_back({{"name", row.name},
                   {"sampled_keys", row.sampled_keys},
                   {"keys", row.keys},
                   {"bytes", row.bytes},
                   {"cold_share", OfRange(row.cold)},
                   {"cold_bytes", row.cold_bytes},
                   {"hot_bytes", row.hot_bytes},
                   {"fixed_bytes", row.fixed_bytes}});
  }
  return all;
}

Value OfServers(const std::vector<ServerFacts>& servers) {
  Value all = Value::array();
  for (const ServerFacts& server : servers) {
    all.push_back({{"name", server.name},
                   {"version", server.version},
                   {"maxmemory_policy", server.policy},
                   {"used_memory_bytes", server.used_memory_bytes},
                   {"maxmemory_bytes", server.maxmemory_bytes},
                   {"uptime_sec", server.uptime_sec},
                   {"runs_valkey_flash", server.has_module}});
  }
  return all;
}

Value OfSizing(const Sizing& sizing) {
  return {{"ram_now_bytes", sizing.ram_now_bytes},
          {"not_keys_bytes", sizing.other_known ? Value(sizing.other_bytes) : Value()},
          {"ram_with_tier_bytes", OfRange(sizing.ram_bytes)},
          {"saved_share", OfRange(sizing.saved_share)},
          {"flash_values_bytes", sizing.flash_bytes},
          {"flash.cache-size-bytes", sizing.cache_size_bytes},
          {"flash.capacity-bytes", sizing.capacity_bytes},
          {"cooling_keys_per_sec", sizing.cooling_keys_per_sec}};
}

Value OfCurve(const Report& report) {
  const char* unit = report.heat == Heat::kIdleSeconds ? "idle_sec_min" : "counter_max";
  Value all = Value::array();
  for (const CurvePoint& point : report.curve) {
    all.push_back(
        {{unit, point.threshold}, {"share", OfRange(point.share)}, {"ram_bytes", point.ram_bytes}});
  }
  return all;
}

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWorthIt:
      return "worth it";
    case Verdict::kNotWorthIt:
      return "not worth it";
    default:
      return "cannot tell";
  }
}

}  // namespace

std::string Json(const Report& report) {
  Value root;
  root["format"] = 1;
  root["verdict"] = VerdictName(report.verdict);
  root["reasons"] = report.reasons;
  root["cold_share"] = OfRange(report.cold.share);
  root["effective_sample_size"] =
      std::isinf(report.cold.n_effective) ? Value() : Value(report.cold.n_effective);
  root["heat"] = report.heat == Heat::kIdleSeconds ? "idle" : "frequency";
  root["cold_after_sec"] = report.cold_after_sec;
  root["cold_frequency"] = report.cold_frequency;
  root["keys"] = report.keys;
  root["bytes"] = report.bytes;
  root["sampled_keys"] = report.sampled_keys;
  root["complete"] = report.complete;
  root["interrupted"] = report.interrupted;
  root["vanished_keys"] = report.vanished_keys;
  root["commands"] = report.commands;
  root["slowdowns"] = report.slowdowns;
  root["seed"] = report.seed;
  root["servers"] = OfServers(report.servers);
  root["sizing"] = OfSizing(report.sizing);
  if (report.cost) {
    root["cost_a_month"] = {{"currency", report.cost->prices.currency},
                            {"ram_gib", report.cost->prices.ram_gib_month},
                            {"flash_gib", report.cost->prices.flash_gib_month},
                            {"now", report.cost->now},
                            {"with_tier", report.cost->with_tier},
                            {"with_tier_flash", report.cost->with_tier_flash}};
  }
  root["curve"] = OfCurve(report);
  root["types"] = OfGroups(report.types);
  root["prefixes"] = OfGroups(report.prefixes);
  root["notes"] = report.notes;
  // Names of keys may be no UTF-8; prefixes show only printable ASCII, errors of servers may not.
  return root.dump(2, ' ', false, Value::error_handler_t::replace) + "\n";
}

}  // namespace flash::tools::sizer
