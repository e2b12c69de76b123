// parts_test.cc: histogram against exact percentiles, draws against the laws they claim, values
// that tell on themselves, reports that say what is wrong.
//
// Runs without a server. Thread: main.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tools/common/scale.h"
#include "tools/flash-bench/control.h"
#include "tools/flash-bench/distribution.h"
#include "tools/flash-bench/fio.h"
#include "tools/flash-bench/histogram.h"
#include "tools/flash-bench/plot.h"
#include "tools/flash-bench/render.h"
#include "tools/flash-bench/target.h"
#include "tools/flash-bench/workload.h"

namespace flash::tools::bench {
namespace {

TEST(Histogram, PercentilesAreThoseOfTheSortedListOrAPartIn256Higher) {
  base::Random random(7);
  Histogram histogram;
  std::vector<uint64_t> all;
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t us = random.Next() >> (34 + random.Below(30));
    all.push_back(us);
    histogram.Add(us);
  }
  std::sort(all.begin(), all.end());
  for (const double share : {0.001, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(all.size())));
    const uint64_t exact = all[std::max<size_t>(rank, 1) - 1];
    EXPECT_GE(histogram.Percentile(share), exact) << share;
    EXPECT_LE(histogram.Percentile(share), exact + exact / 256) << share;
  }
  EXPECT_EQ(histogram.max_us(), all.back());
  EXPECT_EQ(histogram.count(), all.size());
}

TEST(Histogram, HoldsAnythingFromZeroToAnHour) {
  Histogram histogram;
  EXPECT_EQ(histogram.Percentile(0.5), 0U);
  for (uint64_t us = 1; us < 2 * Histogram::kMaxUs; us = us * 3 / 2 + 1) histogram.Add(us);
  histogram.Add(0);
  EXPECT_EQ(histogram.Percentile(1), Histogram::kMaxUs);
  EXPECT_EQ(histogram.Percentile(0), 0U);
}

TEST(Histogram, SumsOfPartsAreTheWhole) {
  Histogram one;
  Histogram other;
  Histogram whole;
  for (uint64_t us = 0; us < 5000; ++us) {
    (us % 3 == 0 ? one : other).Add(us * us);
    whole.Add(us * us);
  }
  one.Add(other);
  EXPECT_EQ(one.count(), whole.count());
  EXPECT_EQ(one.MeanUs(), whole.MeanUs());
  for (const double share : {0.1, 0.5, 0.999}) {
    EXPECT_EQ(one.Percentile(share), whole.Percentile(share));
  }
}

TEST(Distribution, ZipfFollowsItsLawOverEveryKey) {
  constexpr uint64_t kKeys = 1000;
  constexpr int kDraws = 400'000;
  for (const double skew : {0.5, 0.99, 1.0, 1.3}) {
    Distribution distribution({.keys = kKeys, .skew = skew, .seed = 3});
    std::vector<int> seen(kKeys);
    for (int i = 0; i < kDraws; ++i) ++seen.at(distribution.Next());
    std::sort(seen.rbegin(), seen.rend());
    double sum = 0;
    for (uint64_t rank = 1; rank <= kKeys; ++rank) sum += std::pow(rank, -skew);
    for (const uint64_t rank : {1, 2, 5, 20}) {
      const double expected = kDraws * std::pow(rank, -skew) / sum;
      EXPECT_NEAR(seen[rank - 1], expected, 6 * std::sqrt(expected) + 1) << skew << ' ' << rank;
    }
  }
}

