// device_contract_test.cc: what every real Device promises, over io_uring and over threads alike.
//
// One file of a folder of its own, O_DIRECT where the file system has it. What only one of them
// does is in its own test. No test measures time: a lost wake-up shows as a wait that runs into a
// limit far beyond the test's. Thread: the test's, and one more for Wake.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <thread>

#include "base/random.h"
#include "io/io_test_support.h"
#include "io/range_reader.h"
#include "io/threads_device.h"
#include "io/uring_device.h"
#include "io/wait.h"

namespace flash::io {
namespace {

constexpr uint64_t kCapacity = 4 * kMiB;
constexpr uint64_t kVeryLongUs = 3'000'000'000;

enum class Kind : uint8_t { kUring, kUringInterrupting, kThreads, kOneThread };

class DeviceContract : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    auto file = FlashFile::Open({.path = folder_.path() + "/tier", .capacity_bytes = kCapacity});
    ASSERT_TRUE(file) << file.error().message;
    file_ = std::move(file).Take();
    if (GetParam() == Kind::kThreads || GetParam() == Kind::kOneThread) {
      auto threads =
          TransferThreads::Start({.threads_max = GetParam() == Kind::kOneThread ? 1U : 8U});
      ASSERT_TRUE(threads) << threads.error().message;
      threads_ = std::move(threads).Take();
    } else if (auto probe = UringDevice::Open(*file_, {}); !probe) {
      GTEST_SKIP() << probe.error().message;
    }
  }
  std::unique_ptr<Device> Open(uint32_t entries = 64) {
    if (threads_ != nullptr) {
      return std::make_unique<ThreadsDevice>(file_->target(),
                                             ThreadsDevice::Options{.entries = entries}, threads_);
    }
    auto device = UringDevice::Open(
        *file_, {.entries = entries, .defer_work = GetParam() != Kind::kUringInterrupting});
    EXPECT_TRUE(device);
    return std::move(device).Take();
  }
  static int32_t Run(Device& device, Op op, uint64_t offset, MutableBytes memory) {
    EXPECT_TRUE(device.Submit({.op = op,
                               .offset = offset,
                               .data = memory.data(),
                               .bytes = static_cast<uint32_t>(memory.size()),
                               .token = 77}));
    Completion done;
    for (int i = 0; i < 100; ++i) {
      if (device.Reap({&done, 1}, 1'000'000) == 1) return done.token == 77 ? done.result : -1;
    }
    return -ETIMEDOUT;
  }

  TempFolder folder_;
  std::unique_ptr<FlashFile> file_;
  std::shared_ptr<TransferThreads> threads_;
};
INSTANTIATE_TEST_SUITE_P(Kinds, DeviceContract,
                         ::testing::Values(Kind::kUring, Kind::kUringInterrupting, Kind::kThreads,
                                           Kind::kOneThread));

TEST_P(DeviceContract, WhatWasWrittenIsRead) {
  auto device = Open();
  for (const size_t bytes : {size_t{8192}, size_t{1} * kMiB}) {
    const AlignedMemory memory = MakeAligned(bytes);
    FillPattern(64 * kKiB, {memory.get(), bytes});
    EXPECT_EQ(Run(*device, Op::kWrite, 64 * kKiB, {memory.get(), bytes}), bytes);
    std::memset(memory.get(), 0, bytes);
    EXPECT_EQ(Run(*device, Op::kRead, 64 * kKiB, {memory.get(), bytes}), bytes);
    EXPECT_TRUE(IsPattern(64 * kKiB, {memory.get(), bytes}));
  }
  EXPECT_EQ(device->inflight(), 0U);
}

TEST_P(DeviceContract, WritesDurablyAndSyncs) {
  const auto device = Open();
  const AlignedMemory memory = MakeAligned(8192);
  FillPattern(8192, {memory.get(), 8192});
  ASSERT_TRUE(device->Submit(
      {.op = Op::kWrite, .offset = 8192, .data = memory.get(), .bytes = 8192, .durable = true}));
  Completion done;
  while (device->Reap({&done, 1}, 1'000'000) == 0) {
  }
  EXPECT_EQ(done.result, 8192);
  EXPECT_EQ(Run(*device, Op::kSync, 0, {}), 0);
  EXPECT_EQ(Run(*device, Op::kRead, 8192, {memory.get(), 8192}), 8192);
  EXPECT_TRUE(IsPattern(8192, {memory.get(), 8192}));
}

