// owner_lane_test.cc: reads that the owner hands to the device itself, over io_uring and over
// threads.
//
// No test measures time: what must become readable is polled with a limit far beyond the test's.
// Thread: the test's as owner, and the backend's.
#include "io/owner_lane.h"

#include <poll.h>
#include <pthread.h>

#include <array>
#include <string>
#include <vector>

#include "io/io_test_support.h"
#include "io/memory_device.h"
#include "io/tier_devices.h"
#include "io/wait.h"

namespace flash::io {
namespace {

constexpr uint64_t kCapacityBytes = 4 * kMiB;
constexpr int kVeryLongMs = 20'000;
constexpr size_t kManyTasks = 1000;

/// A read that remembers the thread of its work.
struct TracedRead : TestTask {
  TracedRead(uint64_t at, uint32_t length) : TestTask(TestTask::Read(at, length)) {
    work = [](Task& self, MutableBytes) noexcept {
      static_cast<TracedRead&>(self).thread = pthread_self();
    };
  }
  [[nodiscard]] bool by_owner() const { return pthread_equal(thread, pthread_self()) != 0; }
  pthread_t thread{};
};

class OwnerLaneTest : public ::testing::TestWithParam<DeviceChoice> {
 protected:
  void SetUp() override { Start({.threads = 1}); }
  void Start(const ThreadedBackend::Options& options) {
    backend_.reset();
    devices_.reset();
    file_.reset();
    auto file = FlashFile::Open({.path = folder_.path() + "/tier" + std::to_string(starts_++),
                                 .capacity_bytes = kCapacityBytes});
    ASSERT_TRUE(file);
    file_ = std::move(file).Take();
    devices_ = std::make_unique<TierDevices>(file_.get());
    auto backend = devices_->Start(GetParam(), options, &clock_);
    if (!backend && backend.code() == Code::kUnsupported) GTEST_SKIP() << backend.error().message;
    ASSERT_TRUE(backend);
    backend_ = std::move(backend).Take();
    if (backend_->owner_event_fd() < 0) GTEST_SKIP() << "no deferred work before Linux 6.1";
    const AlignedMemory memory = MakeAligned(kMiB);
    FillPattern(0, {memory.get(), kMiB});
    TestTask write = TestTask::Write(memory.get(), 0, kMiB);
    ASSERT_TRUE(backend_->Submit(&write));
    ASSERT_TRUE(DriveUntil(*backend_, [&] { return write.dones == 1; }));
    unit_ = backend_->alignment();
  }
  /// So many reads that do not meet.
  std::vector<TracedRead> Apart(uint64_t count) {
    std::vector<TracedRead> reads;
    for (uint64_t i = 0; i < count; ++i) reads.emplace_back(i * 2 * unit_, unit_);
    return reads;
  }
  bool BecomesReadable() {
    pollfd entry{.fd = backend_->owner_event_fd(), .events = POLLIN, .revents = 0};
    return poll(&entry, 1, kVeryLongMs) == 1;
  }
  bool DriveAll() {
    return DriveUntil(*backend_, [&] { return backend_->inflight() == 0; });
  }

