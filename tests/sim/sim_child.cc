// sim_child.cc: the fork, the shared memory and a byte each way for a check; see sim_child.h.
// Thread: one, and so a child of it may do anything.
//
#include "tests/sim/sim_child.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace flash::sim {
namespace {

/// A multiple of every alignment that the world draws.
constexpr uint64_t kShownBytes = 4096;

class SharedSource final : public store::SnapshotSource {
 public:
  explicit SharedSource(Bytes shared) : shared_(shared) {}
  [[nodiscard]] Result<void> ReadAt(uint64_t offset, MutableBytes into) override {
    if (offset + into.size() > shared_.size()) return Code::kIo;
    std::memcpy(into.data(), shared_.data() + offset, into.size());
    return {};
  }

 private:
  Bytes shared_;
};

bool Send(int socket) {
  const char byte = 'j';
  return send(socket, &byte, 1, MSG_NOSIGNAL) == 1;
}

/// False: the other side is gone.
bool Receive(int socket) {
  char byte = 0;
  ssize_t count = 0;
  do {
    count = recv(socket, &byte, 1, 0);
  } while (count < 0 && errno == EINTR);
  return count == 1;
}

}  // namespace

ForkedChild::ForkedChild(const io::MemoryFile* file, const Judge& judge) : file_(*file) {
  void* const memory = mmap(nullptr, file_.bytes(), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  FLASH_CHECK(memory != MAP_FAILED);
  shared_ = {static_cast<std::byte*>(memory), file_.bytes()};
  std::array<int, 2> sockets{};
  FLASH_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) == 0);
  std::fflush(nullptr);  // Or what waits is written by both.
  pid_ = fork();
  FLASH_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    close(sockets[0]);
    Serve(sockets[1], judge);
  }
  close(sockets[1]);
  socket_ = sockets[0];
}

ForkedChild::~ForkedChild() {
  close(socket_);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  munmap(shared_.data(), shared_.size());
}

void ForkedChild::Serve(int socket, const Judge& judge) {
  SharedSource source(shared_);
  while (Receive(socket)) {
    judge(source);
    if (!Send(socket)) break;
  }
  _exit(0);
}

void ForkedChild::Show(store::Place place) {
  const uint64_t begin = base::AlignDown(place.offset(), kShownBytes);
  const uint64_t end =
      std::min(base::AlignUp(place.offset() + place.bytes(), kShownBytes), file_.bytes());
  const MutableBytes into = shared_.subspan(begin, end - begin);
  FLASH_CHECK(file_.ReadAt(begin, into) == into.size());
}

bool ForkedChild::Judges() { return Send(socket_) && Receive(socket_); }

}  // namespace flash::sim
