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

/// Writes one sector of `value` at sector 0.
void WriteSector(MemoryFile& file, uint8_t value, bool durable = false) {
  const std::vector<std::byte> data(MemoryFile::kSectorBytes, static_cast<std::byte>(value));
  EXPECT_EQ(file.WriteAt(0, data, durable), data.size());
}

TEST(MemoryFile, PowerCutKeepsAnyContentSinceTheDurableOneAndOnlyThose) {
  base::Random random(1);
  std::array<int, 6> seen{};
  for (int i = 0; i < 200; ++i) {
    MemoryFile file(4096);
    file.KeepCache();
    WriteSector(file, 1);
    WriteSector(file, 2, true);
    WriteSector(file, 3);
    file.Sync();
    WriteSector(file, 4);
    WriteSector(file, 5);
    EXPECT_EQ(file.unsynced_sectors(), 1U);
    file.CutPower(random);
    std::byte value{};
    EXPECT_EQ(file.ReadAt(100, {&value, 1}), 1U);
    ++seen.at(std::to_integer<size_t>(value));
    EXPECT_EQ(file.unsynced_sectors(), 0U);
  }
  EXPECT_EQ(seen[0] + seen[1] + seen[2], 0);
  EXPECT_GT(seen[3], 0);
  EXPECT_GT(seen[4], 0);
  EXPECT_GT(seen[5], 0);
}

TEST(MemoryFile, PowerCutKeepsAnySubsetOfTheSectorsOfAWrite) {
  base::Random random(1);
  std::array<int, 4> seen{};
  for (int i = 0; i < 100; ++i) {
    MemoryFile file(4096);
    file.KeepCache();
    const std::vector<std::byte> data(2 * MemoryFile::kSectorBytes, std::byte{1});
    EXPECT_EQ(file.WriteAt(0, data), data.size());
    file.CutPower(random);
    std::array<std::byte, 2 * MemoryFile::kSectorBytes> back;
    EXPECT_EQ(file.ReadAt(0, back), back.size());
    ++seen.at(std::to_integer<size_t>(back.front()) * 2 + std::to_integer<size_t>(back.back()));
  }
  for (const int count : seen) EXPECT_GT(count, 0);
}

TEST(MemoryDevice, LosesPowerInTheMiddleOfAWrite) {
  auto file = std::make_shared<MemoryFile>(64 * kKiB);
  file->KeepCache();
  MemoryDevice device(file, {});
  const AlignedMemory memory = MakeAligned(4096);
  const auto run = [&](Op op) {
    EXPECT_TRUE(device.Submit({.op = op,
                               .data = memory.get(),
                               .bytes = op == Op::kSync ? 0U : 4096U,
                               .durable = op == Op::kWrite}));
    Completion done;
    EXPECT_EQ(device.Reap({&done, 1}, 0), 1U);
    return done.result;
  };
  file->LosePowerAfter(3);
  EXPECT_EQ(run(Op::kWrite), 4096);
  EXPECT_EQ(file->unsynced_sectors(), 0U);
  EXPECT_EQ(run(Op::kSync), 0);
  EXPECT_FALSE(file->power_lost());
  EXPECT_EQ(run(Op::kWrite), -EIO);
  EXPECT_EQ(file->unsynced_sectors(), 8U);
  EXPECT_TRUE(file->power_lost());
  EXPECT_EQ(run(Op::kRead), -EIO);
  EXPECT_EQ(run(Op::kSync), -EIO);
  base::Random random(1);
  file->CutPower(random);
  EXPECT_EQ(run(Op::kRead), 4096);
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
