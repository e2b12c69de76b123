// report_test.cc: the report of a population that a seed makes, against tests/golden/report.md, and
// that its three forms agree.
//
// FLASH_UPDATE_GOLDEN=1 rewrites the golden file; read the difference before it is kept. Thread:
// one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/random.h"
#include "tools/common/text.h"
#include "tools/flash-sizer/analysis.h"
#include "tools/flash-sizer/fake_server.h"
#include "tools/flash-sizer/render.h"

namespace flash::tools::sizer {
namespace {

/// A shop: sessions that are mostly over, carts, a catalogue that is in use, counters too small to
/// tier, sets that cannot.
std::vector<FakeKey> Shop() {
  base::Random random(1);
  std::vector<FakeKey> keys;
  const auto add = [&](const std::string& name, const char* type, uint64_t bytes_min,
                       uint64_t bytes_span, uint64_t hot_percent) {
    FakeKey key{name, type, bytes_min + random.Below(bytes_span), 0};
    const bool hot = random.Below(100) < hot_percent;
    key.heat = static_cast<uint32_t>(hot ? random.Below(3600) : 3600 + random.Below(1'000'000));
    keys.push_back(std::move(key));
  };
  for (int i = 0; i < 20'000; i++) {
    const std::string id = std::to_string(i);
    add("session:" + id, "string", 400, 4000, 8);
    if (i % 2 == 0) add("cart:" + id + ":items", "hash", 300, 1500, 20);
    if (i % 4 == 0) add("product:" + id, "string", 900, 3000, 85);
    if (i % 2 == 1) add("visits:" + id, "string", 72, 16, 50);
    if (i % 8 == 0) add("tags:" + id, "set", 200, 2000, 30);
    if (i % 50 == 0) add("board:" + id, "zset", 4000, 60'000, 50);
  }
  return keys;
}

Report ShopReport() {
  static const std::vector<FakeKey> keys = Shop();
  FakeServer::Options options;
  options.used_memory_bytes = uint64_t{110} << 20;
  FakeServer server(keys, options);
  auto outcome = TakeSample(FakeRun(5000, 20), server.Connector());
  EXPECT_TRUE(outcome);
  // As if every key were thirty: a size at which the question makes sense.
  outcome->sample.strata[0].keys *= 30;
  outcome->sample.servers[0].used_memory_bytes *= 30;
  AnalysisOptions analysis;
  analysis.prices = Prices{4.0, 0.12, "$"};
  analysis.seed = 20;
  return Analyse(outcome->sample, analysis);
}

std::string ReadFile(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Report, MarkdownIsTheGoldenOne) {
  const std::string name = FLASH_GOLDEN_DIR "/report.md";
  const std::string markdown = Markdown(ShopReport());
  if (std::getenv("FLASH_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(name, std::ios::binary) << markdown;
  }
  EXPECT_EQ(markdown, ReadFile(name));
}

TEST(Report, JsonSaysTheSame) {
  const Report report = ShopReport();
  const auto json = nlohmann::json::parse(Json(report));
  EXPECT_EQ(json["verdict"], "worth it");
  EXPECT_DOUBLE_EQ(json["cold_share"]["low"], report.cold.share.low);
  EXPECT_EQ(json["sizing"]["flash.cache-size-bytes"], report.sizing.cache_size_bytes);
  EXPECT_EQ(json["sampled_keys"], 5000);
  EXPECT_EQ(json["prefixes"].size(), 6U);
  EXPECT_EQ(json["types"].size(), 4U);
}

TEST(Report, HtmlStandsAlone) {
  const Report report = ShopReport();
  const std::string html = Html(report);
  EXPECT_NE(html.find(RangeText(report.cold.share)), html.npos);
  EXPECT_EQ(html.find("src="), html.npos);
  EXPECT_EQ(html.find("href="), html.npos);
  EXPECT_EQ(html.find("<script"), html.npos);
  EXPECT_EQ(html.find("http"), html.npos);
  EXPECT_EQ(html.find("nan"), html.npos);
  size_t charts = 0;
  for (size_t at = html.find("<svg"); at != html.npos; at = html.find("<svg", at + 1)) charts++;
  EXPECT_EQ(charts, 5U);
}

TEST(Report, NamesOfKeysCannotBreakOut) {
  std::vector<FakeKey> keys{{"<script>|x`:1", "string", 500, 10}, {"a\n|b:1", "string", 500, 10}};
  FakeServer server(keys, {.forbidden = {}});
  const auto outcome = TakeSample(FakeRun(100, 1), server.Connector());
  ASSERT_TRUE(outcome);
  const Report report = Analyse(outcome->sample, {});
  EXPECT_EQ(Html(report).find("<script"), std::string::npos);
  EXPECT_NE(Markdown(report).find("| &lt;script>\\|x\\`:\\* |"), std::string::npos);
  EXPECT_NE(Markdown(report).find("| a?\\|b:\\* |"), std::string::npos);
}

Report OneKind(uint64_t bytes, const char* type, uint32_t idle, double keys) {
  const std::vector<FakeKey> made{{"k:1", type, bytes, idle}, {"k:2", type, bytes, idle}};
  FakeServer server(made, {.forbidden = {}});
  auto outcome = TakeSample(FakeRun(100, 1), server.Connector());
  outcome->sample.strata[0].keys = keys;
  return Analyse(outcome->sample, {});
}

TEST(Verdict, IsPlain) {
  EXPECT_EQ(OneKind(2000, "string", 100'000, 4e6).verdict, Verdict::kWorthIt);
  EXPECT_EQ(OneKind(2000, "string", 10, 4e6).verdict, Verdict::kNotWorthIt);        // hot
  EXPECT_EQ(OneKind(2000, "set", 100'000, 4e6).verdict, Verdict::kNotWorthIt);      // no type
  EXPECT_EQ(OneKind(100, "string", 100'000, 4e7).verdict, Verdict::kNotWorthIt);    // too small
  EXPECT_EQ(OneKind(2000, "string", 100'000, 1000).verdict, Verdict::kNotWorthIt);  // fits anyhow
  EXPECT_EQ(OneKind(2000, "flashstr1", 0, 4e6).verdict, Verdict::kNotWorthIt);      // is there
}

TEST(Text, IsShort) {
  EXPECT_EQ(BytesText(1023), "1023 B");
  EXPECT_EQ(BytesText(1024), "1.00 KiB");
  EXPECT_EQ(BytesText(1023.9 * 1024), "1.00 MiB");
  EXPECT_EQ(CountText(9999), "9999");
  EXPECT_EQ(CountText(12'345'678), "12.3 M");
  EXPECT_EQ(DurationText(604800), "7 d");
  EXPECT_EQ(DurationText(90), "90 s");
  EXPECT_EQ(SettingBytes(3ULL << 30), "3gb");
}

}  // namespace
}  // namespace flash::tools::sizer
