// write_interest_test.cc: what the kernel says of epoll sets.
//
// Runs without a server, on real epoll sets. Thread: main.
#include "durability/write_interest.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vector>

namespace flash::durability {
namespace {

class WriteInterestTest : public ::testing::Test {
 protected:
  WriteInterestTest() : other_(epoll_create1(EPOLL_CLOEXEC)), set_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~WriteInterestTest() override {
    for (const int fd : fds_) close(fd);
    close(set_);
    close(other_);
  }

  int Watch(uint32_t events) {
    const int fd = eventfd(0, EFD_CLOEXEC);
    fds_.push_back(fd);
    Control(EPOLL_CTL_ADD, fd, events);
    return fd;
  }
  void Control(int operation, int fd, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ASSERT_EQ(epoll_ctl(set_, operation, fd, &event), 0);
  }

  int other_;  // A set that does not count.
  int set_;
  std::vector<int> fds_;
};

TEST_F(WriteInterestTest, FollowsTheSetThatWatchesTheKnownDescriptor) {
  const int known = Watch(EPOLLIN);
  WriteInterest interest;
  ASSERT_TRUE(interest.Find(known));
  EXPECT_EQ(interest.Any(), false);
  EXPECT_EQ(interest.descriptors(), 1u);
  const int client = Watch(EPOLLIN | EPOLLOUT);
  EXPECT_EQ(interest.Any(), true);
  EXPECT_EQ(interest.descriptors(), 2u);
  Control(EPOLL_CTL_MOD, client, EPOLLIN);
  EXPECT_EQ(interest.Any(), false);
}

TEST_F(WriteInterestTest, FindsOneWriterAmongThousands) {
  const int known = Watch(EPOLLIN);
  for (int i = 0; i < 2000; ++i) Watch(EPOLLIN);
  WriteInterest interest;
  ASSERT_TRUE(interest.Find(known));
  EXPECT_EQ(interest.Any(), false);
  const int last = Watch(EPOLLOUT);
  EXPECT_EQ(interest.Any(), true);
  EXPECT_EQ(interest.descriptors(), 2002u);
  Control(EPOLL_CTL_DEL, last, 0);
  EXPECT_EQ(interest.Any(), false);
}

TEST_F(WriteInterestTest, SaysNothingOfASetThatIsNotThere) {
  WriteInterest interest;
  EXPECT_EQ(interest.Any(), std::nullopt);
  const int unwatched = eventfd(0, EFD_CLOEXEC);
  fds_.push_back(unwatched);
  EXPECT_FALSE(interest.Find(unwatched));
  EXPECT_EQ(interest.Any(), std::nullopt);
  // The set found ends.
  const int known = Watch(EPOLLIN);
  ASSERT_TRUE(interest.Find(known));
  Control(EPOLL_CTL_DEL, known, 0);
  EXPECT_EQ(interest.Any(), std::nullopt);
}

TEST(WriteInterest, ParsesWhatKernelsPrint) {
  constexpr std::string_view kText =
      "pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t1038\n"
      "tfd:        5 events:       19 data:                5  pos:0 ino:40e sdev:10\n"
      "tfd:       12 events: 80000001 data:     7f0000000004  pos:0 ino:40e sdev:10\n";
  const WriteInterest::Text text = WriteInterest::Parse(kText, 12);
  EXPECT_EQ(text.descriptors, 2u);
  EXPECT_TRUE(text.lists_known);
  EXPECT_FALSE(text.any_writes);
  EXPECT_TRUE(WriteInterest::Parse("tfd:  5 events:  1d data: 5", 5).any_writes);
  EXPECT_FALSE(WriteInterest::Parse("tfd:  5 events:  1d data: 5", 6).lists_known);
  EXPECT_EQ(WriteInterest::Parse("", 5).descriptors, 0u);
  EXPECT_EQ(WriteInterest::Parse("tfd: x events: 1d\nevents: 4\ntfd:", 5).descriptors, 0u);
}

}  // namespace
}  // namespace flash::durability