TEST(Distribution, WantedKeysAreScatteredTheSameForEverySeed) {
  const auto most_wanted = [](uint64_t seed) {
    Distribution distribution({.keys = 1000, .skew = 1.5, .seed = seed});
    std::vector<int> seen(1000);
    for (int i = 0; i < 10'000; ++i) ++seen[distribution.Next()];
    return std::max_element(seen.begin(), seen.end()) - seen.begin();
  };
  EXPECT_EQ(most_wanted(1), most_wanted(2));
}

TEST(Distribution, EveryKeyCanComeWhateverTheirNumber) {
  for (const uint64_t keys : {1, 2, 3, 7, 100}) {
    Distribution distribution({.keys = keys, .skew = 0.1, .seed = 5});
    std::set<uint64_t> seen;
    for (int i = 0; i < 20'000; ++i) seen.insert(distribution.Next());
    EXPECT_EQ(seen.size(), keys);
    EXPECT_LT(*seen.rbegin(), keys);
  }
}

TEST(Distribution, ScanGoesRoundAndMixedIsATenthOfIt) {
  Distribution scan({.pattern = Pattern::kScan, .keys = 3, .scan_start = 2});
  EXPECT_EQ(scan.Next(), 2U);
  EXPECT_EQ(scan.Next(), 0U);
  EXPECT_EQ(scan.Next(), 1U);
  Distribution mixed({.pattern = Pattern::kMixed, .keys = 1'000'000, .skew = 2, .seed = 4});
  uint64_t next = 0;
  int steps = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (mixed.Next() != next) continue;
    ++next;
    ++steps;
  }
  EXPECT_NEAR(steps, 1000, 150);
}

TEST(Workload, AValueBelongsToOneElementAndOneVersion) {
  for (const auto type : {DataType::kString, DataType::kHash, DataType::kList, DataType::kZset}) {
    const uint64_t elements = type == DataType::kString ? 1 : 10;
    const Workload workload({.type = type, .keys = 5, .elements = elements, .value_bytes = 100});
    const std::string own = type == DataType::kZset ? "7" : workload.Value(3, 7);
    EXPECT_TRUE(workload.IsValue(3, 7, own));
    EXPECT_FALSE(workload.IsValue(3, 8, own));
    EXPECT_FALSE(workload.IsValue(3, 7, own.substr(1)));
    if (type != DataType::kZset) {
      EXPECT_FALSE(workload.IsValue(2, 7, own));
      EXPECT_EQ(own.size(), 100U);
    }
  }
}

TEST(Workload, FillingMakesEveryElementOnceInPieces) {
  const Workload hash({.type = DataType::kHash, .keys = 2, .elements = 250});
  const auto commands = hash.Fill(1);
  ASSERT_EQ(commands.size(), 3U);
  std::set<std::string> fields;
  for (const auto& words : commands) {
    EXPECT_EQ(words[0], "FLASH.HSET");
    EXPECT_EQ(words[1], "bench:1");
    for (size_t i = 2; i < words.size(); i += 2) fields.insert(words[i]);
  }
  EXPECT_EQ(fields.size(), 250U);
  EXPECT_EQ(hash.Read(250 + 249)[2], *fields.find("field:249"));
}

TEST(Workload, NativeCommandsAreTheSameWithoutFlash) {
  const Workload flash({.type = DataType::kZset, .elements = 3});
  const Workload native({.type = DataType::kZset, .native = true, .elements = 3});
  auto words = flash.Write(2, 9);
  EXPECT_EQ(words[0], "FLASH.ZADD");
  words[0] = "ZADD";
  EXPECT_EQ(words, native.Write(2, 9));
}

TEST(Control, FiguresOfInfo) {
  const std::string info = "# Memory\r\nused_memory:123\r\nused_memory_rss:456\r\nratio:0.5\r\n";
  EXPECT_EQ(FigureOf(info, "used_memory"), 123);
  EXPECT_EQ(FigureOf(info, "used_memory_rss"), 456);
  EXPECT_EQ(FigureOf(info, "ratio"), 0.5);
  EXPECT_EQ(FigureOf(info, "nothing"), 0);
}

TEST(Fio, ReadsItsJsonBehindWarnings) {
  const auto figures = ParseFio(
      "fio: something\n{\"jobs\":[{\"read\":{\"iops\":1000.5,\"clat_ns\":{\"percentile\":"
      "{\"50.000000\":80000,\"99.000000\":200000,\"99.900000\":900000}}}}]}");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->reads_per_sec, 1000.5);
  EXPECT_EQ(figures->p50_us, 80);
  EXPECT_EQ(figures->p999_us, 900);
  EXPECT_FALSE(ParseFio("no such thing"));
  EXPECT_FALSE(ParseFio("{}"));
}

