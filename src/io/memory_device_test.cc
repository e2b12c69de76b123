// memory_device_test.cc: the file in memory and the device over it.
// Knows the public headers alone.
// Thread: the test's, and one more where Wake is tested.
#include "io/memory_device.h"

#include <cerrno>
#include <thread>

#include "io/io_test_support.h"

namespace flash::io {
namespace {

TEST(MemoryFile, ReadsBackWhatWasWrittenAcrossPages) {
  MemoryFile file(1 * kMiB);
  std::vector<std::byte> data(40 * kKiB);
  FillPattern(0, data);
  EXPECT_EQ(file.WriteAt(10'000, data), data.size());
  std::vector<std::byte> back(data.size());
  EXPECT_EQ(file.ReadAt(10'000, back), data.size());
  EXPECT_EQ(back, data);
  std::byte before{1};
  EXPECT_EQ(file.ReadAt(9'999, {&before, 1}), 1U);
  EXPECT_EQ(before, std::byte{0});
}

TEST(MemoryFile, EndsWhereItEnds) {
  MemoryFile file(1000);
  std::vector<std::byte> data(600, std::byte{7});
  EXPECT_EQ(file.WriteAt(800, data), 200U);
  EXPECT_EQ(file.ReadAt(800, data), 200U);
  EXPECT_EQ(file.ReadAt(1000, data), 0U);
  EXPECT_EQ(file.WriteAt(1000, data), 0U);
}

TEST(MemoryFile, ForgetsWhatWasCutOff) {
  MemoryFile file(64 * kKiB);
  std::vector<std::byte> data(64 * kKiB, std::byte{7});
  EXPECT_EQ(file.WriteAt(0, data), data.size());
  file.Resize(20'000);
  file.Resize(64 * kKiB);
  EXPECT_EQ(file.ReadAt(0, data), data.size());
  EXPECT_EQ(data[19'999], std::byte{7});
  EXPECT_EQ(data[20'000], std::byte{0});
  EXPECT_EQ(data[60'000], std::byte{0});
}

TEST(MemoryDevice, TransfersAndReportsShortAndFull) {
  auto file = std::make_shared<MemoryFile>(64 * kKiB);
  MemoryDevice device(file, {});
  const AlignedMemory memory = MakeAligned(8192);
  FillPattern(0, {memory.get(), 8192});
  Request request{.op = Op::kWrite, .offset = 60 * kKiB, .data = memory.get(), .bytes = 8192};
  request.token = 1;
  ASSERT_TRUE(device.Submit(request));
  request.offset = 64 * kKiB;
  request.token = 2;
  ASSERT_TRUE(device.Submit(request));
  request.op = Op::kRead;
  request.token = 3;
  ASSERT_TRUE(device.Submit(request));
  EXPECT_EQ(device.inflight(), 3U);
  Completion done[8];
  ASSERT_EQ(device.Reap(done, 0), 3U);
  EXPECT_EQ(done[0].result, 4096);
  EXPECT_EQ(done[1].result, -ENOSPC);
  EXPECT_EQ(done[2].result, 0);
  EXPECT_EQ(done[2].token, 3U);
  EXPECT_EQ(device.inflight(), 0U);
}

TEST(MemoryDevice, RefusesMoreThanItsEntries) {
  MemoryDevice device(std::make_shared<MemoryFile>(64 * kKiB), {.entries = 2, .alignment = 512});
  const AlignedMemory memory = MakeAligned(512);
  const Request request{.data = memory.get(), .bytes = 512};
  EXPECT_TRUE(device.Submit(request));
  EXPECT_TRUE(device.Submit(request));
  EXPECT_FALSE(device.Submit(request));
  Completion done[1];
  EXPECT_EQ(device.Reap(done, 0), 1U);
  EXPECT_TRUE(device.Submit(request));
}

TEST(MemoryDevice, WakeEndsAWaitAndIsNotForgotten) {
  MemoryDevice device(std::make_shared<MemoryFile>(64 * kKiB), {});
  Completion done[1];
  device.Wake();
  EXPECT_EQ(device.Reap(done, 60'000'000), 0U);
  std::thread waker([&] { device.Wake(); });
  EXPECT_EQ(device.Reap(done, 60'000'000), 0U);
  waker.join();
}

}  // namespace
}  // namespace flash::io
