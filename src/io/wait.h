// wait.h: the three things done with an eventfd: signal it, wait for it, clear it.
//
// Knows nothing of devices or tasks. An interrupted or spurious wake-up is reported as "not
// readable"; callers look at their own state again either way. Thread: any.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <ctime>

namespace flash::io {

/// Waits up to `wait_us` microseconds for either; true if `second` is readable. Negative: none.
inline bool WaitReadable(int first, int second, uint64_t wait_us) {
  constexpr uint64_t kWaitUsMax = 3'600'000'000;
  const uint64_t us = std::min(wait_us, kWaitUsMax);
  const timespec limit{.tv_sec = static_cast<time_t>(us / 1'000'000),
                       .tv_nsec = static_cast<long>(us % 1'000'000 * 1000)};
  pollfd entries[2] = {{.fd = first, .events = POLLIN, .revents = 0},
                       {.fd = second, .events = POLLIN, .revents = 0}};
  return ppoll(entries, 2, &limit, nullptr) > 0 && (entries[1].revents & POLLIN) != 0;
}

/// Waits up to `wait_us` microseconds; true if `fd` is readable.
inline bool WaitReadable(int fd, uint64_t wait_us) { return WaitReadable(-1, fd, wait_us); }

/// Makes a non-blocking eventfd readable.
inline void SignalEventFd(int fd) {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then it is readable already.
  [[maybe_unused]] const ssize_t written = write(fd, &one, sizeof(one));
}

/// Makes a non-blocking eventfd unreadable.
inline void DrainEventFd(int fd) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = read(fd, &count, sizeof(count));
}

}  // namespace flash::io
