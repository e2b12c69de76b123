// child_file.cc: plain reads of the tier file in a forked child; declared in flash_file.h.
// Shares nothing with the parent's rings, threads or buffers: those do not exist in the child.
// Thread: the child's only one.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/flash_file.h"

namespace flash::io {

void ChildFile::Unmap::operator()(std::byte* memory) const { munmap(memory, kBounceBytes); }

Result<std::unique_ptr<ChildFile>> ChildFile::Open(const FlashFile& file) {
  FLASH_CHECK(getpid() != file.opened_by_);
  auto child = std::unique_ptr<ChildFile>(new ChildFile());  // raw new: private constructor
  const int flags = O_RDONLY | O_CLOEXEC | (file.direct() ? O_DIRECT : 0);
  // By descriptor, so that a file renamed or removed meanwhile is still the right one.
  child->fd_ = open(("/proc/self/fd/" + std::to_string(file.fd())).c_str(), flags);
  if (child->fd_ < 0) child->fd_ = open(file.path().c_str(), flags);
  if (child->fd_ < 0) {
    return Error{Code::kIo, "flash file " + file.path() +
                                ": the saving child cannot open it: " + std::strerror(errno)};
  }
  struct stat mine {};
  struct stat parents {};
  if (fstat(child->fd_, &mine) != 0 || fstat(file.fd(), &parents) != 0 ||
      mine.st_ino != parents.st_ino || mine.st_dev != parents.st_dev) {
    return Error{Code::kIo, "flash file " + file.path() + ": was replaced under the server"};
  }
  void* memory =
      mmap(nullptr, kBounceBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Error{Code::kIo, "the saving child has no memory for reads"};
  child->bounce_.reset(static_cast<std::byte*>(memory));
  child->alignment_ = file.alignment();
  return child;
}

ChildFile::~ChildFile() {
  if (fd_ >= 0) close(fd_);
}

Result<void> ChildFile::ReadAligned(uint64_t file_offset, MutableBytes into) const {
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t count =
        pread(fd_, into.data() + done, into.size() - done, static_cast<off_t>(file_offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      return Error{Code::kIo, std::string("the saving child cannot read the flash file: ") +
                                  (count < 0 ? std::strerror(errno) : "it ended")};
    }
    const size_t reached = done + static_cast<size_t>(count);
    const size_t aligned = base::AlignDown(reached, alignment_);
    // A piece that ends between two sectors and brings no progress is the end of the file.
    if (reached < into.size() && aligned == done) {
      return Error{Code::kIo, "the saving child cannot read the flash file: it ended"};
    }
    done = reached < into.size() ? aligned : reached;
  }
  return {};
}

Result<void> ChildFile::ReadAt(uint64_t offset, MutableBytes into) {
  const uint64_t mask = alignment_ - 1;
  if (((offset | into.size() | reinterpret_cast<uintptr_t>(into.data())) & mask) == 0) {
    return ReadAligned(offset, into);
  }
  for (size_t done = 0; done < into.size();) {
    const uint64_t start = base::AlignDown(offset + done, alignment_);
    const size_t skip = offset + done - start;
    const size_t piece = std::min(into.size() - done, kBounceBytes - skip);
    const size_t whole = base::AlignUp(skip + piece, alignment_);
    if (auto read = ReadAligned(start, {bounce_.get(), whole}); !read) return read;
    std::memcpy(into.data() + done, bounce_.get() + skip, piece);
    done += piece;
  }
  return {};
}

}  // namespace flash::io