TEST_P(DeviceContract, EndOfFileIsAShortTransfer) {
  auto device = Open();
  const AlignedMemory memory = MakeAligned(16 * kKiB);
  EXPECT_EQ(Run(*device, Op::kRead, kCapacity - 4096, {memory.get(), 16 * kKiB}), 4096);
  EXPECT_EQ(Run(*device, Op::kRead, kCapacity, {memory.get(), 4096}), 0);
}

TEST_P(DeviceContract, ErrorsAreThoseOfTheKernel) {
  auto device = Open();
  const AlignedMemory memory = MakeAligned(4096);
  FillPattern(0, {memory.get(), 4096});
  EXPECT_EQ(Run(*device, Op::kRead, uint64_t{1} << 63, {memory.get(), 4096}), -EINVAL);
  auto* const nowhere = reinterpret_cast<std::byte*>(uintptr_t{4096});  // NOLINT: unmapped
  EXPECT_EQ(Run(*device, Op::kRead, 0, {nowhere, 4096}), -EFAULT);
  EXPECT_EQ(Run(*device, Op::kWrite, 0, {memory.get(), 4096}), 4096) << "and it goes on";
}

TEST_P(DeviceContract, HoldsAsManyTransfersAsEntries) {
  auto device = Open(4);
  const AlignedMemory memory = MakeAligned(5 * 4096);
  const auto request = [&](uint64_t i) {
    return Request{.offset = i * 4096, .data = memory.get() + i * 4096, .bytes = 4096, .token = i};
  };
  for (uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(device->Submit(request(i)));
  EXPECT_FALSE(device->Submit(request(4)));
  EXPECT_EQ(device->inflight(), 4U);
  Completion done[8];
  std::set<uint64_t> tokens;
  for (int i = 0; i < 100 && tokens.size() < 4; ++i) {
    const size_t count = device->Reap(done, 1'000'000);
    for (size_t k = 0; k < count; ++k) tokens.insert(done[k].token);
  }
  EXPECT_EQ(tokens, (std::set<uint64_t>{0, 1, 2, 3}));
  EXPECT_TRUE(device->Submit(request(4)));
}

TEST_P(DeviceContract, ManyTransfersOfAllKindsEndOnceEach) {
  constexpr uint64_t kSlots = 48;
  auto device = Open();
  const AlignedMemory memory = MakeAligned(kSlots * 4096);
  base::Random random(7);
  std::vector<int> under_way(kSlots, 0);
  std::vector<Completion> done(16);
  uint64_t ended = 0;
  for (uint64_t begun = 0; ended < 20'000;) {
    for (uint64_t slot = 0; slot < kSlots && begun < 20'000; ++slot) {
      if (under_way[slot] != 0) continue;
      // Each slot has its own place on the disk, written whole and read back.
      const Op op = begun < kSlots || random.Chance(1, 3) ? Op::kWrite : Op::kRead;
      std::byte* const data = memory.get() + slot * 4096;
      if (op == Op::kRead) std::memset(data, 0, 4096);
      if (op == Op::kWrite) FillPattern(slot * 4096, {data, 4096});
      ASSERT_TRUE(device->Submit(
          {.op = op, .offset = slot * 4096, .data = data, .bytes = 4096, .token = slot}));
      under_way[slot] = 1;
      ++begun;
    }
    const size_t count = device->Reap(done, kVeryLongUs);
    for (size_t i = 0; i < count; ++i) {
      const uint64_t slot = done[i].token;
      ASSERT_LT(slot, kSlots);
      ASSERT_EQ(--under_way[slot], 0) << "ended twice";
      ASSERT_EQ(done[i].result, 4096);
      ASSERT_TRUE(IsPattern(slot * 4096, {memory.get() + slot * 4096, 4096}));
    }
    ended += count;
  }
  EXPECT_EQ(device->inflight(), 0U);
}

TEST_P(DeviceContract, WakeEndsAWaitEveryTime) {
  auto device = Open();
  Completion done[1];
  for (int i = 0; i < 200; ++i) {
    std::thread waker([&] { device->Wake(); });
    EXPECT_EQ(device->Reap(done, kVeryLongUs), 0U);
    waker.join();
  }
}

TEST_P(DeviceContract, AWakeBeforeTheWaitCounts) {
  auto device = Open();
  Completion done[1];
  EXPECT_EQ(device->Reap(done, 0), 0U);
  for (int i = 0; i < 100; ++i) {
    device->Wake();
    EXPECT_EQ(device->Reap(done, kVeryLongUs), 0U);
  }
}

TEST_P(DeviceContract, WaitEndsAtItsLimit) {
  auto device = Open();
  Completion done[1];
  EXPECT_EQ(device->Reap(done, 1000), 0U);
}

TEST_P(DeviceContract, TellsOfEveryEndByADescriptor) {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  auto device = Open();
  if (!device->NotifyBy(fd)) {
    close(fd);
    GTEST_SKIP() << "this device cannot";
  }
  const AlignedMemory memory = MakeAligned(4096);
  for (uint64_t i = 0; i < 500; ++i) {
    ASSERT_TRUE(
        device->Submit({.offset = i * 4096, .data = memory.get(), .bytes = 4096, .token = i}));
    device->Flush();
    Completion done;
    size_t count = 0;
    while (count == 0) {
      ASSERT_TRUE(WaitReadable(fd, kVeryLongUs));
      DrainEventFd(fd);
      count = device->Reap({&done, 1}, 0);
    }
    EXPECT_EQ(done.token, i);
  }
  device.reset();
  close(fd);
}

TEST_P(DeviceContract, LeavesNoTransferBehindThatUsesItsMemory) {
  for (int round = 0; round < 50; ++round) {
    auto device = Open();
    AlignedMemory memory = MakeAligned(32 * 4096);
    for (uint64_t i = 0; i < 32; ++i) {
      ASSERT_TRUE(device->Submit(
          {.offset = i * 4096, .data = memory.get() + i * 4096, .bytes = 4096, .token = i}));
      if (i == 15) device->Flush();
    }
    device.reset();
    memory.reset();  // What a sanitizer would see a late read write into.
  }
}

TEST_P(DeviceContract, RangesAreReadInParallelAndComeBackInOrder) {
  {
    auto writer = Open();
    const AlignedMemory content = MakeAligned(kCapacity);
    FillPattern(0, {content.get(), kCapacity});
    for (uint64_t at = 0; at < kCapacity; at += kMiB) {
      ASSERT_EQ(Run(*writer, Op::kWrite, at, {content.get() + at, kMiB}), kMiB);
    }
  }
  const base::SystemClock clock;
  RangeReader reader({.timeout_us = kVeryLongUs}, Open(8), &clock);
  const AlignedMemory memory = MakeAligned(kCapacity);
  for (uint64_t batch = 0; batch < 4; ++batch) {
    std::vector<RangeReader::Range> ranges;
    for (uint64_t at = batch * kMiB; at < (batch + 1) * kMiB; at += 64 * kKiB) {
      ranges.push_back({.offset = at, .into = {memory.get() + at, 64 * kKiB}});
    }
    reader.Start(ranges);
  }
  for (uint64_t batch = 0; batch < 4; ++batch) {
    ASSERT_TRUE(reader.Finish());
    EXPECT_TRUE(IsPattern(batch * kMiB, {memory.get() + batch * kMiB, kMiB}));
  }
  const RangeReader::Range behind{.offset = kCapacity, .into = {memory.get(), 4096}};
  reader.Start({&behind, 1});
  EXPECT_EQ(reader.Finish().code(), Code::kIo);
}

}  // namespace
}  // namespace flash::io