  base::SystemClock clock_;
  TempFolder folder_;
  int starts_ = 0;
  std::unique_ptr<FlashFile> file_;
  std::unique_ptr<TierDevices> devices_;
  std::unique_ptr<ThreadedBackend> backend_;
  uint32_t unit_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Devices, OwnerLaneTest,
                         ::testing::Values(DeviceChoice::kUring, DeviceChoice::kThreads));

TEST_P(OwnerLaneTest, ALoneReadIsTheOwnersWorkAndShowsAtItsDescriptor) {
  for (uint64_t i = 0; i < 200; ++i) {
    TestTask read = TestTask::Read(i % 64 * unit_, unit_);
    ASSERT_TRUE(backend_->Submit(&read));
    EXPECT_EQ(backend_->inflight(), 1U);
    backend_->Kick();
    ASSERT_TRUE(BecomesReadable());
    DrainEventFd(backend_->owner_event_fd());
    while (read.dones == 0) backend_->Reap(1);
    EXPECT_EQ(read.result, 0);
    EXPECT_TRUE(IsPattern(read.offset, read.seen));
    EXPECT_EQ(backend_->inflight(), 0U);
  }
}

TEST_P(OwnerLaneTest, TheFirstReadStaysWithTheOwnerOthersGoToTheThread) {
  TracedRead first(0, unit_);
  TracedRead second(unit_, unit_);
  ASSERT_TRUE(backend_->Submit(&first));
  ASSERT_TRUE(backend_->Submit(&second));
  EXPECT_EQ(backend_->inflight(), 2U);
  ASSERT_TRUE(DriveAll());
  EXPECT_TRUE(first.by_owner());
  EXPECT_FALSE(second.by_owner());
}

TEST_P(OwnerLaneTest, AfterABunchOfReadsTheThreadKeepsLoneOnesForAWhile) {
  std::array<TracedRead, 2> bunch = {TracedRead(0, unit_), TracedRead(unit_, unit_)};
  for (TracedRead& read : bunch) ASSERT_TRUE(backend_->Submit(&read));
  ASSERT_TRUE(DriveAll());
  const auto a_lone_read_is_by_owner = [&] {
    TracedRead read(0, unit_);
    EXPECT_TRUE(backend_->Submit(&read));
    EXPECT_TRUE(DriveAll());
    return read.by_owner();
  };
  EXPECT_FALSE(a_lone_read_is_by_owner());
  EXPECT_FALSE(a_lone_read_is_by_owner());
  EXPECT_FALSE(a_lone_read_is_by_owner());
  EXPECT_TRUE(a_lone_read_is_by_owner());
}

TEST_P(OwnerLaneTest, ALargeReadGoesToTheThread) {
  TracedRead large(0, ReadBuffers::kSmallBytes + unit_);
  ASSERT_TRUE(backend_->Submit(&large));
  ASSERT_TRUE(DriveAll());
  EXPECT_FALSE(large.by_owner());
}

TEST_P(OwnerLaneTest, AsManyReadsAsAskedForAreTheOwnersOthersGoToTheThread) {
  constexpr uint32_t kOwners = 8;
  Start({.threads = 1, .owner_reads_max = kOwners});
  if (IsSkipped()) return;
  for (int round = 0; round < 50; ++round) {
    std::vector<TracedRead> reads = Apart(kOwners + 2);
    for (TracedRead& read : reads) ASSERT_TRUE(backend_->Submit(&read));
    EXPECT_EQ(backend_->inflight(), kOwners + 2);
    ASSERT_TRUE(DriveAll());
    for (size_t i = 0; i < reads.size(); ++i) {
      EXPECT_EQ(reads[i].by_owner(), i < kOwners);
      EXPECT_EQ(reads[i].dones, 1);
      EXPECT_TRUE(IsPattern(reads[i].offset, reads[i].seen));
    }
  }
}

TEST_P(OwnerLaneTest, InALongTurnTheDeviceBeginsBeforeItsEnd) {
  Start({.threads = 1, .owner_reads_max = 2 * OwnerLane::kHandOver});
  if (IsSkipped()) return;
  std::vector<TracedRead> reads = Apart(OwnerLane::kHandOver + 1);
  for (TracedRead& read : reads) ASSERT_TRUE(backend_->Submit(&read));
  // Without a Kick.
  EXPECT_TRUE(BecomesReadable());
  while (reads[OwnerLane::kHandOver - 1].dones == 0) {
    ASSERT_TRUE(BecomesReadable());
    DrainEventFd(backend_->owner_event_fd());
    backend_->Reap(kManyTasks);
  }
  ASSERT_TRUE(DriveAll());
  EXPECT_EQ(reads.back().dones, 1);
}

TEST_P(OwnerLaneTest, WhatAReapLeavesShowsAtOneOfTheDescriptors) {
  constexpr uint32_t kOwners = 8;
  Start({.threads = 1, .owner_reads_max = kOwners});
  if (IsSkipped()) return;
  for (int round = 0; round < 200; ++round) {
    std::vector<TracedRead> reads = Apart(kOwners);
    for (TracedRead& read : reads) ASSERT_TRUE(backend_->Submit(&read));
    backend_->Kick();
    // As in an event loop: Reap only when a descriptor says so, and too little each time.
    while (backend_->inflight() > 0) {
      pollfd entries[] = {{.fd = backend_->owner_event_fd(), .events = POLLIN, .revents = 0},
                          {.fd = backend_->event_fd(), .events = POLLIN, .revents = 0}};
      ASSERT_GE(poll(entries, 2, kVeryLongMs), 1);
      if (entries[0].revents != 0) DrainEventFd(entries[0].fd);
      backend_->Reap(1);
    }
  }
}

TEST_P(OwnerLaneTest, WaitEndsWithTheReadHoweverOftenItsSignWasLeft) {
  for (uint64_t i = 0; i < 500; ++i) {
    TestTask read = TestTask::Read(i % 64 * unit_, unit_);
    ASSERT_TRUE(backend_->Submit(&read));
    const uint64_t began_us = clock_.NowUs();
    while (read.dones == 0) {
      backend_->Wait(uint64_t{kVeryLongMs} * 1000);
      backend_->Reap(1);
    }
    EXPECT_LT(clock_.NowUs() - began_us, uint64_t{kVeryLongMs} * 1000);
    EXPECT_TRUE(IsPattern(read.offset, read.seen));
  }
}

TEST_P(OwnerLaneTest, BehindTheEndOfTheFileIsAnError) {
  TestTask read = TestTask::Read(kCapacityBytes + kMiB, unit_);
  ASSERT_TRUE(backend_->Submit(&read));
  ASSERT_TRUE(DriveAll());
  EXPECT_NE(read.result, 0);
  EXPECT_EQ(read.works, 0);
  EXPECT_EQ(backend_->stats().read_errors, 1U);
}

TEST_P(OwnerLaneTest, EndsWithAReadUnderWayAndForgetsIt) {
  TestTask read = TestTask::Read(0, unit_);
  ASSERT_TRUE(backend_->Submit(&read));
  backend_->Kick();
  backend_.reset();
  EXPECT_EQ(read.dones, 0);
}

TEST(OwnerLane, ADeviceThatCannotTellLeavesAllReadsToTheThreads) {
  const base::SystemClock clock;
  MemoryDeviceFactory factory(std::make_shared<MemoryFile>(kMiB), {});
  EXPECT_EQ(OwnerLane::Make(&factory, &clock, 1), nullptr);
}

}  // namespace
}  // namespace flash::io
