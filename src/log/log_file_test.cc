// log_file_test.cc: a log in a real file: named, locked, grown, written through io_uring.
// Skipped where io_uring is forbidden.
// Thread: the test's, and the log thread.
#include "log/log_file.h"

#include "io/io_test_support.h"
#include "log/log_test_support.h"

namespace flash::log {
namespace {

TEST(LogFile, LiesBesideTheTierOrInAFolderOfItsOwn) {
  EXPECT_EQ(LogPath("/data/flash.bin", ""), "/data/flash.wal");
  EXPECT_EQ(LogPath("/da.ta/flash", ""), "/da.ta/flash.wal");
  EXPECT_EQ(LogPath("flash.bin", "/logs"), "/logs/flash.wal");
}

TEST(LogFile, KeepsALogOverOpeningsAndMovesAway) {
  const io::TempFolder folder;
  const std::string path = folder.path() + "/tier.wal";
  const base::SystemClock clock;
  Options options;
  options.segment_bytes = 256 * kKiB;
  options.sync = SyncMode::kAlways;
  LogId id{};
  for (Lsn round = 0; round < 3; ++round) {
    auto file = LogFile::Open({.path = path});
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ((*file)->created(), round == 0);
    if (round == 0 && !(*file)->MakeDevice()) GTEST_SKIP() << "no io_uring";
    auto log = Log::Open(std::move(file).Take(), options, &clock);
    ASSERT_TRUE(log) << log.error().message;
    if (round == 0) {
      ASSERT_TRUE((*log)->Begin(0));
      id = (*log)->id();
    } else {
      auto seen = ReadEffects(**log, id, 0);
      ASSERT_TRUE(seen) << seen.error().message;
      ASSERT_EQ(seen->size(), round);
      EXPECT_EQ(seen->back().bytes, EffectBytes(round, 300'000));
      ASSERT_TRUE((*log)->Resume(id, 0));
    }
    ASSERT_TRUE((*log)->MakeRoom(300'000));
    (*log)->Add(EffectBytes(round + 1, 300'000));
    (*log)->EndUnit();
    ASSERT_TRUE((*log)->Commit());
    EXPECT_EQ((*log)->durable_lsn(), round + 1);
  }
  auto moved = LogFile::Archive(path);
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_TRUE(std::filesystem::exists(*moved));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(LogFile, RefusesWhatIsNotAFile) {
  const io::TempFolder folder;
  EXPECT_EQ(LogFile::Open({.path = folder.path()}).code(), Code::kInvalid);
  EXPECT_EQ(LogFile::Open({.path = folder.path() + "/none/x.wal"}).code(), Code::kInvalid);
}

}  // namespace
}  // namespace flash::log
