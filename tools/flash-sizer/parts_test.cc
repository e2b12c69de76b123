// parts_test.cc: addresses, prefixes, durations, cursors, INFO, pace and what a key costs.
//
// Thread: one.
#include <gtest/gtest.h>

#include "base/clock.h"
#include "tools/common/duration.h"
#include "tools/common/topology.h"
#include "tools/common/url.h"
#include "tools/flash-sizer/pace.h"
#include "tools/flash-sizer/prefixes.h"
#include "tools/flash-sizer/scan_order.h"
#include "tools/flash-sizer/server_facts.h"
#include "tools/flash-sizer/tier_cost.h"

namespace flash::tools::sizer {
namespace {

TEST(Url, IsTakenApart) {
  const auto url = ParseUrl("valkeys://me:p%40ss:w@[::1]:7000/3");
  ASSERT_TRUE(url) << url.error().message;
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->user, "me");
  EXPECT_EQ(url->password, "p@ss:w");
  EXPECT_EQ(url->endpoint.Text(), "[::1]:7000");
  EXPECT_EQ(url->database, 3U);
}

TEST(Url, HasDefaults) {
  const auto url = ParseUrl("redis://localhost");
  ASSERT_TRUE(url);
  EXPECT_FALSE(url->tls);
  EXPECT_EQ(url->endpoint.port, 6379);
  EXPECT_FALSE(url->database);
  EXPECT_TRUE(url->password.empty());
}

TEST(Url, RefusesWithoutRepeatingThePassword) {
  for (const char* text : {"localhost:6379", "http://u:secret@h", "valkey://", "valkey://h:0",
                           "valkey://u:secret@h:99999", "valkey://u:secret@h/x", "valkey://[::1",
                           "valkey://u:secret%4@h", "valkey://h:6379x"}) {
    const auto url = ParseUrl(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().message.find("secret"), std::string::npos) << url.error().message;
  }
}

TEST(Prefix, ShowsHowKeysAreNamed) {
  EXPECT_EQ(PrefixOf("user:1000:cart", {}), "user:*");
  EXPECT_EQ(PrefixOf("user:1000:cart", {":", 2}), "user:*:*");
  EXPECT_EQ(PrefixOf("1000:cart", {}), "*:*");
  EXPECT_EQ(PrefixOf("4f9c1a2b3c4d5e6f:cart", {}), "*:*");
  EXPECT_EQ(PrefixOf("facade:1", {}), "facade:*");
  EXPECT_EQ(PrefixOf("{a:b}x:1", {}), "{*}x:*");
  EXPECT_EQ(PrefixOf("plain", {}), "(no prefix)");
  EXPECT_EQ(PrefixOf("a.b/c", {"./", 2}), "a.b/*");
}

TEST(Duration, IsParsed) {
  EXPECT_EQ(*ParseDuration("90s"), 90U);
  EXPECT_EQ(*ParseDuration("2d"), 172800U);
  EXPECT_EQ(*ParseDuration("45"), 45U);
  for (const char* text : {"", "h", "0s", "-1s", "1w", "195d", "99999999999999999999d"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

TEST(ScanOrder, SlotsAreThoseOfTheClusterSpecification) {
  EXPECT_EQ(SlotOf("123456789"), 0x31C3 % kSlots);
  EXPECT_EQ(SlotOf("{user1000}.following"), SlotOf("user1000"));
  EXPECT_EQ(SlotOf("foo{}{bar}"), SlotOf(std::string("foo{}{bar}")));
  EXPECT_NE(SlotOf("foo{}{bar}"), SlotOf("bar"));
  EXPECT_EQ(SlotOf("foo{{bar}}zap"), SlotOf("{bar"));
}

TEST(ScanOrder, CursorsArePlaces) {
  EXPECT_DOUBLE_EQ(Place(0), 0);
  EXPECT_DOUBLE_EQ(Place(1), 0.5);   // After bucket 0 of 2.
  EXPECT_DOUBLE_EQ(Place(2), 0.25);  // After bucket 0 of 4.
  for (uint64_t cell = 0; cell < 8; cell++) {
    EXPECT_DOUBLE_EQ(Place(CellCursor(cell, 3)), static_cast<double>(cell) / 8);
  }
  const CursorForm whole = CursorForm::Whole();
  EXPECT_DOUBLE_EQ(whole.Covered(2, 1), 0.25);
  EXPECT_DOUBLE_EQ(whole.Covered(1, 0), 0.5);
  const CursorForm slots = CursorForm::PerSlot();
  const uint64_t begin = slots.Begin(1, 2, 77);
  EXPECT_EQ(begin & (kSlots - 1), 77U);
  EXPECT_DOUBLE_EQ(slots.Covered(begin, slots.Begin(2, 2, 77)), 0.25);
  EXPECT_DOUBLE_EQ(slots.Covered(begin, slots.Begin(0, 0, 78)), 0.75);
  EXPECT_TRUE(slots.AtEnd(begin, slots.Begin(0, 0, 78)));
}

TEST(Info, IsParsed) {
  const Info info = ParseInfo(
      "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\nused_memory:12345\r\n"
      "maxmemory_policy:allkeys-lfu\r\nmodule:name=flash,ver=1\r\nrole:slave\r\n"
      "cluster_enabled:1\r\ndb0:keys=7,expires=1\r\ndb12:keys=3,expires=0\r\n");
  EXPECT_EQ(info.facts.version, "Valkey 8.1.0");
  EXPECT_EQ(info.facts.used_memory_bytes, 12345U);
  EXPECT_TRUE(info.facts.has_module);
  EXPECT_TRUE(info.cluster);
  EXPECT_TRUE(info.replica);
  EXPECT_EQ(info.keys_of_database.at(12), 3U);
}

TEST(Pace, KeepsToTheRateAndBacksOff) {
  base::ManualClock clock;
  uint64_t slept_us = 0;
  Pace pace(10'000, clock, [&](uint64_t us) {
    slept_us += us;
    clock.Advance(us);
  });
  for (int i = 0; i < 200; i++) {
    pace.Await(100);
    clock.Advance(500);
    pace.Took(100, 500);
  }
  EXPECT_DOUBLE_EQ(pace.commands_per_sec(), 10'000);
  const uint64_t before_us = clock.NowUs();
  for (int i = 0; i < 100; i++) pace.Await(100);
  EXPECT_NEAR(static_cast<double>(clock.NowUs() - before_us), 1e6, 2e4);
  EXPECT_EQ(pace.slowdowns(), 0U);
  pace.Took(100, 50'000);
  EXPECT_DOUBLE_EQ(pace.commands_per_sec(), 5'000);
  for (int i = 0; i < 100; i++) pace.Took(100, 50'000);
  EXPECT_LT(pace.commands_per_sec(), 10'000);
  EXPECT_GE(pace.slowdowns(), 5U);
}

TEST(TierCost, AgreesWithWhatWasMeasured) {
  // README: a cold string with a name of 16 bytes keeps 96; 1 KiB takes 1.03 of flash.
  const KeySample key{.kind = Kind::kString, .bytes = 56 + 16 + 1024, .name = "0123456789abcdef"};
  EXPECT_EQ(PayloadBytes(key), 1024U);
  EXPECT_DOUBLE_EQ(ColdRamBytes(key), 96);
  EXPECT_NEAR(FlashBytes(key) / 1024, 1.03, 0.005);
  // MEMORY USAGE of Valkey 8.0 for values of 44 and of 64 bytes behind a name of 8.
  EXPECT_FALSE(CanTier({.kind = Kind::kString, .bytes = 96, .name = "12345678"}, false));
  EXPECT_TRUE(CanTier({.kind = Kind::kString, .bytes = 128, .name = "12345678"}, false));
  EXPECT_FALSE(CanTier({.kind = Kind::kSet, .bytes = 9999, .name = "s"}, false));
}

}  // namespace
}  // namespace flash::tools::sizer
