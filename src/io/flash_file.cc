// flash_file.cc: the steps of opening a tier file, in an order that never touches a foreign one.
// Descriptor, lock, identity, size: nothing is written before identity is known, and nothing is
// identified before the lock is held. One descriptor only: closing a second one would drop the
// lock. Thread: as the header says.
#include "io/flash_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "io/superblock.h"

namespace flash::io {
namespace {

constexpr uint32_t kAlignmentMin = 512;
constexpr uint32_t kAlignmentMax = 4096;
constexpr int kOpenFlags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

std::string Number(uint64_t value) { return std::to_string(value); }

uint32_t LogicalBlockBytes(const struct stat& status) {
  const std::string device =
      "/sys/dev/block/" + Number(major(status.st_dev)) + ":" + Number(minor(status.st_dev));
  // A partition has no queue of its own; its disk, one folder up, has.
  for (const char* place : {"/queue/logical_block_size", "/../queue/logical_block_size"}) {
    std::FILE* file = std::fopen((device + place).c_str(), "re");
    if (file == nullptr) continue;
    char line[32] = {};
    const bool found = std::fgets(line, sizeof(line), file) != nullptr;
    std::fclose(file);
    if (found) return static_cast<uint32_t>(std::strtoul(line, nullptr, 10));
  }
  return kAlignmentMax;
}

/// What the kernel demands of O_DIRECT transfers; 0 when it says that there can be none.
uint32_t DirectAlignment(int fd) {
#ifdef STATX_DIOALIGN
  struct statx extended {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &extended) == 0 &&
      (extended.stx_mask & STATX_DIOALIGN) != 0) {
    return std::max(extended.stx_dio_mem_align, extended.stx_dio_offset_align);
  }
#endif
  struct stat status {};
  if (fstat(fd, &status) != 0) return kAlignmentMax;
  return LogicalBlockBytes(status);
}

std::string FileSystemWarning(int fd) {
  struct statfs system {};
  if (fstatfs(fd, &system) != 0) return {};
  switch (static_cast<unsigned long>(system.f_type)) {
    case TMPFS_MAGIC:
      return "lies on tmpfs, which is RAM: nothing is saved; choose a file on an NVMe disk";
    case RAMFS_MAGIC:
      return "lies on ramfs, which is RAM: nothing is saved; choose a file on an NVMe disk";
    case NFS_SUPER_MAGIC:
      return "lies on NFS: every cold read crosses the network; choose a file on a local NVMe disk";
    case SMB_SUPER_MAGIC:
    case 0xff534d42UL:  // CIFS_SUPER_MAGIC, not in every linux/magic.h.
    case 0xfe534d42UL:  // SMB2_SUPER_MAGIC, likewise.
      return "lies on SMB: every cold read crosses the network; choose a file on a local NVMe disk";
    case OVERLAYFS_SUPER_MAGIC:
      return "lies on an overlay file system, the container's own layer: mount a volume for it";
    case 0x65735546UL:  // FUSE_SUPER_MAGIC, not in every linux/magic.h.
      return "lies on a FUSE file system: expect slow reads; choose a file on a local NVMe disk";
    case BTRFS_SUPER_MAGIC:
      return "lies on btrfs: copy on write adds wear; set the attribute +C on its folder";
    default:
      return {};
  }
}

std::string OpenFailure(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return "the folder does not exist; create it, or set flash.path to another file";
    case EACCES:
    case EPERM:
      return "permission denied; let the server's user write the file and its folder, or set "
             "flash.path to another file";
    case EROFS:
      return "the file system is read-only; remount it writable, or set flash.path to another file";
    case EISDIR:
      return "is a folder; set flash.path to a file in it";
    case ENOSPC:
    case EDQUOT:
      return "no room for a new file; free space, or set flash.path to another disk";
    default:
      return std::string(std::strerror(error)) + "; set flash.path to a file that can be opened";
  }
}

}  // namespace

Error FlashFile::Fail(Code code, const std::string& why) const {
  return {code, "flash file " + path_ + ": " + why};
}

