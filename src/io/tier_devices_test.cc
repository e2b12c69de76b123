// tier_devices_test.cc: which device is chosen where io_uring is allowed, forbidden or short of
// memory, and what is said about it.
//
// Refusals are real: seccomp filters and limits in forked children. Thread: the test's as owner,
// and the backends'.
#include "io/tier_devices.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>

#include "io/io_test_support.h"
#include "io/uring_device.h"
#include "io/uring_refusal.h"

namespace flash::io {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TierDevicesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto file = FlashFile::Open({.path = folder_.path() + "/tier", .capacity_bytes = 4 * kMiB});
    ASSERT_TRUE(file) << file.error().message;
    file_ = std::move(file).Take();
    devices_ = std::make_unique<TierDevices>(file_.get());
  }
  auto Start(DeviceChoice choice, uint32_t threads = 3) {
    return devices_->Start(choice, {.threads = threads}, &clock_);
  }
  /// Writes by the backend and reads by it and by a device for one that waits.
  void ExpectWorks(Backend& backend) {
    const AlignedMemory memory = MakeAligned(kMiB);
    FillPattern(0, {memory.get(), kMiB});
    std::vector<TestTask> tasks = {TestTask::Write(memory.get(), 0, kMiB)};
    ASSERT_TRUE(RunAll(backend, tasks));
    EXPECT_EQ(tasks[0].result, 0);
    tasks.clear();
    for (uint64_t i = 0; i < 100; ++i) tasks.push_back(TestTask::Read(i * 4096, 8192));
    ASSERT_TRUE(RunAll(backend, tasks));
    for (const TestTask& task : tasks) EXPECT_TRUE(IsPattern(task.offset, task.seen));
    ExpectAnotherDevice();
  }
  void ExpectAnotherDevice() {
    auto device = devices_->MakeForWaiting(8);
    ASSERT_TRUE(device) << device.error().message;
    const AlignedMemory memory = MakeAligned(4096);
    ASSERT_TRUE((*device)->Submit({.offset = 8192, .data = memory.get(), .bytes = 4096}));
    Completion done;
    while ((*device)->Reap({&done, 1}, 1'000'000) == 0) {
    }
    EXPECT_EQ(done.result, 4096);
    EXPECT_TRUE(IsPattern(8192, {memory.get(), 4096}));
  }
  /// With `calls` refused by `error`: auto goes on with one line, uring stops, threads is as ever.
  void ExpectFallBack(std::initializer_list<int> calls, int error, const std::string& cause) {
    ExpectFallBack([&] { return Forbid(calls, error); }, cause);
  }
  void ExpectFallBack(const std::function<bool()>& forbid, const std::string& cause) {
    EXPECT_TRUE(InChild([&] {
      if (!forbid()) return false;
      auto backend = Start(DeviceChoice::kAuto);
      if (!backend) return false;
      EXPECT_FALSE(devices_->uses_uring());
      EXPECT_THAT(devices_->notes(), ElementsAre(HasSubstr(cause)));
      EXPECT_THAT(devices_->notes(), ElementsAre(HasSubstr("flash.io-backend threads")));
      ExpectWorks(**backend);
      EXPECT_TRUE(InChild([&] {
        ExpectAnotherDevice();
        return true;
      })) << "a forked child reads too";
      return true;
    })) << cause;
    EXPECT_TRUE(InChild([&] {
      if (!forbid()) return false;
      const auto backend = Start(DeviceChoice::kUring);
      if (backend || backend.code() != Code::kUnsupported) return false;
      EXPECT_THAT(backend.error().message, HasSubstr(cause));
      EXPECT_THAT(backend.error().message, HasSubstr("set flash.io-backend to auto or threads"));
      return true;
    })) << cause;
  }

  base::SystemClock clock_;
  TempFolder folder_;
  std::unique_ptr<FlashFile> file_;
  std::unique_ptr<TierDevices> devices_;
};

TEST_F(TierDevicesTest, WhereNothingIsForbiddenAutoTakesIoUringInSilence) {
  if (auto probe = UringDevice::Open(*file_, {}); !probe) GTEST_SKIP() << probe.error().message;
  auto backend = Start(DeviceChoice::kAuto);
  ASSERT_TRUE(backend) << backend.error().message;
  EXPECT_TRUE(devices_->uses_uring());
  EXPECT_EQ(devices_->transfer_threads(), 0U);
  EXPECT_THAT(devices_->notes(), IsEmpty());
  ExpectWorks(**backend);
}

TEST_F(TierDevicesTest, ThreadsAreTakenInSilenceWhenAskedFor) {
  auto backend = Start(DeviceChoice::kThreads);
  ASSERT_TRUE(backend) << backend.error().message;
  EXPECT_FALSE(devices_->uses_uring());
  EXPECT_THAT(devices_->notes(), IsEmpty());
  ExpectWorks(**backend);
  EXPECT_GE(devices_->transfer_threads(), 1U);
}

TEST_F(TierDevicesTest, ManyIoThreadsShareOnePoolThatStartsSmall) {
  auto backend = Start(DeviceChoice::kThreads, 64);
  ASSERT_TRUE(backend) << backend.error().message;
  EXPECT_EQ(devices_->transfer_threads(), 1U);
  ExpectWorks(**backend);
  EXPECT_LE(devices_->transfer_threads(), 64U);
}

TEST_F(TierDevicesTest, WhereIoUringIsForbiddenAutoGoesOnAndSaysWhy) {
  if (!ChildrenMayStartThreads()) GTEST_SKIP() << "a child that starts threads, under TSan";
  const auto all = {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register};
  ExpectFallBack(all, EPERM, "forbidden by a sandbox");
  ExpectFallBack(all, EACCES, "forbidden by a sandbox");
  ExpectFallBack(all, ENOSYS, "io_uring is missing");
  ExpectFallBack({SYS_io_uring_setup}, ENOMEM, "the locked-memory limit is");
  ExpectFallBack({SYS_io_uring_enter}, EPERM, "forbidden by a sandbox");
}

