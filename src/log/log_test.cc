// log_test.cc: appending, committing, opening again: the rules that need no power cut.
// Knows the public headers alone.
// The file is in memory; Tick stands for the log thread. Thread: the test's.
#include "log/log.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "log/log_test_support.h"

namespace flash::log {
namespace {

using ::testing::HasSubstr;

class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    options_.segment_bytes = 64 * kKiB;
    options_.thread = false;
    options_.sync = SyncMode::kAlways;
    options_.file_bytes_max = 4 * kMiB;
  }
  Result<void> Open() {
    log_.reset();
    auto log = Log::Open(std::make_unique<MemoryStorage>(&disk_, &clock_), options_, &clock_);
    if (!log) return log.error();
    log_ = std::move(log).Take();
    return {};
  }
  void OpenNew() {
    ASSERT_TRUE(Open());
    ASSERT_TRUE(log_->found().empty());
    ASSERT_TRUE(log_->Begin(0));
  }
  /// One unit of effects of these sizes.
  void AddUnit(const std::vector<uint64_t>& sizes) {
    for (const uint64_t bytes : sizes) {
      const Lsn lsn = log_->last_lsn() + 1;
      EXPECT_EQ(log_->Add(EffectBytes(lsn, bytes)), lsn);
    }
    log_->EndUnit();
  }
  /// Opens again without closing and expects effects (after, last], as added by AddUnit.
  void ExpectFound(Lsn after, Lsn last) {
    const LogId id = log_->id();
    ASSERT_TRUE(Open());
    ASSERT_FALSE(log_->found().empty());
    EXPECT_EQ(log_->found()[0].last_lsn, last);
    auto seen = ReadEffects(*log_, id, after);
    ASSERT_TRUE(seen) << seen.error().message;
    ASSERT_EQ(seen->size(), last - after);
    Lsn lsn = after;
    for (const SeenEffect& effect : *seen) {
      EXPECT_EQ(effect.lsn, ++lsn);
      EXPECT_EQ(effect.bytes, EffectBytes(lsn, effect.bytes.size()));
    }
  }
  void PowerCut() {
    base::Random random(7);
    log_.reset();
    disk_.file->CutPower(random);
  }

  Disk disk_;
  base::ManualClock clock_;
  Options options_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogTest, FindsCommittedUnitsAgain) {
  OpenNew();
  AddUnit({10});
  AddUnit({0, 1, 300});
  ASSERT_TRUE(log_->Commit());
  EXPECT_EQ(log_->durable_lsn(), 4U);
  AddUnit({100});
  ASSERT_TRUE(log_->Commit());
  ExpectFound(0, 5);
  EXPECT_EQ(log_->found()[0].units, 3U);
  EXPECT_EQ(log_->found()[0].torn_bytes, 0U);
}

TEST_F(LogTest, GoesOnAfterResume) {
  OpenNew();
  for (int round = 0; round < 5; ++round) {
    AddUnit({100, 200});
    ASSERT_TRUE(log_->Commit());
    const LogId id = log_->id();
    ExpectFound(0, log_->last_lsn());
    ASSERT_TRUE(log_->Resume(id, 0));
    EXPECT_EQ(log_->id(), id);
  }
  EXPECT_EQ(log_->last_lsn(), 10U);
}

TEST_F(LogTest, AUnitMayBeLargerThanSegmentsAndBuffers) {
  options_.buffers = 2;
  OpenNew();
  AddUnit({5});
  ASSERT_TRUE(log_->MakeRoom(1'000'000));
  AddUnit({400'000, 3, 500'000});
  AddUnit({7});
  ASSERT_TRUE(log_->Commit());
  EXPECT_EQ(log_->durable_lsn(), 5U);
  const LogId id = log_->id();
  ExpectFound(0, 5);
  auto seen = ReadEffects(*log_, id, 3);
  ASSERT_TRUE(seen);
  ASSERT_EQ(seen->size(), 2U);  // From within a unit.
  EXPECT_EQ(seen->front().lsn, 4U);
  EXPECT_FALSE(seen->front().first_of_unit);
  EXPECT_TRUE(seen->back().first_of_unit);
}

TEST_F(LogTest, UnitsThatGroupShareAFrameUntilACommit) {
  OpenNew();
  const uint64_t empty = log_->counters().bytes_written;
  for (Lsn lsn = 1; lsn <= 20; ++lsn) log_->AddGrouped(EffectBytes(lsn, 100));
  ASSERT_TRUE(log_->Commit());
  EXPECT_EQ(log_->durable_lsn(), 20U);
  // A header for all of them: 20 of their own would not fit beside them into a page.
  EXPECT_LE(log_->counters().bytes_written - empty, 2 * kPageBytes);
  log_->AddGrouped(EffectBytes(21, 100));
  ASSERT_TRUE(log_->Commit());
  ExpectFound(0, 21);
  EXPECT_EQ(log_->found()[0].units, 2U);
}

