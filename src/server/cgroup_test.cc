// cgroup_test.cc: memory limits of either version, and what is said about them.
//
// Over a folder made for the test. Thread: one.
#include "server/cgroup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/bytes.h"

namespace flash::server {
namespace {

class CgroupMemory : public ::testing::Test {
 protected:
  CgroupMemory() : root_(::testing::TempDir() + "flash-cgroup-" + std::to_string(getpid())) {}
  ~CgroupMemory() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = root_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string root_;
};

TEST_F(CgroupMemory, TheTightestOfTheGroupAndItsParents) {
  Write("a/b/memory.max", "max\n");
  Write("a/memory.max", "300000000\n");
  Write("memory.max", "500000000\n");
  EXPECT_EQ(CgroupMemoryBytes(root_, "0::/a/b\n"), 300000000U);
}

TEST_F(CgroupMemory, VersionOneAndItsNumberForNoLimit) {
  Write("memory/box/memory.limit_in_bytes", "268435456\n");
  Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(CgroupMemoryBytes(root_, "9:memory:/box\n4:cpu,cpuacct:/\n"), 268435456U);
  EXPECT_EQ(CgroupMemoryBytes(root_, "9:memory:/\n"), 0U);
}

TEST_F(CgroupMemory, NoLimitAnywhere) { EXPECT_EQ(CgroupMemoryBytes(root_, "0::/x\n"), 0U); }

TEST(MemoryAdvice, IsSilentWhereAllIsWell) {
  EXPECT_EQ(MemoryAdvice({}), "");
  EXPECT_EQ(MemoryAdvice({.maxmemory = kGiB, .cache_bytes = kGiB}), "");
  EXPECT_EQ(MemoryAdvice({.cgroup_bytes = kGiB, .maxmemory = kGiB / 2, .cache_bytes = kGiB}), "");
}

TEST(MemoryAdvice, SaysWhatToSet) {
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(
      has(MemoryAdvice({.cgroup_bytes = kGiB, .maxmemory = kGiB}), "maxmemory 1024mb leaves"));
  EXPECT_TRUE(has(MemoryAdvice({.cgroup_bytes = kGiB, .cache_bytes = kGiB}),
                  "flash.cache-size-bytes 1024mb"));
  EXPECT_TRUE(
      has(MemoryAdvice({.cgroup_bytes = kGiB, .cache_bytes = kGiB / 4}), "maxmemory is not set"));
}

TEST(TierlessAdvice, ComesWithFifteenPercentLeftOfTheTightestLimit) {
  EXPECT_EQ(TierlessAdvice({.used_bytes = 9 * kGiB}), "");
  EXPECT_EQ(TierlessAdvice({.used_bytes = 84 * kGiB, .machine_bytes = 100 * kGiB}), "");
  const std::string machine =
      TierlessAdvice({.used_bytes = 86 * kGiB, .machine_bytes = 100 * kGiB});
  EXPECT_NE(machine.find("88064mb of 102400mb of memory are used: beyond that"), machine.npos);
  const std::string group = TierlessAdvice(
      {.used_bytes = 9 * kGiB, .machine_bytes = 100 * kGiB, .cgroup_bytes = 10 * kGiB});
  EXPECT_NE(group.find("of 10240mb of memory are used: beyond that"), group.npos);
  const std::string server = TierlessAdvice({.used_bytes = 9 * kGiB,
                                             .machine_bytes = 100 * kGiB,
                                             .cgroup_bytes = 20 * kGiB,
                                             .maxmemory = 10 * kGiB});
  EXPECT_NE(server.find("of 10240mb of memory are used (maxmemory)"), server.npos);
}

}  // namespace
}  // namespace flash::server
