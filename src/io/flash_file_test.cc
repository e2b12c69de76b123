// flash_file_test.cc: what is created, reused and refused, each refusal with its words.
// Locks, limits and users are the process's, so those cases run in forked children.
// Thread: the test's.
#include "io/flash_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "base/checksum.h"
#include "io/io_test_support.h"
#include "io/superblock.h"

namespace flash::io {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kCapacity = 1 * kMiB;

class FlashFileTest : public ::testing::Test {
 protected:
  void SetUp() override { path_ = folder_.path() + "/tier.bin"; }

  Result<std::unique_ptr<FlashFile>> Open(uint64_t capacity = kCapacity) {
    return FlashFile::Open({.path = path_, .capacity_bytes = capacity});
  }
  void ExpectRefused(Code code, const std::string& words, uint64_t capacity = kCapacity) {
    const auto file = Open(capacity);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.code(), code);
    EXPECT_THAT(file.error().message, HasSubstr(path_));
    EXPECT_THAT(file.error().message, HasSubstr(words));
    EXPECT_EQ(file.error().message.find('\n'), std::string::npos);
  }
  void Put(const std::string& content) { std::ofstream(path_, std::ios::binary) << content; }
  std::string Content() {
    std::ifstream stream(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  uint64_t Size() {
    struct stat status {};
    EXPECT_EQ(stat(path_.c_str(), &status), 0);
    return static_cast<uint64_t>(status.st_size);
  }
  bool Exists() { return access(path_.c_str(), F_OK) == 0; }

  /// Runs `body` in a forked child; true if it returned true there.
  static bool InChild(const std::function<bool()>& body) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      const bool fine = body() && !::testing::Test::HasFailure();
      std::fflush(nullptr);
      _exit(fine ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  TempFolder folder_;
  std::string path_;
};

TEST_F(FlashFileTest, CreatesASizedFileOfTheServersUserAlone) {
  const auto file = Open();
  ASSERT_TRUE(file);
  EXPECT_TRUE((*file)->created());
  EXPECT_EQ((*file)->capacity_bytes(), kCapacity);
  EXPECT_EQ(Size(), kCapacity);
  EXPECT_GE((*file)->alignment(), 512U);
  EXPECT_LE((*file)->alignment(), 4096U);
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  EXPECT_GE(static_cast<uint64_t>(status.st_blocks) * 512, kCapacity) << "space is reserved";
}

TEST_F(FlashFileTest, TakesAnEmptyFileAndReusesItsOwn) {
  Put("");
  FileId id{};
  {
    const auto file = Open();
    ASSERT_TRUE(file);
    EXPECT_FALSE((*file)->created());
    id = (*file)->id();
    EXPECT_NE(id, FileId{});
  }
  const auto again = Open();
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->id(), id);
}

TEST_F(FlashFileTest, GrowsAndShrinks) {
  ASSERT_TRUE(Open(kCapacity));
  ASSERT_TRUE(Open(3 * kCapacity));
  EXPECT_EQ(Size(), 3 * kCapacity);
  const auto file = Open(kCapacity / 2 + 100);
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->capacity_bytes(), kCapacity / 2) << "rounded down to 4 KiB";
  EXPECT_EQ(Size(), kCapacity / 2);
}

TEST_F(FlashFileTest, RefusesAndKeepsAForeignFile) {
  const std::string content(100'000, 'x');
  Put(content);
  ExpectRefused(Code::kForeign, "is not a valkey-flash file and is never overwritten");
  ExpectRefused(Code::kForeign, "SAVE under that module, move its files away");
  EXPECT_EQ(Content(), content);
  Put("short");
  ExpectRefused(Code::kForeign, "is not a valkey-flash file");
  EXPECT_EQ(Content(), "short");
}

TEST_F(FlashFileTest, RefusesANewerVersionByNumber) {
  ASSERT_TRUE(Open());
  std::string content = Content();
  content[8] = 7;
  Put(content);
  ExpectRefused(Code::kForeign, "format version 7 is newer than this module's 2");
  EXPECT_EQ(Content(), content);
}

TEST_F(FlashFileTest, RefusesADamagedHeader) {
  ASSERT_TRUE(Open());
  const std::string content = Content();
  for (const size_t at : {20U, 33U, 3000U, 4090U}) {
    std::string damaged = content;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    Put(damaged);
    ExpectRefused(Code::kForeign, "header is damaged; remove the file");
  }
  Put(content.substr(0, 100));
  ExpectRefused(Code::kForeign, "header is damaged");
}

TEST_F(FlashFileTest, RefusesFoldersAndMissingFolders) {
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  ExpectRefused(Code::kInvalid, "is a folder; set flash.path to a file in it");
  path_ += "/none/tier.bin";
  ExpectRefused(Code::kInvalid, "the folder does not exist; create it");
}

TEST_F(FlashFileTest, RefusesWhatIsNoRegularFile) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  ExpectRefused(Code::kForeign, "is not a regular file");
}

TEST_F(FlashFileTest, RefusesBlockDevicesWithoutOpeningThem) {
  // A device that does not exist: who opened it would hear of that.
  if (mknod(path_.c_str(), S_IFBLK | 0600, makedev(7, 4095)) != 0) {
    GTEST_SKIP() << "no right to make a device node";
  }
  ExpectRefused(Code::kForeign, "is a block device, which cannot be a tier; make a file system");
  const auto checked = FlashFile::Check({.path = path_, .capacity_bytes = kCapacity});
  EXPECT_EQ(checked.code(), Code::kForeign);
}

TEST_F(FlashFileTest, SaysWhatWasWrittenBefore) {
  const auto count = [](const FlashFile& file) {
    uint64_t bytes = 0;
    for (const FileRange& range : file.written_before()) bytes += range.bytes;
    return bytes;
  };
  {
    const auto file = Open();
    ASSERT_TRUE(file);
    if (count(**file) == 0) GTEST_SKIP() << "a file system that does not tell";
    EXPECT_EQ(count(**file), kSuperblockBytes);
    const AlignedMemory memory = MakeAligned(64 * kKiB);
    ASSERT_EQ(pwrite((*file)->fd(), memory.get(), 64 * kKiB, 512 * kKiB), ssize_t{64 * kKiB});
  }
  const auto file = Open(2 * kCapacity);
  ASSERT_TRUE(file);
  EXPECT_EQ(count(**file), kSuperblockBytes + 64 * kKiB);
}

TEST_F(FlashFileTest, RefusesNoCapacity) {
  ExpectRefused(Code::kInvalid, "raise flash.capacity-bytes", 4095);
  EXPECT_FALSE(Exists());
}

TEST_F(FlashFileTest, RefusesAFolderThatItMayNotWrite) {
  ASSERT_EQ(chmod(folder_.path().c_str(), 0555), 0);
  EXPECT_TRUE(InChild([&] {
    // Root may write anywhere; anyone else is refused as it is.
    if (geteuid() == 0 && setuid(65534) != 0) return false;
    ExpectRefused(Code::kInvalid, "permission denied; let the server's user write");
    return true;
  }));
  ASSERT_EQ(chmod(folder_.path().c_str(), 0700), 0);
}

TEST_F(FlashFileTest, RefusesMoreThanTheDiskAndLeavesNothing) {
  ExpectRefused(Code::kNoSpace, "is beyond the disk", 1024 * kTiB);
  EXPECT_FALSE(Exists());
}

TEST_F(FlashFileTest, KeepsItsFileWhenItCannotGrow) {
  ASSERT_TRUE(Open());
  const std::string content = Content();
  ExpectRefused(Code::kNoSpace, "is beyond the disk", 1024 * kTiB);
  EXPECT_EQ(Content(), content);
  EXPECT_TRUE(Open());
}

TEST_F(FlashFileTest, RefusesMoreThanTheProcessMayWrite) {
  EXPECT_TRUE(InChild([&] {
    const rlimit limit{.rlim_cur = kCapacity / 2, .rlim_max = kCapacity / 2};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    ExpectRefused(Code::kNoSpace, "file size limit of 524288 bytes; raise the limit");
    return !Exists();
  }));
}

TEST_F(FlashFileTest, RefusesWhatAnotherProcessHolds) {
  const auto file = Open();
  ASSERT_TRUE(file);
  const std::string owner = "in use by process " + std::to_string(getpid());
  EXPECT_TRUE(InChild([&] {
    ExpectRefused(Code::kLocked, owner);
    ExpectRefused(Code::kLocked, "give each server a flash.path of its own");
    return true;
  }));
}

TEST_F(FlashFileTest, AForkedChildDoesNotKeepTheLock) {
  auto file = Open();
  ASSERT_TRUE(file);
  int ready[2];
  int leave[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(leave), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    const auto own = ChildFile::Open(**file);
    close(leave[1]);
    if (write(ready[1], own ? "y" : "n", 1) != 1) _exit(1);
    _exit(read(leave[0], &byte, 1) == 0 ? 0 : 1);
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  std::move(file).Take().reset();
  EXPECT_TRUE(InChild([&] { return Open().ok(); })) << "free although the first child lives";
  close(leave[1]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  for (const int fd : {ready[0], ready[1], leave[0]}) close(fd);
}

TEST_F(FlashFileTest, AChildReadsAtAnyAlignment) {
  const auto file = Open(3 * kMiB);
  ASSERT_TRUE(file);
  const AlignedMemory memory = MakeAligned(3 * kMiB);
  FillPattern(0, {memory.get(), 3 * kMiB});
  ASSERT_EQ(pwrite((*file)->fd(), memory.get(), 3 * kMiB, 0), 3 * static_cast<ssize_t>(kMiB));
  EXPECT_TRUE(InChild([&] {
    auto child = ChildFile::Open(**file);
    if (!child) return false;
    std::vector<std::byte> odd(2 * kMiB + 77);
    const AlignedMemory even = MakeAligned(64 * kKiB);
    return (*child)->ReadAt(1234, odd) && IsPattern(1234, odd) &&
           (*child)->ReadAt(8192, {even.get(), 64 * kKiB}) &&
           IsPattern(8192, {even.get(), 64 * kKiB}) &&
           (*child)->ReadAt(3 * kMiB - 1, {even.get(), 1}) &&
           (*child)->ReadAt(3 * kMiB - 1, {even.get(), 2}).code() == Code::kIo;
  }));
}

TEST_F(FlashFileTest, WithoutDirectSaysSo) {
  const auto file = FlashFile::Open({.path = path_, .capacity_bytes = kCapacity, .direct = false});
  ASSERT_TRUE(file);
  EXPECT_FALSE((*file)->direct());
  EXPECT_EQ((*file)->alignment(), 4096U);
  ASSERT_FALSE((*file)->warnings().empty());
  EXPECT_THAT((*file)->warnings()[0], HasSubstr("O_DIRECT was not asked for"));
}

TEST_F(FlashFileTest, WarnsOnTmpfsAndMeetsItsEnd) {
  const bool ran = InChild([&] {
    // Its own mount table, so that the small tmpfs is seen by nobody else and ends with the child.
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return true;
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return true;
    if (mount("none", folder_.path().c_str(), "tmpfs", 0, "size=2m") != 0) return true;
    const auto file = Open(kMiB);
    if (!file) return false;
    const std::string all = ::testing::PrintToString((*file)->warnings());
    EXPECT_THAT(all, HasSubstr("lies on tmpfs"));
    const auto large = Open(4 * kMiB);
    return !large && large.code() == Code::kNoSpace;
  });
  EXPECT_TRUE(ran);
}

TEST_F(FlashFileTest, KeepsTheHashSeed) {
  uint64_t drawn = 0;
  {
    const auto file = Open();
    ASSERT_TRUE(file);
    drawn = (*file)->hash_seed();
    EXPECT_NE(drawn, 0U);
  }
  {
    const auto file = Open();
    ASSERT_TRUE(file);
    EXPECT_EQ((*file)->hash_seed(), drawn);
    EXPECT_TRUE((*file)->KeepHashSeed(4711));
    EXPECT_EQ((*file)->hash_seed(), 4711U);
  }
  const auto file = Open(2 * kCapacity);
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->hash_seed(), 4711U);
}

/// As version 1 had it, whose segments began behind the superblock.
std::string FirstVersion(const Superblock& superblock) {
  auto bytes = EncodeSuperblock(superblock);
  base::StoreLe<uint32_t>(&bytes[8], 1);
  base::StoreLe<uint32_t>(&bytes[12], 4096);
  base::StoreLe<uint64_t>(&bytes[4088],
                          base::Checksum({bytes.data(), 4088}, 0x7469657266696c65ULL));
  return std::string(base::AsText({bytes.data(), bytes.size()}));
}

TEST_F(FlashFileTest, TakesAFileOfTheFirstVersionOver) {
  const FileId id{std::byte{7}};
  Put(FirstVersion({.id = id, .capacity_bytes = kCapacity, .hash_seed = 4711}) +
      std::string(kCapacity, 'x'));
  {
    const auto file = Open();
    ASSERT_TRUE(file);
    EXPECT_EQ((*file)->id(), id);
    EXPECT_EQ((*file)->hash_seed(), 4711U);
    EXPECT_FALSE((*file)->created());
  }
  EXPECT_EQ(Size(), kCapacity);
  const std::string content = Content();
  const SuperblockFound found = DecodeSuperblock(base::AsBytes(content));
  EXPECT_EQ(found.kind, SuperblockKind::kOurs);
  EXPECT_EQ(found.version, 2U) << "an older module must not take it for its own";
}

TEST_F(FlashFileTest, DrawsAHashSeedForAFileThatHasNone) {
  const auto bytes = EncodeSuperblock({.id = {}, .capacity_bytes = kCapacity});
  Put(std::string(base::AsText({bytes.data(), bytes.size()})));
  uint64_t drawn = 0;
  {
    const auto file = Open();
    ASSERT_TRUE(file);
    drawn = (*file)->hash_seed();
    EXPECT_NE(drawn, 0U);
  }
  const auto file = Open();
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->hash_seed(), drawn);
}

TEST_F(FlashFileTest, CheckingMakesNothing) {
  const auto checked = FlashFile::Check({.path = path_, .capacity_bytes = kCapacity});
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->hash_seed, 0U);
  EXPECT_EQ(checked->no_room, "");
  EXPECT_FALSE(Exists());
}