TEST_F(LogTest, AUnitOfItsOwnEndsTheGroupBefore) {
  OpenNew();
  log_->AddGrouped(EffectBytes(1, 10));
  log_->AddGrouped(EffectBytes(2, 10));
  log_->Add(EffectBytes(3, 10));  // A unit that never ends takes nothing along.
  ASSERT_TRUE(log_->Commit());
  EXPECT_EQ(log_->durable_lsn(), 2U);
  ExpectFound(0, 2);
}

TEST_F(LogTest, AGroupedEffectWithinAUnitIsPartOfIt) {
  OpenNew();
  AddUnit({10});
  log_->Add(EffectBytes(2, 10));
  log_->AddGrouped(EffectBytes(3, 10));
  ASSERT_TRUE(log_->Commit());
  EXPECT_EQ(log_->durable_lsn(), 1U);
  log_->EndUnit();
  ASSERT_TRUE(log_->Commit());
  ExpectFound(0, 3);
  EXPECT_EQ(log_->found()[0].units, 2U);
}

TEST_F(LogTest, AGroupIsDiscardedWhole) {
  OpenNew();
  AddUnit({10});
  ASSERT_TRUE(log_->Commit());
  log_->AddGrouped(EffectBytes(2, 10));
  log_->AddGrouped(EffectBytes(3, 10));
  ASSERT_TRUE(log_->Discard());
  EXPECT_EQ(log_->last_lsn(), 1U);
  log_->AddGrouped(EffectBytes(2, 10));
  ASSERT_TRUE(log_->Commit());
  ExpectFound(0, 2);
}

TEST_F(LogTest, AGroupLargerThanTheBuffersIsWrittenBeforeItsEnd) {
  options_.buffers = 2;
  OpenNew();
  ASSERT_TRUE(log_->MakeRoom(kMiB));
  for (Lsn lsn = 1; lsn <= 100; ++lsn) log_->AddGrouped(EffectBytes(lsn, 5000));
  EXPECT_EQ(log_->durable_lsn(), 0U);
  ASSERT_TRUE(log_->Commit());
  ExpectFound(0, 100);
  EXPECT_EQ(log_->found()[0].units, 1U);
}