Result<void> FlashFile::SetOptions(const Options& options) {
  path_ = options.path;
  opened_by_ = getpid();
  capacity_bytes_ = base::AlignDown(options.capacity_bytes, kAlignmentMax);
  if (capacity_bytes_ == 0) {
    return Fail(Code::kInvalid, "a capacity below 4096 bytes; raise flash.capacity-bytes");
  }
  return {};
}

Result<std::unique_ptr<FlashFile>> FlashFile::Open(const Options& options) {
  auto file = std::unique_ptr<FlashFile>(new FlashFile());  // raw new: private constructor
  if (auto set = file->SetOptions(options); !set) return set.error();
  if (auto opened = file->OpenDescriptor(); !opened) return opened.error();
  if (auto locked = file->Lock(); !locked) return locked.error();
  auto empty = file->Identify();
  if (!empty) return empty.error();
  if (auto drawn = file->DrawNumbers(*empty); !drawn) return drawn.error();
  if (auto sized = file->Resize(); !sized) {
    // What this call made, it takes away again; a file that was there keeps its bytes.
    if (file->created_) unlink(file->path_.c_str());
    return sized.error();
  }
  file->written_before_ = WrittenRanges(file->fd_, file->capacity_bytes_);
  file->ChooseTransfer(options.direct);
  file->NoteFileSystem();
  return file;
}

Result<FlashFile::Checked> FlashFile::Check(const Options& options) {
  FlashFile file;
  Checked checked;
  if (auto set = file.SetOptions(options); !set) return set.error();
  const Result<bool> there = file.OpenExisting();
  if (!there) return there.error();
  if (!*there) {
    if (auto fits = file.CheckFolder(&checked); !fits) return fits.error();
    return checked;
  }
  if (auto locked = file.Lock(); !locked) return locked.error();
  if (const Result<bool> empty = file.Identify(); !empty) return empty.error();
  checked.hash_seed = file.hash_seed_;
  struct stat status {};
  struct statvfs system {};
  if (fstat(file.fd_, &status) != 0 || fstatvfs(file.fd_, &system) != 0) {
    return file.Fail(Code::kIo, std::strerror(errno));
  }
  const uint64_t allocated = static_cast<uint64_t>(status.st_blocks) * 512;
  auto room = file.CheckRoom(file.capacity_bytes_, allocated, system);
  if (!room) checked.no_room = room.error().message;
  return checked;
}

/// As far as it can be told without making a file in it.
Result<void> FlashFile::CheckFolder(Checked* checked) const {
  const size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path_.substr(0, slash);
  struct statvfs system {};
  if (statvfs(folder.c_str(), &system) != 0) return Fail(Code::kInvalid, OpenFailure(errno));
  if (faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return Fail(Code::kInvalid, OpenFailure(errno));
  }
  auto room = CheckRoom(capacity_bytes_, 0, system);
  if (!room) checked->no_room = room.error().message;
  return {};
}

FlashFile::~FlashFile() {
  if (fd_ >= 0) close(fd_);
}

/// Asked by name: to open a device can already do something to it.
Result<void> FlashFile::CheckKind() const {
  struct stat status {};
  if (stat(path_.c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) return {};
  return Fail(Code::kForeign,
              "is a block device, which cannot be a tier; make a file system on it, mount it, and "
              "set flash.path to a file there");
}

Result<bool> FlashFile::OpenExisting() {
  if (auto kind = CheckKind(); !kind) return kind.error();
  fd_ = open(path_.c_str(), kOpenFlags);
  if (fd_ < 0) {
    const int error = errno;
    if (error == ENOENT) return false;
    const bool full = error == ENOSPC || error == EDQUOT;
    return Fail(full ? Code::kNoSpace : Code::kInvalid, OpenFailure(error));
  }
  struct stat status {};
  if (fstat(fd_, &status) != 0) return Fail(Code::kIo, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) {
    return Fail(Code::kForeign, "is not a regular file; set flash.path to a regular file");
  }
  return true;
}

Result<void> FlashFile::OpenDescriptor() {
  const Result<bool> there = OpenExisting();
  if (!there) return there.error();
  if (*there) return {};
  fd_ = open(path_.c_str(), kOpenFlags | O_CREAT | O_EXCL, 0600);
  created_ = fd_ >= 0;
  if (created_) return {};
  const int error = errno;
  if (error == EEXIST) {  // Somebody was quicker.
    const Result<bool> now_there = OpenExisting();
    if (!now_there) return now_there.error();
    if (*now_there) return {};
  }
  const bool full = error == ENOSPC || error == EDQUOT;
  return Fail(full ? Code::kNoSpace : Code::kInvalid, OpenFailure(error));
}

Result<void> FlashFile::Lock() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd_, F_SETLK, &lock) == 0) return {};
  const int error = errno;
  if (error != EACCES && error != EAGAIN) {
    return Fail(Code::kIo, std::string("cannot be locked (") + std::strerror(error) +
                               "); choose a file system that supports fcntl locks");
  }
  std::string holder = "another process";
  if (fcntl(fd_, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0) {
    holder = "process " + std::to_string(lock.l_pid);
  }
  return Fail(Code::kLocked, "in use by " + holder +
                                 "; stop that server, or give each server a flash.path of its own");
}

