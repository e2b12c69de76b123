// base_test.cc: bytes, results, clocks, random numbers, memory and checksums.
// Small promises that everything above relies on without looking.
// Thread: the test's.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/rate_limit.h"
#include "base/result.h"

namespace flash::base {
namespace {

TEST(Bytes, AlignsUpAndDown) {
  EXPECT_EQ(AlignUp(0, 512), 0U);
  EXPECT_EQ(AlignUp(1, 512), 512U);
  EXPECT_EQ(AlignUp(512, 512), 512U);
  EXPECT_EQ(AlignDown(1023, 512), 512U);
  EXPECT_EQ(AlignDown(64 * kTiB - 1, 4096), 64 * kTiB - 4096);
}

TEST(Bytes, StoresLittleEndianAtAnyAddress) {
  std::array<std::byte, 9> buffer{};
  StoreLe<uint64_t>(buffer.data() + 1, 0x0102030405060708ULL);
  EXPECT_EQ(buffer[0], std::byte{0});
  EXPECT_EQ(buffer[1], std::byte{8});
  EXPECT_EQ(buffer[8], std::byte{1});
  EXPECT_EQ(LoadLe<uint64_t>(buffer.data() + 1), 0x0102030405060708ULL);
  EXPECT_EQ(LoadLe<uint16_t>(buffer.data() + 1), 0x0708U);
}

TEST(Bytes, TextKeepsEveryByte) {
  const std::string text("a\0b", 3);
  EXPECT_EQ(AsText(AsBytes(text)), text);
}

TEST(Result, HoldsAValueOrAnError) {
  Result<std::unique_ptr<int>> value(std::make_unique<int>(7));
  ASSERT_TRUE(value);
  EXPECT_EQ(**value, 7);
  EXPECT_EQ(*std::move(value).Take(), 7);
  const Result<int> failed(Error{Code::kNoSpace, "full"});
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(failed.code(), Code::kNoSpace);
  EXPECT_EQ(failed.error().message, "full");
}

TEST(Result, OfVoidIsFineUntilItIsNot) {
  EXPECT_TRUE(Result<void>());
  const Result<void> failed(Code::kBusy);
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.code(), Code::kBusy);
}

TEST(ResultDeathTest, CheckEndsTheProcessWithTheCondition) {
  EXPECT_DEATH(FLASH_CHECK(1 + 1 == 3), "check failed: 1 \\+ 1 == 3");
}

TEST(Clock, ManualMovesOnlyWhenTold) {
  ManualClock clock;
  const uint64_t start_us = clock.NowUs();
  EXPECT_EQ(clock.NowUs(), start_us);
  clock.Advance(250);
  EXPECT_EQ(clock.NowUs(), start_us + 250);
}

TEST(Clock, SystemNeverGoesBack) {
  const SystemClock clock;
  uint64_t before_us = clock.NowUs();
  for (int i = 0; i < 1000; ++i) {
    const uint64_t now_us = clock.NowUs();
    ASSERT_GE(now_us, before_us);
    before_us = now_us;
  }
}

TEST(Random, IsTheSameSequenceEverywhere) {
  Random random(42);
  EXPECT_EQ(random.Next(), 0xbdd732262feb6e95ULL);
  EXPECT_EQ(random.Next(), 0x28efe333b266f103ULL);
}

TEST(Random, BelowStaysBelowAndReachesAll) {
  Random random(1);
  std::array<int, 7> seen{};
  for (int i = 0; i < 1000; ++i) ++seen[random.Below(7)];
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int count) { return count > 80; }));
  EXPECT_FALSE(random.Chance(0, 10));
  EXPECT_TRUE(random.Chance(10, 10));
}

TEST(Memory, ContainersUseTheInstalledHooks) {
  static int allocations = 0;
  static int releases = 0;
  allocations = releases = 0;
  InstallMemoryHooks({.allocate = [](size_t bytes) { return ++allocations, std::malloc(bytes); },
                      .release = [](void* memory) { ++releases, std::free(memory); },
                      .usable = [](void*) -> size_t { return 99; }});
  {
    std::vector<int, CountedAllocator<int>> numbers(100, 1);
    EXPECT_EQ(UsableSize(numbers.data()), 99U);
  }
  EXPECT_EQ(allocations, 1);
  EXPECT_EQ(releases, 1);
}

TEST(RateLimit, SaysTheFirstAndThenOneInTenSecondsWithHowManyWereLeftOut) {
  RateLimit limit;
  EXPECT_EQ(limit.Happened(0), 0U);
  EXPECT_EQ(limit.Happened(1), std::nullopt);
  EXPECT_EQ(limit.Happened(RateLimit::kQuietUs - 1), std::nullopt);
  EXPECT_EQ(limit.Happened(RateLimit::kQuietUs), 2U);
  EXPECT_EQ(limit.Happened(RateLimit::kQuietUs + 1), std::nullopt);
  EXPECT_EQ(limit.Happened(3 * RateLimit::kQuietUs), 1U);
  EXPECT_EQ(limit.Happened(5 * RateLimit::kQuietUs), 0U);
}

TEST(Checksum, IsXxh3AndDependsOnSeedAndEveryByte) {
  std::vector<std::byte> data(1000);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i);
  EXPECT_EQ(Checksum({}, 0), 0x2d06800538d394c2ULL) << "the specification's value for no bytes";
  const uint64_t sum = Checksum(data, 1);
  EXPECT_EQ(Checksum(data, 1), sum);
  EXPECT_NE(Checksum(data, 2), sum);
  for (std::byte& byte : data) {
    byte ^= std::byte{1};
    EXPECT_NE(Checksum(data, 1), sum);
    byte ^= std::byte{1};
  }
}

}  // namespace
}  // namespace flash::base
