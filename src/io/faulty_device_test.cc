// faulty_device_test.cc: each kind of fault does what its name says, is counted, and obeys seed and
// script. The device below is a MemoryDevice, so that a test can look at what really reached the
// disk. Thread: the test's, and one more where Release wakes a waiting Reap.
#include "io/faulty_device.h"

#include <cerrno>
#include <thread>

#include "io/io_test_support.h"
#include "io/memory_device.h"

namespace flash::io {
namespace {

constexpr uint64_t kFileBytes = 1 * kMiB;
constexpr uint32_t kBytes = 8192;

class FaultyDeviceTest : public ::testing::Test {
 protected:
  void Open(const FaultPlan& plan) {
    injector_ = std::make_shared<FaultInjector>(plan);
    device_ = std::make_unique<FaultyDevice>(
        std::make_unique<MemoryDevice>(file_, MemoryDevice::Options{}), injector_, &clock_);
  }
  void OpenAlways(Fault fault) {
    FaultPlan plan;
    plan.file_bytes = kFileBytes;
    Open(plan.Rate(fault, 1'000'000));
  }
  void Submit(Op op, uint64_t offset, uint64_t token = 0) {
    ASSERT_TRUE(device_->Submit({.op = op,
                                 .offset = offset,
                                 .data = memory_.get() + token % 4 * kBytes,
                                 .bytes = kBytes,
                                 .token = token}));
  }
  /// The next completion; fails when `reaps_max` Reaps brought none.
  Completion Next(int reaps_max = 50) {
    Completion done;
    for (int i = 0; i < reaps_max; ++i) {
      if (device_->Reap({&done, 1}, 0) == 1) return done;
    }
    ADD_FAILURE() << "no completion";
    return {};
  }
  int32_t Run(Op op, uint64_t offset) {
    Submit(op, offset);
    return Next().result;
  }
  void Fill(uint64_t offset) { FillPattern(offset, {memory_.get(), kBytes}); }
  std::vector<std::byte> OnDisk(uint64_t offset, size_t bytes = kBytes) {
    std::vector<std::byte> data(bytes);
    EXPECT_EQ(file_->ReadAt(offset, data), bytes);
    return data;
  }
  /// Leading bytes of the transfer at `offset` that reached the disk.
  size_t Written(uint64_t offset) {
    const auto disk = OnDisk(offset);
    size_t count = 0;
    while (count < disk.size() && disk[count] == PatternAt(offset + count)) ++count;
    return count;
  }