TEST_F(FlashFileTest, CheckingLeavesAFileAsItIsAndUnlocked) {
  uint64_t seed = 0;
  {
    const auto file = Open();
    ASSERT_TRUE(file);
    seed = (*file)->hash_seed();
  }
  const std::string content = Content();
  const auto checked = FlashFile::Check({.path = path_, .capacity_bytes = 2 * kCapacity});
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->hash_seed, seed);
  EXPECT_EQ(Content(), content);
  EXPECT_TRUE(InChild([&] { return Open().ok(); }));
}

TEST_F(FlashFileTest, CheckingRefusesWhatOpeningRefuses) {
  const auto expect = [this](Code code, const std::string& words) {
    const auto checked = FlashFile::Check({.path = path_, .capacity_bytes = kCapacity});
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.code(), code);
    EXPECT_THAT(checked.error().message, HasSubstr(words));
  };
  {
    const auto file = Open();
    ASSERT_TRUE(file);
    EXPECT_TRUE(InChild([&] {
      expect(Code::kLocked, "in use by process " + std::to_string(getppid()));
      return true;
    }));
  }
  Put("not ours, and longer than nothing");
  expect(Code::kForeign, "is not a valkey-flash file");
  path_ = folder_.path() + "/missing/tier.bin";
  expect(Code::kInvalid, "the folder does not exist");
  path_ = folder_.path();
  expect(Code::kInvalid, "is a folder");
}

