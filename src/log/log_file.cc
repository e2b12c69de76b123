// log_file.cc: descriptor, lock, and zeros written ahead; see log_file.h.
// One descriptor only: closing a second one would drop the lock (fcntl locks belong to the process
// and go with any descriptor of the file). Thread: as the header says.
#include "log/log_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace flash::log {
namespace {

constexpr uint64_t kZerosBytes = 1 * kMiB;

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// A new name in a folder is durable only when the folder is. 0 or an errno.
int SyncFolderOf(const std::string& path) {
  const int fd = open(FolderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error;
}

Result<std::unique_ptr<io::Device>> MakeRing(const io::Target& target) {
  io::UringDevice::Options options;
  options.entries = 64;
  options.register_buffers = false;
  auto device = io::UringDevice::Open(target, options);
  if (!device) return device.error();
  return std::unique_ptr<io::Device>(std::move(device).Take());
}

bool IsFull(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }

}  // namespace

std::string LogPath(const std::string& tier_path, const std::string& directory) {
  const size_t slash = tier_path.rfind('/');
  const size_t name_at = slash == std::string::npos ? 0 : slash + 1;
  std::string name = tier_path.substr(name_at);
  const size_t dot = name.rfind('.');
  if (dot != std::string::npos && dot > 0) name.resize(dot);
  const std::string folder = directory.empty() ? tier_path.substr(0, name_at) : directory + "/";
  return folder + name + ".wal";
}

Error LogFile::Fail(Code code, const std::string& why) const {
  return {code, "log " + options_.path + ": " + why};
}

Result<std::unique_ptr<LogFile>> LogFile::Open(const Options& options) {
  auto file = std::unique_ptr<LogFile>(new LogFile(options));  // raw new: private constructor
  if (auto opened = file->OpenDescriptor(); !opened) return opened.error();
  if (auto locked = file->Lock(); !locked) return locked.error();
  struct stat status {};
  if (fstat(file->fd_, &status) != 0) return file->Fail(Code::kIo, std::strerror(errno));
  file->bytes_ = static_cast<uint64_t>(status.st_size);
  file->ChooseTransfer();
  return file;
}

LogFile::~LogFile() {
  if (fd_ >= 0) close(fd_);
}

Result<std::string> LogFile::Archive(const std::string& path) {
  std::string to = path + ".archived-" + std::to_string(std::time(nullptr));
  for (int i = 1; access(to.c_str(), F_OK) == 0; ++i) {
    to = path + ".archived-" + std::to_string(std::time(nullptr)) + "-" + std::to_string(i);
  }
  int error = rename(path.c_str(), to.c_str()) == 0 ? 0 : errno;
  if (error == 0) error = SyncFolderOf(path);
  if (error != 0) {
    return Error{Code::kIo,
                 "log " + path + ": cannot be moved to " + to + ": " + std::strerror(error)};
  }
  return to;
}

Result<void> LogFile::OpenDescriptor() {
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  fd_ = open(options_.path.c_str(), kFlags);
  if (fd_ < 0 && errno == ENOENT) {
    fd_ = open(options_.path.c_str(), kFlags | O_CREAT | O_EXCL, 0600);
    created_ = fd_ >= 0;
  }
  if (fd_ < 0) {
    const int error = errno;
    return Fail(IsFull(error) ? Code::kNoSpace : Code::kInvalid,
                std::string("cannot be opened: ") + std::strerror(error) +
                    "; set flash.wal-dir to a folder that the server's user may write to");
  }
  struct stat status {};
  if (fstat(fd_, &status) != 0) return Fail(Code::kIo, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) return Fail(Code::kForeign, "is not a regular file");
  if (!created_) return {};
  const int error = SyncFolderOf(options_.path);
  if (error == 0) return {};
  return Fail(Code::kIo, std::string("its folder cannot be synced: ") + std::strerror(error));
}

Result<void> LogFile::Lock() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (fcntl(fd_, F_SETLK, &lock) == 0) return {};
  const int error = errno;
  if (error != EACCES && error != EAGAIN) {
    return Fail(Code::kIo, std::string("cannot be locked (") + std::strerror(error) +
                               "); choose a file system that supports fcntl locks");
  }
  return Fail(Code::kLocked,
              "in use by another process; stop that server, or give each server a "
              "flash.wal-dir of its own");
}

void LogFile::ChooseTransfer() {
  const int flags = fcntl(fd_, F_GETFL) & ~O_NONBLOCK;
  // Every transfer is in whole pages of 4096 bytes, which suits any disk.
  direct_ = options_.direct && fcntl(fd_, F_SETFL, flags | O_DIRECT) == 0;
  if (direct_) return;
  [[maybe_unused]] const int cleared = fcntl(fd_, F_SETFL, flags);
  warnings_.push_back("log " + options_.path +
                      ": O_DIRECT is not offered by its file system: commits take longer");
}

Result<std::unique_ptr<io::Device>> LogFile::MakeDevice() {
  const io::Target target = {.fd = fd_, .alignment = kPageBytes};
  auto device = options_.make_device ? options_.make_device(target) : MakeRing(target);
  if (!device || !options_.wrap_device) return device;
  return options_.wrap_device(std::move(device).Take());
}

Result<void> LogFile::Grow(uint64_t bytes) {
  const uint64_t before = bytes_;
  if (bytes <= before) return {};
  struct rlimit limit {};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && bytes > limit.rlim_cur) {
    // Asked first, because the kernel answers a breach with a deadly SIGXFSZ.
    return Fail(Code::kNoSpace, "the process's file size limit of " +
                                    std::to_string(limit.rlim_cur) +
                                    " bytes is reached; raise it (ulimit -f)");
  }
  // Room first, so that a full disk is noticed before half of it was written.
  const int reserved = fallocate(fd_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(before),
                                 static_cast<off_t>(bytes - before));
  if (reserved != 0 && IsFull(errno)) {
    return Fail(Code::kNoSpace, "the disk is full; free space, or cut the log by a BGSAVE");
  }
  auto written = WriteZeros(base::AlignDown(before, kPageBytes), bytes);
  if (!written) {
    [[maybe_unused]] const int cut = ftruncate(fd_, static_cast<off_t>(before));
    return written;
  }
  bytes_ = bytes;
  return {};
}

Result<void> LogFile::WriteZeros(uint64_t from, uint64_t to) {
  struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  const std::unique_ptr<std::byte[], FreeMemory> zeros(
      static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kZerosBytes)));
  FLASH_CHECK(zeros != nullptr);
  std::memset(zeros.get(), 0, kZerosBytes);
  while (from < to) {
    const auto count = static_cast<size_t>(std::min(kZerosBytes, to - from));
    const ssize_t written = pwrite(fd_, zeros.get(), count, static_cast<off_t>(from));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : EIO;
      return Fail(IsFull(error) ? Code::kNoSpace : Code::kIo,
                  std::string("cannot be made longer: ") + std::strerror(error));
    }
    from = base::AlignDown(from + static_cast<uint64_t>(written), kPageBytes);
  }
  if (fdatasync(fd_) == 0) return {};
  return Fail(Code::kIo, std::string("cannot be synced: ") + std::strerror(errno));
}

}  // namespace flash::log
