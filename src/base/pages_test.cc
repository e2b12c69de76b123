// pages_test.cc: where runs of pages begin, when they take memory, and what a child sees of them.
// Thread: the test's, and forked children.
//
#include "base/pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/memory_map.h"

namespace flash::base {
namespace {

class PagesTest : public ::testing::Test {
 protected:
  ~PagesTest() override { UnmapPages(pages_); }
  void Map(size_t bytes, PageKind kind) { pages_ = MapPages(bytes, kind); }
  [[nodiscard]] bool BeginsAtAHugePage() const {
    return reinterpret_cast<uintptr_t>(pages_.data()) % kHugePageBytes == 0;
  }

  MutableBytes pages_;
};

TEST_F(PagesTest, HugeOnesBeginAtAHugePageAndAskForThem) {
  Map(3 * kHugePageBytes + 16 * kKiB, PageKind::kHuge);
  EXPECT_EQ(pages_.size(), 3 * kHugePageBytes + 16 * kKiB);
  EXPECT_TRUE(BeginsAtAHugePage());
  if (!testing::HaveHugePages()) GTEST_SKIP() << "a kernel without huge pages";
  EXPECT_TRUE(testing::FactsOf(pages_.data()).Has("hg"));
  EXPECT_TRUE(testing::FactsOf(pages_.data() + pages_.size() - 1).Has("hg"));
}

TEST_F(PagesTest, LittleMemoryAndOrdinaryPagesAskForNone) {
  Map(kHugePageBytes - 4096, PageKind::kHuge);
  EXPECT_FALSE(testing::FactsOf(pages_.data()).Has("hg"));
  UnmapPages(pages_);
  Map(2 * kHugePageBytes, PageKind::kOrdinary);
  EXPECT_FALSE(testing::FactsOf(pages_.data()).Has("hg"));
}

TEST_F(PagesTest, TakeNoMemoryUntilTouchedAndAreZero) {
  Map(4 * kHugePageBytes, PageKind::kHuge);
  if (!testing::HaveHugePages()) GTEST_SKIP() << "a run that the kernel joins with neighbours";
  EXPECT_EQ(testing::FactsOf(pages_.data()).resident_bytes, 0U);
  const MutableBytes last = pages_.last(4096);
  for (const std::byte byte : last) ASSERT_EQ(byte, std::byte{0});
  last[0] = std::byte{1};
  EXPECT_LE(testing::FactsOf(pages_.data()).resident_bytes, kHugePageBytes) << "one huge page";
}

TEST_F(PagesTest, AChildSeesHugeOnesAsTheyWereAtTheFork) {
  Map(2 * kHugePageBytes, PageKind::kHuge);
  for (size_t i = 0; i < pages_.size(); i += 512) pages_[i] = static_cast<std::byte>(i / 512 + 1);
  int gate[2];
  ASSERT_EQ(pipe(gate), 0);
  const pid_t child = fork();
  if (child == 0) {
    char go = 0;
    bool same = read(gate[0], &go, 1) == 1;  // The parent has written over them.
    for (size_t i = 0; i < pages_.size(); i += 512) {
      same = same && pages_[i] == static_cast<std::byte>(i / 512 + 1);
    }
    _exit(same ? 0 : 1);
  }
  for (size_t i = 0; i < pages_.size(); i += 512) pages_[i] = std::byte{0};
  ASSERT_EQ(write(gate[1], "g", 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  close(gate[0]);
  close(gate[1]);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace flash::base
