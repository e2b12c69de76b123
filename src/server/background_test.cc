// background_test.cc: slices, turns and the end of background jobs.
//
// Thread: main.
#include "server/background.h"

#include <gtest/gtest.h>

#include <vector>

namespace flash::server {
namespace {

using Progress = BackgroundJob::Progress;

class ScriptedJob final : public BackgroundJob {
 public:
  explicit ScriptedJob(std::vector<Progress> script) : script_(std::move(script)) {}
  Progress Step(uint64_t /*deadline_us*/) override { return script_.at(steps++); }
  size_t steps = 0;

 private:
  std::vector<Progress> script_;
};

TEST(Background, AJobRunsUntilItIsDoneAndNeverAfter) {
  auto job = std::make_shared<ScriptedJob>(
      std::vector{Progress::kMore, Progress::kWaiting, Progress::kDone});
  EXPECT_FALSE(Background::Wanted());
  Background::Add(job);
  EXPECT_TRUE(Background::Wanted());
  Background::Run(1000);
  EXPECT_TRUE(Background::Wanted());  // kMore
  Background::Run(1000);
  EXPECT_FALSE(Background::Wanted());  // kWaiting
  Background::Run(1000);
  EXPECT_EQ(job->steps, 3U);
  EXPECT_EQ(job.use_count(), 1);
  Background::Run(1000);
  EXPECT_EQ(job->steps, 3U);
}

TEST(Background, ARunWithoutTimeStillGivesOneJobItsTurn) {
  auto first = std::make_shared<ScriptedJob>(std::vector{Progress::kMore, Progress::kDone});
  auto second = std::make_shared<ScriptedJob>(std::vector{Progress::kDone});
  Background::Add(first);
  Background::Add(second);
  Background::Run(0);
  EXPECT_EQ(first->steps, 1U);
  EXPECT_EQ(second->steps, 0U);
  EXPECT_TRUE(Background::Wanted());
  Background::Run(0);
  EXPECT_EQ(second->steps, 1U);
  Background::Run(0);
  EXPECT_EQ(first->steps, 2U);
  EXPECT_FALSE(Background::Wanted());
}

}  // namespace
}  // namespace flash::server