Result<bool> FlashFile::Identify() {
  std::array<std::byte, kSuperblockBytes> bytes{};
  const ssize_t count = pread(fd_, bytes.data(), bytes.size(), 0);
  if (count < 0) return Fail(Code::kIo, std::string("cannot be read: ") + std::strerror(errno));
  if (count == 0) return true;
  const SuperblockFound found = DecodeSuperblock({bytes.data(), static_cast<size_t>(count)});
  switch (found.kind) {
    case SuperblockKind::kOurs:
      id_ = found.superblock.id;
      current_found_ = found.current;
      capacity_found_ = found.superblock.capacity_bytes;
      hash_seed_ = hash_seed_found_ = found.superblock.hash_seed;
      return false;
    case SuperblockKind::kNewer:
      return Fail(Code::kForeign, "its format version " + std::to_string(found.version) +
                                      " is newer than this module's " +
                                      std::to_string(kTierFormatVersion) +
                                      "; load the newer module, or move the file away");
    case SuperblockKind::kDamaged:
      return Fail(Code::kForeign,
                  "its header is damaged; remove the file (a tier holds nothing over a restart) "
                  "and start again");
    case SuperblockKind::kForeign:
      break;
  }
  return Fail(Code::kForeign,
              "is not a valkey-flash file and is never overwritten; set flash.path to another "
              "file. If the older valkey-flash 1.x module wrote it: SAVE under that module, move "
              "its files away, then start with this one");
}

Result<void> FlashFile::DrawNumbers(bool is_new) {
  if (is_new && getrandom(id_.data(), id_.size(), 0) < 0) {
    return Fail(Code::kIo, std::string("no random file id: ") + std::strerror(errno));
  }
  // A file of an earlier version has none.
  while (hash_seed_ == 0) {
    if (getrandom(&hash_seed_, sizeof(hash_seed_), 0) < 0) {
      return Fail(Code::kIo, std::string("no random numbers: ") + std::strerror(errno));
    }
  }
  return {};
}

Result<void> FlashFile::Resize() {
  const uint64_t wanted = capacity_bytes_;
  struct stat before {};
  if (fstat(fd_, &before) != 0) return Fail(Code::kIo, std::strerror(errno));
  if (static_cast<uint64_t>(before.st_size) > wanted &&
      ftruncate(fd_, static_cast<off_t>(wanted)) != 0) {
    return Fail(Code::kIo, std::string("cannot be made smaller: ") + std::strerror(errno));
  }
  if (auto reserved = Reserve(wanted); !reserved) {
    if (static_cast<uint64_t>(before.st_size) < wanted) {
      [[maybe_unused]] const int cut = ftruncate(fd_, before.st_size);
    }
    return reserved.error();
  }
  // The superblock follows the size: a crash in between leaves an empty file or an older capacity.
  if (current_found_ && capacity_found_ == capacity_bytes_ && hash_seed_found_ == hash_seed_) {
    return {};
  }
  return WriteSuperblock();
}

