// uring_probe.h: whether a system call of io_uring would end this process.
//
// A seccomp filter may kill instead of refusing, as systemd's SystemCallFilter= does where no error
// number is given. Knows neither rings nor devices. Thread: any, at load. Decision: docs/adr/0011.
#pragma once

namespace flash::io {

/// Lets a forked child make the three system calls, and says whether a filter killed it for one.
/// Costs a fork, some 0.2 ms for a server that has just started. False where no child can be made.
[[nodiscard]] bool IoUringKills();

}  // namespace flash::io
