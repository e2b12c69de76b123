// sampling_test.cc: whole runs against a server in memory: how often the interval covers the truth,
// whether every key is as likely to be drawn, and what permissions and interruptions do.
//
// Thread: one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "tools/flash-sizer/analysis.h"
#include "tools/flash-sizer/fake_server.h"
#include "tools/flash-sizer/sampler.h"
#include "tools/flash-sizer/scan_order.h"

namespace flash::tools::sizer {
namespace {

// Fewer under sanitizers, which make each several times as long: they look for other faults.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kSamplings = 400;
#else
constexpr int kSamplings = 1000;
#endif

double Uniform(base::Random& random) {
  return (static_cast<double>(random.Next() >> 11) + 0.5) / 9007199254740992.0;
}

/// How sizes and coldness of a population are made.
struct Shape {
  const char* name;
  double spread;     // Of the logarithm of sizes; 0: all alike.
  double cold_base;  // Chance of the smallest keys to be cold.
  double cold_tilt;  // Added per tenfold size.
  bool tags;         // Keys come in groups of one slot and one temperature.
};

constexpr uint16_t kSlotMax = 127;  // Of the cluster: few slots with many keys each.

uint64_t NextTag(uint64_t tag) {
  do {
    tag++;
  } while (SlotOf(std::to_string(tag)) > kSlotMax);
  return tag;
}

std::vector<FakeKey> Population(const Shape& shape, size_t count) {
  base::Random random(42);
  std::vector<FakeKey> keys;
  bool group_cold = false;
  uint64_t tag = 0;
  for (size_t i = 0; i < count; i++) {
    const double normal = std::sqrt(-2 * std::log(Uniform(random))) *
                          std::cos(2 * 3.14159265358979 * Uniform(random));
    FakeKey key;
    key.bytes = 200 + static_cast<uint64_t>(400 * std::exp(shape.spread * normal));
    const double chance =
        shape.cold_base + shape.cold_tilt * std::log10(static_cast<double>(key.bytes) / 200);
    const bool cold = Uniform(random) < chance;
    if (i % 8 == 0) group_cold = cold;
    if (i % 8 == 0) tag = NextTag(tag);
    key.name = shape.tags ? "{" + std::to_string(tag) + "}:" + std::to_string(i)
                          : "key:" + std::to_string(i);
    key.heat = (shape.tags ? group_cold : cold) ? 100'000 : 10;
    keys.push_back(std::move(key));
  }
  return keys;
}

double TrueShare(const std::vector<FakeKey>& keys) {
  double cold = 0;
  double all = 0;
  for (const FakeKey& key : keys) {
    all += static_cast<double>(key.bytes);
    if (key.heat >= 3600) cold += static_cast<double>(key.bytes);
  }
  return cold / all;
}

Sample Drawn(FakeServer& server, uint64_t keys_max, uint64_t seed) {
  auto outcome = TakeSample(FakeRun(keys_max, seed), server.Connector());
  EXPECT_TRUE(outcome) << outcome.error().message;
  return std::move(outcome->sample);
}

class Coverage : public testing::TestWithParam<std::tuple<Shape, bool>> {};

TEST_P(Coverage, IntervalHoldsTheTruthInNineteenOfTwentySamplings) {
  const auto& [shape, cluster] = GetParam();
  constexpr uint64_t kKeys = 300;
  const std::vector<FakeKey> keys = Population(shape, 3000);
  const double truth = TrueShare(keys);
  int covered = 0;
  double error = 0;
  FakeServer server(keys, {.cluster = cluster, .slot_max = kSlotMax, .forbidden = {}});
  for (int i = 0; i < kSamplings; i++) {
    // Another hash each time: what is random on a real server is its seed and our choice.
    server.Rehash(1000 + static_cast<uint64_t>(i));
    AnalysisOptions analysis;
    analysis.prefixes_max = 0;
    const Report report = Analyse(Drawn(server, kKeys, static_cast<uint64_t>(i) + 1), analysis);
    ASSERT_GT(report.sampled_keys, kKeys * 9 / 10);
    ASSERT_LE(report.sampled_keys, kKeys);
    const Range& share = report.cold.share;
    if (share.low <= truth && truth <= share.high) covered++;
    error += share.value - truth;
  }
  RecordProperty("covered", covered);
  std::printf("%s%s: truth %.4f, covered %d of %d, mean error %+.4f\n", shape.name,
              cluster ? ", cluster" : "", truth, covered, kSamplings, error / kSamplings);
  // Three standard deviations and more of a count that is right 95 times of 100.
  const double deviation = std::sqrt(0.95 * 0.05 * kSamplings);
  EXPECT_GE(covered, 0.95 * kSamplings - 3 * deviation);
  EXPECT_LE(covered, 0.95 * kSamplings + 3.7 * deviation);
  EXPECT_NEAR(error / kSamplings, 0, 0.004 * std::sqrt(1000.0 / kSamplings));
}

INSTANTIATE_TEST_SUITE_P(
    Populations, Coverage,
    testing::Values(std::tuple{Shape{"alike", 0, 0.5, 0, false}, false},
                    std::tuple{Shape{"small share", 0.6, 0.04, 0.02, false}, false},
                    std::tuple{Shape{"cold keys are large", 1.0, 0.3, 0.4, false}, false},
                    std::tuple{Shape{"tagged groups", 0.6, 0.4, 0.1, true}, true}));

/// Chi-squared of how often each key was drawn; its mean is the number of keys.
TEST(Sampling, DrawsEveryKeyAlike) {
  constexpr size_t kPopulation = 2000;
  constexpr uint64_t kDrawn = 200;
  const std::vector<FakeKey> keys = Population({"uniformity", 0.5, 0.5, 0, false}, kPopulation);
  std::vector<double> drawn(kPopulation, 0);
  double total = 0;
  FakeServer server(keys, {.forbidden = {}});
  for (int i = 0; i < kSamplings; i++) {
    server.Rehash(5000 + static_cast<uint64_t>(i));
    const Sample sample = Drawn(server, kDrawn, static_cast<uint64_t>(i));
    for (const KeySample& key : sample.keys) drawn[std::stoul(key.name.substr(4))] += 1;
    total += static_cast<double>(sample.keys.size());
  }
  const double expected = total / kPopulation;
  double chi = 0;
  for (const double count : drawn) chi += (count - expected) * (count - expected) / expected;
  // Without replacement, so a little below; five standard deviations of it above.
  EXPECT_LT(chi, kPopulation + 5 * std::sqrt(2.0 * kPopulation));
  EXPECT_GT(chi, kPopulation * 0.8);
}

TEST(Sampling, SmallDatabasesAreSeenWhole) {
  const std::vector<FakeKey> keys = Population({"whole", 1, 0.5, 0, false}, 500);
  FakeServer server(keys, {.forbidden = {}});
  const Sample sample = Drawn(server, 1000, 1);
  EXPECT_EQ(sample.keys.size(), 500U);
  const Report report = Analyse(sample, {});
  EXPECT_TRUE(report.complete);
  EXPECT_NEAR(report.cold.share.value, TrueShare(keys), 1e-12);
  EXPECT_EQ(report.cold.share.low, report.cold.share.high);
}

TEST(Sampling, KeysAreCountedFromCursorsWhereInfoIsForbidden) {
  const std::vector<FakeKey> keys = Population({"counted", 0.5, 0.5, 0, false}, 40'000);
  for (const bool cluster : {false, true}) {
    FakeServer server(keys, {.cluster = cluster, .forbidden = {"INFO"}});
    const Report report = Analyse(Drawn(server, 4000, 7), {});
    EXPECT_NEAR(report.keys, 40'000, 2'500) << (cluster ? "cluster" : "single");
    EXPECT_FALSE(report.notes.empty());
    EXPECT_FALSE(report.sizing.other_known);
  }
}

TEST(Sampling, SendsOnlyWhatDocsPermit) {
  const std::vector<FakeKey> keys = Population({"commands", 0.5, 0.5, 0, false}, 5000);
  const std::set<std::string> allowed{"SCAN", "MEMORY USAGE", "OBJECT IDLETIME", "OBJECT FREQ",
                                      "TYPE", "INFO",         "CLUSTER SLOTS",   "OBJECT ENCODING"};
  for (const bool cluster : {false, true}) {
    FakeServer server(keys, {.cluster = cluster, .forbidden = {}});
    (void)Drawn(server, 500, 1);
    for (const auto& [name, times] : server.commands()) EXPECT_TRUE(allowed.contains(name)) << name;
    EXPECT_LT(server.commands().at("MEMORY USAGE"), 502U);
  }
}

TEST(Sampling, TypesComeFromEncodingOrNotAtAll) {
  std::vector<FakeKey> keys = Population({"types", 0.5, 0.5, 0, false}, 300);
  for (size_t i = 0; i < keys.size(); i += 3) keys[i].type = "set";
  FakeServer by_encoding(keys, {.forbidden = {"TYPE"}});
  const Report some = Analyse(Drawn(by_encoding, 1000, 1), {});
  ASSERT_EQ(some.types.size(), 2U);
  EXPECT_TRUE(std::any_of(some.types.begin(), some.types.end(), [](const GroupRow& row) {
    return row.name == "unknown" && row.cold_bytes == 0;
  }));
  FakeServer blind(keys, {.forbidden = {"TYPE", "OBJECT ENCODING"}});
  const Report none = Analyse(Drawn(blind, 1000, 1), {});
  ASSERT_EQ(none.types.size(), 1U);
  EXPECT_GT(none.types[0].cold_bytes, 0);
}

TEST(Sampling, WhatItCannotDoWithoutIsNamed) {
  const std::vector<FakeKey> keys = Population({"refused", 0.5, 0.5, 0, false}, 300);
  for (const char* command : {"SCAN", "MEMORY USAGE", "OBJECT IDLETIME"}) {
    FakeServer server(keys, {.forbidden = {command}});
    const auto outcome = TakeSample(FakeRun(100, 1), server.Connector());
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.code(), Code::kUnsupported);
    EXPECT_TRUE(outcome.error().message.starts_with(command)) << outcome.error().message;
  }
}

TEST(Sampling, LfuIsJudgedByFrequency) {
  std::vector<FakeKey> keys = Population({"lfu", 0, 0.5, 0, false}, 300);
  for (size_t i = 0; i < keys.size(); i++) keys[i].heat = i % 3 == 0 ? 0 : 9;
  FakeServer server(keys, {.lfu = true, .forbidden = {}});
  const Report report = Analyse(Drawn(server, 1000, 1), {});
  EXPECT_EQ(report.heat, Heat::kFrequency);
  EXPECT_NEAR(report.cold.share.value, 1.0 / 3, 1e-9);
}

TEST(Sampling, EndsEarlyWithWhatItHas) {
  const std::vector<FakeKey> keys = Population({"stopped", 0.5, 0.5, 0, false}, 20'000);
  FakeServer server(keys, {.forbidden = {}});
  std::atomic<bool> stop{false};
  SamplerOptions options = FakeRun(2000, 1);
  options.stop = &stop;
  options.progress = [&](double, uint64_t seen) { stop = seen >= 500; };
  const auto outcome = TakeSample(options, server.Connector());
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->sample.interrupted);
  EXPECT_GE(outcome->sample.keys.size(), 500U);
  EXPECT_LT(outcome->sample.keys.size(), 700U);
  const Report report = Analyse(outcome->sample, {});
  EXPECT_NEAR(report.keys, 20'000, 1);
  EXPECT_LT(report.cold.share.low, TrueShare(keys));
  EXPECT_GT(report.cold.share.high, TrueShare(keys));
}

TEST(Sampling, OfNoKeysGivesAReport) {
  const std::vector<FakeKey> keys;
  FakeServer server(keys, {.forbidden = {}});
  const Report report = Analyse(Drawn(server, 100, 1), {});
  EXPECT_EQ(report.sampled_keys, 0U);
  EXPECT_EQ(report.verdict, Verdict::kNotWorthIt);
}

}  // namespace
}  // namespace flash::tools::sizer