Result<void> FlashFile::CheckRoom(uint64_t bytes, uint64_t allocated,
                                  const struct statvfs& system) const {
  struct rlimit limit {};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur) {
    // Asked first, because the kernel answers a breach with a deadly SIGXFSZ.
    return Fail(Code::kNoSpace, "flash.capacity-bytes " + Number(capacity_bytes_) +
                                    " is beyond the process's file size limit of " +
                                    Number(limit.rlim_cur) +
                                    " bytes; raise the limit (ulimit -f) or lower the capacity");
  }
  const uint64_t blocks = geteuid() == 0 ? system.f_bfree : system.f_bavail;
  const uint64_t available = blocks * system.f_frsize;
  if (bytes <= allocated || bytes - allocated <= available) return {};
  return NoRoom(available + allocated);
}

Error FlashFile::NoRoom(uint64_t to_be_had) const {
  return Fail(Code::kNoSpace,
              "flash.capacity-bytes " + Number(capacity_bytes_) +
                  " is beyond the disk: " + Number(to_be_had) +
                  " bytes can be had; lower it, free space, or choose another disk");
}

Result<void> FlashFile::Reserve(uint64_t bytes) {
  struct stat status {};
  struct statvfs system {};
  if (fstat(fd_, &status) != 0 || fstatvfs(fd_, &system) != 0) {
    return Fail(Code::kIo, std::strerror(errno));
  }
  const uint64_t allocated = static_cast<uint64_t>(status.st_blocks) * 512;
  if (auto fits = CheckRoom(bytes, allocated, system); !fits) return fits;
  int result = 0;
  do {
    result = fallocate(fd_, 0, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return {};
  const int error = errno;
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return NoRoom(allocated + uint64_t{system.f_bavail} * system.f_frsize);
  }
  if (error != EOPNOTSUPP && error != ENOSYS) {
    return Fail(Code::kIo, std::string("cannot be sized: ") + std::strerror(error));
  }
  if (ftruncate(fd_, static_cast<off_t>(bytes)) != 0) {
    return Fail(Code::kIo, std::string("cannot be sized: ") + std::strerror(errno));
  }
  warnings_.push_back("flash file " + path_ +
                      ": this file system cannot reserve space; writes may fail when it fills up");
  return {};
}

Result<void> FlashFile::KeepHashSeed(uint64_t seed) {
  if (seed == hash_seed_) return {};
  hash_seed_ = seed;
  return WriteSuperblock();
}

Result<void> FlashFile::WriteSuperblock() {
  // Aligned: the file may be open for transfers past the page cache.
  alignas(kSuperblockBytes) const auto bytes =
      EncodeSuperblock({.id = id_, .capacity_bytes = capacity_bytes_, .hash_seed = hash_seed_});
  if (pwrite(fd_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()) ||
      fdatasync(fd_) != 0) {
    return Fail(Code::kIo, std::string("cannot be written: ") + std::strerror(errno));
  }
  return {};
}

void FlashFile::ChooseTransfer(bool direct) {
  const int flags = fcntl(fd_, F_GETFL) & ~O_NONBLOCK;
  const uint32_t asked = direct ? DirectAlignment(fd_) : 0;
  std::string reason;
  if (!direct) {
    reason = "was not asked for";
  } else if (asked == 0 || asked > kAlignmentMax || (asked & (asked - 1)) != 0) {
    reason = "is not offered by its file system";
  } else if (fcntl(fd_, F_SETFL, flags | O_DIRECT) != 0) {
    reason = std::string("was refused (") + std::strerror(errno) + ")";
  } else {
    direct_ = true;
    alignment_ = std::max(asked, kAlignmentMin);
    return;
  }
  [[maybe_unused]] const int cleared = fcntl(fd_, F_SETFL, flags);
  alignment_ = kAlignmentMax;
  warnings_.push_back("flash file " + path_ + ": O_DIRECT " + reason +
                      "; the page cache takes RAM for what is read");
}

void FlashFile::NoteFileSystem() {
  const std::string warning = FileSystemWarning(fd_);
  if (!warning.empty()) warnings_.push_back("flash file " + path_ + ": " + warning);
}

}  // namespace flash::io
