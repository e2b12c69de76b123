// cpu_count_test.cc: quotas as the kernel writes them, over a made-up cgroup tree.
//
// Runs without a server. Thread: main.
#include "server/cpu_count.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace flash::server {
namespace {

class CgroupTree : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "cgroup-" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = root_ + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string root_;
};

TEST(CpusOfQuota, RoundsUpAndKnowsNoLimit) {
  EXPECT_EQ(CpusOfQuota("200000 100000\n"), 2u);
  EXPECT_EQ(CpusOfQuota("150000 100000\n"), 2u);
  EXPECT_EQ(CpusOfQuota("1000 100000\n"), 1u);
  EXPECT_EQ(CpusOfQuota("max 100000\n"), 0u);
  EXPECT_EQ(CpusOfQuota("-1\n 100000\n"), 0u);
  EXPECT_EQ(CpusOfQuota(""), 0u);
}

TEST_F(CgroupTree, ParentsQuotaCountsWhenTighter) {
  Write("a/b/cpu.max", "400000 100000\n");
  Write("a/cpu.max", "300000 100000\n");
  EXPECT_EQ(CgroupCpus(root_, "0::/a/b\n"), 3u);
}

TEST_F(CgroupTree, NamespacedRootHasItsOwnFile) {
  Write("cpu.max", "100000 100000\n");
  EXPECT_EQ(CgroupCpus(root_, "0::/\n"), 1u);
}

TEST_F(CgroupTree, VersionOneQuota) {
  Write("cpu/box/cpu.cfs_quota_us", "250000\n");
  Write("cpu/box/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCpus(root_, "9:memory:/box\n4:cpu,cpuacct:/box\n"), 3u);
}

TEST_F(CgroupTree, NoQuotaAnywhere) { EXPECT_EQ(CgroupCpus(root_, "0::/x/y\n"), 0u); }

TEST(AutomaticIoThreads, StaysInItsBounds) {
  EXPECT_GE(AutomaticIoThreads(), 1u);
  EXPECT_LE(AutomaticIoThreads(), 8u);
}

TEST(AutomaticMainThreadReads, AllOfThemWhereThreadsWouldShareTheCpus) {
  EXPECT_EQ(AutomaticMainThreadReads(1), 24u);
  EXPECT_EQ(AutomaticMainThreadReads(2), 24u);
  EXPECT_EQ(AutomaticMainThreadReads(3), 1u);
}

TEST(BackgroundThreads, LeaveTheMainThreadACpu) {
  EXPECT_EQ(BackgroundThreads(1), 1u);
  EXPECT_EQ(BackgroundThreads(2), 1u);
  EXPECT_EQ(BackgroundThreads(8), 7u);
}

}  // namespace
}  // namespace flash::server