  std::shared_ptr<MemoryFile> file_ = std::make_shared<MemoryFile>(kFileBytes);
  AlignedMemory memory_ = MakeAligned(4 * kBytes);
  base::ManualClock clock_;
  std::shared_ptr<FaultInjector> injector_;
  std::unique_ptr<FaultyDevice> device_;
};

TEST_F(FaultyDeviceTest, WithoutFaultsIsTheDeviceBelow) {
  Open({});
  Fill(4096);
  EXPECT_EQ(Run(Op::kWrite, 4096), static_cast<int32_t>(kBytes));
  EXPECT_EQ(Written(4096), kBytes);
  std::memset(memory_.get(), 0, kBytes);
  EXPECT_EQ(Run(Op::kRead, 4096), static_cast<int32_t>(kBytes));
  EXPECT_TRUE(IsPattern(4096, {memory_.get(), kBytes}));
  EXPECT_EQ(injector_->total(), 0U);
  EXPECT_EQ(device_->inflight(), 0U);
}

TEST_F(FaultyDeviceTest, ErrorFailsReadsAndWrites) {
  OpenAlways(Fault::kError);
  EXPECT_EQ(Run(Op::kRead, 0), -EIO);
  EXPECT_EQ(Run(Op::kWrite, 0), -EIO);
  EXPECT_EQ(injector_->count(Fault::kError), 2U);
}

TEST_F(FaultyDeviceTest, NoSpaceFailsWritesAndWritesNothing) {
  OpenAlways(Fault::kNoSpace);
  Fill(4096);
  EXPECT_EQ(Run(Op::kWrite, 4096), -ENOSPC);
  EXPECT_EQ(OnDisk(4096), std::vector<std::byte>(kBytes));
  EXPECT_EQ(Run(Op::kRead, 4096), static_cast<int32_t>(kBytes));
  EXPECT_EQ(injector_->count(Fault::kNoSpace), 1U);
}

TEST_F(FaultyDeviceTest, ShortTransfersAndSaysSo) {
  OpenAlways(Fault::kShort);
  Fill(4096);
  const int32_t result = Run(Op::kWrite, 4096);
  EXPECT_GT(result, 0);
  EXPECT_LT(result, static_cast<int32_t>(kBytes));
  EXPECT_EQ(result % 512, 0);
  const auto disk =
      OnDisk(4096 + static_cast<uint64_t>(result), kBytes - static_cast<size_t>(result));
  EXPECT_EQ(disk, std::vector<std::byte>(disk.size()));
}

TEST_F(FaultyDeviceTest, TornWritesAPrefixAndClaimsAll) {
  OpenAlways(Fault::kTorn);
  Fill(4096);
  EXPECT_EQ(Run(Op::kWrite, 4096), static_cast<int32_t>(kBytes));
  EXPECT_LT(Written(4096), kBytes);
  EXPECT_EQ(injector_->count(Fault::kTorn), 1U);
}

TEST_F(FaultyDeviceTest, LostWritesNothingAndClaimsAll) {
  OpenAlways(Fault::kLost);
  Fill(4096);
  EXPECT_EQ(Run(Op::kWrite, 4096), static_cast<int32_t>(kBytes));
  EXPECT_EQ(OnDisk(4096), std::vector<std::byte>(kBytes));
}

TEST_F(FaultyDeviceTest, SyncReachesTheDeviceBelowUnlessItFailsOrIsLost) {
  for (const auto fault : {std::optional<Fault>(), {Fault::kError}, {Fault::kLost}}) {
    Open({});
    file_->KeepCache();
    EXPECT_EQ(Run(Op::kWrite, 0), static_cast<int32_t>(kBytes));
    if (fault) injector_->Script({.fault = *fault, .op = Op::kSync});
    ASSERT_TRUE(device_->Submit({.op = Op::kSync}));
    EXPECT_EQ(Next().result, fault == Fault::kError ? -EIO : 0);
    EXPECT_EQ(file_->unsynced_sectors() == 0, !fault);
  }
}

TEST_F(FaultyDeviceTest, MisdirectedWritesElsewhereAndClaimsAll) {
  OpenAlways(Fault::kMisdirected);
  std::memset(memory_.get(), 0x5a, kBytes);
  EXPECT_EQ(Run(Op::kWrite, 512 * kKiB), static_cast<int32_t>(kBytes));
  const auto disk = OnDisk(0, kFileBytes);
  const std::vector<std::byte> wanted(kBytes, std::byte{0x5a});
  EXPECT_NE(OnDisk(512 * kKiB), wanted);
  EXPECT_EQ(std::count(disk.begin(), disk.end(), std::byte{0x5a}), kBytes);
}

TEST_F(FaultyDeviceTest, FlipChangesOneBitOfARead) {
  OpenAlways(Fault::kFlip);
  EXPECT_EQ(Run(Op::kRead, 4096), static_cast<int32_t>(kBytes));
  int bits = 0;
  for (size_t i = 0; i < kBytes; ++i) bits += std::popcount(std::to_integer<uint8_t>(memory_[i]));
  EXPECT_EQ(bits, 1);
  EXPECT_EQ(OnDisk(4096), std::vector<std::byte>(kBytes)) << "the disk itself is untouched";
}

TEST_F(FaultyDeviceTest, SlowEndsAfterReapsAndTime) {
  FaultPlan plan;
  plan.slow_us_max = 1'000'000;
  Open(plan.Rate(Fault::kSlow, 1'000'000));
  Submit(Op::kRead, 0);
  Completion done;
  EXPECT_EQ(device_->Reap({&done, 1}, 0), 0U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(device_->Reap({&done, 1}, 0), 0U) << "the clock stands";
  clock_.Advance(1'000'000);
  EXPECT_EQ(Next().result, static_cast<int32_t>(kBytes));
}

TEST_F(FaultyDeviceTest, ReorderedIsOvertaken) {
  FaultPlan plan;
  Open(plan);
  injector_->Script({.fault = Fault::kReordered});
  Submit(Op::kRead, 0, 1);
  Submit(Op::kRead, 0, 2);
  EXPECT_EQ(Next().token, 2U);
  EXPECT_EQ(Next().token, 1U);
  EXPECT_EQ(injector_->count(Fault::kReordered), 1U);
}

TEST_F(FaultyDeviceTest, HungEndsOnlyAfterRelease) {
  OpenAlways(Fault::kHung);
  Fill(4096);
  Submit(Op::kWrite, 4096);
  Completion done;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(device_->Reap({&done, 1}, 0), 0U);
  EXPECT_EQ(device_->inflight(), 1U);
  std::thread releaser([&] { injector_->Release(); });
  while (device_->Reap({&done, 1}, 60'000'000) == 0) {
  }
  releaser.join();
  EXPECT_EQ(done.result, static_cast<int32_t>(kBytes));
  EXPECT_EQ(Written(4096), kBytes);
}

TEST_F(FaultyDeviceTest, HangAllStopsAtRelease) {
  Open({});
  injector_->HangAll();
  Submit(Op::kRead, 0, 1);
  Submit(Op::kRead, 0, 2);
  Completion done;
  EXPECT_EQ(device_->Reap({&done, 1}, 0), 0U);
  injector_->Release();
  EXPECT_EQ(Next().token, 1U);
  EXPECT_EQ(Next().token, 2U);
  EXPECT_EQ(Run(Op::kRead, 0), static_cast<int32_t>(kBytes));
}

TEST_F(FaultyDeviceTest, ScriptHitsTheNthAndTheRange) {
  Open({});
  injector_->Script({.fault = Fault::kError, .op = Op::kRead, .skip = 2, .times = 1});
  injector_->Script({.fault = Fault::kNoSpace,
                     .op = Op::kWrite,
                     .offset_from = 100'000,
                     .offset_to = 200'000,
                     .skip = 0,
                     .times = 1'000});
  const auto full = static_cast<int32_t>(kBytes);
  EXPECT_EQ(Run(Op::kRead, 0), full);
  EXPECT_EQ(Run(Op::kWrite, 0), full);
  EXPECT_EQ(Run(Op::kRead, 0), full);
  EXPECT_EQ(Run(Op::kRead, 0), -EIO);
  EXPECT_EQ(Run(Op::kRead, 0), full);
  EXPECT_EQ(Run(Op::kWrite, 98'304), -ENOSPC) << "touches the range";
  EXPECT_EQ(Run(Op::kWrite, 65'536), full);
  EXPECT_EQ(Run(Op::kWrite, 196'608), -ENOSPC);
  EXPECT_EQ(injector_->count(Fault::kNoSpace), 2U);
}

TEST_F(FaultyDeviceTest, SameSeedSameHistory) {
  const auto history = [&](uint64_t seed) {
    FaultPlan plan;
    plan.seed = seed;
    plan.file_bytes = kFileBytes;
    for (size_t kind = 0; kind < kFaultKinds; ++kind) plan.per_million[kind] = 50'000;
    plan.Rate(Fault::kHung, 0);
    Open(plan);
    std::vector<int32_t> results;
    for (uint64_t i = 0; i < 200; ++i) {
      results.push_back(Run(i % 2 == 0 ? Op::kRead : Op::kWrite, i * 4096));
    }
    EXPECT_GT(injector_->total(), 20U);
    return results;
  };
  const auto first = history(7);
  EXPECT_EQ(first, history(7));
  EXPECT_NE(first, history(8));
}

TEST_F(FaultyDeviceTest, CanBeSwitchedOffAndOn) {
  OpenAlways(Fault::kError);
  injector_->SetEnabled(false);
  EXPECT_EQ(Run(Op::kRead, 0), static_cast<int32_t>(kBytes));
  injector_->SetEnabled(true);
  EXPECT_EQ(Run(Op::kRead, 0), -EIO);
}

}  // namespace
}  // namespace flash::io
