// uring_probe.cc: see uring_probe.h.
// The child only makes system calls: other threads of the parent may have held any lock at the
// fork. Thread: any.
#include "io/uring_probe.h"

#include <linux/io_uring.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace flash::io {
namespace {

[[noreturn]] void TryCalls() {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // Its death is an answer, not a crash to report.
  io_uring_params params{};
  const long ring = syscall(SYS_io_uring_setup, 1, &params);
  // Whatever they answer: a filter judges the number before the kernel looks at the rest.
  syscall(SYS_io_uring_enter, ring, 0, 0, 0, nullptr, 0);
  syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, nullptr, 0);
  _exit(0);
}

}  // namespace

bool IoUringKills() {
  const pid_t child = fork();
  if (child == 0) TryCalls();
  if (child < 0) return false;
  int status = 0;
  pid_t ended = -1;
  do {
    ended = waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  return ended == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

}  // namespace flash::io