TEST_F(TierDevicesTest, WhereIoUringKillsAutoGoesOnAndSaysWhy) {
  if (!ChildrenMayStartThreads()) GTEST_SKIP() << "a child that starts threads, under TSan";
  for (const int call : {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}) {
    ExpectFallBack([&] { return KillFor({call}); }, "a sandbox that kills for it");
  }
}

TEST_F(TierDevicesTest, WhatIsDecidedWithoutAFileIsWhatStartComesTo) {
  if (!ChildrenMayStartThreads()) GTEST_SKIP() << "a child that starts threads, under TSan";
  TierDevices asked(nullptr);
  ASSERT_TRUE(asked.Decide(DeviceChoice::kThreads));
  EXPECT_FALSE(asked.uses_uring());
  EXPECT_TRUE(InChild([&] {
    if (!KillFor({SYS_io_uring_enter})) return false;
    if (asked.Decide(DeviceChoice::kUring).code() != Code::kUnsupported) return false;
    if (!asked.Decide(DeviceChoice::kAuto) || asked.uses_uring()) return false;
    EXPECT_THAT(asked.notes(), ElementsAre(HasSubstr("a sandbox that kills for it")));
    std::string cause;
    return asked.MakeForWaiting(file_->target(), 8, &cause).ok() && cause.empty();
  }));
  if (auto probe = UringDevice::Open(*file_, {}); !probe) GTEST_SKIP() << probe.error().message;
  ASSERT_TRUE(asked.Decide(DeviceChoice::kAuto));
  EXPECT_TRUE(asked.uses_uring());
  asked.SetFile(file_.get());
  auto backend = asked.Start(DeviceChoice::kAuto, {.threads = 1}, &clock_);
  ASSERT_TRUE(backend);
  EXPECT_TRUE(asked.uses_uring());
}

TEST_F(TierDevicesTest, ASmallMemlockCostsNoMoreThanTheRegisteredBuffers) {
  if (!ChildrenMayStartThreads()) GTEST_SKIP() << "a child that starts threads, under TSan";
  EXPECT_TRUE(InChild([&] {
    const rlimit limit{.rlim_cur = 64 * kKiB, .rlim_max = 64 * kKiB};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
    if (geteuid() == 0 && setuid(65534) != 0) return false;
    auto backend = Start(DeviceChoice::kAuto);
    if (!backend) return false;
    // One line, however many threads: buffers not registered, or no ring at all on old kernels.
    EXPECT_THAT(devices_->notes(), ElementsAre(HasSubstr("the locked-memory limit is 64 KiB")));
    ExpectWorks(**backend);
    return true;
  }));
}

TEST_F(TierDevicesTest, ADeviceOverAnotherFileIsIndependentOfTheTiers) {
  auto other = FlashFile::Open({.path = folder_.path() + "/other", .capacity_bytes = kMiB});
  ASSERT_TRUE(other);
  for (const DeviceChoice choice : {DeviceChoice::kAuto, DeviceChoice::kThreads}) {
    devices_ = std::make_unique<TierDevices>(file_.get());
    auto backend = Start(choice);
    ASSERT_TRUE(backend);
    auto device = devices_->MakeForWaiting((*other)->target(), 8);
    ASSERT_TRUE(device) << device.error().message;
    devices_->Refuse();
    const AlignedMemory memory = MakeAligned(4096);
    ASSERT_TRUE((*device)->Submit(
        {.op = Op::kWrite, .data = memory.get(), .bytes = 4096, .durable = true}));
    Completion done;
    while ((*device)->Reap({&done, 1}, 1'000'000) == 0) {
    }
    EXPECT_EQ(done.result, 4096);
  }
}

TEST_F(TierDevicesTest, WhereOneMoreRingIsNotToBeHadThreadsServeWhoWaits) {
  if (!ChildrenMayStartThreads()) GTEST_SKIP() << "a child that starts threads, under TSan";
  if (auto probe = UringDevice::Open(*file_, {}); !probe) GTEST_SKIP() << probe.error().message;
  EXPECT_TRUE(InChild([&] {
    auto backend = Start(DeviceChoice::kAuto);
    if (!backend || !Forbid({SYS_io_uring_setup}, ENOMEM)) return false;
    EXPECT_TRUE(devices_->uses_uring());
    std::string cause;
    EXPECT_TRUE(devices_->MakeForWaiting(file_->target(), 8, &cause));
    EXPECT_THAT(cause, HasSubstr("the locked-memory limit is"));
    ExpectWorks(**backend);
    return true;
  }));
  EXPECT_TRUE(InChild([&] {
    auto backend = Start(DeviceChoice::kUring);
    if (!backend || !Forbid({SYS_io_uring_setup}, ENOMEM)) return false;
    EXPECT_EQ(devices_->MakeForWaiting(file_->target(), 8).code(), Code::kUnsupported);
    return true;
  })) << "who demands io_uring gets it or hears why not";
}

TEST_F(TierDevicesTest, AfterRefuseTransfersEndWithoutTouchingTheFile) {
  auto backend = Start(DeviceChoice::kThreads);
  ASSERT_TRUE(backend);
  devices_->Refuse();
  std::vector<TestTask> tasks = {TestTask::Read(0, 4096)};
  ASSERT_TRUE(RunAll(**backend, tasks));
  EXPECT_EQ(tasks[0].result, -ECANCELED);
}

}  // namespace
}  // namespace flash::io