Side ASide() {
  Side side;
  side.name = "flash";
  side.seconds = 100;
  for (uint64_t i = 0; i < 1000; ++i) side.reads.Add(i);
  for (uint64_t i = 0; i <= 100; ++i) {
    Sample sample;
    sample.at_sec = static_cast<double>(i);
    sample.client_written_bytes = i * 1000;
    sample.tier_written_bytes = 5'000'000 + (i < 50 ? i * 1000 : 50'000 + (i - 50) * 4000);
    side.samples.push_back(sample);
  }
  return side;
}

TEST(Report, AmplificationIsThatOfTheTenthOfTheRunBeforeEachPoint) {
  const auto points = Amplification(ASide());
  ASSERT_FALSE(points.empty());
  EXPECT_GE(points.front().first, 10);
  EXPECT_NEAR(points.front().second, 1, 0.01);
  EXPECT_NEAR(points.back().second, 4, 0.01);
  Side idle = ASide();
  for (Sample& sample : idle.samples) sample.tier_written_bytes = 0;
  EXPECT_TRUE(Amplification(idle).empty());
}

TEST(Report, SaysWhatWentWrongInTextAndHtmlAndEscapesIt) {
  Report report;
  report.sides.push_back(ASide());
  Side& side = report.sides.back();
  side.wrong = 2;
  side.checked = 10;
  side.wrong_examples = {"GET <key>"};
  side.errors["FLASHIO"] = 3;
  side.unsent = 77;
  side.lost = "closed";
  for (const std::string& text : {Text(report), Html(report)}) {
    EXPECT_NE(text.find("2 wrong"), std::string::npos);
    EXPECT_NE(text.find("3 errors FLASHIO"), std::string::npos);
    EXPECT_NE(text.find("77"), std::string::npos);
    EXPECT_NE(text.find("ended early: closed"), std::string::npos);
  }
  EXPECT_EQ(Html(report).find("<key>"), std::string::npos);
  EXPECT_NE(Html(report).find("GET &lt;key&gt;"), std::string::npos);
  EXPECT_NE(Json(report).find("\"unsent\": 77"), std::string::npos);
}

TEST(Plot, StepsAreRoundAndReachTheLargest) {
  EXPECT_EQ(RoundSteps(100), (std::vector<double>{0, 25, 50, 75, 100}));
  EXPECT_GE(RoundSteps(101).back(), 101);
  EXPECT_EQ(RoundSteps(0).size(), 2U);
}

TEST(Report, TimesHaveTheUnitThatSuits) {
  EXPECT_EQ(TimeText(999), "999 us");
  EXPECT_EQ(TimeText(1500), "1.50 ms");
  EXPECT_EQ(TimeText(2'500'000), "2.50 s");
}

Reply Number(int64_t number) { return {Reply::Kind::kInteger, number, {}, {}}; }
Reply Words(const std::string& text) { return {Reply::Kind::kText, 0, text, {}}; }
Reply List(std::vector<Reply> items) { return {Reply::Kind::kArray, 0, {}, std::move(items)}; }

/// Answers CLUSTER SLOTS with the ranges it was given.
class FakeCluster final : public Client {
 public:
  explicit FakeCluster(Reply reply) : reply_(std::move(reply)) {}
  Result<std::vector<Reply>> Run(std::span<const Command> commands) override {
    EXPECT_EQ(commands[0], (Command{"CLUSTER", "SLOTS"}));
    return std::vector<Reply>{reply_};
  }

 private:
  Reply reply_;
};

Reply Range(int64_t first, int64_t last, const std::string& host, int64_t port) {
  return List({Number(first), Number(last), List({Words(host), Number(port), Words("id")}),
               List({Words("replica"), Number(1), Words("id")})});
}

TEST(Target, AKeyGoesToThePrimaryOfItsSlot) {
  Target target(*ParseUrl("valkeys://me:secret@10.0.0.1:7000"), {});
  EXPECT_TRUE(target.access().transport.tls);
  EXPECT_EQ(target.NodeOf("foo"), 0U);
  FakeCluster cluster(
      List({Range(0, 5460, "", 7000), Range(5461, 10922, "10.0.0.2", 7001),
            Range(10923, 12000, "10.0.0.3", 7002), Range(12001, 16383, "10.0.0.2", 7001)}));
  ASSERT_TRUE(target.TakeSlots(cluster));
  ASSERT_EQ(target.nodes().size(), 3U);
  EXPECT_EQ(target.nodes()[0].Text(), "10.0.0.1:7000");  // It does not know its own address.
  EXPECT_EQ(target.nodes()[target.NodeOf("foo")].Text(), "10.0.0.2:7001");  // 12182
  EXPECT_EQ(target.nodes()[target.NodeOf("bar")].Text(), "10.0.0.1:7000");  // 5061
  EXPECT_EQ(target.NodeOf("{bar}:1"), target.NodeOf("bar"));
  EXPECT_EQ(target.access().Greeting(), (std::vector<Command>{{"AUTH", "me", "secret"}}));
}

TEST(Target, WhatIsNoTargetIsRefused) {
  Target holes(*ParseUrl("valkey://h"), {});
  FakeCluster lacking(List({Range(0, 16000, "10.0.0.2", 7001)}));
  EXPECT_EQ(holes.TakeSlots(lacking).error().message, "383 slots of the cluster have no primary");
  Target other(*ParseUrl("valkey://h/3"), {});
  EXPECT_EQ(other.TakeSlots(lacking).error().message, "a cluster has no database but 0");
  FakeCluster forbidding(Reply{Reply::Kind::kError, 0, "NOPERM no", {}});
  EXPECT_EQ(holes.TakeSlots(forbidding).code(), Code::kUnsupported);
}

}  // namespace
}  // namespace flash::tools::bench