TEST_F(FlashFileTest, CheckingSaysThatTheDiskIsTooSmall) {
  const auto missing = FlashFile::Check({.path = path_, .capacity_bytes = 1024 * kTiB});
  ASSERT_TRUE(missing);
  EXPECT_THAT(missing->no_room, HasSubstr("is beyond the disk"));
  EXPECT_FALSE(Exists());
  ASSERT_TRUE(Open());
  const auto there = FlashFile::Check({.path = path_, .capacity_bytes = 1024 * kTiB});
  ASSERT_TRUE(there);
  EXPECT_THAT(there->no_room, HasSubstr("is beyond the disk"));
}

TEST(Superblock, GoldenBytes) {
  Superblock superblock{.id = {}, .capacity_bytes = 0x0000010203040000};
  for (size_t i = 0; i < superblock.id.size(); ++i) superblock.id[i] = static_cast<std::byte>(i);
  const auto bytes = EncodeSuperblock(superblock);
  EXPECT_EQ(base::AsText({bytes.data(), 8}), "VKFLASHT");
  EXPECT_EQ(base::LoadLe<uint32_t>(&bytes[8]), 2U);
  EXPECT_EQ(base::LoadLe<uint32_t>(&bytes[12]), 0U);
  EXPECT_EQ(bytes[16], std::byte{0});
  EXPECT_EQ(bytes[31], std::byte{15});
  EXPECT_EQ(base::LoadLe<uint64_t>(&bytes[32]), 0x0000010203040000U);
  EXPECT_EQ(base::LoadLe<uint64_t>(&bytes[4088]), 0x764306bdf1927cf0U);
  const SuperblockFound found = DecodeSuperblock(bytes);
  EXPECT_EQ(found.kind, SuperblockKind::kOurs);
  EXPECT_EQ(found.superblock.id, superblock.id);
  EXPECT_EQ(found.superblock.capacity_bytes, superblock.capacity_bytes);
  superblock.hash_seed = 0x0807060504030201;
  const auto with_seed = EncodeSuperblock(superblock);
  EXPECT_EQ(base::LoadLe<uint64_t>(&with_seed[40]), superblock.hash_seed);
  EXPECT_EQ(DecodeSuperblock(with_seed).superblock.hash_seed, superblock.hash_seed);
}

}  // namespace
}  // namespace flash::io
