// flash_file.h: the tier file: found or created, identified, sized, locked.
//
// Its content is void at each open; a superblock in front says that the file is ours, and how the
// server that uses it keys its hashes. A file that is anything else is refused and never written
// to. Knows neither segments nor io_uring. All error texts are one line for people: the path, why,
// and what to do. Thread: Open on the main thread; afterwards constant. Format:
// docs/format/tier-file.md. docs/adr/0003.
#pragma once

#include <sys/statvfs.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "io/device.h"
#include "io/written_ranges.h"

namespace flash::io {

using FileId = std::array<std::byte, 16>;

class FlashFile {
 public:
  struct Options {
    std::string path;
    uint64_t capacity_bytes = 0;  // Required; rounded down to a multiple of 4 KiB.
    bool direct = true;           // False: never O_DIRECT (tests, measurements).
  };

  /// Opens or creates the file, takes its lock, and makes it `capacity_bytes` long, the
  /// superblock's kSuperblockBytes among them. Errors: kLocked (another process has it), kForeign
  /// (not ours, damaged, or newer), kNoSpace (does not fit the disk or a limit; a file that was
  /// ours keeps its size), kInvalid (path or folder), kIo.
  [[nodiscard]] static Result<std::unique_ptr<FlashFile>> Open(const Options& options);

  /// What Check found.
  struct Checked {
    uint64_t hash_seed = 0;  // Of the file that is there; 0: none is, or it has none.
    std::string no_room;     // Why it does not fit the disk now; empty: it does.
  };
  /// Could Open be done now? Makes and changes nothing. Not where this process has the file open:
  /// that would drop its lock. Errors: those of Open, but kNoSpace.
  [[nodiscard]] static Result<Checked> Check(const Options& options);

  /// Closes, and so unlocks.
  ~FlashFile();
  FlashFile(const FlashFile&) = delete;
  FlashFile& operator=(const FlashFile&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const FileId& id() const { return id_; }
  /// What hashes are keyed by: drawn when the file was created, or kept since.
  [[nodiscard]] uint64_t hash_seed() const { return hash_seed_; }
  /// Keeps another one for the next opens. Errors: kIo, with a message; then this one counts until
  /// the end of the process only. Thread: main.
  [[nodiscard]] Result<void> KeepHashSeed(uint64_t seed);
  [[nodiscard]] uint64_t capacity_bytes() const { return capacity_bytes_; }
  /// What transfers must be aligned to, in offset, length and memory: 512 to 4096.
  [[nodiscard]] uint32_t alignment() const { return alignment_; }
  /// Whether transfers pass by the page cache.
  [[nodiscard]] bool direct() const { return direct_; }
  [[nodiscard]] Target target() const { return {fd_, alignment_}; }
  [[nodiscard]] bool created() const { return created_; }
  /// What was written of it before this Open, as far as the file system says; see WrittenRanges.
  [[nodiscard]] const std::vector<FileRange>& written_before() const { return written_before_; }
  /// What an operator should know: file system kind, no O_DIRECT, space not reserved. One line
  /// each.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  friend class ChildFile;
  FlashFile() = default;

  [[nodiscard]] Result<void> SetOptions(const Options& options);
  [[nodiscard]] Result<void> CheckKind() const;
  /// False: there is no such file.
  [[nodiscard]] Result<bool> OpenExisting();
  [[nodiscard]] Result<void> OpenDescriptor();
  [[nodiscard]] Result<void> CheckFolder(Checked* checked) const;
  /// Is there room for a file of `bytes`, of which `allocated` are there already?
  [[nodiscard]] Result<void> CheckRoom(uint64_t bytes, uint64_t allocated,
                                       const struct statvfs& system) const;
  [[nodiscard]] Error NoRoom(uint64_t to_be_had) const;
  [[nodiscard]] Result<void> Lock();
  [[nodiscard]] Result<bool> Identify();
  [[nodiscard]] Result<void> Resize();
  [[nodiscard]] Result<void> Reserve(uint64_t bytes);
  [[nodiscard]] Result<void> DrawNumbers(bool is_new);
  [[nodiscard]] Result<void> WriteSuperblock();
  void ChooseTransfer(bool direct);
  void NoteFileSystem();
  [[nodiscard]] Error Fail(Code code, const std::string& why) const;

  std::string path_;
  int fd_ = -1;
  pid_t opened_by_ = 0;
  FileId id_{};
  uint64_t capacity_bytes_ = 0;
  uint64_t hash_seed_ = 0;
  // What the superblock said before; differing makes it to be written.
  uint64_t capacity_found_ = 0;
  uint64_t hash_seed_found_ = 0;
  bool current_found_ = false;
  uint32_t alignment_ = 4096;
  bool direct_ = false;
  bool created_ = false;
  std::vector<FileRange> written_before_;
  std::vector<std::string> warnings_;
};

/// The same file in a forked child: a descriptor of its own, plain reads into a buffer of its own.
///
/// Never in the process that opened the file: closing it there would drop the lock (fcntl locks
/// belong to the process and go with any descriptor of the file). Thread: the child's only one.
class ChildFile {
 public:
  /// Errors: kIo, with a message.
  [[nodiscard]] static Result<std::unique_ptr<ChildFile>> Open(const FlashFile& file);
  ~ChildFile();
  ChildFile(const ChildFile&) = delete;
  ChildFile& operator=(const ChildFile&) = delete;

  /// Fills `into` from `offset` of the tier, any alignment; aligned in all three it is read without
  /// a copy. Errors: kIo (also when the file ends before).
  [[nodiscard]] Result<void> ReadAt(uint64_t offset, MutableBytes into);

 private:
  ChildFile() = default;
  [[nodiscard]] Result<void> ReadAligned(uint64_t file_offset, MutableBytes into) const;

  static constexpr size_t kBounceBytes = 1 * kMiB;
  struct Unmap {
    void operator()(std::byte* memory) const;
  };

  int fd_ = -1;
  uint32_t alignment_ = 4096;
  std::unique_ptr<std::byte[], Unmap> bounce_;
};

}  // namespace flash::io
