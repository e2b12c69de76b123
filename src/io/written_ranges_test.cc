// written_ranges_test.cc: space that is only reserved does not count as written.
// Skipped where the file system of the temporary folder does not tell. Thread: one.
//
#include "io/written_ranges.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "io/io_test_support.h"

namespace flash::io {
namespace {

class WrittenRangesTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kBytes = 8 * kMiB;

  void SetUp() override {
    fd_ = open((folder_.path() + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd_, 0);
    Write(0, 4096);
    if (WrittenRanges(fd_, kBytes).empty()) GTEST_SKIP() << "a file system that does not tell";
    if (fallocate(fd_, 0, 0, kBytes) != 0) GTEST_SKIP() << "a file system that reserves nothing";
  }
  void TearDown() override { close(fd_); }

  void Write(uint64_t offset, uint64_t bytes) {
    const std::string content(bytes, 'x');
    ASSERT_EQ(pwrite(fd_, content.data(), bytes, static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes));
    ASSERT_EQ(fdatasync(fd_), 0);
  }
  std::string Ranges(uint64_t bytes = kBytes) {
    std::string text;
    for (const FileRange& range : WrittenRanges(fd_, bytes)) {
      text += std::to_string(range.offset / kKiB) + "+" + std::to_string(range.bytes / kKiB) + " ";
    }
    return text;
  }

  TempFolder folder_;
  int fd_ = -1;
};

TEST_F(WrittenRangesTest, ReservedSpaceIsNotWritten) { EXPECT_EQ(Ranges(), "0+4 "); }

TEST_F(WrittenRangesTest, WritesCountWhereTheyWereAndOnce) {
  Write(1 * kMiB, 256 * kKiB);
  Write(4 * kMiB, 64 * kKiB);
  Write(1 * kMiB, 64 * kKiB);
  EXPECT_EQ(Ranges(), "0+4 1024+256 4096+64 ");
  Write(1 * kMiB + 256 * kKiB, 64 * kKiB);
  EXPECT_EQ(Ranges(), "0+4 1024+320 4096+64 ") << "neighbours are one";
  EXPECT_EQ(Ranges(1 * kMiB + 64 * kKiB), "0+4 1024+64 ") << "no further than asked";
}

TEST_F(WrittenRangesTest, AFileInManyPiecesIsAskedForInPortions) {
  for (uint64_t i = 1; i < 700; ++i) {
    const char byte = 'x';
    ASSERT_EQ(pwrite(fd_, &byte, 1, static_cast<off_t>(i * 8 * kKiB)), 1);
  }
  ASSERT_EQ(fdatasync(fd_), 0);
  EXPECT_EQ(WrittenRanges(fd_, kBytes).size(), 700U);
}

TEST_F(WrittenRangesTest, WhatIsNoFileSaysNothing) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_TRUE(WrittenRanges(ends[0], kBytes).empty());
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace flash::io
