// read_buffers_test.cc: where large buffers lie, how many are kept, and that a child gets none.
// Small ones and the order of use: task_runner_test.cc. Thread: one.
//
#include "io/read_buffers.h"

#include <gtest/gtest.h>

#include "tests/support/memory_map.h"

namespace flash::io {
namespace {

TEST(ReadBuffers, TwoLargeOnesShareAHugePageThatNoChildGets) {
  ReadBuffers buffers({.small_count = 1, .large_count_max = 3});
  EXPECT_EQ(buffers.mapped_bytes(), ReadBuffers::kSmallBytes) << "none is made before it is needed";
  std::byte* const first = buffers.Take(ReadBuffers::kLargeBytes);
  std::byte* const second = buffers.Take(ReadBuffers::kSmallBytes + 1);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % base::kHugePageBytes, 0U);
  EXPECT_EQ(second, first + ReadBuffers::kLargeBytes);
  for (const std::byte* buffer : {first, second}) {
    const auto facts = testing::FactsOf(buffer);
    EXPECT_TRUE(facts.Has("dc"));
    EXPECT_EQ(facts.Has("hg"), testing::HaveHugePages());
  }
  buffers.Give(second, ReadBuffers::kSmallBytes + 1);
  buffers.Give(first, ReadBuffers::kLargeBytes);
}

TEST(ReadBuffers, BeyondTheTwoTheyComeAndGo) {
  ReadBuffers buffers({.small_count = 1, .large_count_max = 3});
  constexpr uint32_t kBytes = ReadBuffers::kLargeBytes;
  std::vector<std::byte*> taken;
  for (size_t room = 3; room > 0; --room) {
    EXPECT_EQ(buffers.Room(kBytes), room);
    taken.push_back(buffers.Take(kBytes));
    std::memset(taken.back(), 1, kBytes);
  }
  EXPECT_EQ(buffers.Take(kBytes), nullptr);
  EXPECT_EQ(buffers.mapped_bytes(), ReadBuffers::kSmallBytes + 3 * uint64_t{kBytes});
  EXPECT_TRUE(testing::FactsOf(taken[2]).Has("dc"));
  for (std::byte* buffer : taken) buffers.Give(buffer, kBytes);
  EXPECT_EQ(buffers.Room(kBytes), 3U);
  EXPECT_EQ(buffers.mapped_bytes(), ReadBuffers::kSmallBytes + 2 * uint64_t{kBytes});
}

}  // namespace
}  // namespace flash::io
