// uring_refusal.h: children in which the kernel refuses what a sandbox would, for the tests of this
// folder.
//
// A seccomp filter cannot be taken off again, so each is put on in a forked child of its own.
// Nothing here is part of the library. Thread: the test's.
#pragma once

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <initializer_list>
#include <vector>

namespace flash::io {

/// Answers the system calls `numbers` by `action` from now on in this process.
inline bool Filter(std::initializer_list<int> numbers, uint32_t action) {
  std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
  for (const int number : numbers) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, action));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{.len = static_cast<uint16_t>(program.size()), .filter = program.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}
/// Makes them fail with `error`.
inline bool Forbid(std::initializer_list<int> numbers, int error) {
  return Filter(numbers, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
}
/// Makes them end the process.
inline bool KillFor(std::initializer_list<int> numbers) {
  return Filter(numbers, SECCOMP_RET_KILL_PROCESS);
}
/// ThreadSanitizer does not follow threads that a forked child starts.
inline bool ChildrenMayStartThreads() {
#if defined(__SANITIZE_THREAD__)
  return false;
#elif defined(__has_feature)
  return !__has_feature(thread_sanitizer);
#else
  return true;
#endif
}
inline bool InChild(const std::function<bool()>& body) {
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

}  // namespace flash::io
