// log_test.cc: appending, committing, opening again: the rules that need no power cut.
// Knows the public headers alone.
// The file is in memory; Tick stands for the log thread. Thread: the test's.
#include "log/log.h"

#include <gmock/gmock.h>

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

}  // namespace
}  // namespace flash::log