TEST_F(LogTest, AnUnfinishedUnitIsNotFound) {
  OpenNew();
  AddUnit({5});
  ASSERT_TRUE(log_->MakeRoom(500'000));
  ASSERT_TRUE(log_->Commit());
  log_->Add(EffectBytes(2, 300'000));  // More than the buffers: most of it is written.
  ASSERT_TRUE(log_->Commit());         // Nothing more has ended.
  EXPECT_EQ(log_->durable_lsn(), 1U);
  ExpectFound(0, 1);
  EXPECT_GT(log_->found()[0].torn_bytes, 100'000U);
}

TEST_F(LogTest, DamageInTheMiddleIsToldAndTheLastCommitLooksTorn) {
  OpenNew();
  for (int i = 0; i < 3; ++i) {
    AddUnit({100});
    ASSERT_TRUE(log_->Commit());
  }
  const uint64_t first_piece = kSegmentsOffset + kPageBytes;
  const std::vector<std::byte> zeros(100);
  const auto damage = [&](uint64_t at) {
    std::vector<std::byte> kept(zeros.size());
    EXPECT_EQ(disk_.file->ReadAt(at, kept), kept.size());
    disk_.file->WriteAt(at, zeros, true);
    const auto opened = Open();
    disk_.file->WriteAt(at, kept, true);
    return opened;
  };
  for (const uint64_t page : {0, 1}) {
    const auto opened = damage(first_piece + page * kPageBytes);
    ASSERT_FALSE(opened) << page;
    EXPECT_EQ(opened.code(), Code::kCorrupt);
    EXPECT_THAT(opened.error().message, HasSubstr("damaged behind LSN " + std::to_string(page)));
  }
  ASSERT_TRUE(damage(first_piece + 2 * kPageBytes));
  EXPECT_EQ(log_->found()[0].last_lsn, 2U);
  ASSERT_TRUE(Open());
  EXPECT_EQ(log_->found()[0].last_lsn, 3U);
}

TEST_F(LogTest, ACloseInOrderLeavesNothingToBeTorn) {
  OpenNew();
  AddUnit({100});
  ASSERT_TRUE(log_->Close());
  ASSERT_TRUE(Open());
  EXPECT_TRUE(log_->found()[0].closed);
  disk_.file->WriteAt(kSegmentsOffset + kPageBytes, std::vector<std::byte>(100), true);
  const auto opened = Open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.code(), Code::kCorrupt);
}

TEST_F(LogTest, RefusesNewerAndForeignFilesAndLivesWithOneSuperblock) {
  OpenNew();
  AddUnit({10});
  ASSERT_TRUE(log_->Commit());
  const std::vector<std::byte> zeros(kPageBytes);
  disk_.file->WriteAt(0, zeros, true);
  ASSERT_TRUE(Open());
  EXPECT_EQ(log_->found()[0].last_lsn, 1U);
  const std::byte newer{9};
  disk_.file->WriteAt(kPageBytes + 8, {&newer, 1}, true);
  auto opened = Open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.code(), Code::kForeign);
  EXPECT_THAT(opened.error().message, HasSubstr("version 9 is newer"));
  disk_.file->WriteAt(kPageBytes, base::AsBytes("something else"), true);
  opened = Open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.code(), Code::kForeign);
}

TEST_F(LogTest, AForeignIdAndAGapAreTold) {
  OpenNew();
  AddUnit({10});
  ASSERT_TRUE(log_->Commit());
  const LogId id = log_->id();
  ASSERT_TRUE(Open());
  LogId other = id;
  other[0] ^= std::byte{1};
  EXPECT_EQ(log_->Read(other, 0).code(), Code::kGone);
  EXPECT_EQ(log_->Resume(other, 0).code(), Code::kGone);
  ASSERT_TRUE(log_->Resume(id, 1));
  log_->Cut(1);
  log_->Tick();
  EXPECT_EQ(log_->cut_lsn(), 1U);
  ASSERT_TRUE(Open());
  EXPECT_EQ(log_->Read(id, 0).code(), Code::kCorrupt);
}

TEST_F(LogTest, AFailedWriteStopsForGoodAndANewLogEndsThat) {
  OpenNew();
  AddUnit({10});
  ASSERT_TRUE(log_->Commit());
  const LogId first = log_->id();
  disk_.faults->Script({.fault = io::Fault::kError, .op = io::Op::kWrite});
  AddUnit({10});
  EXPECT_EQ(log_->Commit().code(), Code::kIo);
  EXPECT_EQ(log_->state(), State::kFailed);
  EXPECT_EQ(log_->durable_lsn(), 1U);
  AddUnit({10});
  EXPECT_FALSE(log_->Commit());  // Though the device would take it.
  EXPECT_FALSE(log_->MakeRoom(1));
  ASSERT_TRUE(log_->Begin(3));
  EXPECT_EQ(log_->state(), State::kOpen);
  EXPECT_TRUE(log_->awaits_base());
  AddUnit({10});
  ASSERT_TRUE(log_->Commit());
  const LogId second = log_->id();
  ASSERT_TRUE(Open());
  ASSERT_EQ(log_->found().size(), 2U);  // Until a snapshot of the new one stands.
  EXPECT_TRUE(log_->found()[0].awaited_base);
  EXPECT_EQ(log_->found()[1].id, first);
  ASSERT_TRUE(log_->Resume(second, 3));
  log_->Cut(4);
  log_->Tick();
  ASSERT_TRUE(Open());
  EXPECT_EQ(log_->found().size(), 1U);
}

TEST_F(LogTest, AHungWriteIsGivenUpAndKeepsANewLogWaiting) {
  OpenNew();
  log_->SetIoTimeout(0);
  disk_.faults->HangAll();
  AddUnit({10});
  EXPECT_EQ(log_->Commit().code(), Code::kTimeout);
  EXPECT_EQ(log_->Begin(1).code(), Code::kBusy);
  disk_.faults->Release();
}

TEST_F(LogTest, CuttingKeepsTheFileWithinItsBoundForEver) {
  options_.file_bytes_max = kSegmentsOffset + 8 * options_.segment_bytes;
  OpenNew();
  uint64_t refused = 0;
  for (int i = 0; i < 400; ++i) {
    if (!log_->MakeRoom(10'000)) {
      ++refused;
      log_->Cut(log_->durable_lsn());
      log_->Tick();
      ASSERT_TRUE(log_->MakeRoom(10'000));
    }
    AddUnit({10'000});
    ASSERT_TRUE(log_->Commit());
  }
  EXPECT_GT(refused, 5U);
  EXPECT_LE(log_->file_bytes(), options_.file_bytes_max);
  ExpectFound(log_->cut_lsn(), 400);
}

TEST_F(LogTest, TheLogThreadWritesSyncsAndReserves) {
  const base::SystemClock clock;
  options_.thread = true;
  options_.sync = SyncMode::kEverySecond;
  options_.sync_interval_us = 1000;
  auto opened = Log::Open(std::make_unique<MemoryStorage>(&disk_, &clock), options_, &clock);
  ASSERT_TRUE(opened);
  log_ = std::move(opened).Take();
  ASSERT_TRUE(log_->Begin(0));
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(log_->MakeRoom(5000));
    AddUnit({5000});
    ASSERT_TRUE(log_->Commit());
  }
  while (log_->durable_lsn() < 200 && log_->state() == State::kOpen) std::this_thread::yield();
  EXPECT_EQ(log_->durable_lsn(), 200U);
  ASSERT_TRUE(log_->SetSync(SyncMode::kAlways));
  AddUnit({1});
  ASSERT_TRUE(log_->Commit());
  EXPECT_EQ(log_->durable_lsn(), 201U);
  const LogId id = log_->id();
  PowerCut();
  options_.thread = false;
  ASSERT_TRUE(Open());
  auto seen = ReadEffects(*log_, id, 0);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->size(), 201U);
}

/// With threads and a clock that goes.
class LogThreadsTest : public LogTest {
 protected:
  ~LogThreadsTest() override { log_.reset(); }  // Its threads look at the clock.
  void OpenWith(std::unique_ptr<Storage> storage) {
    options_.thread = true;
    auto opened = Log::Open(std::move(storage), options_, &real_);
    ASSERT_TRUE(opened);
    log_ = std::move(opened).Take();
    ASSERT_TRUE(log_->Begin(0));
  }
  base::SystemClock real_;
};

std::atomic<int> rung = 0;
void Ring() { ++rung; }

TEST_F(LogThreadsTest, AnOwnerThatIsBusyIsCommittedFor) {
  rung = 0;
  OpenWith(std::make_unique<MemoryStorage>(&disk_, &real_));
  log_->SetCommitAgeMax(1'000'000, Ring);
  AddUnit({10});
  log_->AddGrouped(EffectBytes(2, 10));
  while (log_->durable_lsn() < 2) std::this_thread::yield();
  EXPECT_TRUE(log_->Commit());
  EXPECT_EQ(rung, 0);
}

TEST_F(LogThreadsTest, WhatCannotBeCommittedForABusyOwnerRingsOnce) {
  rung = 0;
  OpenWith(std::make_unique<MemoryStorage>(&disk_, &real_));
  log_->SetCommitAgeMax(10'000, Ring);
  disk_.faults->HangAll();  // The log thread waits for the device itself.
  AddUnit({10});
  while (rung == 0) std::this_thread::yield();
  log_->SetIoTimeout(1000);
  disk_.faults->Release();
  [[maybe_unused]] const Result<void> either = log_->Commit();
  EXPECT_EQ(rung, 1);
}

TEST_F(LogThreadsTest, AFailureMeetsABusyOwnerToo) {
  rung = 0;
  OpenWith(std::make_unique<MemoryStorage>(&disk_, &real_));
  log_->SetCommitAgeMax(10'000, Ring);
  disk_.faults->Script({.fault = io::Fault::kError, .op = io::Op::kWrite});
  AddUnit({10});
  while (rung == 0) std::this_thread::yield();
  EXPECT_FALSE(log_->Commit());
  EXPECT_EQ(log_->state(), State::kFailed);
}

/// A file system that answers only when told to.
class HangingStorage final : public Storage {
 public:
  HangingStorage(std::unique_ptr<Storage> inner, std::atomic<bool>* hangs)
      : inner_(std::move(inner)), hangs_(hangs) {}
  [[nodiscard]] Result<std::unique_ptr<io::Device>> MakeDevice() override {
    return inner_->MakeDevice();
  }
  [[nodiscard]] uint64_t bytes() const override { return inner_->bytes(); }
  [[nodiscard]] Result<void> Grow(uint64_t bytes) override {
    while (*hangs_) std::this_thread::yield();
    return inner_->Grow(bytes);
  }
  [[nodiscard]] std::string name() const override { return inner_->name(); }

 private:
  std::unique_ptr<Storage> inner_;
  std::atomic<bool>* hangs_;
};

TEST_F(LogThreadsTest, AFileSystemThatHangsIsWaitedForOnce) {
  std::atomic<bool> hangs = false;
  OpenWith(
      std::make_unique<HangingStorage>(std::make_unique<MemoryStorage>(&disk_, &real_), &hangs));
  hangs = true;
  log_->SetIoTimeout(1000);
  EXPECT_FALSE(log_->MakeRoom(2 * kMiB));
  EXPECT_THAT(log_->room_error(), HasSubstr("did not answer"));
  log_->SetIoTimeout(3'600'000'000);  // Whoever waits again never comes back.
  EXPECT_FALSE(log_->MakeRoom(2 * kMiB));
  EXPECT_EQ(log_->state(), State::kOpen);
  hangs = false;
  while (!log_->MakeRoom(2 * kMiB)) std::this_thread::yield();
  while (!log_->room_error().empty()) std::this_thread::yield();
}

}  // namespace
}  // namespace flash::log
